//! OAUTHBEARER: a token, and what the client adds to it (RFC 7628).

use super::credentials::Sasl;
use super::step::{Identified, Refusal, Step};

/// Separator of key-value pairs, and their end.
const SEPARATOR: char = '\x01';

/// Response to a token that the server does not accept; the client then sends one separator, and is
/// refused.
const INVALID_TOKEN: &[u8] = br#"{"status":"invalid_token"}"#;

/// Where an exchange is.
#[derive(Debug, Default)]
pub(super) struct OAuthExchange {
    is_refused: bool,
}

impl OAuthExchange {
    pub(super) fn handle(&mut self, sasl: &Sasl, message: &[u8]) -> Step {
        if self.is_refused {
            return Step::Refused(Refusal::WrongCredentials);
        }
        let Some(token) = std::str::from_utf8(message).ok().and_then(token) else {
            return Step::Refused(Refusal::Malformed);
        };
        match sasl.holder(token) {
            Some(holder) => Step::Done {
                message: Vec::new(),
                identity: Identified {
                    principal: holder.principal,
                    lifetime: sasl.lifetime(holder.lifetime),
                },
            },
            None => {
                self.is_refused = true;
                Step::Continue(INVALID_TOKEN.to_vec())
            }
        }
    }
}

/// The token in `n,[a=identity],␁auth=Bearer TOKEN␁[key=value␁…]␁`.
fn token(message: &str) -> Option<&str> {
    let (header, pairs) = message.split_once(SEPARATOR)?;
    let (binding, identity) = header.strip_suffix(',')?.split_once(',')?;
    let has_identity = identity.is_empty() || identity.starts_with("a=");
    if !matches!(binding, "n" | "y") || !has_identity {
        return None;
    }
    let pairs = pairs.strip_suffix(SEPARATOR)?.strip_suffix(SEPARATOR)?;
    let mut token = None;
    for pair in pairs.split(SEPARATOR) {
        let (key, value) = pair.split_once('=')?;
        let is_key = !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphabetic());
        if !is_key {
            return None;
        }
        if key == "auth" {
            let (scheme, credentials) = value.split_once(' ')?;
            if !scheme.eq_ignore_ascii_case("bearer") || token.is_some() {
                return None;
            }
            token = Some(credentials);
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::super::mechanism::SaslMechanism;
    use super::*;

    #[test]
    fn the_token_is_found_among_extensions() {
        for message in [
            "n,,\x01auth=Bearer abc\x01\x01",
            "n,a=alice,\x01auth=bearer abc\x01tenant=x=y\x01\x01",
            "y,,\x01tenant=x\x01auth=Bearer abc\x01\x01",
        ] {
            assert_eq!(token(message), Some("abc"), "{message:?}");
        }
        for message in [
            "",
            "n,,",
            "auth=Bearer abc",
            "n,,\x01auth=Bearer abc\x01",
            "n,,\x01auth=Basic abc\x01\x01",
            "n,,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01",
            "n,,\x011x=y\x01auth=Bearer abc\x01\x01",
            "p=tls,,\x01auth=Bearer abc\x01\x01",
        ] {
            assert_eq!(token(message), None, "{message:?}");
        }
    }

    #[test]
    fn a_refused_token_is_explained_first() {
        let sasl = Sasl::new([SaslMechanism::OAuthBearer]).token("abc", "alice");
        let mut exchange = OAuthExchange::default();
        let explained = exchange.handle(&sasl, b"n,,\x01auth=Bearer xyz\x01\x01");
        assert_eq!(explained, Step::Continue(INVALID_TOKEN.to_vec()));
        let refused = exchange.handle(&sasl, b"\x01");
        assert_eq!(refused, Step::Refused(Refusal::WrongCredentials));
    }
}
