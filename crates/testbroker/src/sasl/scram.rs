//! SCRAM from the server's side (RFC 5802, RFC 7677), and its lies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest as _, Sha256, Sha512};
use wolff_backoff::Random;

use super::credentials::Sasl;
use super::lie::ScramLie;
use super::step::{Identified, Refusal, Step};

/// Which hash function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// Evaluates an expression with `H` as the type of the hash function.
macro_rules! with_hash {
    ($hash:expr, $H:ident => $value:expr) => {
        match $hash {
            Hash::Sha256 => {
                type $H = Sha256;
                $value
            }
            Hash::Sha512 => {
                type $H = Sha512;
                $value
            }
        }
    };
}

impl Hash {
    /// `Hi(password, salt, iterations)`.
    fn salted_password(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        with_hash!(self, H => {
            let mut salted = vec![0; <H as sha2::Digest>::output_size()];
            pbkdf2_hmac::<H>(password.as_bytes(), salt, iterations, &mut salted);
            salted
        })
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        with_hash!(self, H => {
            // HMAC takes keys of every length.
            let Ok(mut mac) = Hmac::<H>::new_from_slice(key) else {
                return Vec::new();
            };
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        })
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        with_hash!(self, H => H::digest(message).to_vec())
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct ScramExchange {
    hash: Hash,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for the client's first message.
    First,
    /// Waits for its proof.
    Final(Challenge),
    Over,
}

/// Challenge that the client has to answer.
#[derive(Debug)]
struct Challenge {
    user: String,
    salt: Vec<u8>,
    iterations: u32,
    nonce: String,
    /// `c=` must say this in Base64.
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
}

impl Challenge {
    /// True if the client's last message, without its proof, repeats what was agreed:
    /// `c=header,r=nonce[,extensions]`.
    fn is_met_by(&self, without_proof: &str) -> bool {
        let header = BASE64.encode(&self.gs2_header);
        let rest = without_proof
            .strip_prefix("c=")
            .and_then(|rest| rest.strip_prefix(&header))
            .and_then(|rest| rest.strip_prefix(",r="));
        // Kafka looks at the end of the nonce only, and librdkafka before 2.6.1 had its own part in
        // it twice.
        rest.and_then(|rest| rest.split(',').next())
            .is_some_and(|nonce| nonce.ends_with(&self.nonce))
    }
}

impl ScramExchange {
    pub(super) fn new(hash: Hash) -> Self {
        Self {
            hash,
            state: State::First,
        }
    }

    pub(super) fn handle(&mut self, sasl: &Sasl, message: &[u8], lie: Option<&ScramLie>) -> Step {
        let Ok(message) = std::str::from_utf8(message) else {
            return Step::Refused(Refusal::Malformed);
        };
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => match challenge(sasl, message, None, lie) {
                Some(challenge) => {
                    let server_first = challenge.server_first.clone().into_bytes();
                    self.state = State::Final(challenge);
                    Step::Continue(server_first)
                }
                None => Step::Refused(Refusal::Malformed),
            },
            State::Final(challenge) => self.judge(sasl, &challenge, message, lie),
            State::Over => Step::Refused(Refusal::Malformed),
        }
    }

    fn judge(
        &self,
        sasl: &Sasl,
        challenge: &Challenge,
        client_final: &str,
        lie: Option<&ScramLie>,
    ) -> Step {
        let Some((without_proof, proof)) = client_final.rsplit_once(",p=") else {
            return Step::Refused(Refusal::Malformed);
        };
        if !challenge.is_met_by(without_proof) {
            return Step::Refused(Refusal::Malformed);
        }
        let Ok(proof) = BASE64.decode(proof) else {
            return Step::Refused(Refusal::Malformed);
        };
        let Some(password) = sasl.password(&challenge.user) else {
            return Step::Refused(Refusal::WrongCredentials);
        };
        let hash = self.hash;
        let salted = hash.salted_password(password, &challenge.salt, challenge.iterations);
        let auth_message = format!(
            "{},{},{without_proof}",
            challenge.client_first_bare, challenge.server_first
        );
        let client_key = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&client_key), auth_message.as_bytes());
        let right_proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        if proof != right_proof && !lie.is_some_and(hides_wrong_proofs) {
            return Step::Refused(Refusal::WrongCredentials);
        }
        let server_key = hash.hmac(&salted, b"Server Key");
        let signature = hash.hmac(&server_key, auth_message.as_bytes());
        Step::Done {
            message: server_final(signature, lie).into_bytes(),
            identity: Identified {
                principal: challenge.user.clone(),
                lifetime: sasl.lifetime(None),
            },
        }
    }
}

