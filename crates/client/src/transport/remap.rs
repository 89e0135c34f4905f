//! Other addresses than the advertised ones: port forwarding, NAT, a tunnel.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dial::{Dial, DialFuture};
use crate::endpoint::Address;

/// Dials other addresses than those it is asked for, where a map says so.
///
/// Everything above keeps the broker's own address: TLS checks the certificate for that name, and
/// errors name it.
///
/// ```
/// use wolff_client::{Address, Client, RemapDialer, SocketOptions, TcpDialer};
///
/// let map = [
///     (Address::new("kafka-1.internal", 9092), Address::new("localhost", 19092)),
///     (Address::new("kafka-2.internal", 9092), Address::new("localhost", 29092)),
/// ];
/// let dialer = RemapDialer::new(TcpDialer::new(SocketOptions::default()), map);
/// let client = Client::builder(["kafka-1.internal:9092"]).dialer(dialer).build()?;
/// # Ok::<(), wolff_client::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RemapDialer {
    inner: Arc<dyn Dial>,
    map: BTreeMap<Address, Address>,
}

impl RemapDialer {
    /// Dials with `inner`, and the second of each pair instead of the first.
    pub fn new(inner: impl Dial, map: impl IntoIterator<Item = (Address, Address)>) -> Self {
        Self {
            inner: Arc::new(inner),
            map: map.into_iter().collect(),
        }
    }
}

impl Dial for RemapDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        self.inner.dial(self.map.get(address).unwrap_or(address))
    }
}
