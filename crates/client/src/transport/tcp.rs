//! Dialling over TCP: every address a name stands for, with the socket options that keep it alive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use super::dial::{BoxStream, Dial, DialFuture};
use super::race::{Growth, race_staggered};
use super::resolve::{Resolve, SystemResolver};
use crate::config::{AddressFamily, SocketOptions};
use crate::endpoint::Address;
use crate::error::HostReason;

/// Time that an attempt to one network address may be alone before the next one starts beside it.
/// RFC 8305 recommends 250 ms.
const STAGGER: Duration = Duration::from_millis(250);

/// Bytes that may wait unsent in the kernel: more than a fast link drains between two wake-ups, and
/// little enough for a slow one to show within seconds that it moves.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_BYTES: u32 = 64 * 1024;

/// Dials plain TCP. Names are resolved anew for every attempt, so that a moved broker is found.
#[derive(Clone, Debug)]
pub struct TcpDialer {
    options: SocketOptions,
    resolver: Arc<dyn Resolve>,
}

impl Default for TcpDialer {
    fn default() -> Self {
        Self::new(SocketOptions::default())
    }
}

impl TcpDialer {
    /// A dialer that gives each socket these options.
    pub fn new(options: SocketOptions) -> Self {
        Self {
            options,
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Resolves names with `resolver`. Default: [`SystemResolver`].
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    async fn connect(&self, address: &Address) -> Result<TcpStream, HostReason> {
        let resolved = (self.resolver.resolve(address.host(), address.port()).await)
            .map_err(|error| HostReason::NameNotFound(error.to_string()))?;
        let family = self.options.address_family;
        let is_wanted = |address: &SocketAddr| match family {
            AddressFamily::V4 => address.is_ipv4(),
            AddressFamily::V6 => address.is_ipv6(),
            AddressFamily::Any => true,
        };
        let attempts = resolved
            .into_iter()
            .filter(is_wanted)
            .map(|address| self.connect_one(address));
        race_staggered(attempts, STAGGER, Growth::Steady)
            .await
            .map_err(|failures| most_telling(failures).unwrap_or_else(|| no_addresses(family)))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the dialer that TCP streams come from"
    )]
    async fn connect_one(&self, address: SocketAddr) -> Result<TcpStream, io::Error> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // Buffer sizes decide the window scale, so they come before the handshake.
        if let Some(bytes) = self.options.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(local) = self.options.bind_address {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(self.options.nodelay)?;
        keep_alive(&SockRef::from(&stream), &self.options)?;
        Ok(stream)
    }
}

impl Dial for TcpDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        Box::pin(async move {
            let stream = self.connect(address).await?;
            Ok(Box::new(stream) as BoxStream)
        })
    }
}

