//! Address at which a broker listens: host and port, and endpoint strings as people write them.
//!
//! Not here: resolving names (that is dialling, and done anew for every attempt).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The port that is meant when an endpoint string names none.
pub const DEFAULT_PORT: u16 = 9092;

/// No name is longer, nor is an IPv6 literal with its zone.
const LONGEST_HOST_BYTES: usize = 255;

/// No interface has a longer name; Linux has 15 bytes for it.
const LONGEST_ZONE_BYTES: usize = 64;

/// A host (name, IPv4 or IPv6 literal without brackets) and a TCP port.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// An address made of its parts; an IPv6 literal comes without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The address of a broker as metadata tells it; `None` when nobody could connect to it.
    ///
    /// Brokers that shut down or have no such listener are told with an empty host or port -1.
    pub(crate) fn advertised(host: &str, port: i32) -> Option<Self> {
        let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
        // What nobody can dial would only make a mess of a line of text.
        let is_name = !host.is_empty() && host.len() <= LONGEST_HOST_BYTES;
        let is_odd = |letter: char| letter.is_control() || letter.is_whitespace();
        (is_name && !host.contains(is_odd)).then(|| Self::new(host, port))
    }

    /// Host name, or IP literal without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Security of a listener, by Kafka's names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// Nothing is encrypted, nobody authenticates.
    Plaintext,
    /// TLS without SASL.
    Ssl,
    /// SASL over an unencrypted connection.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// Kafka's name, for example `SASL_SSL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// True if the connection is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// True if this side authenticates with SASL.
    pub fn is_authenticated(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SecurityProtocol {
    type Err = UnknownProtocol;

    /// Takes Kafka's names in any case.
    fn from_str(name: &str) -> Result<Self, UnknownProtocol> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownProtocol { name: name.into() })
    }
}

/// A security protocol's name that Kafka does not know.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "unknown security protocol {name:?}; known are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
)]
pub struct UnknownProtocol {
    /// The name that was given.
    pub name: String,
}

/// A bootstrap server as the user wrote it.
///
/// ```
/// use wolff_client::Endpoint;
///
/// let endpoint: Endpoint = "PLAINTEXT://[::1]:9093".parse()?;
/// assert_eq!(endpoint.address.host(), "::1");
/// assert_eq!(endpoint.address.to_string(), "[::1]:9093");
/// # Ok::<(), wolff_client::EndpointError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// The protocol in front of `://`, if there is one.
    pub protocol: Option<SecurityProtocol>,
    /// Address to connect to.
    pub address: Address,
}

impl Endpoint {
    /// Reads a list: endpoints separated by commas, blanks or line breaks.
    ///
    /// # Errors
    /// [`EndpointError`] about the first one that cannot be read. An empty list is no error here.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, EndpointError> {
        text.split(|separator: char| separator == ',' || separator.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads `[PROTOCOL://]host[:port]`; IPv6 literals in brackets, or bare without a port where
    /// they do not end in what may be one.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let fail = |reason| EndpointError {
            // Not with a password in it, and not at any length.
            endpoint: match reason {
                EndpointReason::UserInfo => "…@…".into(),
                _ => text.chars().take(LONGEST_HOST_BYTES).collect(),
            },
            reason,
        };
        let trimmed = text.trim();
        let (protocol, rest) = match trimmed.split_once("://") {
            Some((name, rest)) => {
                let protocol = name
                    .parse()
                    .map_err(|unknown| fail(EndpointReason::Protocol(unknown)))?;
                (Some(protocol), rest)
            }
            None => (None, trimmed),
        };
        if rest.contains('@') {
            return Err(fail(EndpointReason::UserInfo));
        }
        if rest.contains(';') {
            return Err(fail(EndpointReason::Separator(';')));
        }
        let (host, port) = split_host_port(rest).map_err(fail)?;
        Ok(Self {
            protocol,
            address: Address::new(host, port),
        })
    }
}

/// An endpoint string that cannot be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("endpoint {endpoint:?}: {reason}")]
pub struct EndpointError {
    /// The string as it was given.
    pub endpoint: String,
    /// The defect of it.
    #[source]
    pub reason: EndpointReason,
}

