//! Scenes that several tests begin with, and looks at what came of them.

use wolff_core::{Config, LeaseTag, Transmit};

use super::stage::{Stage, config};

/// Each record of these tests is a batch of its own.
pub(crate) fn small_batches() -> Config {
    Config {
        max_batch_bytes: 100,
        ..config()
    }
}

/// A stage with so many batches of one record each.
pub(crate) fn with_batches(count: u8) -> Stage {
    let mut stage = Stage::new(small_batches());
    for number in 0..count {
        stage.send_one(&[number; 60]);
    }
    stage
}

/// The first batch is acked, and as many as can be are in flight.
pub(crate) fn in_flight(count: u8) -> (Stage, Vec<Transmit>) {
    let mut stage = with_batches(count);
    let first = stage.next_send().unwrap();
    stage.apply(&first);
    let sent = stage.send_all();
    (stage, sent)
}

/// The log that has all of them once.
pub(crate) fn once_each(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number; 60]).collect()
}

/// Counts the records of these that are in the log more than once.
pub(crate) fn repeated(stage: &Stage, count: u8) -> u64 {
    let twice = |number: u8| stage.broker.count(&[number; 60]).saturating_sub(1);
    (0..count).map(|number| twice(number) as u64).sum()
}

/// The next batch, after the delay before it.
pub(crate) fn sent_later(stage: &mut Stage) -> Transmit {
    loop {
        if let Some(transmit) = stage.next_send() {
            return transmit;
        }
        assert!(stage.wait_for_timer());
    }
}

/// The tags that were written to leases, oldest first.
pub(crate) fn tags(stage: &Stage) -> Vec<LeaseTag> {
    let state = stage.queue.state();
    let written = state.tags.iter();
    written
        .map(|(_, tag)| LeaseTag::decode(tag).unwrap())
        .collect()
}
