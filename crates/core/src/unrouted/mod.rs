//! The queue of calls that were accepted before the topic's partitions were known.
//!
//! It needs neither a link nor an identity: its leased batches are separated by partition and
//! handed to the partitions' own machines as [foreign](crate::Event::Foreign) batches. A lease is
//! acknowledged when all its records have come to their end there. Before its records are handed
//! over, a tag is written to it, by which the next run knows that they were perhaps sent.

mod ending;

mod leased;

mod memory;

mod lease_work;
mod tagging;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::PartitionId;
use wolff_codec::records::RecordRef;

use crate::action::{
    Accepted, AppendOperation, Ended, EndedLease, LeaseNo, LeaseOperation, Refused,
};
use crate::backlog::{Backlog, Recovered};
use crate::config::{Config, Storage};
use crate::counters::Snapshot;
use crate::driver::Machine;
use crate::ends::Ends;
use crate::event::Event;
use crate::intake::{Intake, Opening};
use crate::outcome::FailReason;
use crate::routable::{Routable, RoutedCall, RoutedEnd, RoutedPart};
use crate::routing::Routing;
use crate::routing_tag::RoutingTag;
use lease_work::LeaseWork;
use tagging::Tagging;

/// The machine of an unrouted queue. `T` is the owner's token of a batch.
#[derive(Debug)]
pub struct Unrouted<T> {
    storage: Storage,
    intake: Intake<T>,
    backlog: Backlog<T>,
    ends: Ends<T>,
    routing: Routing<T>,
    /// To be polled; in front those whose tag is durable.
    routable: VecDeque<Routable<T>>,
    tagging: Tagging<T>,
    lease_work: LeaseWork,
    acks: Vec<EndedLease>,
    /// The end of what is not finished, once it was given up.
    abandoned: Option<FailReason>,
}

impl<T: Clone> Unrouted<T> {
    /// An unrouted queue whose local queue holds `recovered`.
    #[must_use]
    pub fn new(config: &Config, recovered: Recovered) -> Self {
        let mut ends = Ends::new();
        ends.counters_mut().damage(recovered.lost_items);
        Self {
            storage: config.storage,
            intake: Intake::new(config),
            backlog: Backlog::new(recovered),
            ends,
            routing: Routing::new(),
            routable: VecDeque::new(),
            tagging: Tagging::new(),
            lease_work: LeaseWork::new(config.retry_delay, config.seed),
            acks: Vec::new(),
            abandoned: None,
        }
    }

