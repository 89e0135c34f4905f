//! Batches that were damaged, cut off, or never were any.

use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};
use wolff_codec::records::{
    BATCH_HEADER_BYTES, BatchHeader, Batches, Compression, Field, HeaderError, RecordDefect,
    RecordError, crc32c,
};

use crate::samples::{
    AMPLE, any_compression, any_record, batch_of, compressions, frames_of, ordinary_batch,
};

/// Reads all that can be read; returns the number of records before the end or the first error.
fn read_everything(bytes: Bytes) -> usize {
    let mut count = 0;
    for batch in Batches::new(bytes).flatten() {
        let _ = batch.verify();
        if let Ok(records) = batch.records(AMPLE) {
            count += records.take_while(Result::is_ok).count();
        }
    }
    count
}

/// A batch with a right header, right checksum and these bytes for records.
fn batch_around(records: &[u8], record_count: i32) -> Bytes {
    let header = BatchHeader {
        record_count,
        ..BatchHeader::default()
    };
    let header = header.encode(records.len(), crc32c(records)).unwrap();
    [&header[..], records].concat().into()
}

/// The error of the only batch's records.
fn defect_of(records: &[u8], record_count: i32) -> RecordError {
    let batch = Batches::new(batch_around(records, record_count))
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(batch.verify(), Ok(()));
    let mut records = batch.records(AMPLE).unwrap();
    let error = records
        .by_ref()
        .find_map(Result::err)
        .expect("these records are wrong");
    assert!(records.next().is_none(), "nothing comes after an error");
    error
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_everything(bytes.into());
    }

    #[test]
    fn any_bytes_for_records_are_read_without_a_panic(
        records in vec(prop_oneof![any::<u8>(), 0u8..8], 0..200),
        record_count in 0i32..50,
    ) {
        read_everything(batch_around(&records, record_count));
    }

    #[test]
    fn a_batch_cut_anywhere_and_resealed_does_not_pass_for_a_whole_one(
        records in vec(any_record(), 1..10),
        compression in any_compression(),
        cut in any::<prop::sample::Index>(),
    ) {
        let batch = batch_of(&frames_of(&records, 0, &[]), compression, |_| {});
        let (header, _) = BatchHeader::decode(batch.first_chunk().unwrap()).unwrap();
        let stored = &batch[BATCH_HEADER_BYTES..];
        let stored = &stored[..cut.index(stored.len())];
        let resealed = header.encode(stored.len(), crc32c(stored)).unwrap();
        let read = read_everything([&resealed[..], stored].concat().into());
        prop_assert!(read < records.len());
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for compression in compressions() {
        let whole = ordinary_batch(3, compression);
        for bit in 0..whole.len() * 8 {
            let mut damaged = BytesMut::from(&whole[..]);
            damaged[bit / 8] ^= 1 << (bit % 8);
            let damaged = damaged.freeze();
            read_everything(damaged.clone());
            // Base offset and leader epoch are the broker's to set, without a new checksum.
            if matches!(bit / 8, 0..8 | 12..16) {
                continue;
            }
            match Batches::new(damaged).next() {
                None | Some(Err(_)) => {}
                Some(Ok(batch)) => assert!(batch.verify().is_err(), "{compression}, bit {bit}"),
            }
        }
    }
}

#[test]
fn a_batch_cut_off_at_any_byte_is_a_partial_one() {
    for compression in compressions() {
        let whole = ordinary_batch(3, compression);
        for len in 0..whole.len() {
            let mut batches = Batches::new(whole.slice(..len));
            assert!(batches.next().is_none());
            assert_eq!(batches.rest().len(), len);
        }
    }
}

#[test]
fn messages_of_old_formats_are_refused_by_name_however_short() {
    for magic in [0, 1, 3, -1i8] {
        // Offset, length, checksum, format, attributes, and lengths of a key and a value that are
        // null.
        let mut message = BytesMut::zeroed(26);
        message[11] = 14;
        message[16] = magic.to_be_bytes()[0];
        let message = message.freeze();
        for len in 17..message.len() {
            let mut batches = Batches::new(message.slice(..len));
            assert_eq!(batches.next(), Some(Err(HeaderError::Magic { magic })));
            assert_eq!(batches.rest().len(), len);
            assert!(batches.next().is_none());
        }
    }
}

