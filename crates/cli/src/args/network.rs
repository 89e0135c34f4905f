//! Access to brokers: proxies, other addresses, limits, and what older brokers need.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wolff::client::codec::ApiKey;
use wolff::client::{
    Address, AddressFamily, ClientBuilder, Credentials, Endpoint, ProxyDialer, ProxyProtocol,
    RemapDialer, SocketOptions, TcpDialer,
};

use super::values::Seconds;
use crate::exit::Failure;

/// The variable of the environment that holds the proxy's password where no file does.
const PASSWORD_VARIABLE: &str = "WOLFF_PROXY_PASSWORD";

/// No password of a proxy is longer, in bytes: SOCKS5 has no room for more.
const LONGEST_PASSWORD_BYTES: u64 = 255;

#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Reach brokers through a proxy: socks5://HOST:PORT, or http://HOST:PORT for HTTP CONNECT. It
    /// resolves the names of brokers.
    #[arg(long, value_name = "URL", value_parser = proxy)]
    proxy: Option<Proxy>,
    /// The name that --proxy knows this side by. The password is in --proxy-password-file or in the
    /// environment variable WOLFF_PROXY_PASSWORD.
    #[arg(long, value_name = "NAME", requires = "proxy")]
    proxy_user: Option<String>,
    /// A file that holds the password of --proxy-user.
    #[arg(long, value_name = "FILE", requires = "proxy_user")]
    proxy_password_file: Option<PathBuf>,
    /// Connect to TO where a broker is, or advertises to be, at FROM: for port forwarding, tunnels
    /// and NAT; can be given several times. TLS still expects the name in FROM.
    #[arg(long = "map-address", value_name = "FROM:PORT=TO:PORT", value_parser = mapping)]
    map_addresses: Vec<(Address, Address)>,
    /// Which addresses of a name to connect to.
    #[arg(long, value_name = "FAMILY", default_value = "any")]
    address_family: Family,
    /// Give a connection up after so long without progress of the oldest request's bytes, seconds:
    /// one that is dropped without a word while it is in use costs this. Brokers may take up to
    /// 10 s for a batch while a replica is away.
    #[arg(
        long,
        value_name = "S",
        default_value = "30",
        allow_hyphen_values = true
    )]
    request_timeout: Seconds,
    /// Have the kernel give a connection up when a broker's machine has acknowledged nothing for
    /// so long, seconds (TCP_USER_TIMEOUT, on Linux); not where brokers read slowly. Default:
    /// never.
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    tcp_user_timeout: Option<Seconds>,
    /// The most connections to one broker, beside the one for metadata; partitions share them.
    /// Default: one for each partition, as far as the system and the broker allow.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_broker: Option<u32>,
    /// The highest version of an API to use, as Produce=7, for brokers that announce more than they
    /// can do; can be given several times.
    #[arg(long = "max-api-version", value_name = "API=VERSION", value_parser = api_version)]
    max_api_versions: Vec<(ApiKey, i16)>,
    /// Do not ask brokers for the versions that they know, and use those of Kafka 0.11.
    #[arg(long, conflicts_with = "max_api_versions")]
    no_api_versions: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Family {
    Any,
    Ipv4,
    Ipv6,
}

#[derive(Clone, Debug)]
struct Proxy {
    protocol: ProxyProtocol,
    address: Address,
}

impl NetworkArgs {
    /// Configures a client by these flags.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        let socket = self.socket();
        if let Some(proxy) = &self.proxy {
            let tcp = TcpDialer::new(socket.clone());
            let mut dialer = ProxyDialer::new(tcp, proxy.protocol, proxy.address.clone());
            if let Some(user) = &self.proxy_user {
                dialer = dialer.with_credentials(Credentials::new(user, self.proxy_password()?));
            }
            builder = match self.map_addresses.is_empty() {
                true => builder.dialer(dialer),
                false => builder.dialer(RemapDialer::new(dialer, self.map_addresses.clone())),
            };
        } else if !self.map_addresses.is_empty() {
            let tcp = TcpDialer::new(socket.clone());
            builder = builder.dialer(RemapDialer::new(tcp, self.map_addresses.clone()));
        }
        for (api, version) in &self.max_api_versions {
            builder = builder.max_version(*api, *version);
        }
        let most = self.max_connections_per_broker;
        Ok(builder
            .socket(socket)
            .request_timeout(self.request_timeout.0)
            .max_connections_per_broker(most.and_then(|most| usize::try_from(most).ok()))
            .query_api_versions(!self.no_api_versions))
    }

    fn socket(&self) -> SocketOptions {
        let mut socket = SocketOptions::default();
        socket.address_family = match self.address_family {
            Family::Any => AddressFamily::Any,
            Family::Ipv4 => AddressFamily::V4,
            Family::Ipv6 => AddressFamily::V6,
        };
        socket.user_timeout = self.tcp_user_timeout.map(|timeout| timeout.0);
        socket
    }

    fn proxy_password(&self) -> Result<String, Failure> {
        let Some(path) = &self.proxy_password_file else {
            return std::env::var(PASSWORD_VARIABLE).map_err(|_| {
                Failure::usage(format!(
                    "--proxy-user needs a password in --proxy-password-file or in the environment variable {PASSWORD_VARIABLE}"
                ))
            });
        };
        let unusable = |what: String| {
            let path = path.display();
            Failure::usage(format!("the password of the proxy in {path} {what}"))
        };
        let read = |file| {
            use std::io::Read as _;
            let mut password = String::new();
            let most = LONGEST_PASSWORD_BYTES + 2;
            std::io::Read::take(file, most).read_to_string(&mut password)?;
            Ok(password)
        };
        let password = (std::fs::File::open(path).and_then(read))
            .map_err(|error: std::io::Error| unusable(format!("cannot be read: {error}")))?;
        let password = password.strip_suffix('\n').unwrap_or(&password);
        let password = password.strip_suffix('\r').unwrap_or(password);
        match u64::try_from(password.len()) {
            Ok(0) => Err(unusable("is empty".to_owned())),
            Ok(length) if length <= LONGEST_PASSWORD_BYTES => Ok(password.to_owned()),
            _ => Err(unusable(format!(
                "has more than {LONGEST_PASSWORD_BYTES} bytes"
            ))),
        }
    }
}

