//! Through a proxy: SOCKS5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110, section 9.3.6).
//!
//! The proxy resolves the names of brokers, so that they need not be known here.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::endpoint::Address;
use crate::error::{HostReason, shown};
use crate::sasl::Credentials;
use crate::transport::{BoxStream, Dial, DialFuture};

/// No proxy has more to say before the tunnel is open.
const LONGEST_HEAD_BYTES: usize = 16 * 1024;

/// The protocol that a proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// SOCKS version 5.
    Socks5,
    /// HTTP/1.1 with the method CONNECT.
    HttpConnect,
}

/// Dials brokers through a proxy.
///
/// ```
/// use wolff_client::{Address, Client, ProxyDialer, ProxyProtocol, SocketOptions, TcpDialer};
///
/// let tcp = TcpDialer::new(SocketOptions::default());
/// let proxy = Address::new("proxy.example.com", 1080);
/// let dialer = ProxyDialer::new(tcp, ProxyProtocol::Socks5, proxy);
/// let client = Client::builder(["kafka-1.internal:9092"]).dialer(dialer).build()?;
/// # Ok::<(), wolff_client::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ProxyDialer {
    inner: Arc<dyn Dial>,
    protocol: ProxyProtocol,
    proxy: Address,
    credentials: Option<Credentials>,
}

impl ProxyDialer {
    /// Reaches the proxy with `inner`, and brokers through it.
    pub fn new(inner: impl Dial, protocol: ProxyProtocol, proxy: Address) -> Self {
        Self {
            inner: Arc::new(inner),
            protocol,
            proxy,
            credentials: None,
        }
    }

    /// Authenticates at the proxy: they go over the connection to the proxy as they are.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    async fn open(&self, address: &Address) -> Result<BoxStream, HostReason> {
        let reached = self.inner.dial(&self.proxy).await;
        let mut stream =
            reached.map_err(|reason| self.failed(format!("cannot be reached: {reason}")))?;
        let outcome = match self.protocol {
            ProxyProtocol::Socks5 => self.socks5(&mut stream, address).await,
            ProxyProtocol::HttpConnect => self.http_connect(&mut stream, address).await,
        };
        outcome.map_err(|what| self.failed(what))?;
        Ok(stream)
    }

    fn failed(&self, what: String) -> HostReason {
        HostReason::Proxy {
            proxy: self.proxy.clone(),
            what,
        }
    }

    async fn socks5(&self, stream: &mut BoxStream, address: &Address) -> Result<(), String> {
        let greeting: &[u8] = match &self.credentials {
            Some(_) => &[5, 2, 0, 2],
            None => &[5, 1, 0],
        };
        send(stream, greeting).await?;
        let [version, method] = read::<2>(stream).await?;
        if version != 5 {
            return Err("does not speak SOCKS5".into());
        }
        match (method, &self.credentials) {
            (0, _) => {}
            (2, Some(credentials)) => {
                let password = credentials.password.expose();
                let mut message = Zeroizing::new(Vec::with_capacity(3 + 2 * 255));
                message.push(1);
                push_short(&mut message, credentials.username.as_bytes())?;
                push_short(&mut message, password)?;
                send(stream, &message).await?;
                if read::<2>(stream).await?[1] != 0 {
                    return Err("refuses the user's name and password".into());
                }
            }
            (0xff, _) => {
                return Err("takes none of the ways to authenticate that are offered".into());
            }
            (other, _) => return Err(format!("chose method {other}, which was not offered")),
        }
        let mut request = vec![5, 1, 0];
        match address.host().parse() {
            Ok(IpAddr::V4(ip)) => {
                request.push(1);
                request.extend(ip.octets());
            }
            Ok(IpAddr::V6(ip)) => {
                request.push(4);
                request.extend(ip.octets());
            }
            Err(_) => {
                request.push(3);
                push_short(&mut request, address.host().as_bytes())?;
            }
        }
        request.extend(address.port().to_be_bytes());
        send(stream, &request).await?;
        let [version, code, _reserved, kind] = read::<4>(stream).await?;
        if version != 5 {
            return Err("does not speak SOCKS5".into());
        }
        if code != 0 {
            return Err(format!("cannot open the tunnel: {}", socks5_reason(code)));
        }
        // Where the tunnel begins is of no interest, but stands before its first byte.
        let bytes = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(read::<1>(stream).await?[0]),
            other => return Err(format!("names an address of the unknown kind {other}")),
        };
        for _ in 0..bytes + 2 {
            read::<1>(stream).await?;
        }
        Ok(())
    }

    async fn http_connect(&self, stream: &mut BoxStream, address: &Address) -> Result<(), String> {
        let mut request = Zeroizing::new(format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: wolff\r\n"
        ));
        if let Some(credentials) = &self.credentials {
            let mut pair = Zeroizing::new(credentials.username.clone().into_bytes());
            pair.push(b':');
            pair.extend_from_slice(credentials.password.expose());
            let encoded = Zeroizing::new(BASE64.encode(&*pair));
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&encoded);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        send(stream, request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= LONGEST_HEAD_BYTES {
                return Err("does not come to the end of its answer".into());
            }
            head.push(read::<1>(stream).await?[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let line = head.lines().next().unwrap_or_default();
        let mut words = line.splitn(3, ' ');
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
        match words.next().and_then(|code| code.parse::<u16>().ok()) {
            Some(200..=299) if is_http => Ok(()),
            Some(407) if is_http => Err(match &self.credentials {
                Some(_) => "refuses the user's name and password".into(),
                None => "wants a user's name and a password".into(),
            }),
            Some(_) if is_http => Err(format!("refuses to open the tunnel: {}", shown(line))),
            _ => Err("does not speak HTTP/1.1".into()),
        }
    }
}

impl Dial for ProxyDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        Box::pin(self.open(address))
    }
}

impl fmt::Debug for ProxyDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyDialer")
            .field("protocol", &self.protocol)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

async fn send(stream: &mut BoxStream, bytes: &[u8]) -> Result<(), String> {
    let closed = |error| format!("closed the connection: {error}");
    stream.write_all(bytes).await.map_err(closed)?;
    stream.flush().await.map_err(closed)
}

async fn read<const N: usize>(stream: &mut BoxStream) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let read = stream.read_exact(&mut bytes).await;
    read.map_err(|error| format!("closed the connection: {error}"))?;
    Ok(bytes)
}

/// Appends bytes with their length before them in one byte.
fn push_short(message: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    let length = u8::try_from(bytes.len())
        .map_err(|_| "takes no name or password above 255 bytes".to_owned())?;
    message.push(length);
    message.extend_from_slice(bytes);
    Ok(())
}

fn socks5_reason(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused by the broker's host",
        6 => "the time to live has expired",
        7 => "it does not support connections",
        8 => "it does not support this kind of address",
        _ => "unknown reason",
    }
}
