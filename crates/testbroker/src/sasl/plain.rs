//! PLAIN: `authorization identity NUL name NUL password` (RFC 4616).

use super::credentials::Sasl;
use super::step::{Identified, Refusal, Step};

pub(super) fn authenticate(sasl: &Sasl, message: &[u8]) -> Step {
    let Ok(text) = std::str::from_utf8(message) else {
        return Step::Refused(Refusal::Malformed);
    };
    let fields: Vec<&str> = text.split('\0').collect();
    let [acting_as, name, password] = fields[..] else {
        return Step::Refused(Refusal::Malformed);
    };
    let may_act = acting_as.is_empty() || acting_as == name;
    if !may_act || sasl.password(name) != Some(password) {
        return Step::Refused(Refusal::WrongCredentials);
    }
    Step::Done {
        message: Vec::new(),
        identity: Identified {
            principal: name.to_owned(),
            lifetime: sasl.lifetime(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::mechanism::SaslMechanism;
    use super::*;

    fn outcome(message: &[u8]) -> Option<Refusal> {
        let sasl = Sasl::new([SaslMechanism::Plain]).user("alice", "secret");
        match authenticate(&sasl, message) {
            Step::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    #[test]
    fn name_and_password_must_be_right_and_in_their_places() {
        assert_eq!(outcome(b"\0alice\0secret"), None);
        assert_eq!(outcome(b"alice\0alice\0secret"), None);
        let wrong = Some(Refusal::WrongCredentials);
        assert_eq!(outcome(b"\0alice\0Secret"), wrong);
        assert_eq!(outcome(b"\0bob\0secret"), wrong);
        assert_eq!(outcome(b"bob\0alice\0secret"), wrong);
        let malformed = Some(Refusal::Malformed);
        assert_eq!(outcome(b""), malformed);
        assert_eq!(outcome(b"alice\0secret"), malformed);
        assert_eq!(outcome(b"\0alice\0secret\0"), malformed);
        assert_eq!(outcome(b"\0\xff\0secret"), malformed);
    }
}
