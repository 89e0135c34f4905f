//! Receipts of records on their way, so that those that fail can be named by input and line.

use std::collections::VecDeque;

use indicatif::HumanCount;
use wolff::{DeliveryError, FailReason, Receipt};

use super::summary::Place;
use crate::console::{self, WithCauses};
use crate::input::Source;

/// Records that are watched at once: 4 MiB. While there are more, the newer ones are counted only.
const MOST_WATCHED: usize = 1 << 17;

/// Most failed records that are named.
const MOST_NAMED: u64 = 10;

/// Records between two looks at the receipts.
const LOOK_EVERY: u32 = 1024;

/// A record whose end is not known yet.
#[derive(Debug)]
struct Watched {
    receipt: Receipt,
    /// Position in the list of sources.
    source: u32,
    bytes: u32,
    line: u64,
}

/// Watches records and names those that failed, ten of them.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    sources: &'a [Source],
    waiting: VecDeque<Watched>,
    named: u64,
    until_look: u32,
}

impl<'a> Watch<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        Self {
            sources,
            waiting: VecDeque::new(),
            named: 0,
            until_look: LOOK_EVERY,
        }
    }

    /// Watches a record of that source's line.
    #[inline]
    pub(super) fn watch(&mut self, receipt: Receipt, source: usize, line: u64, bytes: usize) {
        self.until_look = self.until_look.saturating_sub(1);
        if self.until_look == 0 {
            self.look();
        }
        if self.named < MOST_NAMED && self.waiting.len() < MOST_WATCHED {
            self.waiting.push_back(Watched {
                receipt,
                source: u32::try_from(source).unwrap_or(u32::MAX),
                bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
                line,
            });
        }
    }

    /// Forgets the records that have ended, and names those that failed.
    fn look(&mut self) {
        self.until_look = LOOK_EVERY;
        while let Some(oldest) = self.waiting.front()
            && let Some(delivery) = oldest.receipt.try_delivery()
        {
            let ended = self.waiting.pop_front();
            if let (Some(ended), Err(error)) = (ended, delivery) {
                self.name(&ended, &error);
            }
        }
        // A partition that waits holds up the front; what has ended behind it must not take the
        // room of others.
        if self.waiting.len() == MOST_WATCHED {
            self.sort_out();
            self.until_look = LOOK_EVERY.saturating_mul(32);
        }
    }

    /// The same for all of them, in whatever order they ended.
    fn sort_out(&mut self) {
        for watched in std::mem::take(&mut self.waiting) {
            match watched.receipt.try_delivery() {
                None => self.waiting.push_back(watched),
                Some(Err(error)) => self.name(&watched, &error),
                Some(Ok(_)) => {}
            }
        }
    }

    fn name(&mut self, record: &Watched, error: &DeliveryError) {
        // What is on disk did not fail; what the queue did not store is reported with the place
        // where it began.
        if matches!(
            error,
            DeliveryError::LeftInQueue | DeliveryError::Failed(FailReason::QueueUnavailable(_))
        ) || self.named >= MOST_NAMED
        {
            return;
        }
        self.named += 1;
        let source = usize::try_from(record.source).unwrap_or(usize::MAX);
        let place = Place {
            source: self.sources.get(source).unwrap_or(&Source::Stdin).clone(),
            line: record.line,
        };
        console::error(format_args!(
            "{place}: record of {} bytes {}",
            record.bytes,
            WithCauses(error)
        ));
    }

    /// Names what has failed until now; `failed` is how many there are, those that could not be
    /// watched included.
    pub(super) fn finish(mut self, failed: u64) {
        self.sort_out();
        let more = failed.saturating_sub(self.named);
        if more > 0 && self.named > 0 {
            let records = if more == 1 { "record" } else { "records" };
            console::error(format_args!(
                "{} more {records} failed or are in doubt, which are not named here",
                HumanCount(more)
            ));
        }
    }
}