/// A server that cheats wants the client to go on.
fn hides_wrong_proofs(lie: &ScramLie) -> bool {
    !matches!(lie, ScramLie::LongMessage(_))
}

fn server_final(mut signature: Vec<u8>, lie: Option<&ScramLie>) -> String {
    match lie {
        Some(ScramLie::NoSignature) => String::new(),
        Some(ScramLie::ServerError(error)) => format!("e={error}"),
        Some(ScramLie::WrongSignature) => {
            if let Some(byte) = signature.last_mut() {
                *byte ^= 1;
            }
            format!("v={}", BASE64.encode(signature))
        }
        _ => format!("v={}", BASE64.encode(signature)),
    }
}

/// The answer to the client's first message; none if it is malformed. An unknown user gets one like
/// any other.
fn challenge(
    sasl: &Sasl,
    client_first: &str,
    server_nonce: Option<&str>,
    lie: Option<&ScramLie>,
) -> Option<Challenge> {
    let mut random = Random::from_seed(digest(client_first.as_bytes()));
    let server_nonce = server_nonce.map_or_else(|| random_text(&mut random), str::to_owned);

    let mut parts = client_first.splitn(3, ',');
    let (binding, identity, bare) = (parts.next()?, parts.next()?, parts.next()?);
    if !matches!(binding, "n" | "y") {
        return None;
    }
    let (name, rest) = bare.strip_prefix("n=")?.split_once(",r=")?;
    let client_nonce = rest.split(',').next().filter(|nonce| !nonce.is_empty())?;
    let user = unescaped(name)?;

    let salt = random_text(&mut random).into_bytes();
    let iterations = match lie {
        Some(ScramLie::Iterations(iterations)) => *iterations,
        _ => sasl.iterations().into(),
    };
    let nonce = match lie {
        Some(ScramLie::NonceNotExtended) => client_nonce.to_owned(),
        Some(ScramLie::ForeignNonce) => server_nonce,
        _ => format!("{client_nonce}{server_nonce}"),
    };
    let encoded_salt = match lie {
        Some(ScramLie::SaltNotBase64) => "*not base64*".to_owned(),
        _ => BASE64.encode(&salt),
    };
    let mut server_first = format!("r={nonce},s={encoded_salt},i={iterations}");
    if let Some(ScramLie::LongMessage(bytes)) = lie {
        server_first.push_str(",x=");
        let missing = bytes.saturating_sub(server_first.len());
        server_first.extend(std::iter::repeat_n('x', missing));
    }
    Some(Challenge {
        user,
        salt,
        // What a client should not compute is not computed here either.
        iterations: u32::try_from(iterations).unwrap_or(1).clamp(1, 100_000),
        nonce,
        gs2_header: format!("{binding},{identity},"),
        client_first_bare: bare.to_owned(),
        server_first,
    })
}

/// A name with its commas and equals signs; none if one of them is not escaped.
fn unescaped(name: &str) -> Option<String> {
    let mut pieces = name.split('=');
    let mut plain = pieces.next()?.to_owned();
    for piece in pieces {
        let (letter, rest) = match piece.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        plain.push(letter);
        plain.push_str(rest);
    }
    Some(plain)
}

/// Letters for nonce and salt. They follow from the client's message, which has a nonce of its own,
/// so that a run can be repeated; a server that guards anything draws them from the system.
fn random_text(random: &mut Random) -> String {
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}

/// All bytes mixed into one number.
fn digest(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, byte: &u8| Random::from_seed(sum ^ u64::from(*byte)).next_u64();
    bytes.iter().fold(0, mix)
}

#[cfg(test)]
mod tests {
    use super::super::mechanism::SaslMechanism;
    use super::*;

