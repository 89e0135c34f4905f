//! The model against the rules, one by one and under random histories.

mod properties;
mod rules;

use wolff_codec::ErrorCode;
use wolff_codec::ids::{BrokerId, Offset, ProducerEpoch, ProducerId};

use super::{ACKS_ALL, BatchFacts, PartitionModel, Rules, Stamp};

/// The replicas of the tests; the first leads.
const ONE: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);

/// A payload that names the batch in the log.
type Name = u32;

fn partition(rules: Rules) -> PartitionModel<Name> {
    PartitionModel::new(rules, [ONE, TWO])
}

fn facts(producer_id: i64, epoch: i16, base_sequence: i32, record_count: i32) -> BatchFacts {
    BatchFacts {
        stamp: Some(Stamp {
            producer_id: ProducerId(producer_id),
            epoch: ProducerEpoch(epoch),
            base_sequence,
        }),
        record_count,
        size_bytes: 100,
        max_timestamp_ms: 0,
        keyless_records: Vec::new(),
    }
}

/// Success with the offset and whether it was a duplicate, or the code of the refusal.
type Answer = Result<(i64, bool), ErrorCode>;

/// Produces a batch of producer 7, with acks=all at time 0.
fn produce(partition: &mut PartitionModel<Name>, batch: (i16, i32, i32)) -> Answer {
    let (epoch, base_sequence, record_count) = batch;
    produce_facts(partition, &facts(7, epoch, base_sequence, record_count))
}

fn produce_facts(partition: &mut PartitionModel<Name>, facts: &BatchFacts) -> Answer {
    partition
        .produce(facts, ACKS_ALL, 0, 0)
        .map(|appended| (appended.base_offset.0, appended.is_duplicate))
        .map_err(|refusal| refusal.code)
}

const OUT_OF_ORDER: Answer = Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
const FENCED: Answer = Err(ErrorCode::INVALID_PRODUCER_EPOCH);

/// A partition to which producer 7 has sent these batches, each accepted.
fn after(batches: &[(i16, i32, i32)]) -> PartitionModel<Name> {
    let mut partition = partition(Rules::default());
    for batch in batches {
        produce(&mut partition, *batch).unwrap();
    }
    partition
}

fn end(partition: &PartitionModel<Name>) -> Offset {
    partition.log().end_offset()
}