/// The defect of an endpoint string.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EndpointReason {
    /// The part in front of `://` is no protocol of Kafka's.
    #[error(transparent)]
    Protocol(UnknownProtocol),
    /// There is nothing where the host should be.
    #[error("the host is missing; write host:port")]
    NoHost,
    /// No port follows the colon.
    #[error("{0:?} is not a port; ports are 1 to 65535")]
    Port(String),
    /// An opening bracket without its closing one, or a bracket around something else than IPv6.
    #[error("brackets are for IPv6 literals, as in [::1]:9092")]
    Brackets,
    /// An IPv6 literal without brackets, of which nobody can say whether it ends in a port.
    #[error(
        "an IPv6 literal with a port has brackets: write [{host}]:{port}, or [{host}:{port}] if the address ends so"
    )]
    Ambiguous {
        /// The literal, if the rest is a port.
        host: String,
        /// The last group, read as a port.
        port: u16,
    },
    /// A character that no host name has.
    #[error("a host cannot contain {0:?}")]
    Character(char),
    /// Endpoints are separated by something else than commas.
    #[error("write a comma between hosts, not {0:?}")]
    Separator(char),
    /// A user or a password in front of the host.
    #[error("a user and a password do not belong into an endpoint: configure SASL for them")]
    UserInfo,
    /// No host is so long.
    #[error("a host has at most {LONGEST_HOST_BYTES} bytes")]
    TooLong,
}

fn split_host_port(text: &str) -> Result<(&str, u16), EndpointReason> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or(EndpointReason::Brackets)?;
        check_ipv6(host)?;
        return match rest {
            "" => Ok((host, DEFAULT_PORT)),
            _ => Ok((host, parse_port(rest.strip_prefix(':'), rest)?)),
        };
    }
    match text.split_once(':') {
        // More than one colon and no brackets: a bare IPv6 literal, which has no room for a port.
        Some((_, rest)) if rest.contains(':') => {
            check_end(text)?;
            check_ipv6(text).map(|()| (text, DEFAULT_PORT))
        }
        Some((host, port)) => Ok((check_name(host)?, parse_port(Some(port), port)?)),
        None => Ok((check_name(text)?, DEFAULT_PORT)),
    }
}

fn parse_port(digits: Option<&str>, shown: &str) -> Result<u16, EndpointReason> {
    digits
        // `u16::from_str` takes a leading plus sign, which nobody means here.
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| EndpointReason::Port(shown.into()))
}