    /// The example of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    fn exchange() -> (Sasl, ScramExchange) {
        let sasl = Sasl::new([SaslMechanism::ScramSha256]).user("user", "pencil");
        let first = format!("n,,n=user,r={NONCE}");
        let mut challenge = challenge(&sasl, &first, Some(SERVER_NONCE), None).unwrap();
        challenge.salt = BASE64.decode(SALT).unwrap();
        challenge.server_first = format!("r={NONCE}{SERVER_NONCE},s={SALT},i=4096");
        let exchange = ScramExchange {
            hash: Hash::Sha256,
            state: State::Final(challenge),
        };
        (sasl, exchange)
    }

    fn client_final(proof: &str) -> String {
        format!("c=biws,r={NONCE}{SERVER_NONCE},p={proof}")
    }

    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_example_of_rfc_7677_comes_out_as_printed() {
        let (sasl, mut exchange) = exchange();
        let step = exchange.handle(&sasl, client_final(PROOF).as_bytes(), None);
        let Step::Done { message, identity } = step else {
            panic!("{step:?}");
        };
        assert_eq!(message, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(identity.principal, "user");
    }

    #[test]
    fn a_wrong_proof_is_refused_unless_the_server_lies() {
        let wrong = PROOF.replace('d', "e");
        let (sasl, mut exchange) = exchange();
        let step = exchange.handle(&sasl, client_final(&wrong).as_bytes(), None);
        assert_eq!(step, Step::Refused(Refusal::WrongCredentials));

        let (sasl, mut exchange) = self::exchange();
        let lie = ScramLie::AnyProof;
        let step = exchange.handle(&sasl, client_final(&wrong).as_bytes(), Some(&lie));
        assert!(matches!(step, Step::Done { .. }));
    }

    #[test]
    fn every_field_of_the_final_message_must_be_what_was_agreed() {
        for message in [
            format!("c=biws,r={NONCE},p={PROOF}"),
            format!("c=eSws,r={NONCE}{SERVER_NONCE},p={PROOF}"),
            format!("c=biws,r={NONCE}{SERVER_NONCE}"),
            format!("c=biws,r={NONCE}{SERVER_NONCE},p=?"),
            String::new(),
        ] {
            let (sasl, mut exchange) = exchange();
            let step = exchange.handle(&sasl, message.as_bytes(), None);
            assert_eq!(step, Step::Refused(Refusal::Malformed), "{message}");
            let again = exchange.handle(&sasl, client_final(PROOF).as_bytes(), None);
            assert_eq!(again, Step::Refused(Refusal::Malformed));
        }
    }

    #[test]
    fn names_are_unescaped() {
        assert_eq!(unescaped("a=2Cb=3Dc").as_deref(), Some("a,b=c"));
        assert_eq!(unescaped("a=2c"), None);
        assert_eq!(unescaped("a="), None);
        assert_eq!(unescaped("a=€"), None);
    }

    #[test]
    fn the_first_message_must_be_one() {
        let sasl = Sasl::new([SaslMechanism::ScramSha256]);
        for message in [
            "",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "p=tls,,n=user,r=x",
            "n=user,r=x",
        ] {
            assert!(
                challenge(&sasl, message, Some("y"), None).is_none(),
                "{message}"
            );
        }
        assert!(challenge(&sasl, "y,a=user,n=user,r=x,ext=1", Some("y"), None).is_some());
    }

    #[test]
    fn lies_are_told_as_ordered() {
        let sasl = Sasl::new([SaslMechanism::ScramSha256]);
        let told = |lie| {
            let challenge = challenge(&sasl, "n,,n=u,r=abc", Some("xyz"), Some(&lie)).unwrap();
            challenge.server_first
        };
        assert!(told(ScramLie::Iterations(i64::from(i32::MAX))).ends_with(",i=2147483647"));
        assert!(told(ScramLie::NonceNotExtended).starts_with("r=abc,"));
        assert!(told(ScramLie::ForeignNonce).starts_with("r=xyz,"));
        assert_eq!(told(ScramLie::LongMessage(1 << 20)).len(), 1 << 20);
        let last = |lie| server_final(vec![0; 32], Some(&lie));
        assert_eq!(last(ScramLie::NoSignature), "");
        assert_eq!(last(ScramLie::ServerError("x".into())), "e=x");
        assert_ne!(last(ScramLie::WrongSignature), last(ScramLie::AnyProof));
    }
}
