//! Setup and start of a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::sync::watch;

use super::front::Fronts;
use super::handle::Proxy;
use super::shared::Shared;

/// Collects the settings of a [`Proxy`].
#[derive(Clone, Debug)]
#[must_use = "a proxy runs once it is started"]
pub struct ProxyBuilder {
    upstreams: Vec<String>,
    listen: IpAddr,
    seed: u64,
}

impl Proxy {
    /// Sets up a proxy in front of a cluster, given by its bootstrap servers: `host:port`,
    /// separated by commas.
    pub fn builder(bootstrap: impl AsRef<str>) -> ProxyBuilder {
        let upstreams = bootstrap.as_ref().split(',').map(str::trim);
        ProxyBuilder {
            upstreams: upstreams
                .filter(|upstream| !upstream.is_empty())
                .map(str::to_owned)
                .collect(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            seed: 0,
        }
    }
}

impl ProxyBuilder {
    /// The address on whose ports the proxy listens, and which clients are told. Default:
    /// `127.0.0.1`.
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the seed that jitter is drawn from. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the proxy on the tokio runtime of the caller; clients can connect when this returns,
    /// whether the cluster can be reached or not.
    ///
    /// # Errors
    /// When there are no bootstrap servers, or the address cannot be listened on.
    // Async although nothing waits: it needs the runtime, as `Cluster`'s does.
    pub async fn start(self) -> io::Result<Proxy> {
        if self.upstreams.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a proxy needs bootstrap servers to stand in front of",
            ));
        }
        let shared = Arc::new(Shared::new(self.seed));
        let (open, is_open) = watch::channel(());
        let fronts = Arc::new(Fronts::new(Arc::clone(&shared), self.listen, is_open));
        let mut addresses = Vec::new();
        for upstream in self.upstreams {
            let front = fronts.in_front_of(&upstream)?;
            addresses.push((upstream, front));
        }
        Ok(Proxy::new(shared, addresses, open))
    }
}
