//! A network in memory: ports that listen, and streams between two tasks of one process.
//!
//! No sockets, no threads, no time of its own: on a current-thread runtime whose clock is paused,
//! what happens depends on the tasks alone.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::sync::mpsc;

/// Bytes that a stream holds in each direction, unless it is set otherwise.
const PIPE_BYTES: usize = 64 * 1024;

/// The first port that is assigned where none is asked for.
const FIRST_PORT: u16 = 9092;

/// A network in memory, on which the brokers of a [`Cluster`](crate::Cluster) listen instead of on
/// TCP ports. Clones are the same network.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wolff_testbroker::{Cluster, MemoryNetwork};
///
/// let network = MemoryNetwork::new();
/// let cluster = Cluster::builder().network(&network).brokers(2).start().await?;
/// assert_eq!(cluster.bootstrap(), "127.0.0.1:9092,127.0.0.1:9093");
/// let _stream = network.connect("127.0.0.1", 9093)?;
/// assert!(network.connect("127.0.0.1", 9094).is_err(), "refused");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryNetwork {
    pipe_bytes: usize,
    ports: Arc<Mutex<BTreeMap<SocketAddr, Place>>>,
}

/// The state of one address.
enum Place {
    /// In use, but connections are refused.
    Reserved,
    Listens(mpsc::UnboundedSender<DuplexStream>),
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self {
            pipe_bytes: PIPE_BYTES,
            ports: Arc::default(),
        }
    }
}

impl MemoryNetwork {
    /// A network without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the bytes that a stream holds in each direction, written and not read yet; at least
    /// one. Concerns streams that are connected through this handle and its clones made later.
    /// Default: 64 KiB.
    #[must_use]
    pub fn pipe_bytes(mut self, bytes: usize) -> Self {
        self.pipe_bytes = bytes.max(1);
        self
    }

    /// Connects to a port; `host` is an IP literal, since no names exist here.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens, `InvalidInput` where `host` is no IP address.
    pub fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let ip: IpAddr = host
            .parse()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let ports = self.ports.lock();
        match ports.get(&SocketAddr::new(ip, port)) {
            None | Some(Place::Reserved) => Err(refused()),
            Some(Place::Listens(accepts)) => {
                let (here, there) = duplex(self.pipe_bytes);
                accepts.send(there).map_err(|_| refused())?;
                Ok(here)
            }
        }
    }

    /// Takes an address for oneself; the lowest free port from 9092 on, if it has none.
    pub(crate) fn reserve(&self, address: SocketAddr) -> io::Result<MemoryPort> {
        let mut ports = self.ports.lock();
        let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
        let free = |address: &SocketAddr| !ports.contains_key(address);
        let address = match address.port() {
            0 => (FIRST_PORT..=u16::MAX)
                .map(|port| SocketAddr::new(address.ip(), port))
                .find(free),
            _ => Some(address).filter(free),
        };
        let address = address.ok_or_else(in_use)?;
        ports.insert(address, Place::Reserved);
        Ok(MemoryPort {
            network: self.clone(),
            address,
        })
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.ports.lock().keys().copied().collect();
        f.debug_struct("MemoryNetwork")
            .field("pipe_bytes", &self.pipe_bytes)
            .field("ports", &addresses)
            .finish()
    }
}

/// An address of a network that its owner can listen on. Dropping it frees the address.
#[derive(Debug)]
pub(crate) struct MemoryPort {
    network: MemoryNetwork,
    address: SocketAddr,
}

impl MemoryPort {
    /// The address with its port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections from now on.
    pub(crate) fn listen(self) -> MemoryListener {
        let (accepts, incoming) = mpsc::unbounded_channel();
        let listens = Place::Listens(accepts);
        self.network.ports.lock().insert(self.address, listens);
        MemoryListener {
            port: self,
            incoming,
        }
    }
}

impl Drop for MemoryPort {
    fn drop(&mut self) {
        self.network.ports.lock().remove(&self.address);
    }
}

/// A port that accepts connections.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    port: MemoryPort,
    incoming: mpsc::UnboundedReceiver<DuplexStream>,
}

impl MemoryListener {
    /// Waits for the next connection.
    pub(crate) async fn accept(&mut self) -> io::Result<DuplexStream> {
        let accepted = self.incoming.recv().await;
        // The network has the sender as long as the port is reserved.
        accepted.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }

    /// Refuses connections again, and closes those that wait to be accepted. The address stays
    /// taken.
    pub(crate) fn close(self) -> MemoryPort {
        let Self { port, incoming } = self;
        (port.network.ports.lock()).insert(port.address, Place::Reserved);
        drop(incoming);
        port
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_stream_carries_bytes_both_ways_and_ends_when_one_side_goes() {
        let network = MemoryNetwork::new().pipe_bytes(2);
        let mut listener = network.reserve(ANY).unwrap().listen();
        let mut here = network.connect("127.0.0.1", FIRST_PORT).unwrap();
        let mut there = listener.accept().await.unwrap();
        let echo = async {
            let mut question = [0; 4];
            there.read_exact(&mut question).await.unwrap();
            there.write_all(&question).await.unwrap();
            drop(there);
        };
        let ask = async {
            here.write_all(b"ping").await.unwrap();
            let mut answer = Vec::new();
            here.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let ((), answer) = tokio::join!(echo, ask);
        assert_eq!(answer, b"ping");
    }

    #[tokio::test]
    async fn connections_are_refused_where_nobody_listens_any_more() {
        let network = MemoryNetwork::new();
        let refused = |port| {
            let connected = network.connect("127.0.0.1", port).map(drop);
            connected.unwrap_err().kind() == io::ErrorKind::ConnectionRefused
        };
        let port = network.reserve(ANY).unwrap();
        assert!(refused(FIRST_PORT), "it does not listen yet");
        let second = network.reserve(ANY).unwrap();
        assert_eq!(second.address().port(), FIRST_PORT + 1);
        let listener = port.listen();
        let mut here = network.connect("127.0.0.1", FIRST_PORT).unwrap();
        let port = listener.close();
        assert_eq!(here.read(&mut [0]).await.unwrap(), 0, "never accepted");
        assert!(refused(FIRST_PORT));
        assert!(network.reserve(port.address()).is_err(), "still taken");
        let address = port.address();
        drop(port);
        assert!(network.reserve(address).is_ok(), "free again");
        let name = network.connect("localhost", FIRST_PORT).map(drop);
        assert_eq!(name.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
