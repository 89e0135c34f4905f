//! A replica: how much of the log it has, and what it knows of the producers.

use std::ops::Range;

use wolff_codec::ids::Offset;

use super::log::Log;
use super::producers::Producers;
use super::rules::Expiry;

/// The state of one replica. Its log is a prefix of the partition's.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    log_end: Offset,
    is_in_sync: bool,
    /// Producers of the batches below `log_end`, as far as this replica knows.
    producers: Producers,
    /// As written to disk, by offset.
    snapshots: Vec<Snapshot>,
}

/// The producers as a replica had them at an offset: the last batch of each.
#[derive(Clone, Debug)]
struct Snapshot {
    offset: Offset,
    producers: Producers,
}

impl Default for Replica {
    fn default() -> Self {
        Self {
            log_end: Offset(0),
            is_in_sync: true,
            producers: Producers::default(),
            snapshots: Vec::new(),
        }
    }
}

impl Replica {
    pub(super) fn log_end(&self) -> Offset {
        self.log_end
    }

    pub(super) fn is_in_sync(&self) -> bool {
        self.is_in_sync
    }

    pub(super) fn set_in_sync(&mut self, is_in_sync: bool) {
        self.is_in_sync = is_in_sync;
    }

    pub(super) fn producers(&self) -> &Producers {
        &self.producers
    }

    pub(super) fn forget_producers(&mut self) {
        self.producers = Producers::default();
        self.snapshots.clear();
    }

    pub(super) fn expire(&mut self, expiry: Expiry) {
        self.producers.expire(expiry);
    }

    /// Takes over what the log has beyond this replica's end.
    pub(super) fn catch_up<P>(&mut self, log: &Log<P>, remembered: usize) {
        self.replay(log, self.log_end..log.end_offset(), remembered);
    }

    /// Writes the producers to disk.
    pub(super) fn take_snapshot(&mut self) {
        let (offset, producers) = (self.log_end, self.producers.last_of_each());
        self.snapshots.retain(|snapshot| snapshot.offset < offset);
        self.snapshots.push(Snapshot { offset, producers });
    }

    /// Loses what is not on disk, and reads the newest snapshot and the log after it.
    pub(super) fn reload<P>(&mut self, log: &Log<P>, expiry: Expiry, remembered: usize) {
        let (start, end) = (log.start_offset(), self.log_end);
        // A snapshot beyond the log, or at or below its start, is deleted.
        let is_usable = |snapshot: &Snapshot| snapshot.offset > start && snapshot.offset <= end;
        self.snapshots.retain(is_usable);
        let mut from = start;
        self.producers = Producers::default();
        if let Some(newest) = self.snapshots.last() {
            from = newest.offset;
            self.producers = newest.producers.clone();
            self.producers.expire(expiry);
        }
        self.replay(log, from..end, remembered);
    }

    /// Loses what it has beyond an offset.
    pub(super) fn truncate<P>(&mut self, log: &Log<P>, expiry: Expiry, remembered: usize) {
        if self.log_end > log.end_offset() {
            self.log_end = log.end_offset();
            self.reload(log, expiry, remembered);
        }
    }

    fn replay<P>(&mut self, log: &Log<P>, range: Range<Offset>, remembered: usize) {
        let batches = log.batches_from(range.start);
        for batch in batches.take_while(|batch| batch.base_offset() < range.end) {
            self.producers.remember(batch, remembered);
        }
        self.log_end = range.end;
    }
}
