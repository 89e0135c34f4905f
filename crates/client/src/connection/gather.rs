//! Batches of several partitions on their way into one Produce request: what decides, without any
//! I/O.
//!
//! A batch waits only while the stream is busy with what came before; what has come together by
//! then goes out together. Two batches of one partition never share a request, and never overtake
//! each other.

use std::collections::{HashMap, HashSet, VecDeque};

use wolff_codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_codec::wire::Chunks;
use wolff_codec::{PartitionId, Str, TopicId};

/// Bytes of records that share a request. Kafka takes 100 MiB (`socket.request.max.bytes`),
/// clusters that are hosted often less; beyond a megabyte or so, nothing is gained any more.
const SHARED_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of records that share a request on a connection that has carried nothing yet. A link that
/// is lost again and again carries what its connections carried before, not batches of all
/// partitions together.
const FIRST_SHARED_BYTES: usize = 16 * 1024;

/// Partitions that share a request.
const SHARED_PARTITIONS: usize = 1_000;

/// One record batch for one partition.
#[derive(Clone, Debug)]
pub struct ProduceBatch {
    /// The topic's name.
    pub topic: Str,
    /// The topic's id, zero where it is not known.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionId,
    /// The record batch: exactly one.
    pub records: Chunks,
    /// The acknowledgements waited for: -1 for all replicas in sync, 1 for the leader.
    pub acks: i16,
    /// Limit of the time the broker may wait for its replicas, in milliseconds.
    pub timeout_ms: i32,
}

/// Batches that wait, oldest first. `W` is whoever waits for the outcome.
#[derive(Debug)]
pub(super) struct Gathering<W> {
    batches: VecDeque<(ProduceBatch, W)>,
    bytes: usize,
}

/// Partition of a request for which somebody waits.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Asked<W> {
    pub(super) topic: Str,
    pub(super) topic_id: TopicId,
    pub(super) partition: PartitionId,
    pub(super) waiter: W,
}

impl<W> Gathering<W> {
    pub(super) fn new() -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes of records that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of batches that wait.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// Takes a batch in, behind all earlier ones.
    pub(super) fn push(&mut self, batch: ProduceBatch, waiter: W) {
        self.bytes = self.bytes.saturating_add(batch.records.len());
        self.batches.push_back((batch, waiter));
    }

    /// The next request, and who waits for which part of its answer; `None` when nobody waits.
    /// `carried_bytes`: of requests that have their responses on this connection.
    pub(super) fn next_request(
        &mut self,
        carried_bytes: u64,
    ) -> Option<(ProduceRequest, Vec<Asked<W>>)> {
        let carried_bytes = usize::try_from(carried_bytes).unwrap_or(usize::MAX);
        let most_bytes = carried_bytes.clamp(FIRST_SHARED_BYTES, SHARED_BYTES);
        let (acks, timeout_ms) = {
            let (first, _) = self.batches.front()?;
            (first.acks, first.timeout_ms)
        };
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let mut places: HashMap<(Str, TopicId), usize> = HashMap::new();
        // What was passed over must not be overtaken by a later batch of the same partition.
        let mut closed = HashSet::new();
        let mut asked = Vec::new();
        let mut left = VecDeque::new();
        let mut shared_bytes = 0_usize;
        for (batch, waiter) in self.batches.drain(..) {
            let bytes = batch.records.len();
            let key = (batch.topic.clone(), batch.partition);
            let fits = asked.is_empty()
                || (asked.len() < SHARED_PARTITIONS
                    && shared_bytes.saturating_add(bytes) <= most_bytes);
            let is_alike = batch.acks == acks && batch.timeout_ms == timeout_ms;
            if !closed.insert(key) || !fits || !is_alike {
                left.push_back((batch, waiter));
                continue;
            }
            shared_bytes = shared_bytes.saturating_add(bytes);
            let place = places
                .entry((batch.topic.clone(), batch.topic_id))
                .or_insert(topics.len());
            let data = PartitionProduceData {
                index: batch.partition,
                records: Some(batch.records),
                ..PartitionProduceData::default()
            };
            match topics.get_mut(*place) {
                Some(topic) => topic.partition_data.push(data),
                None => topics.push(TopicProduceData {
                    name: batch.topic.clone(),
                    topic_id: batch.topic_id,
                    partition_data: vec![data],
                    ..TopicProduceData::default()
                }),
            }
            asked.push(Asked {
                topic: batch.topic,
                topic_id: batch.topic_id,
                partition: batch.partition,
                waiter,
            });
        }
        self.batches = left;
        self.bytes = self.bytes.saturating_sub(shared_bytes);
        let request = ProduceRequest {
            acks,
            timeout_ms,
            topic_data: topics,
            ..ProduceRequest::default()
        };
        Some((request, asked))
    }