fn keep_alive(socket: &SockRef<'_>, options: &SocketOptions) -> io::Result<()> {
    if let Some(idle) = options.keepalive {
        // The kernel counts in seconds, and refuses zero.
        let idle = idle.max(Duration::from_secs(1));
        let interval = (idle / 3).max(Duration::from_secs(1));
        let probes = TcpKeepalive::new().with_time(idle).with_interval(interval);
        socket.set_tcp_keepalive(&probes)?;
    }
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Some(timeout) = options.user_timeout {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    // What waits in the kernel is not seen to move: deadlines count progress of bytes.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

/// Of several failures the one that says most: somebody who refused is nearer than silence.
fn most_telling(failures: Vec<io::Error>) -> Option<HostReason> {
    let reasons = failures.into_iter().map(HostReason::from);
    reasons.min_by_key(|reason| match reason {
        HostReason::Refused | HostReason::NoDescriptors(_) => 0,
        HostReason::Io(_) => 1,
        _ => 2,
    })
}

fn no_addresses(family: AddressFamily) -> HostReason {
    let what = match family {
        AddressFamily::Any => "the name stands for no address",
        AddressFamily::V4 => "the name stands for no IPv4 address, and others are not to be used",
        AddressFamily::V6 => "the name stands for no IPv6 address, and others are not to be used",
    };
    HostReason::NameNotFound(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ResolveFuture;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Address::new("127.0.0.1", port))
    }

    #[tokio::test]
    async fn the_socket_gets_its_options() {
        let (_listener, address) = listener().await;
        let dialer = TcpDialer::new(SocketOptions {
            send_buffer_bytes: Some(65_536),
            receive_buffer_bytes: Some(65_536),
            bind_address: Some("127.0.0.1".parse().unwrap()),
            user_timeout: Some(Duration::from_secs(30)),
            ..SocketOptions::default()
        });
        let stream = dialer.connect(&address).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert!(socket.send_buffer_size().unwrap() >= 65_536);
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(30))
        );
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
    }

    /// Linux counts the time in which the peer's window is too small for a whole segment, although
    /// bytes move: 500 kB never got past a relay that reads 10 kB/s into 4 KiB.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernel_does_not_end_a_connection_whose_peer_reads_slowly() {
        let (_listener, address) = listener().await;
        let stream = TcpDialer::default().connect(&address).await.unwrap();
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_told_as_refused() {
        let (listener, address) = listener().await;
        drop(listener);
        let outcome = TcpDialer::default().connect(&address).await;
        assert_eq!(outcome.unwrap_err(), HostReason::Refused);
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        // Commonly ::1 comes first, where nobody listens; where it does not, nothing is lost.
        let (listener, address) = listener().await;
        let localhost = Address::new("localhost", address.port());
        let accepted = tokio::spawn(async move { listener.accept().await.map(drop) });
        TcpDialer::default().connect(&localhost).await.unwrap();
        accepted.await.unwrap().unwrap();
    }

    /// A resolver to which every name is the loopback address, and `nothing` no address.
    #[derive(Debug)]
    struct Loopback;

    impl Resolve for Loopback {
        fn resolve<'a>(&'a self, host: &'a str, port: u16) -> ResolveFuture<'a> {
            let addresses = match host {
                "nothing" => Vec::new(),
                _ => vec![SocketAddr::from(([127, 0, 0, 1], port))],
            };
            Box::pin(async { Ok(addresses) })
        }
    }

    #[tokio::test]
    async fn names_are_resolved_by_the_resolver_that_was_given() {
        let (listener, address) = listener().await;
        let dialer = TcpDialer::default().with_resolver(Arc::new(Loopback));
        let accepted = tokio::spawn(async move { listener.accept().await.map(drop) });
        let broker = Address::new("broker-1.invalid", address.port());
        dialer.connect(&broker).await.unwrap();
        accepted.await.unwrap().unwrap();
        let nothing = Address::new("nothing", address.port());
        let reason = dialer.connect(&nothing).await.unwrap_err();
        assert_eq!(reason, no_addresses(AddressFamily::Any));
    }

    /// A resolver to which every name is both loopback addresses, the one where nobody listens
    /// first.
    #[derive(Debug)]
    struct Both;

    impl Resolve for Both {
        fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> ResolveFuture<'a> {
            let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
            let v4 = SocketAddr::from(([127, 0, 0, 1], port));
            Box::pin(async move { Ok(vec![v6, v4]) })
        }
    }

    #[tokio::test]
    async fn only_addresses_of_the_family_are_dialled() {
        let (listener, address) = listener().await;
        let dialer = |address_family| {
            let options = SocketOptions {
                address_family,
                ..SocketOptions::default()
            };
            TcpDialer::new(options).with_resolver(Arc::new(Both))
        };
        let stream = dialer(AddressFamily::V4).connect(&address).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        // Where there is no IPv6 the reason is another one, and no connection all the same.
        dialer(AddressFamily::V6)
            .connect(&address)
            .await
            .unwrap_err();
        let dialer = dialer(AddressFamily::V6).with_resolver(Arc::new(Loopback));
        let said = dialer.connect(&address).await.unwrap_err().to_string();
        assert!(said.contains("no IPv6 address"), "{said}");
    }

    #[tokio::test]
    async fn a_name_that_is_no_name_is_told_as_not_found() {
        // `.invalid` never exists (RFC 2606), with or without a resolver at hand.
        let address = Address::new("no-such-host.invalid", 9092);
        let reason = TcpDialer::default().connect(&address).await.unwrap_err();
        assert!(matches!(reason, HostReason::NameNotFound(_)), "{reason}");
    }
}
