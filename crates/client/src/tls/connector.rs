//! The handshake, with a configuration that follows the files it was made of.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::assemble::{assemble, system_roots};
use super::failure::handshake_failure;
use super::material::Material;
use super::options::{TlsOptions, TlsServerName, TlsVerification};
use crate::endpoint::Address;
use crate::error::{ConfigError, HostReason, TlsFailure};
use crate::transport::BoxStream;

/// Makes plain streams into encrypted ones.
pub(crate) struct Tls {
    source: Source,
    server_name: TlsServerName,
}

enum Source {
    /// The user's own configuration.
    Given(Arc<ClientConfig>),
    /// One that is made of files, and made anew when they change.
    Files(Arc<Files>),
}

struct Files {
    options: TlsOptions,
    system_roots: Option<RootCertStore>,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    material: Material,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files and checks that they can be used.
    pub(crate) fn new(options: TlsOptions) -> Result<Self, ConfigError> {
        if let TlsServerName::Fixed(name) = &options.server_name {
            ServerName::try_from(name.as_str())
                .map_err(|_| ConfigError::Tls(format!("{name:?} is no name of a server")))?;
        }
        let server_name = options.server_name.clone();
        let source = match &options.client_config {
            Some(config) => {
                let mut config = Arc::clone(config);
                if server_name == TlsServerName::None && config.enable_sni {
                    Arc::make_mut(&mut config).enable_sni = false;
                }
                Source::Given(config)
            }
            None => Source::Files(Arc::new(Files::load(options)?)),
        };
        Ok(Self {
            source,
            server_name,
        })
    }

    /// Shakes hands with the broker at `address`, which is at the other end of `stream`.
    pub(crate) async fn handshake(
        &self,
        stream: BoxStream,
        address: &Address,
    ) -> Result<BoxStream, HostReason> {
        let config = match &self.source {
            Source::Given(config) => Arc::clone(config),
            Source::Files(files) => {
                let files = Arc::clone(files);
                tokio::task::spawn_blocking(move || files.current())
                    .await
                    .map_err(|_gone| HostReason::Abandoned)?
            }
        };
        let name = self.name_of(address)?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| HostReason::Tls(handshake_failure(&error)))?;
        Ok(Box::new(stream))
    }

    fn name_of(&self, address: &Address) -> Result<ServerName<'static>, HostReason> {
        let name = match &self.server_name {
            TlsServerName::Fixed(name) => name,
            // A zone (fe80::1%eth0) means something on this machine only.
            TlsServerName::Auto | TlsServerName::None => address
                .host()
                .split_once('%')
                .map_or(address.host(), |(host, _zone)| host),
        };
        ServerName::try_from(name.to_owned())
            .map_err(|_| HostReason::Tls(TlsFailure::Name(name.to_owned())))
    }
}

impl Files {
    fn load(options: TlsOptions) -> Result<Self, ConfigError> {
        if options.verification == TlsVerification::DangerouslyNone {
            tracing::warn!(
                "TLS certificates of brokers are not verified: anybody on the way can read and change everything"
            );
        }
        let is_wanted = options.verification != TlsVerification::DangerouslyNone
            && ((options.ca_file.is_none() && options.ca_pem.is_none())
                || options.with_system_roots);
        let system_roots = is_wanted.then(system_roots).transpose()?;
        let material = Material::read(&options).map_err(ConfigError::TlsFile)?;
        let config = Arc::new(assemble(&options, &material, system_roots.as_ref())?);
        Ok(Self {
            options,
            system_roots,
            loaded: Mutex::new(Loaded { material, config }),
        })
    }

    /// The configuration that belongs to the files as they are now. Waits for the disk.
    fn current(&self) -> Arc<ClientConfig> {
        let renewed = Material::read(&self.options).map_err(ConfigError::TlsFile);
        let mut loaded = self.loaded.lock();
        let renewed = renewed.and_then(|material| {
            if material == loaded.material {
                return Ok(None);
            }
            let config = assemble(&self.options, &material, self.system_roots.as_ref())?;
            Ok(Some((material, config)))
        });
        match renewed {
            Ok(None) => {}
            Ok(Some((material, config))) => {
                tracing::info!("TLS certificates have changed and are used from now on");
                *loaded = Loaded {
                    material,
                    config: Arc::new(config),
                };
            }
            Err(error) => {
                tracing::warn!(%error, "changed TLS files cannot be used; the earlier ones stay in use");
            }
        }
        Arc::clone(&loaded.config)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
