//! Where a case runs: a test broker of its own, or the real Kafka that all cases share.

mod kafka;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::message::{Headers as _, Message as _};
use wolff::{Client, PartitionId};
use wolff_end_to_end::{admin, consumer};
use wolff_testbroker::Cluster;

pub(crate) use kafka::{Kafka, Use, skip};

/// Longest time that anything may take before the case has failed. Machines can be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Brokers of a test cluster.
const TEST_BROKERS: i32 = 3;

/// A cluster.
pub(crate) enum Site {
    TestBroker(Cluster),
    Kafka(Kafka),
}

/// A message as the independent consumer sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap()).unwrap()
    }

    pub(crate) fn number(&self) -> u64 {
        self.text().split(' ').next().unwrap().parse().unwrap()
    }
}

impl Site {
    pub(crate) async fn test_broker() -> Self {
        Self::TestBroker(
            Cluster::builder()
                .brokers(TEST_BROKERS)
                .start()
                .await
                .unwrap(),
        )
    }

    pub(crate) fn brokers(&self) -> String {
        match self {
            Self::TestBroker(cluster) => cluster.bootstrap(),
            Self::Kafka(kafka) => kafka.addresses().to_owned(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        let addresses: Vec<String> = self.brokers().split(',').map(str::to_owned).collect();
        Client::builder(addresses)
            .client_id("end-to-end")
            .build()
            .unwrap()
    }

    /// Makes a topic that no other case uses.
    pub(crate) async fn topic(&self, name: &str, partitions: i32) -> String {
        self.topic_with(name, partitions, &[]).await
    }

    pub(crate) async fn topic_with(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let topic = format!(
            "{name}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let replication = match self {
            Self::TestBroker(_) => TEST_BROKERS,
            Self::Kafka(kafka) => kafka.replication(),
        };
        admin::create_topic(&self.brokers(), &topic, partitions, replication, settings)
            .await
            .unwrap();
        topic
    }

    /// Everything in a topic, by partition.
    pub(crate) async fn read(&self, topic: &str) -> BTreeMap<i32, Vec<Message>> {
        let (brokers, topic) = (self.brokers(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let mut found: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
            consumer::read_all(&brokers, &topic, |message| {
                let headers = message.headers().map_or_else(Vec::new, |headers| {
                    let own = |header: rdkafka::message::Header<'_, &[u8]>| {
                        (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
                    };
                    headers.iter().map(own).collect()
                });
                found.entry(message.partition()).or_default().push(Message {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers,
                });
                Ok(())
            })
            .map(|_| found)
        });
        read.await.unwrap().unwrap()
    }

    /// All brokers die.
    pub(crate) async fn go_down(&self) {
        match self {
            Self::TestBroker(cluster) => {
                for broker in 1..=TEST_BROKERS {
                    cluster.kill(broker).await.unwrap();
                }
            }
            Self::Kafka(kafka) => kafka.control("kill").await,
        }
    }

    /// They come back with their logs.
    pub(crate) async fn come_back(&self) {
        match self {
            Self::TestBroker(cluster) => {
                for broker in 1..=TEST_BROKERS {
                    cluster.revive(broker).await.unwrap();
                }
            }
            Self::Kafka(kafka) => kafka.control("restart").await,
        }
    }

    /// Another broker leads the partition from now on.
    pub(crate) fn move_leader(&self, topic: &str, partition: i32) {
        let Self::TestBroker(cluster) = self else {
            panic!("real clusters are not asked to move leaders")
        };
        let (leader, _) = cluster.leader(topic, PartitionId(partition)).unwrap();
        cluster
            .move_leader(topic, PartitionId(partition), leader.0 % TEST_BROKERS + 1)
            .unwrap();
    }
}
