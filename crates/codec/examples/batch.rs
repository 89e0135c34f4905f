//! Builds a record batch in two frames, compresses it, stamps it, and reads it back.

use std::error::Error;

use bytes::Bytes;
use wolff_codec::records::{
    BatchHeader, Batches, Compression, CompressionLevel, FrameTotals, RecordRef, RecordsBuilder,
    compress, crc32c,
};
use wolff_codec::{ProducerEpoch, ProducerId};

/// Limit of the brokers of a default installation.
const MAX_BATCH_BYTES: usize = 1_048_588;

fn main() -> Result<(), Box<dyn Error>> {
    let now_ms = 1_700_000_000_000;
    let mut builder = RecordsBuilder::new(now_ms);
    let mut frames = Vec::new();
    for index in 0..1000 {
        let value = format!("reading {index} of the thermometer");
        let record = RecordRef {
            timestamp_ms: now_ms + index,
            key: Some(b"thermometer"),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        if !builder.would_fit(&record, MAX_BATCH_BYTES) {
            break;
        }
        builder.append(&record)?;
        // A part of the batch can be on its way to disk while the batch grows.
        if index == 499 {
            frames.extend(builder.cut());
        }
    }
    frames.extend(builder.cut());

    let totals = FrameTotals::of(&frames)?;
    let pieces: Vec<Bytes> = frames.iter().map(|frame| frame.records.clone()).collect();
    let records = compress(Compression::Lz4, CompressionLevel::DEFAULT, &pieces)?;
    let header = BatchHeader {
        compression: Compression::Lz4,
        producer_id: ProducerId(4711),
        producer_epoch: ProducerEpoch(0),
        base_sequence: 0,
        ..BatchHeader::for_totals(&totals)?
    };
    let header = header.encode(records.len(), crc32c(&records))?;
    println!(
        "{} records in {} frames: {} bytes, {} as lz4",
        totals.record_count,
        frames.len(),
        totals.records_len,
        header.len() + records.len()
    );

    let sent = Bytes::from([&header[..], &records].concat());
    for batch in Batches::new(sent) {
        let batch = batch?;
        batch.verify()?;
        let mut records = batch.records(16 << 20)?;
        if let Some(first) = records.next() {
            println!("the first one: {:?}", first?.value);
        }
        println!("{} more", records.count());
    }
    Ok(())
}
