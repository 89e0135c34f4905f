//! The server's messages of SCRAM, and what is wrong with them (RFC 5802, section 7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// No message of an honest server comes near this.
const LONGEST_MESSAGE_BYTES: usize = 4 * 1024;

/// Fewer would make a stolen exchange cheap to search for the password (RFC 7677, section 4); Kafka
/// has at least as many.
pub(super) const FEWEST_ITERATIONS: u32 = 4_096;

/// More would let a hostile server keep this side busy for minutes. Kafka has at most 16,384.
pub(super) const MOST_ITERATIONS: u32 = 1_000_000;

/// Why a server's message is not believed.
pub(super) type Fault = String;

/// `r=nonce,s=salt,i=iterations`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ServerFirst {
    /// The client's nonce with the server's behind it.
    pub(super) nonce: String,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl ServerFirst {
    /// Reads the message, as an answer to a client's nonce.
    pub(super) fn parse(message: &str, client_nonce: &str) -> Result<Self, Fault> {
        let mut attributes = message.split(',');
        // An extension that must be understood (`m=`) would be the first attribute.
        let nonce = attribute(attributes.next(), "r=", "nonce")?;
        let salt = attribute(attributes.next(), "s=", "salt")?;
        let iterations = attribute(attributes.next(), "i=", "iteration count")?;

        let is_extended = nonce
            .strip_prefix(client_nonce)
            .is_some_and(|rest| !rest.is_empty());
        if !is_extended || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("its nonce does not extend the one it was sent".into());
        }
        let salt = BASE64
            .decode(salt)
            .ok()
            .filter(|salt| !salt.is_empty())
            .ok_or("its salt is no base64, or empty")?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|_| iterations.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|count| (FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(count))
            .ok_or_else(|| {
                let shown: String = iterations.chars().take(20).collect();
                format!(
                    "its iteration count {shown:?} is not from {FEWEST_ITERATIONS} to {MOST_ITERATIONS}"
                )
            })?;
        Ok(Self {
            nonce: nonce.to_owned(),
            salt,
            iterations,
        })
    }
}

/// The server's signature, in `v=signature`.
pub(super) fn server_signature(message: &str) -> Result<Vec<u8>, Fault> {
    let first = message.split(',').next().unwrap_or_default();
    if let Some(reason) = first.strip_prefix("e=") {
        let shown: String = reason.chars().take(100).collect();
        return Err(format!("it reports {shown:?}"));
    }
    let signature = attribute(Some(first), "v=", "signature")?;
    BASE64
        .decode(signature)
        .map_err(|_| "its signature is no base64".into())
}

/// The message as text, if it can be one.
pub(super) fn text(message: &[u8]) -> Result<&str, Fault> {
    if message.len() > LONGEST_MESSAGE_BYTES {
        return Err(format!("its message has {} bytes", message.len()));
    }
    std::str::from_utf8(message).map_err(|_| "its message is no text".into())
}

fn attribute<'a>(
    found: Option<&'a str>,
    prefix: &str,
    what: &'static str,
) -> Result<&'a str, Fault> {
    found
        .and_then(|found| found.strip_prefix(prefix))
        .ok_or_else(|| format!("its message has no {what} where one should be"))
}
