//! The ports that stand in front of brokers, each of them opened when its broker is first heard of.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wolff_codec::Str;

use super::connection;
use super::rewrite::Detours;
use super::shared::Shared;

/// Time to wait when a connection cannot be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// All ports of a proxy.
#[derive(Debug)]
pub(super) struct Fronts {
    shared: Arc<Shared>,
    listen: IpAddr,
    /// Ends when the proxy does.
    open: watch::Receiver<()>,
    by_upstream: Mutex<BTreeMap<String, SocketAddr>>,
    connections: AtomicU64,
}

impl Fronts {
    pub(super) fn new(shared: Arc<Shared>, listen: IpAddr, open: watch::Receiver<()>) -> Self {
        Self {
            shared,
            listen,
            open,
            by_upstream: Mutex::default(),
            connections: AtomicU64::new(0),
        }
    }

    /// The port in front of a broker; opens it if there is none yet.
    pub(super) fn in_front_of(self: &Arc<Self>, upstream: &str) -> io::Result<SocketAddr> {
        let mut by_upstream = self.by_upstream.lock();
        if let Some(front) = by_upstream.get(upstream) {
            return Ok(*front);
        }
        let listener = std::net::TcpListener::bind((self.listen, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        by_upstream.insert(upstream.to_owned(), address);
        tracing::debug!(upstream, %address, "proxy listens");
        tokio::spawn(Arc::clone(self).accept(upstream.to_owned(), listener));
        Ok(address)
    }

    async fn accept(self: Arc<Self>, upstream: String, listener: TcpListener) {
        let upstream: Arc<str> = upstream.into();
        let mut open = self.open.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = open.changed() => break,
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        let number = self.connections.fetch_add(1, Ordering::Relaxed);
                        let counted = OpenConnection::new(&self.shared);
                        let (fronts, upstream) = (Arc::clone(&self), Arc::clone(&upstream));
                        connections.spawn(async move {
                            let detours = Behind(&fronts);
                            connection::serve(&counted.0, &detours, &upstream, client, number).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%upstream, %error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
    }
}

/// Sends clients to the ports.
struct Behind<'a>(&'a Arc<Fronts>);

impl Detours for Behind<'_> {
    fn detour(&self, host: &str, port: i32) -> Option<(Str, i32)> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
        // An IPv6 address needs brackets in front of a port.
        let upstream = match host.parse() {
            Ok(ip) => SocketAddr::new(ip, port).to_string(),
            Err(_) => format!("{host}:{port}"),
        };
        match self.0.in_front_of(&upstream) {
            Ok(front) => Some((Str::from(front.ip().to_string()), front.port().into())),
            Err(error) => {
                tracing::warn!(upstream, %error, "no port in front of this broker");
                None
            }
        }
    }
}

/// Counts a connection as open while it lives, however it ends.
struct OpenConnection(Arc<Shared>);

impl OpenConnection {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.count(|stats| {
            stats.connections_accepted += 1;
            stats.connections_open += 1;
        });
        Self(Arc::clone(shared))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.count(|stats| {
            stats.connections_open = stats.connections_open.saturating_sub(1);
        });
    }
}
