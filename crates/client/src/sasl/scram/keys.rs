//! The arithmetic of SCRAM (RFC 5802, section 3), for both hash functions.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// Keys derived from a password, a salt and a number of iterations.
pub(super) struct Keys {
    hash: Hash,
    client_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// Takes as long as the iterations ask for: milliseconds to seconds.
    pub(super) fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted(password, salt, iterations);
        Self {
            hash,
            client_key: hash.hmac(&salted, b"Client Key"),
            server_key: hash.hmac(&salted, b"Server Key"),
        }
    }

    /// Proof for the server that the password is known.
    pub(super) fn client_proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let stored_key = self.hash.digest(&self.client_key);
        let signature = self.hash.hmac(&stored_key, auth_message);
        let pairs = self.client_key.iter().zip(signature.iter());
        pairs.map(|(key, signature)| key ^ signature).collect()
    }

    /// True if this proves that the server knows the password, or what was derived from it. Takes
    /// the same time wherever the first difference is.
    pub(super) fn is_server_signature(&self, auth_message: &[u8], signature: &[u8]) -> bool {
        self.hash.is_hmac(&self.server_key, auth_message, signature)
    }
}

/// Calls a generic function with the type of the hash function.
macro_rules! with_type {
    ($hash:expr, $function:ident($($argument:expr),*)) => {
        match $hash {
            Hash::Sha256 => $function::<Hmac<Sha256>>($($argument),*),
            Hash::Sha512 => $function::<Hmac<Sha512>>($($argument),*),
        }
    };
}

impl Hash {
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Sha256 => {
                let mut out = Zeroizing::new(vec![0; 32]);
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut out);
                out
            }
            Self::Sha512 => {
                let mut out = Zeroizing::new(vec![0; 64]);
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut out);
                out
            }
        }
    }

    fn digest(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        })
    }

    /// An HMAC of `data` under a key that nobody else has.
    pub(super) fn fingerprint(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        self.hmac(key, data).to_vec()
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        with_type!(self, hmac_of(key, data))
    }

    fn is_hmac(self, key: &[u8], data: &[u8], code: &[u8]) -> bool {
        with_type!(self, is_hmac_of(key, data, code))
    }
}

/// HMAC takes keys of every length, so there is no error; if there were one, the empty code would
/// prove nothing to anybody.
fn hmac_of<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
    let code = M::new_from_slice(key).map(|mac| mac.chain_update(data).finalize());
    Zeroizing::new(code.map_or_else(|_| Vec::new(), |code| code.into_bytes().to_vec()))
}

fn is_hmac_of<M: Mac + KeyInit>(key: &[u8], data: &[u8], code: &[u8]) -> bool {
    M::new_from_slice(key).is_ok_and(|mac| mac.chain_update(data).verify_slice(code).is_ok())
}
