//! A partition: its log, its producers, and who leads it.

use std::collections::BTreeMap;

use wolff_codec::ErrorCode;
use wolff_codec::ids::{BrokerId, LeaderEpoch, Offset};
use wolff_codec::records::Batch;

use crate::config::{TopicConfig, UnknownProducers};
use crate::incoming::Refusal;
use crate::log::Log;
use crate::producers::{Knowledge, Producers, Stamp, Verdict};

/// A partition. All replicas share its log: replication takes no time here.
#[derive(Debug)]
pub(crate) struct Partition {
    /// None if no replica is alive.
    leader: BrokerId,
    /// Grows with every change of leader.
    leader_epoch: LeaderEpoch,
    /// The preferred leader first.
    replicas: Vec<BrokerId>,
    log: Log,
    producers: Producers,
    /// Where the log ended when a replica lost its memory of the producers, except for what its snapshot kept.
    reloaded_at: BTreeMap<BrokerId, Offset>,
}

/// What became of a batch that was not refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Appended {
    pub(crate) base_offset: Offset,
    pub(crate) is_duplicate: bool,
    /// In milliseconds since the Unix epoch; -1 if the records keep their own timestamps.
    pub(crate) append_time_ms: i64,
}

impl Partition {
    /// An empty partition.
    pub(super) fn new(replicas: Vec<BrokerId>, leader: BrokerId) -> Self {
        Self {
            leader,
            leader_epoch: LeaderEpoch(0),
            replicas,
            log: Log::default(),
            producers: Producers::default(),
            reloaded_at: BTreeMap::new(),
        }
    }

    pub(crate) fn leader(&self) -> BrokerId {
        self.leader
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    pub(crate) fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn producers(&self) -> &Producers {
        &self.producers
    }

    pub(crate) fn producers_mut(&mut self) -> &mut Producers {
        &mut self.producers
    }

    /// Changes the leader, which starts a new epoch; it becomes a replica if it is none.
    pub(super) fn lead(&mut self, leader: BrokerId) {
        self.leader = leader;
        self.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        if leader != BrokerId::NONE && !self.replicas.contains(&leader) {
            self.replicas.push(leader);
        }
    }

    /// A replica loses its memory of the producers, except for the last batch of each.
    pub(super) fn reload(&mut self, broker: BrokerId) {
        self.reloaded_at.insert(broker, self.log.end_offset());
    }

    /// Appends a checked batch at the leader, if the rules of idempotence let it.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        config: &TopicConfig,
        unknown_producers: UnknownProducers,
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        let append_time_ms = config.has_log_append_time.then_some(now_ms);
        let stamp = Stamp::of(batch.header());
        if let Some(stamp) = stamp {
            let knowledge = Knowledge {
                reloaded_at: self
                    .reloaded_at
                    .get(&self.leader)
                    .copied()
                    .unwrap_or(Offset(0)),
                log_was_used: self.log.end_offset() > Offset(0),
                unknown_producers,
            };
            match self.producers.judge(stamp, knowledge) {
                Verdict::Append => {}
                Verdict::Duplicate(base_offset) => {
                    return Ok(Appended {
                        base_offset,
                        is_duplicate: true,
                        append_time_ms: -1,
                    });
                }
                Verdict::Refuse(code) => return Err(code.into()),
            }
        }
        let base_offset = self
            .log
            .append(batch, self.leader_epoch, append_time_ms)
            .map_err(|_| Refusal::from(ErrorCode::MESSAGE_TOO_LARGE))?;
        if let Some(stamp) = stamp {
            let timestamp_ms = append_time_ms.unwrap_or(batch.header().max_timestamp_ms);
            self.producers.remember(stamp, base_offset, timestamp_ms);
        }
        if let Some(retention_bytes) = config.retention_bytes {
            self.log.retain(retention_bytes);
        }
        Ok(Appended {
            base_offset,
            is_duplicate: false,
            append_time_ms: append_time_ms.unwrap_or(-1),
        })
    }

    /// Loses every batch that reaches up to or beyond an offset, and what the producers had to do with it, under a new
    /// leader epoch: what an unclean election does.
    pub(crate) fn lose_from(&mut self, offset: Offset) {
        self.log.truncate(offset);
        self.producers.expire();
        for batch in self.log.batches() {
            let header = batch.header();
            if let Some(stamp) = Stamp::of(header) {
                self.producers
                    .remember(stamp, header.base_offset, header.max_timestamp_ms);
            }
        }
        self.lead(self.leader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::incoming;

    fn partition() -> Partition {
        Partition::new(vec![BrokerId(1), BrokerId(2)], BrokerId(1))
    }

    fn append(partition: &mut Partition, sequence: i32) -> Result<(i64, bool), ErrorCode> {
        let bytes = fixture::stamped_batch(&["value"], fixture::stamp(7, 0, sequence));
        let batch = incoming::check(Some(bytes), 9, 1000).unwrap();
        let config = TopicConfig::default();
        partition
            .append(&batch, &config, UnknownProducers::Accept, 5000)
            .map(|appended| (appended.base_offset.0, appended.is_duplicate))
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_duplicate_is_answered_with_its_first_offset_and_not_appended() {
        let mut partition = partition();
        assert_eq!(append(&mut partition, 0), Ok((0, false)));
        assert_eq!(append(&mut partition, 1), Ok((1, false)));
        assert_eq!(append(&mut partition, 0), Ok((0, true)));
        assert_eq!(
            append(&mut partition, 3),
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(partition.log().end_offset(), Offset(2));
    }

    #[test]
    fn another_leader_that_stayed_up_knows_the_producers_and_one_that_restarted_knows_the_last_batch()
     {
        let mut partition = partition();
        for sequence in 0..3 {
            append(&mut partition, sequence).unwrap();
        }
        partition.reload(BrokerId(1));
        partition.lead(BrokerId(2));
        assert_eq!(append(&mut partition, 0), Ok((0, true)));
        partition.lead(BrokerId(1));
        assert_eq!(
            append(&mut partition, 0),
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(append(&mut partition, 2), Ok((2, true)));
        assert_eq!(partition.leader_epoch(), LeaderEpoch(2));
    }

    #[test]
    fn what_is_lost_is_forgotten_and_can_be_sent_again() {
        let mut partition = partition();
        for sequence in 0..3 {
            append(&mut partition, sequence).unwrap();
        }
        partition.lose_from(Offset(1));
        assert_eq!(
            append(&mut partition, 2),
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(append(&mut partition, 0), Ok((0, true)));
        assert_eq!(append(&mut partition, 1), Ok((1, false)));
    }
}