/// Refuses a bare IPv6 literal whose last group may be meant as a port: `::1:9092` is an address as
/// well, and a zone may have a colon in it.
fn check_end(text: &str) -> Result<(), EndpointReason> {
    match text.rsplit_once(':') {
        Some((host, end)) if check_ipv6(host).is_ok() => match parse_port(Some(end), end) {
            Ok(port) => Err(EndpointReason::Ambiguous {
                host: host.into(),
                port,
            }),
            Err(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_ipv6(host: &str) -> Result<(), EndpointReason> {
    // A zone (fe80::1%eth0) is resolved by the system; it is the name of an interface.
    let (literal, zone) = match host.split_once('%') {
        Some((literal, zone)) => (literal, Some(zone)),
        None => (host, None),
    };
    if zone.is_some_and(|zone| !is_zone(zone)) {
        return Err(EndpointReason::Brackets);
    }
    literal
        .parse::<std::net::Ipv6Addr>()
        .map(drop)
        .map_err(|_| EndpointReason::Brackets)
}

fn is_zone(zone: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    (1..=LONGEST_ZONE_BYTES).contains(&zone.len()) && zone.bytes().all(is_fit)
}

fn check_name(host: &str) -> Result<&str, EndpointReason> {
    if host.is_empty() {
        return Err(EndpointReason::NoHost);
    }
    // Only what certainly is a slip of the pen: which names exist is the resolver's business.
    if host.contains('@') {
        return Err(EndpointReason::UserInfo);
    }
    if host.contains(';') {
        return Err(EndpointReason::Separator(';'));
    }
    if host.len() > LONGEST_HOST_BYTES {
        return Err(EndpointReason::TooLong);
    }
    let misplaced = |c: &char| c.is_whitespace() || c.is_control() || "/\\[]@?#\"'".contains(*c);
    match host.chars().find(misplaced) {
        Some(character) => Err(EndpointReason::Character(character)),
        None => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Option<SecurityProtocol>, String, u16), EndpointReason> {
        text.parse::<Endpoint>()
            .map(|endpoint| {
                let Endpoint { protocol, address } = endpoint;
                (protocol, address.host().to_owned(), address.port())
            })
            .map_err(|error| error.reason)
    }

    #[test]
    fn every_usual_form_is_read() {
        use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};
        for (text, protocol, host, port) in [
            ("localhost", None, "localhost", 9092),
            ("localhost:9093", None, "localhost", 9093),
            (" kafka.example.com:1 ", None, "kafka.example.com", 1),
            ("10.0.0.1:65535", None, "10.0.0.1", 65535),
            ("[::1]:9094", None, "::1", 9094),
            ("[2001:db8::7]", None, "2001:db8::7", 9092),
            ("::1", None, "::1", 9092),
            ("[fe80::1%eth0]:9092", None, "fe80::1%eth0", 9092),
            ("PLAINTEXT://host:1", Some(Plaintext), "host", 1),
            ("plaintext://host", Some(Plaintext), "host", 9092),
            ("SSL://host:1", Some(Ssl), "host", 1),
            ("SASL_PLAINTEXT://[::1]:1", Some(SaslPlaintext), "::1", 1),
            ("sasl_ssl://host:1", Some(SaslSsl), "host", 1),
        ] {
            assert_eq!(parse(text), Ok((protocol, host.into(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        use EndpointReason::{Brackets, Character, NoHost, Port};
        for (text, reason) in [
            ("", NoHost),
            (":9092", NoHost),
            ("PLAINTEXT://", NoHost),
            ("host:", Port(String::new())),
            ("host:0", Port("0".into())),
            ("host:65536", Port("65536".into())),
            ("host:+1", Port("+1".into())),
            ("host:http", Port("http".into())),
            ("[::1]9092", Port("9092".into())),
            ("[::1", Brackets),
            ("[host]:1", Brackets),
            ("[fe80::1%]", Brackets),
            ("[fe80::1%a]b]:1", Port("b]:1".into())),
            ("fe80::1%e\u{1b}", Brackets),
            ("fe80::1%eth 0", Brackets),
            ("a:b:c", Brackets),
            ("host/path", Character('/')),
            ("ho st", Character(' ')),
            ("a:1;b:2", EndpointReason::Separator(';')),
            ("user:pw@host:1", EndpointReason::UserInfo),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
        let said = "user:s3cret@host:1".parse::<Endpoint>().unwrap_err();
        assert!(!said.to_string().contains("s3cret"), "{said}");
        let long = format!("{}:1", "x".repeat(300)).parse::<Endpoint>();
        assert_eq!(long.unwrap_err().reason, EndpointReason::TooLong);
        let unknown = "KAFKA://host".parse::<Endpoint>().unwrap_err().to_string();
        assert!(unknown.contains("unknown security protocol \"KAFKA\""));
    }

    #[test]
    fn an_ipv6_literal_that_may_end_in_a_port_is_not_guessed_at() {
        for (text, literal, port) in [
            ("::1:9092", "::1", 9092),
            ("fe80::1%lo:9092", "fe80::1%lo", 9092),
            ("2001:db8::7:443", "2001:db8::7", 443),
            ("1:2:3:4:5:6:7:8:9092", "1:2:3:4:5:6:7:8", 9092),
            ("SSL://::1:19092", "::1", 19092),
            ("fe80::1:2", "fe80::1", 2),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            let advice = format!("write [{literal}]:{port}");
            assert!(error.to_string().contains(&advice), "{text}: {error}");
        }
        for text in [
            "::1",
            "::",
            "fe80::1%lo",
            "2001:db8::7",
            "1:2:3:4:5:6:7:8",
            "::1:cafe",
        ] {
            assert_eq!(parse(text), Ok((None, text.into(), 9092)), "{text}");
        }
    }

    #[test]
    fn lists_are_separated_by_commas_blanks_and_line_breaks() {
        let list = Endpoint::parse_list("a:1, b:2\nc , ,[::1]:4\t").unwrap();
        let shown: Vec<_> = list.iter().map(|e| e.address.to_string()).collect();
        assert_eq!(shown, ["a:1", "b:2", "c:9092", "[::1]:4"]);
        assert!(Endpoint::parse_list("a:1,b:x").is_err());
        assert_eq!(Endpoint::parse_list(" , "), Ok(vec![]));
    }

    #[test]
    fn an_address_without_a_place_to_connect_to_is_none() {
        assert_eq!(Address::advertised("h", 1), Some(Address::new("h", 1)));
        for (host, port) in [
            ("a\nerror: b", 1),
            (" h", 1),
            ("", 9092),
            ("h", 0),
            ("h", -1),
            ("h", 65536),
        ] {
            assert_eq!(Address::advertised(host, port), None);
        }
    }
}
