//! A partition of a cluster: who leads it, and its log.

use wolff_codec::ErrorCode;
use wolff_codec::ids::{BrokerId, LeaderEpoch, Offset};
use wolff_codec::records::Batch;

use crate::log::Stored;
use crate::partition::{
    Appended, BatchFacts, Log, PartitionModel, ProducerSummary, Refusal, Rules,
};

/// A partition. All replicas share its log: replication takes no time here.
#[derive(Debug)]
pub(crate) struct Partition {
    model: PartitionModel<Stored>,
    /// The preferred leader first.
    replicas: Vec<BrokerId>,
}

impl Partition {
    /// An empty partition.
    pub(super) fn new(replicas: Vec<BrokerId>, leader: BrokerId) -> Self {
        let model = PartitionModel::new(Rules::default(), replicas.iter().copied());
        Self {
            model: model.led_by(leader),
            replicas,
        }
    }

    pub(crate) fn leader(&self) -> BrokerId {
        self.model.leader()
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.model.leader_epoch()
    }

    pub(crate) fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    pub(crate) fn log(&self) -> &Log<Stored> {
        self.model.log()
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.model.high_watermark()
    }

    /// The producers that a broker knows.
    pub(crate) fn producers(&self, broker: BrokerId) -> impl Iterator<Item = ProducerSummary> {
        self.model.producers(broker)
    }

    /// Deletes the records below an offset.
    pub(crate) fn delete_records(&mut self, before: Offset) {
        self.model.delete_records(before);
    }

    /// All replicas forget all producers.
    pub(crate) fn forget_producers(&mut self) {
        self.model.forget_producers();
    }

    /// Changes the leader, which starts a new epoch; it becomes a replica if it is none.
    pub(super) fn lead(&mut self, leader: BrokerId, now_ms: i64) {
        self.model.elect(leader, now_ms);
        if leader != BrokerId::NONE && !self.replicas.contains(&leader) {
            self.replicas.push(leader);
        }
    }

    /// A replica loses its memory of the producers, except for the last batch of each.
    pub(super) fn reload(&mut self, broker: BrokerId, now_ms: i64) {
        self.model.restart(broker, now_ms);
    }

    /// Appends a checked batch at the leader, if the rules let it.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        facts: &BatchFacts,
        acks: i16,
        rules: Rules,
        now_ms: i64,
    ) -> Result<Appended, Refusal> {
        *self.model.rules_mut() = rules;
        self.model.produce_with(facts, acks, now_ms, |placement| {
            Stored::new(batch, placement).map_err(|_| ErrorCode::MESSAGE_TOO_LARGE.into())
        })
    }

    /// Loses every batch that reaches beyond an offset, and what the producers had to do with it,
    /// under a new leader epoch: what an unclean election does.
    pub(crate) fn lose_from(&mut self, offset: Offset, now_ms: i64) {
        self.model.lose_beyond(offset, now_ms);
        self.model.elect(self.model.leader(), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::incoming;
    use crate::partition::ACKS_ALL;

    fn partition() -> Partition {
        Partition::new(vec![BrokerId(1), BrokerId(2)], BrokerId(1))
    }

    fn append(partition: &mut Partition, sequence: i32) -> Result<(i64, bool), ErrorCode> {
        let bytes = fixture::stamped_batch(&["value"], fixture::stamp(7, 0, sequence));
        let checked = incoming::check(Some(bytes), 9, 1000, false).unwrap();
        partition
            .append(
                &checked.batch,
                &checked.facts,
                ACKS_ALL,
                Rules::default(),
                5000,
            )
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
        partition.reload(BrokerId(1), 5000);
        partition.lead(BrokerId(2), 5000);
        assert_eq!(append(&mut partition, 0), Ok((0, true)));
        partition.lead(BrokerId(1), 5000);
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
        partition.lose_from(Offset(1), 5000);
        assert_eq!(
            append(&mut partition, 2),
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(append(&mut partition, 0), Ok((0, true)));
        assert_eq!(append(&mut partition, 1), Ok((1, false)));
    }
}
