//! Leased batches on their way to the broker: stamped, sent in order, answered.

mod answers;

mod evidence;

mod network;

mod unrecognised;

mod stamping;

mod smaller_batches;

mod isolate;

mod scan_hints;

mod link_limit;

mod window;

pub(crate) mod slot;

mod blame;

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests take the time from the system once"
)]
mod search;

use std::collections::VecDeque;
use std::time::Instant;

use wolff_codec::records::Compression;

use self::link_limit::LinkLimit;
use self::slot::{Doubt, Resumed, Slot, SlotParts, SlotState};
use self::window::Window;
use crate::action::{LeaseNo, LeaseOperation};
use crate::config::{Acks, Config, Idempotence, OnRefused, Storage};
use crate::identity::Identity;
use crate::link::Link;
use crate::resume::ResumePlan;
use crate::retry::Retry;
use crate::verdict::Refusal;

/// Settings that decide what is done about answers.
#[derive(Clone, Copy, Debug)]
struct Policy {
    acks: Acks,
    idempotence: Idempotence,
    on_refused: OnRefused,
    storage: Storage,
    compression: Compression,
    learned: LearnedLimit,
    link_limit: LinkLimit,
}

/// Sizes that the broker has refused.
#[derive(Clone, Copy, Debug)]
struct LearnedLimit {
    /// Batches of more bytes on the wire are split before they are sent.
    wire_bytes: usize,
    /// New batches are closed at so many bytes, before compression.
    batch_bytes: usize,
    /// The largest batch that was taken, as it was sent; 0: none.
    taken_bytes: usize,
}

impl LearnedLimit {
    /// A batch of so many bytes on the wire was taken.
    fn taken(&mut self, wire_bytes: usize) {
        self.taken_bytes = self.taken_bytes.max(wire_bytes);
    }

    /// The largest batch that was taken, where one of so many bytes is refused now.
    fn taken_below(&mut self, refused_bytes: usize) -> Option<usize> {
        if self.taken_bytes >= refused_bytes {
            // The limit was lowered since.
            self.taken_bytes = 0;
        }
        (self.taken_bytes > 0).then_some(self.taken_bytes)
    }
}

/// The part of a partition that talks to the leader.
#[derive(Clone, Debug)]
pub(crate) struct Sending<T> {
    window: Window<T>,
    identity: Identity,
    link: Link,
    retry: Retry,
    policy: Policy,
    writing: Writing,
    /// The last refusal since the last success.
    refusal: Option<Refusal>,
    /// Facts for the tags of leases.
    scan: scan_hints::ScanHints,
    resuming: Resuming,
    /// Nothing is sent any more; what is in flight is awaited.
    is_winding_down: bool,
}

/// Bytes in memory for what is leased.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WindowMemory {
    /// Of all records.
    pub(crate) record_bytes: u64,
    /// Of those of other queues.
    pub(crate) foreign_bytes: u64,
    /// Of what was compressed.
    pub(crate) compressed_bytes: u64,
}

/// Work for the local queue.
#[derive(Clone, Debug, Default)]
struct Writing {
    /// Stamps to write and batches to split, in order.
    operations: VecDeque<LeaseOperation>,
    /// The stamp of a batch that is being appended, leased and stamped in one write. Until that is
    /// done nothing else is leased or stamped.
    reserved: Option<stamping::Reserved>,
    /// The last stamp could not be written: the next one waits for the back-off.
    has_failed: bool,
}

/// Batches that previous runs left in doubt.
#[derive(Clone, Debug, Default)]
struct Resuming {
    /// Leases that they had open are not all read: nothing is sent before they are, since any of
    /// them can say what became of those before it.
    is_loading: bool,
    /// The leader belongs to another cluster than the one that has what is in doubt: nothing is
    /// sent.
    is_other_cluster: bool,
    /// The topic was created anew: it has nothing of what is in doubt.
    is_recreated: bool,
    /// Time at which the oldest of what is in doubt was stamped, milliseconds since the epoch; 0:
    /// not known.
    stamped_at_ms: i64,
    /// Connections in a row whose leader knew nothing of what is in doubt.
    rounds: u32,
}

