//! Records of partitions, from an offset on: for tools and probes. There are neither groups nor
//! fetch sessions here.

use std::time::Duration;

use bytes::Bytes;
use wolff_codec::messages::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use wolff_codec::records::Batches;
use wolff_codec::{Offset, PartitionId, TopicId};

use super::admin::millis;
use super::handle::Client;
use super::routing::{Answered, PartitionRequest};
use crate::error::AdminError;

/// Limits of a fetch in bytes and time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FetchOptions {
    /// Longest time a broker waits for `min_bytes`. Must stay below
    /// [`ClientConfig::request_timeout`]. Default: 500 ms.
    ///
    /// [`ClientConfig::request_timeout`]: crate::ClientConfig::request_timeout
    pub max_wait: Duration,
    /// The number of bytes of records a broker waits for. Default: 1.
    pub min_bytes: i32,
    /// Most bytes of records that a broker returns, except that it returns one batch whatever its
    /// size. Default: 50 MiB.
    pub max_bytes: i32,
    /// Most bytes of records of one partition that a broker returns, with the same exception.
    /// Default: 1 MiB.
    pub partition_max_bytes: i32,
    /// True if records of open transactions are held back; those of aborted ones come all the same,
    /// listed in [`FetchedPartition::aborted_transactions`]. Default: false.
    pub read_committed: bool,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            read_committed: false,
        }
    }
}

/// Records of a partition.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FetchedPartition {
    /// The offset behind the last record that all in-sync replicas have.
    pub high_watermark: Offset,
    /// The offset that all transactions before are decided.
    pub last_stable_offset: Offset,
    /// Where the log starts; unknown where the broker does not say it (before 1.0).
    pub log_start_offset: Offset,
    /// The aborted transactions among the records, if `read_committed` was asked for.
    pub aborted_transactions: Vec<AbortedTransaction>,
    /// Record batches, the last of which may be cut short. The first may begin before the offset
    /// that was asked for. Shares the memory of the response.
    pub records: Bytes,
}

impl FetchedPartition {
    /// The batches, one by one.
    #[must_use]
    pub fn batches(&self) -> Batches {
        Batches::new(self.records.clone())
    }
}

impl From<PartitionData> for FetchedPartition {
    fn from(data: PartitionData) -> Self {
        Self {
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            aborted_transactions: data.aborted_transactions.unwrap_or_default(),
            records: data
                .records
                .map(|records| records.to_bytes())
                .unwrap_or_default(),
        }
    }
}

impl Client {
    /// Fetches records of a topic's partitions from their leaders, each from an offset on. The
    /// results are in the order of `from`.
    ///
    /// ```no_run
    /// use wolff_client::codec::{Offset, PartitionId};
    /// use wolff_client::{Client, FetchOptions};
    ///
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let from = [(PartitionId(0), Offset(0))];
    /// for (partition, fetched) in client.fetch("orders", &from, &FetchOptions::default()).await {
    ///     for batch in fetched?.batches() {
    ///         for record in batch?.records(16 << 20)? {
    ///             println!("partition {partition}: {:?}", record?.value);
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A leader that has moved or cannot be reached is tried again a few times, after new metadata.
    ///
    /// # Errors
    /// For each partition: [`AdminError::Refused`] with the broker's reason, `OFFSET_OUT_OF_RANGE`
    /// among them; [`AdminError::Connect`] if the leader is not known or cannot be reached.
    pub async fn fetch(
        &self,
        topic: &str,
        from: &[(PartitionId, Offset)],
        options: &FetchOptions,
    ) -> Vec<(PartitionId, Result<FetchedPartition, AdminError>)> {
        self.send_to_leaders(topic, options, from).await
    }
}

impl PartitionRequest for FetchOptions {
    type Item = Offset;
    type Request = FetchRequest;
    type Response = FetchResponse;
    type Outcome = FetchedPartition;

    fn request(
        &self,
        topic: &str,
        topic_id: TopicId,
        items: &[(PartitionId, Offset)],
    ) -> FetchRequest {
        let partition = |(partition, offset): &(PartitionId, Offset)| FetchPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: self.partition_max_bytes,
            ..FetchPartition::default()
        };
        FetchRequest {
            max_wait_ms: millis(self.max_wait),
            min_bytes: self.min_bytes,
            max_bytes: self.max_bytes,
            isolation_level: i8::from(self.read_committed),
            topics: vec![FetchTopic {
                topic: topic.into(),
                topic_id,
                partitions: items.iter().map(partition).collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    fn outcomes(&self, response: FetchResponse) -> Answered<FetchedPartition> {
        if !response.error_code.is_ok() {
            return Err(response.error_code);
        }
        let partitions = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let outcome = |data: PartitionData| {
            if data.error_code.is_ok() {
                Ok(FetchedPartition::from(data))
            } else {
                Err(data.error_code)
            }
        };
        Ok(partitions
            .map(|data| (data.partition_index, outcome(data)))
            .collect())
    }
}
