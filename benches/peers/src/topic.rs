//! Topics to produce to on a real cluster, made and removed through librdkafka.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::Failure;

/// Longest time that the cluster may take for a response.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks at whether a topic is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Makes and removes topics.
pub struct Topics {
    brokers: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics")
            .field("brokers", &self.brokers)
            .finish_non_exhaustive()
    }
}

impl Topics {
    /// Of the cluster at these addresses.
    ///
    /// # Errors
    /// librdkafka does not like them.
    pub fn of(brokers: &str) -> Result<Self, Failure> {
        let admin = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .create()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            brokers: brokers.to_owned(),
            admin,
            runtime,
        })
    }

    /// Makes a topic, and waits until the cluster's brokers know it.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub fn create(&self, name: &str, partitions: i32) -> Result<(), Failure> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        for created in self
            .runtime
            .block_on(self.admin.create_topics([&topic], &options))?
        {
            created.map_err(|(topic, code)| format!("cannot create topic {topic}: {code}"))?;
        }
        // The controller answers before the brokers have heard of it.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.record_count(name, partitions) {
            if Instant::now() > deadline {
                return Err(format!("topic {name} was created and is not there: {error}").into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Removes a topic.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        for deleted in self
            .runtime
            .block_on(self.admin.delete_topics(&[name], &options))?
        {
            deleted.map_err(|(topic, code)| format!("cannot delete topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Records in a topic, as its offsets tell.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn record_count(&self, name: &str, partitions: i32) -> Result<i64, Failure> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .create()?;
        let mut records: i64 = 0;
        for partition in 0..partitions {
            let (low, high) = consumer.fetch_watermarks(name, partition, PATIENCE)?;
            records = records.saturating_add(high.saturating_sub(low));
        }
        Ok(records)
    }
}