/// Half of the time after which a broker forgets a producer, by the timestamp of its last batch, in
/// milliseconds: the default of `producer.id.expiration.ms` is a day.
const STALE_AFTER_MS: i64 = 12 * 60 * 60 * 1000;

/// Returns whether a broker may have forgotten a batch that was stamped then, so that it takes it a
/// second time. What is not known is 0, and proves nothing.
fn is_stale(now_ms: i64, max_timestamp_ms: i64, stamped_at_ms: i64) -> bool {
    let is_old = |then_ms: i64| now_ms.saturating_sub(then_ms) > STALE_AFTER_MS;
    now_ms > 0 && (is_old(max_timestamp_ms) || (stamped_at_ms > 0 && is_old(stamped_at_ms)))
}

impl<T: Clone> Sending<T> {
    /// `is_loading`: leases of previous runs are still to be read, and are pushed first.
    pub(crate) fn new(config: &Config, plan: &ResumePlan, is_loading: bool) -> Self {
        let idempotence = config.effective_idempotence();
        Self {
            window: Window::new(config.max_in_flight),
            identity: Identity::new(idempotence != Idempotence::Off, plan.generation()),
            link: Link::new(),
            retry: Retry::new(config.retry_delay, config.seed),
            policy: Policy {
                acks: config.acks,
                idempotence,
                on_refused: config.on_refused,
                storage: config.storage,
                compression: config.compression,
                learned: LearnedLimit {
                    wire_bytes: usize::MAX,
                    batch_bytes: usize::MAX,
                    taken_bytes: 0,
                },
                link_limit: LinkLimit::new(config.link_floor_bytes, config.max_batch_bytes),
            },
            writing: Writing::default(),
            refusal: None,
            scan: plan
                .recorded()
                .map(scan_hints::ScanHints::of)
                .unwrap_or_default(),
            resuming: Resuming {
                is_loading,
                stamped_at_ms: plan.recorded().map_or(0, |recorded| recorded.stamped_at_ms),
                ..Resuming::default()
            },
            is_winding_down: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        !self.identity.is_off()
    }

    /// No refusal stands, and nothing has failed since the last success.
    pub(crate) fn is_available(&self) -> bool {
        self.refusal.is_none() && !self.retry.has_failed()
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// New batches are closed at so many bytes, before compression.
    pub(crate) fn batch_bytes_limit(&self) -> usize {
        let link = self.policy.link_limit.bytes_or_max();
        self.policy.learned.batch_bytes.min(link)
    }

    /// The most bytes of a batch that the link is taken to carry, where it was lost in the middle
    /// of larger ones.
    pub(crate) fn link_limit_bytes(&self) -> Option<usize> {
        self.policy.link_limit.bytes()
    }

    /// The bytes that what is leased takes.
    pub(crate) fn memory(&self) -> WindowMemory {
        let wide = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut memory = WindowMemory::default();
        for slot in self.window.iter() {
            let bytes = wide(slot.body().records_bytes());
            memory.record_bytes = memory.record_bytes.saturating_add(bytes);
            if slot.is_foreign() {
                memory.foreign_bytes = memory.foreign_bytes.saturating_add(bytes);
            }
            let compressed = wide(slot.body().compressed_bytes());
            memory.compressed_bytes = memory.compressed_bytes.saturating_add(compressed);
        }
        memory
    }

    /// Returns whether what is leased is limited to one batch.
    pub(crate) fn set_short(&mut self, is_short: bool) {
        self.window.set_short(is_short);
    }

    /// Records leased and not finished.
    pub(crate) fn records(&self) -> u64 {
        let records = self.window.iter().map(Slot::record_count);
        records.map(u64::from).sum()
    }

    /// Records sent and not answered.
    pub(crate) fn in_flight_records(&self) -> u64 {
        let sent = self.window.iter().filter(|slot| slot.is(&SlotState::Sent));
        sent.map(|slot| u64::from(slot.record_count())).sum()
    }

    /// Returns whether everything that previous runs left and that was leased has come to its end.
    pub(crate) fn has_previous_run(&self) -> bool {
        self.window.iter().any(Slot::is_previous_run)
    }

    /// Returns whether a batch of another queue that was leased has not come to its end.
    pub(crate) fn has_foreign(&self) -> bool {
        self.window.iter().any(Slot::is_foreign)
    }

    /// Returns whether a batch may be leased: it could be sent.
    pub(crate) fn could_lease(&self, now: Instant) -> bool {
        self.can_work()
            && self.writing.reserved.is_none()
            && self.identity.allows_stamps()
            && !self.window.has_refusal()
            && self.retry.is_due(now)
            && self.window.has_room()
    }

    /// Returns whether a lease that a previous run had open may be read.
    pub(crate) fn could_reload(&self, now: Instant) -> bool {
        self.can_work() && self.retry.is_due(now)
    }

    /// Returns whether anything may be sent or requested at all.
    fn can_work(&self) -> bool {
        self.link.is_up() && !self.is_winding_down && !self.resuming.is_other_cluster
    }

    /// All leases that previous runs had open were read.
    pub(crate) fn all_reloaded(&mut self) {
        self.resuming.is_loading = false;
    }

    /// Adds a leased batch behind the others. One that is known to be too large is split first.
    pub(crate) fn push(&mut self, mut parts: SlotParts<T>) {
        let is_unstamped =
            |slot: &Slot<T>| slot.stamp().is_none() && !matches!(slot.state(), SlotState::Acked(_));
        if matches!(parts.resumed, Resumed::Stamped(_))
            && (self.resuming.is_recreated || self.window.iter().any(is_unstamped))
        {
            // No broker is asked: its topic is gone, or damage has taken the stamp of one before
            // it, and what has no stamp comes in order.
            parts.resumed = Resumed::New;
            parts.doubt = Doubt::Unresolvable;
        }
        self.window.push(parts);
    }

    /// The next stamp to write or batch to split.
    pub(crate) fn poll_operation(&mut self) -> Option<LeaseOperation> {
        self.writing.operations.pop_front()
    }

    /// Returns whether [`poll_operation`](Self::poll_operation) has something.
    pub(crate) fn wants_operation(&self, now: Instant) -> bool {
        !self.writing.operations.is_empty() || self.can_stamp(now)
    }

    /// Nothing is sent any more.
    pub(crate) fn wind_down(&mut self) {
        self.is_winding_down = true;
    }

    pub(crate) fn is_winding_down(&self) -> bool {
        self.is_winding_down
    }

    /// Returns whether nothing that was sent is unanswered, or answered and not dealt with.
    pub(crate) fn is_wound_down(&self) -> bool {
        self.window.sent() == 0
            && !self
                .window
                .front()
                .is_some_and(|front| matches!(front.state(), SlotState::Acked(_)))
    }

    /// Leases whose tags say that they are sent, for want of numbers, and that were not: without
    /// their tags the next run counts nothing of them. Those of which something is done keep them.
    pub(crate) fn unsent_leases(&self) -> Vec<LeaseNo> {
        if self.policy.storage == Storage::Memory || !self.identity.is_off() {
            return Vec::new();
        }
        let is_sent = |slot: &Slot<T>| {
            slot.was_perhaps_appended() || slot.is_awaiting_answer() || slot.stamp().is_some()
        };
        let mut leases: Vec<(LeaseNo, bool)> = Vec::new();
        for slot in self.window.iter() {
            let Some(lease) = slot.lease() else { continue };
            match leases.last_mut().filter(|(last, _)| *last == lease) {
                Some((_, is_unsent)) => *is_unsent &= !is_sent(slot),
                None => leases.push((lease, slot.first_record() == 0 && !is_sent(slot))),
            }
        }
        let unsent = leases.into_iter().filter(|(_, is_unsent)| *is_unsent);
        unsent.map(|(lease, _)| lease).collect()
    }

    /// Takes out all slots, in order.
    pub(crate) fn drain(&mut self) -> Vec<Slot<T>> {
        self.writing.operations.clear();
        std::iter::from_fn(|| self.window.pop()).collect()
    }
}