    /// Accepts one call; see [`Partition::accept`](crate::Partition::accept).
    ///
    /// # Errors
    /// [`Refused`]; nothing of the call was kept.
    pub fn accept<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<T>,
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        let recovered_bytes = self.backlog.recovered_bytes();
        let counters = self.ends.counters_mut();
        self.intake.accept(
            records,
            is_awaited,
            opening,
            memory,
            (counters, recovered_bytes),
        )
    }

    /// The partitions are known: batches may be leased, with so many bytes on their way to
    /// partitions that move, and as many again to others.
    pub fn start_routing(&mut self, max_bytes: u64) {
        self.routing.limit(max_bytes);
    }

    /// Nothing is leased any more.
    pub fn wind_down(&mut self) {
        self.intake.stop();
        self.routing.limit(0);
    }

    /// The next batch to separate and hand to partitions; [`route`](Self::route) says which of its
    /// calls.
    pub fn poll_routable(&mut self) -> Option<Routable<T>> {
        self.routable.pop_front()
    }

    /// Decides which of the calls for which a partition was chosen, all of them given in the order
    /// of the batch, go there now; the others are routable again when their partition has room.
    /// `None`: the queue was given up, and the batch with it.
    pub fn route(
        &mut self,
        lease: LeaseNo,
        part: &RoutedPart,
        calls: &[RoutedCall],
        now: Instant,
    ) -> Option<Vec<bool>> {
        self.abandoned
            .is_none()
            .then(|| self.routing.route(lease, part, calls, now))
    }

    /// Partitions for which calls wait here although they are known: new calls must not overtake
    /// them.
    #[must_use]
    pub fn deferring(&self) -> Vec<PartitionId> {
        self.routing.deferring()
    }

    /// Partitions that do not take now what is here for them: calls wait here although they are
    /// known, or nothing that was handed over has ended for a while.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> Vec<PartitionId> {
        self.routing.blocked(now)
    }

    /// Partitions that have calls from here which have not ended.
    #[must_use]
    pub fn outstanding(&self) -> Vec<PartitionId> {
        self.routing.outstanding()
    }

    /// Returns whether every call was routed: it is with its partition, or waits until that has
    /// room.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.intake.is_empty()
            && self.backlog.is_empty()
            && self.routable.is_empty()
            && !self.tagging.is_waiting()
            && !self.lease_work.is_under_way()
    }

    fn could_lease(&self, now: Instant) -> bool {
        self.routing.has_room(now) && self.lease_work.is_due(now)
    }

    /// Time to look again if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let waits = [self.lease_work.due_at(now), self.routing.room_at(now)];
        waits.into_iter().flatten().min()
    }

    /// Records of a lease came to their end at a partition, or cannot be routed. Returns the lease
    /// if it ends with them: it goes back with [`Event::Reported`] once their owner was notified.
    pub fn ended(&mut self, end: &RoutedEnd<'_>) -> Option<EndedLease> {
        let (owner, records, bytes) = self.routing.ended(end)?;
        let counters = self.ends.counters_mut();
        counters.end(owner, records, end.calls, end.outcome);
        counters.let_go(bytes);
        let delivered = self.routing.close(end.lease)?;
        let is_tagged = self.tagging.closed(end.lease);
        counters.let_go(delivered.rest_bytes);
        counters.finish_from(delivered.calls.0, delivered.calls.1);
        match delivered.left {
            Some(tag) => {
                if is_tagged {
                    self.write_tag(end.lease, &tag);
                }
                None
            }
            None => Some(EndedLease {
                lease: end.lease,
                body: None,
            }),
        }
    }

    /// A tag could not be written. Without it the next run does not know that the records were
    /// perhaps sent; a disk that takes none must be emptied all the same.
    fn tag_failed(&mut self, lease: LeaseNo) {
        if self.tagging.failed(lease) {
            let tag = self.routing.tag(lease);
            self.write_tag(lease, &tag);
        } else {
            self.routable.extend(self.tagging.give_up(lease));
        }
    }

    fn write_tag(&mut self, lease: LeaseNo, tag: &RoutingTag) {
        if self.storage == Storage::Disk {
            let tag = tag.encode();
            self.lease_work.push(LeaseOperation::Stamp { lease, tag });
        }
    }

    /// The next end to report that no partition has reported: records that were never routed.
    pub fn poll_end(&mut self) -> Option<Ended<T>> {
        self.ends.poll()
    }

    /// The counts as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            queued_calls: self.queued_calls(),
            recovered_items: self.backlog.recovered_items(),
            ..Snapshot::default()
        };
        self.ends.counters().fill(&mut snapshot);
        snapshot
    }

    /// Returns whether there is an append or an acknowledgement to do.
    #[must_use]
    pub fn wants_append(&self, now: Instant) -> bool {
        !self.acks.is_empty() || self.intake.wants_append(self.closes(now))
    }

    /// Returns whether there is a lease to do.
    #[must_use]
    pub fn wants_lease(&self, now: Instant) -> bool {
        !self.lease_work.is_under_way()
            && (self.lease_work.has_due(now)
                || self.next_reload(now).is_some()
                || (self.could_lease(now) && self.backlog.next().is_some()))
    }

    /// The lease to read again for a partition that has room.
    fn next_reload(&self, now: Instant) -> Option<LeaseNo> {
        self.routing
            .next_reload()
            .filter(|_| self.lease_work.is_due(now))
    }

    fn reload(&self, now: Instant) -> Option<LeaseOperation> {
        self.next_reload(now).map(|lease| LeaseOperation::Reload {
            lease,
            stored: Vec::new(),
        })
    }

    /// The open batch is closed when everything before it is on its way.
    fn closes(&self, now: Instant) -> bool {
        self.could_lease(now) && self.intake.has_open() && self.backlog.holds_only_the_open_batch()
    }
}

impl<T: Clone> Machine for Unrouted<T> {
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        if !self.acks.is_empty() {
            return Some(AppendOperation::Ack {
                leases: std::mem::take(&mut self.acks),
                commit_tag: None,
            });
        }
        let closes = self.closes(now);
        self.intake
            .poll_append(closes, &mut self.backlog)
            .map(AppendOperation::Append)
    }

    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        if self.lease_work.is_under_way() {
            return None;
        }
        let operation = (self.lease_work.pop(now))
            .or_else(|| self.reload(now))
            .or_else(|| self.could_lease(now).then(|| self.backlog.next()).flatten())?;
        if let LeaseOperation::Reload { lease, .. } = &operation {
            self.routing.start_reload(*lease);
        }
        self.lease_work.begin(&operation);
        Some(operation)
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Appended { first_item } => {
                let counters = self.ends.counters_mut();
                self.intake
                    .appended(first_item, &mut self.backlog, counters);
            }
            Event::AppendFailed(error) => {
                self.intake
                    .append_failed(&error, &mut self.backlog, &mut self.ends);
            }
            Event::Leased(lease, batches) => self.handle_leased(lease, batches),
            Event::LeaseFailed => {
                if let Some(lease) = self.lease_work.failed(now) {
                    self.routing.reload_failed(lease);
                }
            }
            Event::Stamped(lease) => {
                self.lease_work.succeeded();
                self.routable.extend(self.tagging.tagged(lease));
            }
            Event::StampFailed(lease) => {
                self.lease_work.failed(now);
                self.tag_failed(lease);
            }
            Event::Reported(lease) => self.acks.push(lease),
            // Everything else is about a link, which this machine does not have.
            _ => {}
        }
        self.end_abandoned();
    }
}