    /// Gives everybody who waits.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = W> + '_ {
        self.bytes = 0;
        self.batches.drain(..).map(|(_, waiter)| waiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn batch(topic: &'static str, partition: i32, bytes: usize) -> ProduceBatch {
        ProduceBatch {
            topic: Str::from_static(topic),
            topic_id: TopicId::default(),
            partition: PartitionId(partition),
            records: Bytes::from(vec![0; bytes]).into(),
            acks: -1,
            timeout_ms: 1_000,
        }
    }

    /// The requests that come of these batches: who is in each.
    fn requests(batches: Vec<ProduceBatch>) -> Vec<Vec<usize>> {
        requests_after(u64::MAX, batches)
    }

    /// The same on a connection that has carried so many bytes.
    fn requests_after(carried_bytes: u64, batches: Vec<ProduceBatch>) -> Vec<Vec<usize>> {
        let mut gathering = Gathering::new();
        for (number, batch) in batches.into_iter().enumerate() {
            gathering.push(batch, number);
        }
        let mut requests = Vec::new();
        while let Some((request, asked)) = gathering.next_request(carried_bytes) {
            let data = request.topic_data.iter();
            let count: usize = data.map(|topic| topic.partition_data.len()).sum();
            assert_eq!(count, asked.len());
            requests.push(asked.into_iter().map(|asked| asked.waiter).collect());
        }
        assert_eq!(gathering.bytes(), 0);
        requests
    }

    #[test]
    fn partitions_and_topics_share_a_request() {
        let batches = vec![batch("a", 0, 1), batch("b", 0, 1), batch("a", 1, 1)];
        let mut gathering = Gathering::new();
        for batch in batches {
            gathering.push(batch, ());
        }
        let (request, _) = gathering.next_request(0).unwrap();
        let shape: Vec<_> = request
            .topic_data
            .iter()
            .map(|topic| (&*topic.name, topic.partition_data.len()))
            .collect();
        assert_eq!(shape, [("a", 2), ("b", 1)]);
        assert!(gathering.is_empty());
    }

    #[test]
    fn two_batches_of_a_partition_stay_apart_and_in_order() {
        let batches = vec![
            batch("a", 0, 1),
            batch("a", 0, 1),
            batch("a", 1, 1),
            batch("a", 0, 1),
        ];
        assert_eq!(requests(batches), [vec![0, 2], vec![1], vec![3]]);
    }

    #[test]
    fn what_is_passed_over_for_its_size_is_not_overtaken() {
        let batches = vec![
            batch("a", 0, SHARED_BYTES - 10),
            batch("a", 1, 20),
            batch("a", 2, 5),
            batch("a", 1, 1),
        ];
        assert_eq!(requests(batches), [vec![0, 2], vec![1], vec![3]]);
    }

    #[test]
    fn a_large_batch_goes_alone_and_other_terms_go_apart() {
        let batches = vec![batch("a", 0, 2 * SHARED_BYTES), batch("a", 1, 1)];
        assert_eq!(requests(batches), [[0], [1]]);
        let mut leader_only = batch("a", 1, 1);
        leader_only.acks = 1;
        let batches = vec![batch("a", 0, 1), leader_only, batch("a", 2, 1)];
        assert_eq!(requests(batches), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn a_request_shares_no_more_bytes_than_its_connection_has_carried() {
        let batches = || (0..4).map(|index| batch("a", index, 10_000)).collect();
        assert_eq!(requests_after(0, batches()), [[0], [1], [2], [3]]);
        assert_eq!(requests_after(20_000, batches()), [[0, 1], [2, 3]]);
        assert_eq!(requests_after(40_000, batches()), [[0, 1, 2, 3]]);
    }

    #[test]
    fn the_number_of_partitions_is_bounded() {
        let count = i32::try_from(SHARED_PARTITIONS).unwrap() + 1;
        let sizes: Vec<_> = requests((0..count).map(|index| batch("a", index, 1)).collect());
        let sizes: Vec<_> = sizes.iter().map(Vec::len).collect();
        assert_eq!(sizes, [SHARED_PARTITIONS, 1]);
    }
}
