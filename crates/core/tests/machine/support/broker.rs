//! The leader of the partition: the test broker's model, with whole batches taken off the wire.

use std::sync::Arc;

use bytes::Bytes;
use wolff_codec::records::{BATCH_HEADER_BYTES, Batches};
use wolff_codec::{BrokerId, ErrorCode, Offset, ProducerId};
use wolff_core::{Answer, Transmit};
use wolff_testbroker::partition::{
    ACKS_ALL, BatchFacts, PartitionModel, Refusal, Rules, Stamp, follows_append,
};

pub(crate) type Value = Vec<u8>;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) model: PartitionModel<Vec<Value>>,
    /// Values that the broker refuses as invalid, by name (KIP-467) or not.
    pub(crate) invalid: Vec<Value>,
    pub(crate) names_invalid: bool,
    pub(crate) acks: i16,
    ids: i64,
}

/// The values of the records of a batch, taken off the wire and checked.
pub(crate) fn values_of(transmit: &Transmit) -> Vec<Value> {
    let wire = transmit.body.encode(transmit.stamp).unwrap().to_bytes();
    assert_eq!(wire.len(), transmit.body.wire_bytes());
    decode(wire)
}

fn decode(wire: Bytes) -> Vec<Value> {
    let mut batches = Batches::new(wire);
    let batch = batches.next().unwrap().unwrap();
    batch.verify().unwrap();
    let records: Vec<_> = batch
        .records(1 << 26)
        .unwrap()
        .map(|record| record.unwrap())
        .collect();
    assert!(batches.next().is_none(), "one batch in a request");
    for (offset, record) in (0i64..).zip(&records) {
        assert_eq!(record.offset, Offset(offset), "offset deltas count from 0");
    }
    records
        .into_iter()
        .map(|record| record.value.unwrap_or_default().to_vec())
        .collect()
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self {
            model: PartitionModel::new(Rules::default(), [BrokerId(1)]),
            invalid: Vec::new(),
            names_invalid: true,
            acks: ACKS_ALL,
            ids: 0,
        }
    }

    pub(crate) fn new_producer_id(&mut self) -> ProducerId {
        self.ids += 1;
        ProducerId(self.ids)
    }

    /// Forgets all but the last batch of each producer, as a broker does that was restarted.
    pub(crate) fn restart(&mut self) {
        self.model.restart(BrokerId(1), 1_000);
    }

    /// Applies a batch as the leader does.
    pub(crate) fn produce(&mut self, transmit: &Transmit) -> Answer {
        self.produce_or_refuse(transmit)
            .unwrap_or_else(|refusal| answer_of(&refusal))
    }

    /// Applies a batch, and answers it with this code if it was applied.
    pub(crate) fn produce_then_answer(&mut self, transmit: &Transmit, code: ErrorCode) -> Answer {
        assert!(follows_append(code, self.acks), "{code} follows no append");
        match self.produce_or_refuse(transmit) {
            Ok(_) => Answer {
                code,
                ..Answer::default()
            },
            Err(refusal) => answer_of(&refusal),
        }
    }

    fn produce_or_refuse(&mut self, transmit: &Transmit) -> Result<Answer, Refusal> {
        let values = values_of(transmit);
        let facts = BatchFacts {
            stamp: transmit.stamp.map(|stamp| Stamp {
                producer_id: stamp.producer_id,
                epoch: stamp.epoch,
                base_sequence: stamp.base_sequence,
            }),
            record_count: i32::try_from(values.len()).unwrap(),
            size_bytes: transmit.body.wire_bytes(),
            max_timestamp_ms: transmit.body.totals().max_timestamp_ms,
            keyless_records: Vec::new(),
        };
        assert!(facts.size_bytes > BATCH_HEADER_BYTES);
        let bad: Vec<u32> = (0..)
            .zip(&values)
            .filter(|(_, value)| self.invalid.contains(value))
            .map(|(index, _)| index)
            .collect();
        // Records are checked before duplicates (R14), and after the size.
        let is_large = facts.size_bytes > self.model.rules().max_batch_bytes;
        if !bad.is_empty() && !is_large {
            return Ok(self.invalid_record(&bad));
        }
        let appended = self.model.produce(&facts, self.acks, 1_000, values)?;
        Ok(Answer {
            base_offset: Some(appended.base_offset),
            log_start: Some(appended.log_start_offset),
            ..Answer::default()
        })
    }

    fn invalid_record(&self, bad: &[u32]) -> Answer {
        let record_errors = if self.names_invalid {
            let words = |index: &u32| (*index, Some(Arc::from(format!("record {index} is bad"))));
            bad.iter().map(words).collect()
        } else {
            Vec::new()
        };
        Answer {
            code: ErrorCode::INVALID_RECORD,
            record_errors,
            ..Answer::default()
        }
    }

    /// The values in the log.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.model.log().payloads().flatten().cloned().collect()
    }

    pub(crate) fn count(&self, value: &[u8]) -> usize {
        self.model
            .log()
            .payloads()
            .flatten()
            .filter(|logged| *logged == value)
            .count()
    }
}

fn answer_of(refusal: &Refusal) -> Answer {
    Answer {
        code: refusal.code,
        message: refusal.message.as_ref().map(|words| Arc::from(&**words)),
        ..Answer::default()
    }
}
