//! Options of a client, and their validated form.

use std::net::IpAddr;
use std::time::Duration;

use wolff_backoff::BackoffPolicy;
use wolff_codec::ApiKey;

use crate::error::ConfigError;

/// The name under which this client's software is known to brokers (KIP-511).
pub(crate) const SOFTWARE_NAME: &str = "wolff";

/// The version that goes with [`SOFTWARE_NAME`].
pub(crate) const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Longer than any network operation takes; keeps sums of durations far from overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The seconds before a probe are a signed 16-bit number (`MAX_TCP_KEEPIDLE` of Linux).
const LONGEST_KEEPALIVE: Duration = Duration::from_secs(9 * 60 * 60);

/// Sharing of connections among partitions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionStrategy {
    /// A connection for each partition of each topic: no partition waits behind another one.
    #[default]
    PerPartition,
    /// A connection for each broker, shared by all partitions that it leads.
    PerBroker,
}

/// The options of a client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name that brokers see in their logs, quotas and metrics. Default: `"wolff"`.
    pub client_id: String,
    /// Sharing of connections among partitions. Default: [`ConnectionStrategy::PerPartition`].
    pub connection_strategy: ConnectionStrategy,
    /// One deadline for resolving, connecting and shaking hands; credentials are fetched outside of
    /// it. Default: 5 s.
    pub connect_timeout: Duration,
    /// Limit of the time to get credentials or a token for a new connection, which stays open
    /// meanwhile. Default: 30 s.
    pub credentials_timeout: Duration,
    /// Limit of the time that the oldest request of a connection may be without progress: no byte
    /// of it taken by the network, no byte of its response received; then the connection is given
    /// up. While bytes move, it has up to twenty times as long, and one of more than 64 KiB has in
    /// addition the time that a link of 8 KiB/s needs for it, unless the connection has proved to
    /// be faster. Default: 30 s.
    pub request_timeout: Duration,
    /// After so long without a byte sent or received, the next request on a connection is preceded
    /// by a probe, so that a connection that was silently dropped on the way is noticed within two
    /// seconds, and not after `request_timeout`. The price is one round trip before that request;
    /// requests that follow within this time go without one. `None` for never. Default: 2 s.
    pub idle_probe: Option<Duration>,
    /// After so long without a request, a connection is closed, before a load balancer or the
    /// broker drops it; `None` for never. Default: 3 min.
    pub idle_limit: Option<Duration>,
    /// Limit of the time for a metadata request, including the search for a broker that answers.
    /// Default: 10 s.
    pub metadata_timeout: Duration,
    /// The shortest pause between two questions about the same topic. Default: 1 s.
    pub min_metadata_refresh_interval: Duration,
    /// True if asking about an unknown topic may create it, where brokers allow that. Then a lookup
    /// goes on until the topic is there or `metadata_timeout` is over. Default: false.
    pub allow_auto_topic_creation: bool,
    /// True if brokers are asked which versions they speak. Without, Produce 3, Metadata 4 and
    /// their contemporaries of Kafka 0.11 are used. Default: true.
    pub query_api_versions: bool,
    /// The newest version of an API that is used, for brokers that announce more than they can do;
    /// of several entries for an API the lowest counts. Default: none, what both sides speak.
    pub max_versions: Vec<(ApiKey, i16)>,
    /// Connections that may be open to one broker, beside the one for metadata; further partitions
    /// share them. Whatever this is, connections are shared as well where the system or the broker
    /// allows no more of them. Default: `None`, no limit.
    pub max_connections_per_broker: Option<usize>,
    /// The cluster that brokers must belong to, by its id: answers of another one are refused.
    /// Default: `None`, a change of the cluster's id is an event and a warning.
    pub cluster_id: Option<String>,
    /// The largest answer that is accepted, in bytes. Before the handshake is over it is 64 KiB.
    /// Default: 100 MiB.
    pub max_frame_bytes: u32,
    /// Requests that may wait or be in flight on one connection. Default: 1,024.
    pub max_queued_requests: usize,
    /// Bytes that may wait on one connection; a single request may be larger when it waits alone.
    /// Default: 64 MiB.
    pub max_queued_bytes: usize,
    /// The pause before the next question when no broker could be asked. Default: at once, then
    /// 50 ms to 2 s.
    pub reconnect_backoff: BackoffPolicy,
    /// Options of the sockets, for the built-in dialer.
    pub socket: SocketOptions,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            client_id: "wolff".into(),
            connection_strategy: ConnectionStrategy::default(),
            connect_timeout: Duration::from_secs(5),
            credentials_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            idle_probe: Some(Duration::from_secs(2)),
            idle_limit: Some(Duration::from_secs(3 * 60)),
            metadata_timeout: Duration::from_secs(10),
            min_metadata_refresh_interval: Duration::from_secs(1),
            allow_auto_topic_creation: false,
            query_api_versions: true,
            max_versions: Vec::new(),
            max_connections_per_broker: None,
            cluster_id: None,
            max_frame_bytes: 100 * 1024 * 1024,
            max_queued_requests: 1_024,
            max_queued_bytes: 64 * 1024 * 1024,
            reconnect_backoff: BackoffPolicy::default(),
            socket: SocketOptions::default(),
        }
    }
}

