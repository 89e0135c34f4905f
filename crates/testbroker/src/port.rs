//! The address of a broker: taken, listening, or taken again after its broker was killed.

use std::io;
use std::net::SocketAddr;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::network::{MemoryListener, MemoryNetwork, MemoryPort};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

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
    pub(crate) fn bind(self) -> io::Result<Port> {
        match self {
            Self::Tcp(address) => Port::bind_tcp(address),
            Self::Memory(port) => Ok(Port::Memory(port)),
        }
    }
}