fn proxy(text: &str) -> Result<Proxy, String> {
    let expected = "expected socks5://HOST:PORT or http://HOST:PORT";
    let (scheme, rest) = text.split_once("://").ok_or(expected)?;
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "socks5" | "socks5h" => ProxyProtocol::Socks5,
        "http" => ProxyProtocol::HttpConnect,
        _ => return Err(expected.to_owned()),
    };
    if rest.contains('@') {
        return Err("a user and a password do not belong into it, where everybody on the machine can read them: see --proxy-user".to_owned());
    }
    let address = address(rest.strip_suffix('/').unwrap_or(rest))?;
    Ok(Proxy { protocol, address })
}

fn mapping(text: &str) -> Result<(Address, Address), String> {
    let (from, to) = text
        .split_once('=')
        .ok_or("expected FROM:PORT=TO:PORT, as kafka-1.internal:9092=localhost:19092")?;
    Ok((address(from)?, address(to)?))
}

/// A host with its port, which cannot be guessed here.
fn address(text: &str) -> Result<Address, String> {
    let endpoint: Endpoint = text.parse().map_err(|error| format!("{error}"))?;
    let has_port = text.ends_with(&format!(":{}", endpoint.address.port()));
    if endpoint.protocol.is_some() || !has_port {
        return Err(format!("{text:?} must be HOST:PORT"));
    }
    Ok(endpoint.address)
}

fn api_version(text: &str) -> Result<(ApiKey, i16), String> {
    let (name, version) = text
        .split_once('=')
        .ok_or("expected API=VERSION, as Produce=7")?;
    let api = ApiKey::NAMED
        .iter()
        .find(|key| (key.name()).is_some_and(|known| known.eq_ignore_ascii_case(name)))
        .ok_or_else(|| {
            format!("{name:?} is no API of Kafka; known are Produce, Metadata and so on")
        })?;
    let version = version.parse().ok().filter(|version| *version >= 0);
    let version = version.ok_or("expected a version that is a number, 0 or more")?;
    Ok((*api, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_what_is_wrong_with_one_is_said() {
        let read = proxy("SOCKS5://proxy:1080/").unwrap();
        assert_eq!(read.protocol, ProxyProtocol::Socks5);
        assert_eq!(read.address.to_string(), "proxy:1080");
        let read = proxy("http://[::1]:3128").unwrap();
        assert_eq!(read.protocol, ProxyProtocol::HttpConnect);
        assert_eq!(read.address.to_string(), "[::1]:3128");
        for (text, words) in [
            ("proxy:1080", "socks5://"),
            ("https://proxy:1", "socks5://"),
            ("socks5://proxy", "HOST:PORT"),
            ("socks5://::1", "HOST:PORT"),
            ("http://me:secret@proxy:1", "--proxy-user"),
        ] {
            let said = proxy(text).unwrap_err();
            assert!(said.contains(words) && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn addresses_are_mapped_with_their_ports() {
        let (from, to) = mapping("kafka:9092=[::1]:19092").unwrap();
        assert_eq!(from, Address::new("kafka", 9092));
        assert_eq!(to, Address::new("::1", 19092));
        for text in [
            "kafka:9092",
            "kafka=localhost:1",
            "kafka:1=localhost",
            "SSL://a:1=b:1",
        ] {
            assert!(mapping(text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_go_by_the_names_of_apis() {
        assert_eq!(api_version("produce=7"), Ok((ApiKey::PRODUCE, 7)));
        for text in [
            "Produce",
            "Produce=",
            "Produce=-1",
            "Produce=99999",
            "Prodce=1",
        ] {
            assert!(api_version(text).is_err(), "{text}");
        }
    }
}
