//! A broker as clients see it: a port, and connections while it is alive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use wolff_codec::ids::BrokerId;

use crate::connection;
use crate::port::{Accepted, Listener, Port};
use crate::shared::Shared;

/// Time to wait when a connection cannot be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// A broker that listens. Dropping it closes everything soon.
#[derive(Debug)]
pub(crate) struct RunningBroker {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<Port>>,
}

impl RunningBroker {
    /// Listens on a port, and serves clients from now on.
    pub(crate) fn start(port: Port, shared: &Arc<Shared>, broker: BrokerId) -> io::Result<Self> {
        let address = port.address();
        let listener = port.listen()?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(shared);
        let task = tokio::spawn(accept(shared, broker, listener, stopped));
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and all connections, whatever they are at, and keeps the port.
    pub(crate) async fn stop(self) -> io::Result<Port> {
        // If the task is gone, so are its sockets.
        let _ = self.stop.send(());
        self.task.await.map_err(io::Error::other)?
    }
}

async fn accept(
    shared: Arc<Shared>,
    broker: BrokerId,
    mut listener: Listener,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<Port> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    let open = OpenConnection::new(&shared, broker);
                    connections.spawn(async move {
                        match stream {
                            Accepted::Tcp(stream) => {
                                connection::accept(&open.shared, broker, stream).await;
                            }
                            Accepted::Memory(stream) => {
                                connection::accept(&open.shared, broker, stream).await;
                            }
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%broker, %error, "connection not accepted");
                    // Out of file descriptors, most likely: until some are closed, trying again is
                    // of no use.
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    let closed = listener.close();
    connections.shutdown().await;
    closed.bind().await
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
