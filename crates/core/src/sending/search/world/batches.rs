//! The batches that the runs send.

use wolff_codec::records::Record;
use wolff_codec::{BrokerId, Offset, ProducerEpoch, ProducerId};
use wolff_testbroker::partition::{BatchFacts, Stamp as BrokerStamp};

use crate::batch::{BatchBody, Stamp};
use crate::reencode::BatchEncoder;
use crate::sending::search::bounds::Number;

pub(super) fn body(number: Number) -> BatchBody {
    let mut encoder = BatchEncoder::new(0, 0);
    let record = Record {
        offset: Offset(0),
        timestamp_ms: 0,
        key: None,
        value: Some(vec![number].into()),
        headers: Vec::new(),
    };
    assert!(encoder.push(&[record]));
    encoder.finish().unwrap()
}

pub(super) fn stamp_of(number: Number, has_acked: bool) -> Stamp {
    Stamp {
        producer_id: ProducerId(1),
        epoch: ProducerEpoch(0),
        base_sequence: i32::from(number) - i32::from(!has_acked),
    }
}

pub(super) fn facts(stamp: Stamp) -> BatchFacts {
    BatchFacts {
        stamp: Some(BrokerStamp {
            producer_id: stamp.producer_id,
            epoch: stamp.epoch,
            base_sequence: stamp.base_sequence,
        }),
        record_count: 1,
        size_bytes: 100,
        ..BatchFacts::default()
    }
}

pub(super) fn other(broker: BrokerId) -> BrokerId {
    BrokerId(3 - broker.0)
}
