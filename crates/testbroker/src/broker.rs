//! A broker as clients see it: a port, and connections while it is alive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use wolff_codec::ids::BrokerId;

use crate::connection;
use crate::shared::Shared;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long to wait when a connection cannot be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// The port of a broker that does not listen, or not yet. While it is bound nobody else gets it, and who connects is refused.
#[derive(Debug)]
pub(crate) struct Port {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Port {
    /// Binds an address; any port, if it has none.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of the broker's former life may linger on the port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The address with its port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and serves clients from now on.
    pub(crate) fn open(self, shared: &Arc<Shared>, broker: BrokerId) -> io::Result<RunningBroker> {
        let listener = self.socket.listen(BACKLOG)?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(shared);
        let task = tokio::spawn(accept(shared, broker, listener, stopped));
        Ok(RunningBroker {
            address: self.address,
            stop,
            task,
        })
    }
}

/// A broker that listens. Dropping it closes everything soon.
#[derive(Debug)]
pub(crate) struct RunningBroker {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningBroker {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and all connections, whatever they are at, and keeps the port.
    pub(crate) async fn stop(self) -> io::Result<Port> {
        // If the task is gone, so are its sockets.
        let _ = self.stop.send(());
        let _ = self.task.await;
        Port::bind(self.address)
    }
}

async fn accept(
    shared: Arc<Shared>,
    broker: BrokerId,
    listener: TcpListener,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tracing::debug!(%broker, %peer, "connection accepted");
                    // Without it answers are late, nothing worse.
                    let _ = stream.set_nodelay(true);
                    let open = OpenConnection::new(&shared, broker);
                    connections.spawn(async move {
                        connection::accept(&open.shared, broker, stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%broker, %error, "connection not accepted");
                    // Out of file descriptors, most likely: until some are closed, trying again is of no use.
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Counts a connection as open while it lives, however it ends.
struct OpenConnection {
    shared: Arc<Shared>,
    broker: BrokerId,
}

impl OpenConnection {
    fn new(shared: &Arc<Shared>, broker: BrokerId) -> Self {
        shared.count(broker, |stats| {
            stats.connections_accepted += 1;
            stats.connections_open += 1;
        });
        Self {
            shared: Arc::clone(shared),
            broker,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let close = |stats: &mut crate::stats::BrokerStats| {
            stats.connections_open = stats.connections_open.saturating_sub(1);
        };
        self.shared.count(self.broker, close);
    }
}
