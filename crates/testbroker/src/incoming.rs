//! Batches that a producer sends for one partition, checked as a Kafka leader checks it before it
//! looks at sequence numbers.

use bytes::Bytes;
use wolff_codec::ErrorCode;
use wolff_codec::ids::ProducerId;
use wolff_codec::records::{Batch, Batches, Compression, DecompressError, HeaderError, Records};

use crate::partition::{BatchFacts, Refusal, Stamp};

/// The most that one batch may decompress to, in bytes: what is larger is a bomb, or no batch for a
/// test broker.
pub(crate) const MAX_DECOMPRESSED_BYTES: usize = 256 * 1024 * 1024;

/// The first version of Produce that may carry zstd (KIP-110).
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// A batch that passed, and what the rules look at.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) batch: Batch,
    pub(crate) facts: BatchFacts,
}

/// Checks the bytes that a producer sent for one partition: exactly one whole batch, of a size that
/// the topic allows, with the right checksum, and records that are what the batch's header says.
/// Records without key are looked for where keys are needed.
pub(crate) fn check(
    records: Option<Bytes>,
    produce_version: i16,
    max_message_bytes: usize,
    needs_keys: bool,
) -> Result<Checked, Refusal> {
    let mut batches = Batches::new(records.unwrap_or_default());
    let batch = match batches.next() {
        Some(Ok(batch)) => batch,
        Some(Err(HeaderError::Length { .. })) => {
            return Err(Refusal::new(
                ErrorCode::CORRUPT_MESSAGE,
                "the batch is shorter than its header",
            ));
        }
        Some(Err(error)) => return Err(Refusal::invalid(error.to_string())),
        None => return Err(Refusal::invalid("there is no whole record batch")),
    };
    if !batches.rest().is_empty() {
        return Err(Refusal::invalid("there is more than one record batch"));
    }
    let (header, batch_bytes) = (batch.header(), batch.as_bytes().len());
    if header.compression == Compression::Zstd && produce_version < FIRST_VERSION_WITH_ZSTD {
        return Err(Refusal::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            format!("Produce version {produce_version} cannot carry zstd"),
        ));
    }
    if batch_bytes > max_message_bytes {
        return Err(Refusal::new(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!("a batch of {batch_bytes} bytes exceeds the limit of {max_message_bytes}"),
        ));
    }
    if let Err(mismatch) = batch.verify() {
        return Err(Refusal::new(
            ErrorCode::CORRUPT_MESSAGE,
            mismatch.to_string(),
        ));
    }
    check_header(&batch)?;
    let keyless_records = check_records(&batch, needs_keys)?;
    let facts = BatchFacts {
        stamp: Stamp::of(batch.header()),
        record_count: batch.header().record_count,
        size_bytes: batch.as_bytes().len(),
        max_timestamp_ms: batch.header().max_timestamp_ms,
        keyless_records,
    };
    Ok(Checked { batch, facts })
}

fn check_header(batch: &Batch) -> Result<(), Refusal> {
    let header = batch.header();
    if header.is_control {
        return Err(Refusal::invalid("clients do not write control batches"));
    }
    if header.is_transactional {
        return Err(Refusal::new(
            ErrorCode::INVALID_TXN_STATE,
            "there are no transactions here",
        ));
    }
    if header.record_count == 0
        || Some(header.record_count) != header.last_offset_delta.checked_add(1)
    {
        return Err(Refusal::invalid(format!(
            "{} records do not go with a last offset delta of {}",
            header.record_count, header.last_offset_delta
        )));
    }
    if header.producer_id != ProducerId::NONE
        && (header.base_sequence < 0 || header.producer_epoch.0 < 0)
    {
        return Err(Refusal::invalid(format!(
            "producer {} sends epoch {} and sequence {}",
            header.producer_id, header.producer_epoch, header.base_sequence
        )));
    }
    Ok(())
}