#[test]
fn a_length_that_does_not_cover_the_header_is_refused_as_soon_as_it_is_there() {
    for batch_len in [48, 0, -1, i32::MIN] {
        let mut header = BytesMut::from(&ordinary_batch(3, Compression::None)[..]);
        header[8..12].copy_from_slice(&batch_len.to_be_bytes());
        let header = header.freeze();
        assert!(Batches::new(header.slice(..11)).next().is_none());
        for len in 12..header.len() {
            let first = Batches::new(header.slice(..len)).next();
            assert_eq!(first, Some(Err(HeaderError::Length { batch_len })));
        }
    }
}

#[test]
fn records_cut_off_at_any_byte_end_in_an_error() {
    let whole = ordinary_batch(3, Compression::None);
    let records = &whole[BATCH_HEADER_BYTES..];
    for len in 0..records.len() {
        let error = defect_of(&records[..len], 3);
        assert!(error.offset <= len);
    }
    assert_eq!(
        defect_of(&[records, &[0]].concat(), 3).defect,
        RecordDefect::LeftOverRecords { count: 1 }
    );
    assert_eq!(
        defect_of(records, 2).defect,
        RecordDefect::LeftOverRecords {
            count: records.len() / 3
        }
    );
}

#[test]
fn every_field_is_checked_and_named() {
    // length, attributes, timestamp, offset, key, value, headers
    let error = |records: &[u8]| defect_of(records, 1).to_string();
    assert_eq!(
        error(&[1]),
        "records[0] at byte 0: record has a length of -1"
    );
    assert_eq!(
        error(&[14, 0]),
        "records[0] at byte 1: record needs 7 bytes, 1 remain"
    );
    assert_eq!(
        error(&[0]),
        "records[0] at byte 1: attributes needs 1 bytes, 0 remain"
    );
    assert_eq!(
        error(&[4, 0, 0x80]),
        "records[0] at byte 2: timestamp: the bytes end inside a variable-length integer"
    );
    assert_eq!(
        error(&[16, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        "records[0] at byte 3: offset: a variable-length integer exceeds 32 bits"
    );
    assert_eq!(
        error(&[8, 0, 0, 0, 3]),
        "records[0] at byte 4: key has a length of -2"
    );
    assert_eq!(
        error(&[8, 0, 0, 0, 2]),
        "records[0] at byte 5: key needs 1 bytes, 0 remain"
    );
    assert_eq!(
        error(&[12, 0, 0, 0, 1, 4, 9]),
        "records[0] at byte 6: value needs 2 bytes, 1 remain"
    );
    assert_eq!(
        error(&[12, 0, 0, 0, 1, 1, 1]),
        "records[0] at byte 6: headers has a length of -1"
    );
    assert_eq!(
        error(&[12, 0, 0, 0, 1, 1, 4]),
        "records[0] at byte 6: headers needs 4 bytes, 0 remain"
    );
    assert_eq!(
        error(&[18, 0, 0, 0, 1, 1, 2, 2, 0xff, 1]),
        "records[0] at byte 7: headers[0].key is not UTF-8"
    );
    assert_eq!(
        error(&[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        "records[0] at byte 7: headers[0].key has a length of -1"
    );
    assert_eq!(
        error(&[16, 0, 0, 0, 1, 1, 2, 0, 2]),
        "records[0] at byte 9: headers[0].value needs 1 bytes, 0 remain"
    );
    assert_eq!(
        error(&[14, 0, 0, 0, 1, 1, 0, 9]),
        "records[0] at byte 7: 1 bytes are left over in the record"
    );
}

#[test]
fn a_count_of_headers_is_checked_before_memory_is_taken_for_them() {
    // 2^27 headers in a record of 12 bytes.
    let error = defect_of(&[22, 0, 0, 0, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x01, 0], 1);
    assert!(
        matches!(
            error.defect,
            RecordDefect::Truncated {
                field: Field::Headers,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn more_records_than_there_are_bytes_for_end_in_an_error() {
    let error = defect_of(&[12, 0, 0, 0, 1, 1, 0], i32::MAX);
    assert_eq!((error.record, error.offset), (1, 7));
}
