//! Settings of topics and brokers.

use std::collections::BTreeMap;

use wolff_codec::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult,
};
use wolff_codec::{BrokerId, Str};

use super::concurrent::all_of;
use super::handle::Client;
use crate::connection::Connection;
use crate::error::{AdminError, ConnectError, MetadataError, RequestContext};

/// The protocol's numbers for kinds of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// A thing with settings.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(Str),
    /// A broker, by id.
    Broker(BrokerId),
}

impl ConfigResource {
    /// A topic.
    pub fn topic(name: &str) -> Self {
        Self::Topic(name.into())
    }

    /// As the protocol writes it.
    fn kind_and_name(&self) -> (i8, Str) {
        match self {
            Self::Topic(name) => (TOPIC, name.clone()),
            Self::Broker(id) => (BROKER, Str::from(id.to_string())),
        }
    }
}

/// A setting.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The name, such as `max.message.bytes`.
    pub name: Str,
    /// The value; `None` where there is none or it is a secret.
    pub value: Option<Str>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// True if it can be changed by requests.
    pub is_read_only: bool,
    /// True if it is a secret, such as a password.
    pub is_sensitive: bool,
}

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// It was set for this very topic.
    Topic,
    /// It was set for this very broker.
    Broker,
    /// It was set for all brokers.
    AllBrokers,
    /// The configuration file of the broker.
    File,
    /// Kafka's own default.
    Default,
    /// The broker does not say it, or by another number.
    Unknown(i8),
}

impl From<i8> for ConfigSource {
    fn from(number: i8) -> Self {
        match number {
            1 => Self::Topic,
            2 => Self::Broker,
            3 => Self::AllBrokers,
            4 => Self::File,
            5 => Self::Default,
            other => Self::Unknown(other),
        }
    }
}

impl Client {
    /// The settings of topics and brokers: all of them, or those of these names. The results are in
    /// the order of `resources`. A broker is asked for its own settings, any broker for those of
    /// topics.
    ///
    /// ```no_run
    /// use wolff_client::{Client, ConfigResource};
    ///
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let orders = [ConfigResource::topic("orders")];
    /// for (_, entries) in client.describe_configs(&orders, Some(&["max.message.bytes"])).await {
    ///     for entry in entries? {
    ///         println!("{} = {:?}", entry.name, entry.value);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For each resource: [`AdminError::Refused`] with the broker's reason, [`AdminError::Connect`]
    /// if no broker, or not this one, can be reached.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
        names: Option<&[&str]>,
    ) -> Vec<(ConfigResource, Result<Vec<ConfigEntry>, AdminError>)> {
        let mut by_broker: BTreeMap<Option<BrokerId>, Vec<ConfigResource>> = BTreeMap::new();
        for resource in resources {
            let broker = match resource {
                ConfigResource::Broker(id) => Some(*id),
                ConfigResource::Topic(_) => None,
            };
            let share = by_broker.entry(broker).or_default();
            // Brokers answer a resource once.
            if !share.contains(resource) {
                share.push(resource.clone());
            }
        }
        let mut described = BTreeMap::new();
        let works = by_broker.into_iter().map(|(broker, share)| async move {
            let results = self.describe_at(broker, &share, names).await;
            (share, results)
        });
        for (share, results) in all_of(works).await {
            match results {
                Ok((results, context)) => {
                    for resource in share {
                        let entries = entries_of(&resource, &results, &context);
                        described.insert(resource, entries);
                    }
                }
                Err(error) => {
                    let refused = share
                        .into_iter()
                        .map(|resource| (resource, Err(error.clone())));
                    described.extend(refused);
                }
            }
        }
        let outcome = |resource: &ConfigResource| {
            // Each is in the share of some broker.
            let entries = described.get(resource).cloned();
            entries.map(|entries| (resource.clone(), entries))
        };
        resources.iter().filter_map(outcome).collect()
    }

    async fn describe_at(
        &self,
        broker: Option<BrokerId>,
        resources: &[ConfigResource],
        names: Option<&[&str]>,
    ) -> Result<(Vec<DescribeConfigsResult>, RequestContext), AdminError> {
        let keys = names.map(|names| names.iter().map(|&name| Str::from(name)).collect());
        let resource = |resource: &ConfigResource| {
            let (resource_type, resource_name) = resource.kind_and_name();
            DescribeConfigsResource {
                resource_type,
                resource_name,
                configuration_keys: keys.clone(),
                ..DescribeConfigsResource::default()
            }
        };
        let request = DescribeConfigsRequest {
            resources: resources.iter().map(resource).collect(),
            ..DescribeConfigsRequest::default()
        };
        let connection = self.connection_for(broker).await;
        let connection = connection.map_err(AdminError::Connect)?;
        let submitted = connection.submitted::<DescribeConfigsRequest>();
        let response = connection.request(&request).await;
        let results = response.map_err(AdminError::Request)?.results;
        Ok((results, submitted.context()))
    }

    async fn connection_for(&self, broker: Option<BrokerId>) -> Result<Connection, ConnectError> {
        match broker {
            Some(broker) => self.broker_connection(broker).await,
            None => self.any_connection().await.map_err(|error| match error {
                MetadataError::ClientClosed => ConnectError::ClientClosed,
                error => ConnectError::Metadata(error),
            }),
        }
    }
}

fn entries_of(
    resource: &ConfigResource,
    results: &[DescribeConfigsResult],
    context: &RequestContext,
) -> Result<Vec<ConfigEntry>, AdminError> {
    let (kind, name) = resource.kind_and_name();
    let mut results = results.iter();
    let result = results
        .find(|result| result.resource_type == kind && result.resource_name == name)
        .ok_or_else(|| AdminError::LeftOut {
            context: Box::new(context.clone()),
        })?;
    if result.error_code.is_ok() {
        Ok(result.configs.iter().map(entry).collect())
    } else {
        Err(AdminError::Refused {
            code: result.error_code,
            message: result.error_message.clone(),
            context: Box::new(context.clone()),
        })
    }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.clone(),
        value: config.value.clone(),
        source: ConfigSource::from(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
    }
}