/// Every record must be readable. Returns the records without key, if keys are needed.
fn check_records(batch: &Batch, needs_keys: bool) -> Result<Vec<i32>, Refusal> {
    let records = match batch.records(MAX_DECOMPRESSED_BYTES) {
        Ok(records) => records,
        // What this build cannot look into is stored as it is.
        Err(DecompressError::Unavailable { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(Refusal::invalid(error.to_string())),
    };
    check_offsets(batch, records, needs_keys)
}

/// Every record must be readable, and its offset one more than that of the record before.
fn check_offsets(batch: &Batch, records: Records, needs_keys: bool) -> Result<Vec<i32>, Refusal> {
    let base_offset = batch.header().base_offset.0;
    let mut keyless = Vec::new();
    for (index, record) in (0..).zip(records) {
        let record = record.map_err(|error| Refusal::of_record(index, error.to_string()))?;
        if record.offset.0 != base_offset.wrapping_add(i64::from(index)) {
            return Err(Refusal::of_record(
                index,
                format!(
                    "record {index} has offset delta {}",
                    record.offset.0.wrapping_sub(base_offset)
                ),
            ));
        }
        if needs_keys && record.key.is_none() {
            keyless.push(index);
        }
    }
    Ok(keyless)
}

#[cfg(test)]
mod tests {
    use wolff_codec::ids::ProducerEpoch;
    use wolff_codec::records::{BATCH_HEADER_BYTES, BatchHeader, crc32c};

    use super::*;
    use crate::fixture;

    fn refused(records: &[u8], max_message_bytes: usize) -> ErrorCode {
        let records = Some(Bytes::copy_from_slice(records));
        check(records, 9, max_message_bytes, false)
            .unwrap_err()
            .code
    }

    #[test]
    fn a_good_batch_passes_up_to_exactly_the_limit() {
        let batch = fixture::batch(&["one", "two"]);
        assert!(check(Some(batch.clone()), 9, batch.len(), false).is_ok());
        assert_eq!(
            refused(&batch, batch.len() - 1),
            ErrorCode::MESSAGE_TOO_LARGE
        );
    }

    #[test]
    fn exactly_one_whole_batch_is_required() {
        let batch = fixture::batch(&["one"]);
        let invalid = ErrorCode::INVALID_RECORD;
        assert_eq!(check(None, 9, 1000, false).unwrap_err().code, invalid);
        assert_eq!(refused(&[], 1000), invalid);
        assert_eq!(refused(&batch[..batch.len() - 1], 1000), invalid);
        assert_eq!(refused(&[&batch[..], &batch].concat(), 1000), invalid);
        assert_eq!(refused(&[&batch[..], &[0]].concat(), 1000), invalid);
    }

    #[test]
    fn damage_anywhere_behind_the_checksum_is_noticed() {
        let batch = fixture::batch(&["one", "two"]);
        for position in 21..batch.len() {
            let mut damaged = batch.to_vec();
            damaged[position] ^= 0x40;
            let code = refused(&damaged, 1000);
            let is_header = position < BATCH_HEADER_BYTES;
            assert!(
                code == ErrorCode::CORRUPT_MESSAGE
                    || is_header && code == ErrorCode::INVALID_RECORD,
                "{code} at {position}"
            );
        }
    }

    #[test]
    fn old_formats_are_refused() {
        let mut batch = fixture::batch(&["one"]).to_vec();
        batch[16] = 1;
        assert_eq!(refused(&batch, 1000), ErrorCode::INVALID_RECORD);
    }

    #[test]
    fn the_header_must_be_one_that_a_producer_can_send() {
        let records = fixture::batch(&["one", "two"]).slice(BATCH_HEADER_BYTES..);
        let good = BatchHeader {
            record_count: 2,
            last_offset_delta: 1,
            ..BatchHeader::default()
        };
        let stamped = BatchHeader {
            producer_id: ProducerId(1),
            producer_epoch: ProducerEpoch(0),
            base_sequence: 0,
            ..good
        };
        let code_of = |header: BatchHeader| {
            let encoded = header.encode(records.len(), crc32c(&records)).unwrap();
            let batch = Bytes::from([&encoded[..], &records].concat());
            check(Some(batch), 9, 1000, false)
                .err()
                .map(|refusal| refusal.code)
        };
        assert_eq!(code_of(good), None);
        assert_eq!(code_of(stamped), None);
        let invalid = Some(ErrorCode::INVALID_RECORD);
        assert_eq!(
            code_of(BatchHeader {
                is_control: true,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code_of(BatchHeader {
                record_count: 1,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code_of(BatchHeader {
                record_count: 3,
                last_offset_delta: 2,
                ..good
            }),
            invalid
        );
        assert_eq!(
            code_of(BatchHeader {
                base_sequence: -1,
                ..stamped
            }),
            invalid
        );
        assert_eq!(
            code_of(BatchHeader {
                producer_epoch: ProducerEpoch(-1),
                ..stamped
            }),
            invalid
        );
        let transactional = BatchHeader {
            is_transactional: true,
            ..stamped
        };
        assert_eq!(code_of(transactional), Some(ErrorCode::INVALID_TXN_STATE));
        let wrong_compression = BatchHeader {
            compression: Compression::Gzip,
            ..good
        };
        assert_eq!(code_of(wrong_compression), invalid);
        let zstd = BatchHeader {
            compression: Compression::Zstd,
            ..good
        };
        let encoded = zstd.encode(records.len(), crc32c(&records)).unwrap();
        let batch = Bytes::from([&encoded[..], &records].concat());
        let refusal = check(Some(batch), 6, 1000, false).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
}
