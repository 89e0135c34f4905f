//! A broker as far as one partition sees it: a log, and the rules of idempotent produce (KIP-98, last five batches).

use std::collections::VecDeque;

use bytes::BytesMut;
use wolff_codec::{ErrorCode, Offset, ProducerEpoch, ProducerId};

use crate::action::Transmit;
use crate::split::records_of;

#[derive(Debug, Clone, Copy)]
struct Appended {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

/// The model.
#[derive(Debug, Default)]
pub(super) struct Broker {
    /// Values of the records in the log.
    pub(super) log: Vec<Vec<u8>>,
    producers: Vec<(ProducerId, ProducerEpoch, VecDeque<Appended>)>,
    ids: i64,
    /// Records larger than this are refused.
    pub(super) max_batch_bytes: Option<usize>,
}

impl Broker {
    pub(super) fn new_producer_id(&mut self) -> ProducerId {
        self.ids += 1;
        ProducerId(self.ids)
    }

    /// Forgets all but the last batch of each producer, as a broker does that reloads its state.
    pub(super) fn reload(&mut self) {
        for (.., batches) in &mut self.producers {
            let last = batches.len().saturating_sub(1);
            batches.drain(..last);
        }
    }

    /// Applies a batch as a leader would.
    pub(super) fn produce(&mut self, transmit: &Transmit) -> (ErrorCode, Option<Offset>) {
        let body = &transmit.body;
        if self
            .max_batch_bytes
            .is_some_and(|max| body.totals.records_len > max)
        {
            return (ErrorCode::MESSAGE_TOO_LARGE, None);
        }
        let count = i32::try_from(body.record_count()).unwrap();
        if let Some(stamp) = transmit.stamp {
            let last_sequence = stamp.base_sequence + count - 1;
            let known = self
                .producers
                .iter()
                .position(|(id, ..)| *id == stamp.producer_id);
            let index = known.unwrap_or_else(|| {
                self.producers
                    .push((stamp.producer_id, stamp.epoch, VecDeque::new()));
                self.producers.len() - 1
            });
            let (_, epoch, batches) = &mut self.producers[index];
            if stamp.epoch < *epoch {
                return (ErrorCode::INVALID_PRODUCER_EPOCH, None);
            }
            if stamp.epoch > *epoch {
                if stamp.base_sequence != 0 {
                    return (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, None);
                }
                *epoch = stamp.epoch;
                batches.clear();
            }
            let same = |batch: &&Appended| {
                batch.base_sequence == stamp.base_sequence && batch.last_sequence == last_sequence
            };
            if let Some(duplicate) = batches.iter().find(same) {
                return (ErrorCode::NONE, Some(Offset(duplicate.base_offset)));
            }
            if let Some(last) = batches.back()
                && last.last_sequence + 1 != stamp.base_sequence
            {
                return (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, None);
            }
            let base_offset = i64::try_from(self.log.len()).unwrap();
            batches.push_back(Appended {
                base_sequence: stamp.base_sequence,
                last_sequence,
                base_offset,
            });
            if batches.len() > 5 {
                batches.pop_front();
            }
        }
        let base_offset = i64::try_from(self.log.len()).unwrap();
        self.append(transmit);
        (ErrorCode::NONE, Some(Offset(base_offset)))
    }

    fn append(&mut self, transmit: &Transmit) {
        let body = &transmit.body;
        let mut joined = BytesMut::new();
        body.frames
            .iter()
            .for_each(|frame| joined.extend_from_slice(frame));
        let joined = joined.freeze();
        assert_eq!(
            wolff_codec::records::crc32c(&joined),
            body.totals.records_crc32c,
            "the checksum fits the bytes"
        );
        assert_eq!(joined.len(), body.totals.records_len);
        let records: Vec<_> =
            records_of(joined, body.record_count(), body.totals.base_timestamp_ms)
                .map(|record| record.expect("every record can be read"))
                .collect();
        assert_eq!(records.len(), usize::try_from(body.record_count()).unwrap());
        for (delta, record) in (0i64..).zip(&records) {
            assert_eq!(record.offset.0, delta, "offset deltas count from 0");
            self.log
                .push(record.value.clone().unwrap_or_default().to_vec());
        }
    }
}
