//! No client at all: the bytes of the job's records, written to files of the size of a queue's
//! segments that exist already. What a queue on disk costs beyond that is its own doing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::Clock;
use crate::Failure;
use crate::job::{Job, KEY_BYTES, Measurement};
use crate::payload::payloads;

/// Approximate bytes of a record in a batch beside key and value.
const RECORD_OVERHEAD_BYTES: usize = 10;

/// As large as a segment of a queue.
const SEGMENT_BYTES: usize = 10 * 1024 * 1024;

/// Segments that are written over and over, as one queue per partition does that recycles them.
const SEGMENTS: usize = 4;

pub(super) fn run(job: &Job) -> Result<Measurement, Failure> {
    let directory = job.queue_dir.as_ref().ok_or("files need a directory")?;
    let record_bytes = job.value_bytes + KEY_BYTES + RECORD_OVERHEAD_BYTES;
    let batch: Vec<u8> = payloads(job.value_bytes)
        .iter()
        .flat_map(|payload| payload.value.to_vec())
        .cycle()
        .take(job.batch_bytes.min(SEGMENT_BYTES))
        .collect();
    let mut segments = Vec::new();
    for number in 0..SEGMENTS {
        segments.push(File::create(directory.join(number.to_string()))?);
    }
    write(&segments, &batch, SEGMENTS * SEGMENT_BYTES)?;
    let clock = Clock::start(job)?;
    write(&segments, &batch, job.records * record_bytes)?;
    clock.stop(job.records)
}

fn write(segments: &[File], batch: &[u8], mut bytes: usize) -> Result<(), Failure> {
    let places = (0..SEGMENT_BYTES / batch.len()).map(|number| number * batch.len());
    for (segment, place) in segments
        .iter()
        .flat_map(|segment| places.clone().map(move |place| (segment, place)))
        .cycle()
    {
        if bytes == 0 {
            break;
        }
        let piece = batch.get(..bytes).unwrap_or(batch);
        segment.write_all_at(piece, u64::try_from(place)?)?;
        bytes -= piece.len();
    }
    Ok(())
}
