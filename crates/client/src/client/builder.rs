//! Configuration of a client.

use std::sync::Arc;
use std::time::Duration;

use wolff_backoff::{BackoffPolicy, Random};
use wolff_codec::ApiKey;

use crate::config::{ClientConfig, ConnectionStrategy, SocketOptions};
use crate::endpoint::{Address, Endpoint, SecurityProtocol};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::sasl::Sasl;
use crate::security::{Security, SecurityOptions};
use crate::tls::TlsOptions;
use crate::transport::Dial;

/// A client that is being configured. See [`ClientConfig`] for what each option does.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before build"]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    config: ClientConfig,
    security: SecurityOptions,
    environment: Environment,
}

impl ClientBuilder {
    pub(super) fn new(endpoints: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            config: ClientConfig::default(),
            security: SecurityOptions::default(),
            environment: Environment::default(),
        }
    }

    /// Takes all options at once.
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets [`ClientConfig::client_id`].
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.config.client_id = client_id.into();
        self
    }

    /// Sets [`ClientConfig::connection_strategy`].
    pub fn connection_strategy(mut self, strategy: ConnectionStrategy) -> Self {
        self.config.connection_strategy = strategy;
        self
    }

    /// Sets [`ClientConfig::connect_timeout`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Sets [`ClientConfig::request_timeout`].
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// Sets [`ClientConfig::metadata_timeout`].
    pub fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.config.metadata_timeout = timeout;
        self
    }

    /// Sets [`ClientConfig::min_metadata_refresh_interval`].
    pub fn min_metadata_refresh_interval(mut self, interval: Duration) -> Self {
        self.config.min_metadata_refresh_interval = interval;
        self
    }

    /// Sets [`ClientConfig::allow_auto_topic_creation`].
    pub fn allow_auto_topic_creation(mut self, is_allowed: bool) -> Self {
        self.config.allow_auto_topic_creation = is_allowed;
        self
    }

    /// Sets [`ClientConfig::query_api_versions`].
    pub fn query_api_versions(mut self, is_asked: bool) -> Self {
        self.config.query_api_versions = is_asked;
        self
    }

    /// Uses no newer version of an API than that: adds to [`ClientConfig::max_versions`].
    pub fn max_version(mut self, api: ApiKey, newest: i16) -> Self {
        self.config.max_versions.push((api, newest));
        self
    }

    /// Sets [`ClientConfig::max_connections_per_broker`].
    pub fn max_connections_per_broker(mut self, most: Option<usize>) -> Self {
        self.config.max_connections_per_broker = most;
        self
    }

    /// Sets [`ClientConfig::cluster_id`].
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.config.cluster_id = Some(id.into());
        self
    }

    /// Sets [`ClientConfig::credentials_timeout`].
    pub fn credentials_timeout(mut self, timeout: Duration) -> Self {
        self.config.credentials_timeout = timeout;
        self
    }

    /// Sets [`ClientConfig::idle_probe`].
    pub fn idle_probe(mut self, after: Option<Duration>) -> Self {
        self.config.idle_probe = after;
        self
    }

    /// Sets [`ClientConfig::idle_limit`].
    pub fn idle_limit(mut self, after: Option<Duration>) -> Self {
        self.config.idle_limit = after;
        self
    }

    /// Sets [`ClientConfig::reconnect_backoff`].
    pub fn reconnect_backoff(mut self, policy: BackoffPolicy) -> Self {
        self.config.reconnect_backoff = policy;
        self
    }

    /// Sets [`ClientConfig::socket`].
    pub fn socket(mut self, options: SocketOptions) -> Self {
        self.config.socket = options;
        self
    }

    /// Sets the security of the brokers' listeners. Default: what the endpoints say (`SSL://…`),
    /// else what [`ClientBuilder::tls`] lets expect, else [`SecurityProtocol::Plaintext`].
    pub fn security_protocol(mut self, protocol: SecurityProtocol) -> Self {
        self.security.protocol = Some(protocol);
        self
    }

    /// Sets the options of TLS. Default: [`TlsOptions::default`] where the protocol asks for TLS.
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.security.tls = Some(options);
        self
    }

    /// Sets the way this side authenticates, for `SASL_SSL` and `SASL_PLAINTEXT`.
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.security.sasl = Some(sasl);
        self
    }

    /// Dials in another way than by TCP. Then [`ClientConfig::socket`] has no effect; what is
    /// secured is the stream that the dialer gives.
    pub fn dialer(mut self, dialer: impl Dial) -> Self {
        self.environment = self.environment.dialer(dialer);
        self
    }

    /// Replaces what the client uses of the world around it, as tests and simulations do. It
    /// replaces an earlier [`ClientBuilder::dialer`], too. Default: [`Environment::default`].
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}

