//! Large records are watched one by one, so that a person can be told which line it was that the topic does not take.

use wolff::{DeliveryError, FailReason, Receipt};

use super::summary::Place;
use crate::console;

/// From this size on a line is worth watching.
const LARGE_BYTES: usize = 16 * 1024;

/// How many are watched at once. More than that, and lines are not told any more, only counted.
const MOST: usize = 4096;

/// How many lines are named.
const MOST_NAMED: usize = 10;

/// Large records whose end is not known yet, and those that failed.
#[derive(Debug, Default)]
pub(super) struct LargeRecords {
    waiting: Vec<(Receipt, Place, usize)>,
    failed: Vec<(Place, usize, FailReason)>,
}

impl LargeRecords {
    pub(super) fn is_large(bytes: usize) -> bool {
        bytes >= LARGE_BYTES
    }

    pub(super) fn watch(&mut self, receipt: Receipt, place: Place, bytes: usize) {
        if self.waiting.len() >= MOST {
            self.sort_out();
            // Half of it must be free, or the next one would look through all of it again.
            self.waiting
                .drain(..self.waiting.len().saturating_sub(MOST / 2));
        }
        self.waiting.push((receipt, place, bytes));
    }

    /// Tells which of them failed.
    pub(super) fn report(mut self) {
        self.sort_out();
        for (place, bytes, reason) in &self.failed {
            console::error(format_args!(
                "{place}: the record of {bytes} bytes was not delivered: {}",
                console::WithCauses(reason)
            ));
        }
    }

    fn sort_out(&mut self) {
        let failed = &mut self.failed;
        self.waiting
            .retain(|(receipt, place, bytes)| match receipt.try_delivery() {
                None => true,
                Some(Err(DeliveryError::Failed(reason)))
                    if reason != FailReason::Stopped && failed.len() < MOST_NAMED =>
                {
                    failed.push((place.clone(), *bytes, reason));
                    false
                }
                Some(_) => false,
            });
    }
}
