//! Access to the cluster: the same flags in every command that talks to one.

use clap::Args;
use wolff::Client;
use wolff::client::{ConfigError, Endpoint};

use super::network::NetworkArgs;
use super::security::SecurityArgs;
use crate::exit::Failure;

#[derive(Args, Debug)]
pub(crate) struct ConnectionArgs {
    /// Some brokers of the cluster; the others are found through them. SSL:// and the like in front
    /// says how all of them are secured, as --security-protocol does.
    #[arg(
        long,
        value_name = "HOST:PORT[,…]",
        required = true,
        value_delimiter = ',',
        value_parser = endpoint
    )]
    pub(crate) brokers: Vec<String>,
    /// The name that brokers see in their logs and quotas. The queue on disk belongs to it.
    #[arg(long, value_name = "ID", default_value = ConnectionArgs::CLIENT_ID)]
    pub(crate) client_id: String,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

impl ConnectionArgs {
    /// The client id where none is given.
    pub(crate) const CLIENT_ID: &str = "wolff";

    /// A client of that cluster. It has not talked to it yet.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let builder = Client::builder(&self.brokers).client_id(&self.client_id);
        let builder = self.security.apply(builder)?;
        let builder = self.network.apply(builder)?;
        builder.build().map_err(|error| {
            let advice = match error {
                ConfigError::UnencryptedSecret { .. } => {
                    "take --security-protocol sasl_ssl, or allow it with --allow-unencrypted-password"
                }
                _ => "see --brokers, --client-id and what --help says about security",
            };
            Failure::usage(format!("the connection cannot be set up: {error}")).advice(advice)
        })
    }

    /// The brokers as they were given.
    pub(crate) fn brokers(&self) -> String {
        self.brokers.join(",")
    }
}

/// Checks one endpoint while the flags are read, so that a typing error is told before anything is
/// done.
fn endpoint(text: &str) -> Result<String, String> {
    match text.trim().parse::<Endpoint>() {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
