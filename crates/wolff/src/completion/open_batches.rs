//! The batches of a partition whose calls may not have ended: the last resort for their receipts
//! and callbacks.

use std::fmt;
use std::sync::Arc;

use wolff_codec::PartitionId;
use wolff_core::{DoubtReason, Outcome};

use super::batch::BatchCompletion;
use super::callback::CallbackLane;

/// Batches between two looks at which of them nobody holds any more, at least.
const LEAST_BETWEEN: usize = 64;

/// Creates the batches of a partition. When it is dropped, whatever has not ended by then ends in
/// doubt: a receipt never waits for ever.
pub(crate) struct OpenBatches {
    batches: Vec<Arc<BatchCompletion>>,
    /// Size at which batches that nobody else holds, and that no callback observes, are removed.
    remove_at: usize,
    lane: Arc<CallbackLane>,
}

impl OpenBatches {
    pub(crate) fn new(lane: Arc<CallbackLane>) -> Self {
        Self {
            batches: Vec::new(),
            remove_at: LEAST_BETWEEN,
            lane,
        }
    }

    /// A new batch.
    pub(crate) fn open(&mut self, partition: Option<PartitionId>) -> Arc<BatchCompletion> {
        if self.batches.len() >= self.remove_at {
            self.batches
                .retain(|batch| Arc::strong_count(batch) > 1 || batch.is_observed());
            self.remove_at = self.batches.len().saturating_mul(2).max(LEAST_BETWEEN);
        }
        let batch = BatchCompletion::new(partition);
        self.batches.push(batch.clone());
        batch
    }

    /// Ends everything that has not ended, oldest batch first.
    pub(crate) fn give_up(&mut self, outcome: &Outcome) -> usize {
        let mut observers = 0usize;
        for batch in self.batches.drain(..) {
            let (called, count) = batch.give_up(outcome);
            self.lane.call(called);
            observers = observers.saturating_add(count);
        }
        observers
    }
}

impl Drop for OpenBatches {
    fn drop(&mut self) {
        self.give_up(&Outcome::InDoubt(DoubtReason::Dropped));
    }
}

impl fmt::Debug for OpenBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBatches")
            .field("batches", &self.batches.len())
            .finish_non_exhaustive()
    }
}