impl ClientConfig {
    /// Refuses what cannot work.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("connect_timeout", self.connect_timeout),
            ("credentials_timeout", self.credentials_timeout),
            ("request_timeout", self.request_timeout),
            ("metadata_timeout", self.metadata_timeout),
        ] {
            if value.is_zero() || value > LONGEST {
                return Err(out_of_range(field, value, "above zero and at most a day"));
            }
        }
        for (field, value) in [
            ("idle_probe", self.idle_probe),
            ("idle_limit", self.idle_limit),
        ] {
            if let Some(value) = value.filter(|value| value.is_zero() || *value > LONGEST) {
                return Err(out_of_range(field, value, "above zero and at most a day"));
            }
        }
        let interval = self.min_metadata_refresh_interval;
        if interval > LONGEST {
            let field = "min_metadata_refresh_interval";
            return Err(out_of_range(field, interval, "at most a day"));
        }
        if self.reconnect_backoff.ceiling > LONGEST {
            let ceiling = self.reconnect_backoff.ceiling;
            return Err(out_of_range(
                "reconnect_backoff.ceiling",
                ceiling,
                "at most a day",
            ));
        }
        // More than that no kernel takes, which would be told at every connection, and not now.
        if let Some(idle) = self
            .socket
            .keepalive
            .filter(|idle| *idle > LONGEST_KEEPALIVE)
        {
            return Err(out_of_range("socket.keepalive", idle, "at most nine hours"));
        }
        if self.max_connections_per_broker == Some(0) {
            return Err(out_of_range("max_connections_per_broker", 0, "above zero"));
        }
        if self.max_queued_requests == 0 {
            return Err(out_of_range("max_queued_requests", 0, "above zero"));
        }
        // Length prefixes are signed 32-bit numbers.
        if !(1_024..=u32::MAX / 2).contains(&self.max_frame_bytes) {
            let expected = "from 1 KiB to 2 GiB";
            return Err(out_of_range(
                "max_frame_bytes",
                self.max_frame_bytes,
                expected,
            ));
        }
        if self.client_id.len() > 1_024 {
            let length = format!("{} bytes long", self.client_id.len());
            return Err(out_of_range(
                "client_id",
                length,
                "at most 1,024 bytes long",
            ));
        }
        Ok(())
    }
}

fn out_of_range(
    field: &'static str,
    value: impl std::fmt::Debug,
    expected: &'static str,
) -> ConfigError {
    let value = format!("{value:?}");
    ConfigError::OutOfRange {
        field,
        value,
        expected,
    }
}

/// The addresses of a name that are dialled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressFamily {
    /// All, as the resolver orders them.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Options of a TCP socket.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Sends small segments without waiting for more (`TCP_NODELAY`). Default: true, since batching
    /// is done above.
    pub nodelay: bool,
    /// Idle time after which the kernel probes whether the peer is still there; `None` switches
    /// probing off. Default: 30 s.
    pub keepalive: Option<Duration>,
    /// Limit of the time that written bytes may stay unacknowledged before the kernel gives the
    /// connection up (`TCP_USER_TIMEOUT`, Linux and Android; elsewhere without effect). It also
    /// ends a connection whose peer reads slowly for so long that its window stays nearly closed,
    /// however many bytes move; [`ClientConfig::request_timeout`] counts those. Default: `None`,
    /// off.
    pub user_timeout: Option<Duration>,
    /// Size of the kernel's send buffer in bytes (`SO_SNDBUF`). Default: `None`, the system's.
    pub send_buffer_bytes: Option<u32>,
    /// Size of the kernel's receive buffer in bytes (`SO_RCVBUF`). Default: `None`, the system's.
    pub receive_buffer_bytes: Option<u32>,
    /// The local address to connect from. Default: `None`, the system's choice.
    pub bind_address: Option<IpAddr>,
    /// The addresses of a name that are dialled. Default: [`AddressFamily::Any`].
    pub address_family: AddressFamily,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(Duration::from_secs(30)),
            user_timeout: None,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            bind_address: None,
            address_family: AddressFamily::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut ClientConfig)) -> String {
        let mut config = ClientConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(ClientConfig::default().validate(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert_eq!(
            message(|config| config.connect_timeout = Duration::ZERO),
            "connect_timeout is 0ns, but must be above zero and at most a day"
        );
        assert!(
            message(|config| config.request_timeout = Duration::MAX).contains("request_timeout")
        );
        assert!(message(|config| config.metadata_timeout = Duration::ZERO).contains("metadata"));
        assert!(message(|config| config.max_queued_requests = 0).contains("max_queued_requests"));
        assert!(message(|config| config.max_frame_bytes = 1).contains("max_frame_bytes"));
        assert!(message(|config| config.max_frame_bytes = u32::MAX).contains("max_frame_bytes"));
        assert!(message(|config| config.client_id = "x".repeat(1_025)).contains("1025 bytes long"));
        let idle =
            |config: &mut ClientConfig| config.socket.keepalive = Some(LONGEST_KEEPALIVE * 2);
        assert!(message(idle).contains("socket.keepalive is 64800s"));
        let message = message(|config| config.min_metadata_refresh_interval = Duration::MAX);
        assert!(message.contains("min_metadata_refresh_interval"));
    }
}
