//! The address of a broker: taken, listening, or taken again after its broker was killed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::network::{MemoryListener, MemoryNetwork, MemoryPort};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Attempts to bind an address again, and the time between two of them: 5 s in all.
const BIND_ATTEMPTS: u32 = 500;
const BIND_DELAY: Duration = Duration::from_millis(10);

/// The port of a broker that does not listen, or not yet. While it is bound nobody else gets it,
/// and connections are refused.
#[derive(Debug)]
pub(crate) enum Port {
    Tcp {
        socket: TcpSocket,
        address: SocketAddr,
    },
    Memory(MemoryPort),
}

impl Port {
    /// Binds an address, on a network in memory if one is given; any port, if the address has none.
    pub(crate) fn bind(address: SocketAddr, network: Option<&MemoryNetwork>) -> io::Result<Self> {
        match network {
            Some(network) => network.reserve(address).map(Self::Memory),
            None => Self::bind_tcp(address),
        }
    }

    fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of the broker's previous run may linger on the port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self::Tcp { socket, address })
    }

    /// The address with its port.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Tcp { address, .. } => *address,
            Self::Memory(port) => port.address(),
        }
    }

    /// Accepts connections from now on.
    pub(crate) fn listen(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp { socket, address } => Listener::Tcp {
                listener: socket.listen(BACKLOG)?,
                address,
            },
            Self::Memory(port) => Listener::Memory(port.listen()),
        })
    }
}

/// A port that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp {
        listener: TcpListener,
        address: SocketAddr,
    },
    Memory(MemoryListener),
}

/// A stream that was accepted.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

impl Listener {
    /// Waits for the next connection.
    pub(crate) async fn accept(&mut self) -> io::Result<Accepted> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, _peer) = listener.accept().await?;
                // Without it answers are late, nothing worse.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream))
            }
            Self::Memory(listener) => listener.accept().await.map(Accepted::Memory),
        }
    }

    /// Refuses connections from now on.
    pub(crate) fn close(self) -> Closed {
        match self {
            Self::Tcp { address, .. } => Closed::Tcp(address),
            Self::Memory(listener) => Closed::Memory(listener.close()),
        }
    }
}

/// A port that does not accept connections any more.
pub(crate) enum Closed {
    Tcp(SocketAddr),
    Memory(MemoryPort),
}

impl Closed {
    /// Binds the address again. Its connections must have been closed.
    ///
    /// A process that is being started by this one has copies of all descriptors until it runs its
    /// own program, that of the listener too: the address is in use for so long.
    pub(crate) async fn bind(self) -> io::Result<Port> {
        let address = match self {
            Self::Tcp(address) => address,
            Self::Memory(port) => return Ok(Port::Memory(port)),
        };
        for _ in 1..BIND_ATTEMPTS {
            match Port::bind_tcp(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(BIND_DELAY).await;
                }
                bound => return bound,
            }
        }
        Port::bind_tcp(address)
    }
}
