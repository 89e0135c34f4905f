//! The mechanism: credentials, randomness, and the long computation off the async threads.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use parking_lot::Mutex;

use super::client::{Challenged, Greeting, Proven};
use super::keys::{Hash, Keys};
use super::messages::Fault;
use crate::endpoint::Address;
use crate::error::SaslFailure;
use crate::sasl::credentials::{Credentials, CredentialsProvider};
use crate::sasl::mechanism::{Exchange, Mechanism, Reply, SaslFuture};
use crate::secret::Secret;

/// Random bytes in a nonce.
const NONCE_BYTES: usize = 24;

/// SCRAM with the credentials of a provider.
pub(crate) struct Scram {
    hash: Hash,
    provider: Arc<dyn CredentialsProvider>,
    cache: Arc<Cache>,
}

impl Scram {
    pub(crate) fn sha_256(provider: Arc<dyn CredentialsProvider>) -> Self {
        Self::new(Hash::Sha256, provider)
    }

    pub(crate) fn sha_512(provider: Arc<dyn CredentialsProvider>) -> Self {
        Self::new(Hash::Sha512, provider)
    }

    fn new(hash: Hash, provider: Arc<dyn CredentialsProvider>) -> Self {
        Self {
            hash,
            provider,
            cache: Arc::default(),
        }
    }
}

impl Mechanism for Scram {
    fn name(&self) -> &str {
        match self.hash {
            Hash::Sha256 => "SCRAM-SHA-256",
            Hash::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// False: an eavesdropper can only try passwords one by one.
    fn reveals_secret(&self) -> bool {
        false
    }

    fn start<'a>(&'a self, _broker: &'a Address) -> SaslFuture<'a, Box<dyn Exchange>> {
        Box::pin(async {
            let Credentials { username, password } = self.provider.credentials().await?;
            if username.is_empty() || password.expose().is_empty() {
                let what = "the user's name and password must not be empty";
                return Err(SaslFailure::Credentials(what.into()));
            }
            let exchange = ScramExchange {
                hash: self.hash,
                password,
                cache: Arc::clone(&self.cache),
                step: Step::Start { username },
            };
            Ok(Box::new(exchange) as Box<dyn Exchange>)
        })
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

struct ScramExchange {
    hash: Hash,
    password: Secret,
    cache: Arc<Cache>,
    step: Step,
}

enum Step {
    Start {
        username: String,
    },
    Greeted(Greeting),
    Proven(Proven, Arc<Keys>),
    /// Over, one way or the other.
    Ended,
}

impl Exchange for ScramExchange {
    fn step<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> SaslFuture<'a, Reply> {
        Box::pin(async move {
            match (std::mem::replace(&mut self.step, Step::Ended), challenge) {
                (Step::Start { username }, None) => {
                    let greeting = Greeting::new(&username, nonce()?);
                    let message = greeting.message();
                    self.step = Step::Greeted(greeting);
                    Ok(Reply::Send(message.into()))
                }
                (Step::Greeted(greeting), Some(challenge)) => {
                    let challenged = greeting.handle_first(challenge).map_err(fault)?;
                    let keys = self.keys(&challenged).await?;
                    let (message, proven) = challenged.prove(&keys);
                    self.step = Step::Proven(proven, keys);
                    Ok(Reply::Send(message))
                }
                (Step::Proven(proven, keys), Some(challenge)) => {
                    proven.handle_final(challenge, &keys).map_err(fault)?;
                    Ok(Reply::Done)
                }
                _ => Err(fault("it speaks when it should not".into())),
            }
        })
    }
}

impl ScramExchange {
    /// The keys, computed where waiting is allowed.
    async fn keys(&self, challenged: &Challenged) -> Result<Arc<Keys>, SaslFailure> {
        let wanted = Derivation {
            password: self.cache.fingerprint(&self.password)?,
            salt: challenged.salt.clone(),
            iterations: challenged.iterations,
        };
        if let Some(keys) = self.cache.look_up(&wanted) {
            return Ok(keys);
        }
        let (hash, cache, password) = (self.hash, Arc::clone(&self.cache), self.password.clone());
        let derive = move || {
            let Derivation {
                salt, iterations, ..
            } = &wanted;
            let keys = Arc::new(Keys::derive(hash, password.expose(), salt, *iterations));
            *cache.last.lock() = Some((wanted, Arc::clone(&keys)));
            keys
        };
        let abandoned =
            |_gone| SaslFailure::Credentials("abandoned: the async runtime has ended".into());
        tokio::task::spawn_blocking(derive).await.map_err(abandoned)
    }
}

/// Input that keys were derived from.
#[derive(Eq, PartialEq)]
struct Derivation {
    /// Not the password, which need not stay in memory as long as the keys.
    password: Vec<u8>,
    salt: Vec<u8>,
    iterations: u32,
}

/// The keys of the last time. A user's salt seldom changes, and connections come by the hundred.
#[derive(Default)]
struct Cache {
    last: Mutex<Option<(Derivation, Arc<Keys>)>>,
    /// The key of the fingerprints, drawn at the first one.
    fingerprint_key: OnceLock<[u8; NONCE_BYTES]>,
}

impl Cache {
    /// Bytes that are the same for the same password, and tell nothing else about it.
    fn fingerprint(&self, password: &Secret) -> Result<Vec<u8>, SaslFailure> {
        let key = match self.fingerprint_key.get() {
            Some(key) => key,
            None => {
                let drawn = random_bytes()?;
                self.fingerprint_key.get_or_init(|| drawn)
            }
        };
        Ok(Hash::Sha256.fingerprint(key, password.expose()))
    }

    fn look_up(&self, wanted: &Derivation) -> Option<Arc<Keys>> {
        let last = self.last.lock();
        let (derivation, keys) = last.as_ref()?;
        (derivation == wanted).then(|| Arc::clone(keys))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nonces and keys must be unpredictable, so they never come from a seed"
)]
fn random_bytes() -> Result<[u8; NONCE_BYTES], SaslFailure> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        SaslFailure::Credentials(format!("the system gives no random numbers: {error}"))
    })?;
    Ok(bytes)
}

fn nonce() -> Result<String, SaslFailure> {
    Ok(BASE64.encode(random_bytes()?))
}

fn fault(what: Fault) -> SaslFailure {
    SaslFailure::Broker(what)
}