/// A configuration that can work.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) config: ClientConfig,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) security: Security,
    pub(super) bootstrap: Vec<Address>,
    pub(super) random: Random,
}

impl ClientBuilder {
    pub(super) fn finish(self) -> Result<Ready, ConfigError> {
        self.config.validate()?;
        let mut bootstrap = Vec::new();
        let mut security = self.security;
        for text in &self.endpoints {
            for endpoint in Endpoint::parse_list(text)? {
                agree(&mut security.protocol, endpoint.protocol)?;
                if !bootstrap.contains(&endpoint.address) {
                    bootstrap.push(endpoint.address);
                }
            }
        }
        if bootstrap.is_empty() {
            return Err(ConfigError::NoEndpoints);
        }
        Ok(Ready {
            dialer: self.environment.make_dialer(&self.config.socket),
            random: self.environment.make_random(),
            config: self.config,
            security: security.finish()?,
            bootstrap,
        })
    }
}

/// Endpoints without a protocol agree with everything.
fn agree(
    protocol: &mut Option<SecurityProtocol>,
    other: Option<SecurityProtocol>,
) -> Result<(), ConfigError> {
    match (*protocol, other) {
        (_, None) => Ok(()),
        (Some(one), Some(other)) if one != other => Err(ConfigError::MixedProtocols(one, other)),
        (_, Some(other)) => {
            *protocol = Some(other);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Credentials;

    fn bootstrap(endpoints: &[&str]) -> Result<Vec<String>, String> {
        let ready = ClientBuilder::new(endpoints.iter().copied()).finish();
        ready
            .map(|ready| ready.bootstrap.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn endpoints_come_alone_or_in_lists_and_once_each() {
        let expected = ["a:1", "b:9092", "[::1]:2"].map(String::from).to_vec();
        assert_eq!(
            bootstrap(&["a:1,b", "PLAINTEXT://[::1]:2", "a:1"]),
            Ok(expected)
        );
    }

    #[test]
    fn what_cannot_be_is_refused_at_once() {
        assert_eq!(bootstrap(&[]), Err("no bootstrap endpoint is given".into()));
        assert_eq!(
            bootstrap(&[" ,"]),
            Err("no bootstrap endpoint is given".into())
        );
        assert!(
            bootstrap(&["a:x"])
                .unwrap_err()
                .contains("\"x\" is not a port")
        );
        assert_eq!(
            bootstrap(&["SSL://a", "PLAINTEXT://b"]),
            Err("different security protocols are asked for: SSL and PLAINTEXT".into())
        );
    }

    #[test]
    fn what_is_said_about_security_must_go_together() {
        let plain = ClientBuilder::new(["PLAINTEXT://a"]).tls(TlsOptions::default());
        assert_eq!(
            plain.finish().unwrap_err().to_string(),
            "the security protocol is PLAINTEXT, but options for TLS are given, which it does not use"
        );
        let said = |endpoint: &str, sasl: Option<Sasl>| {
            let mut builder = ClientBuilder::new([endpoint]);
            builder.security.sasl = sasl;
            builder
                .finish()
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let credentials = || Credentials::new("alice", "secret");
        let plain = || Some(Sasl::plain(credentials()));
        let scram = || Some(Sasl::scram_sha_256(credentials()));
        assert!(
            said("SASL_SSL://a", None)
                .unwrap_err()
                .contains("no SASL mechanism")
        );
        for unauthenticated in ["a", "SSL://a", "PLAINTEXT://a"] {
            let said = said(unauthenticated, scram()).unwrap_err();
            assert!(
                said.contains("goes with SASL_SSL or SASL_PLAINTEXT"),
                "{said}"
            );
        }
        assert_eq!(said("SASL_PLAINTEXT://a", scram()), Ok(()));
        let unencrypted = said("SASL_PLAINTEXT://a", plain()).unwrap_err();
        assert!(
            unencrypted.starts_with("PLAIN would send its secret"),
            "{unencrypted}"
        );
        let allowed = plain().map(Sasl::allow_unencrypted_secrets);
        assert_eq!(said("SASL_PLAINTEXT://a", allowed), Ok(()));
        let mixed = ClientBuilder::new(["SSL://a"]).security_protocol(SecurityProtocol::Plaintext);
        assert!(matches!(
            mixed.finish(),
            Err(ConfigError::MixedProtocols(..))
        ));
    }
}
