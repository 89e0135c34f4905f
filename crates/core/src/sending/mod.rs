//! Leased batches on their way to the broker: stamped, sent in order, answered.

mod answers;

mod stamping;

mod window;

pub(crate) mod slot;

use std::collections::VecDeque;
use std::time::Instant;

use wolff_codec::{ProducerEpoch, ProducerId};

use self::slot::{Slot, SlotParts, SlotState};
use self::window::Window;
use crate::action::{Action, ClusterRequest, LeaseOperation, Transmit};
use crate::batch::BatchNo;
use crate::config::{Acks, Config, Idempotence, OnRefused, Storage};
use crate::ends::Ends;
use crate::identity::Identity;
use crate::link::{Leader, Link};
use crate::retry::{Pace, Retry};
use crate::verdict::Refusal;

/// Settings that decide what is done about answers.
#[derive(Debug, Clone, Copy)]
struct Policy {
    acks: Acks,
    idempotence: Idempotence,
    on_refused: OnRefused,
    storage: Storage,
}

/// Sizes that the broker has refused.
#[derive(Debug, Clone, Copy)]
struct LearnedLimit {
    /// Batches of more bytes on the wire are split before they are sent.
    wire_bytes: usize,
    /// New batches are closed at so many bytes, before compression.
    batch_bytes: usize,
}

/// The part of a partition that talks to the leader.
#[derive(Debug)]
pub(crate) struct Sending<T> {
    window: Window<T>,
    identity: Identity,
    link: Link,
    retry: Retry,
    policy: Policy,
    learned: LearnedLimit,
    /// Stamps to write and batches to split, in order.
    operations: VecDeque<LeaseOperation>,
    /// The last refusal since the last success.
    refusal: Option<Refusal>,
    /// Facts for the tags of leases.
    scan: stamping::ScanHints,
    /// Nothing is sent any more; what is in flight is awaited.
    is_winding_down: bool,
}

impl<T: Clone> Sending<T> {
    pub(crate) fn new(config: &Config) -> Self {
        let idempotence = config.effective_idempotence();
        Self {
            window: Window::new(config.max_in_flight),
            identity: Identity::new(idempotence != Idempotence::Off),
            link: Link::new(),
            retry: Retry::new(config.retry_delay, config.seed),
            policy: Policy {
                acks: config.acks,
                idempotence,
                on_refused: config.on_refused,
                storage: config.storage,
            },
            learned: LearnedLimit {
                wire_bytes: usize::MAX,
                batch_bytes: usize::MAX,
            },
            operations: VecDeque::new(),
            refusal: None,
            scan: stamping::ScanHints::default(),
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

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// New batches are closed at so many bytes, before compression.
    pub(crate) fn learned_batch_bytes(&self) -> usize {
        self.learned.batch_bytes
    }

    /// Records leased and not finished.
    pub(crate) fn records(&self) -> u64 {
        self.window
            .iter()
            .map(|slot| u64::from(slot.record_count()))
            .sum()
    }

    /// Whether everything that previous runs left and that was leased has come to its end.
    pub(crate) fn has_previous_run(&self) -> bool {
        self.window.iter().any(Slot::is_previous_run)
    }

    /// Whether a batch may be leased: it could be sent.
    pub(crate) fn could_lease(&self, now: Instant) -> bool {
        self.link.is_up()
            && !self.is_winding_down
            && self.identity.allows_stamps()
            && !self.window.has_refusal()
            && self.retry.is_due(now)
            && self.window.has_room()
    }

    /// Adds a leased batch behind the others. One that is known to be too large is split first.
    pub(crate) fn push(&mut self, parts: SlotParts<T>) {
        self.window.push(parts);
    }

    /// The next stamp to write or batch to split.
    pub(crate) fn poll_operation(&mut self) -> Option<LeaseOperation> {
        self.operations.pop_front()
    }

    /// Whether [`poll_operation`](Self::poll_operation) has something.
    pub(crate) fn wants_operation(&self) -> bool {
        !self.operations.is_empty()
    }

    /// The next thing to do on the network. `has_work`: there is something to send, here or in the
    /// queue.
    pub(crate) fn poll_action(
        &mut self,
        now: Instant,
        has_work: bool,
        ends: &mut Ends<T>,
    ) -> Option<Action> {
        // Answers that are due on a connection are awaited before it is dropped.
        if self.window.sent() == 0 && self.link.must_drop() {
            return Some(Action::Disconnect);
        }
        if self.link.is_down() {
            if !self.wants_link(now, has_work) {
                return None;
            }
            let refresh_metadata = self.link.connect();
            return Some(Action::Connect { refresh_metadata });
        }
        if !self.link.is_up() {
            return None;
        }
        if self.wants_identity(now)
            && let Some(request) = self.identity.needed_request()
        {
            self.identity.requested();
            return Some(Action::Request(ClusterRequest::Identity(request)));
        }
        let transmit = self.next_transmit(now)?;
        if transmit.attempt > 0 {
            ends.counters_mut().retry();
        }
        Some(Action::Send(transmit))
    }

    /// Whether [`poll_action`](Self::poll_action) would have something.
    pub(crate) fn wants_network(&self, now: Instant, has_work: bool) -> bool {
        (self.window.sent() == 0 && self.link.drops_connection())
            || (self.link.is_down() && self.wants_link(now, has_work))
            || (self.link.is_up() && (self.wants_identity(now) || self.can_transmit(now)))
    }

    fn wants_link(&self, now: Instant, has_work: bool) -> bool {
        has_work && !self.is_winding_down && self.retry.is_due(now) && self.window.sent() == 0
    }

    /// A fresh identity or epoch is taken once every batch that has a stamp is in Kafka: nothing of the
    /// present one is in doubt or on its way.
    fn wants_identity(&self, now: Instant) -> bool {
        !self.is_winding_down
            && self.identity.needed_request().is_some()
            && self.window.sent() == 0
            && self.retry.is_due(now)
            && !self.window.has_refusal()
            && !self.window.has_unfinished_stamps()
    }

    fn can_transmit(&self, now: Instant) -> bool {
        !self.is_winding_down
            && !self.window.has_refusal()
            && self.retry.is_due(now)
            && self.window.has_ready()
            && self.window.sent() < self.in_flight_limit(now)
    }

    fn in_flight_limit(&self, now: Instant) -> usize {
        let next = self
            .window
            .iter()
            .find(|slot| slot.is(&SlotState::Ready))
            .and_then(Slot::stamp);
        let is_proven = next.is_none_or(|stamp| self.link.is_proven(stamp, now));
        self.window
            .in_flight_limit(is_proven && !self.window.is_searching())
    }

    fn next_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if !self.can_transmit(now) {
            return None;
        }
        let slot = self.window.next_ready()?;
        let is_behind_proof = slot
            .stamp()
            .is_some_and(|stamp| self.link.is_proven(stamp, now));
        Some(slot.send(is_behind_proof))
    }

    /// When something can be tried again, if there is anything to try.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.retry.due_at(now)
    }

    pub(crate) fn connected(&mut self, leader: Leader) {
        self.scan.meet(leader);
        self.link.connected(leader);
    }

    /// The local queue could not be read: it is tried again after a delay.
    pub(crate) fn lease_failed(&mut self, now: Instant) {
        self.retry.failed(Pace::Normal, now);
    }

    pub(crate) fn connect_failed(&mut self, now: Instant) {
        self.link.lost(true);
        self.retry.link_failed(now);
    }

    /// The connection is gone: what was sent on it and not answered is in doubt.
    pub(crate) fn disconnected(&mut self, now: Instant, ends: &mut Ends<T>) {
        self.window.iter_mut().for_each(|slot| slot.lost(false));
        self.search_anew();
        if !self.link.is_down() {
            self.retry.link_failed(now);
        }
        self.link.lost(true);
        self.settle(now, ends);
    }

    /// The link is gone: another leader may remember more of what was not recognised, and answers no
    /// request of before.
    fn search_anew(&mut self) {
        for slot in self.window.iter_mut() {
            if slot.is(&SlotState::Unrecognised) {
                slot.rewind();
            }
        }
        self.identity.request_failed();
    }

    pub(crate) fn request_failed(
        &mut self,
        batch: BatchNo,
        not_sent: bool,
        now: Instant,
        ends: &mut Ends<T>,
    ) {
        if let Some(slot) = self.window.find(batch) {
            slot.lost(not_sent);
        }
        if self.link.is_up() {
            // The answers to the others on this connection are still awaited one by one.
            self.link.give_up(true);
            self.retry.link_failed(now);
            self.search_anew();
        }
        self.settle(now, ends);
    }

    pub(crate) fn identity_granted(&mut self, producer_id: ProducerId, epoch: ProducerEpoch) {
        if self.identity.is_requested() {
            self.identity.granted(producer_id, epoch);
        }
    }

    /// No identity was given. `is_refused`: the cluster will not give one as things are.
    pub(crate) fn identity_failed(&mut self, is_refused: bool, now: Instant) {
        if !self.identity.is_requested() {
            return;
        }
        if is_refused && self.policy.idempotence == Idempotence::Auto {
            self.drop_idempotence();
            return;
        }
        self.identity.request_failed();
        let pace = if is_refused { Pace::Held } else { Pace::Normal };
        self.retry.failed(pace, now);
    }

    /// Nothing is sent any more.
    pub(crate) fn wind_down(&mut self) {
        self.is_winding_down = true;
    }

    /// Whether nothing that was sent is unanswered, or answered and not dealt with.
    pub(crate) fn is_wound_down(&self) -> bool {
        self.window.sent() == 0
            && !self
                .window
                .front()
                .is_some_and(|front| matches!(front.state(), SlotState::Acked(_)))
    }

    /// Takes out all slots, in order.
    pub(crate) fn drain(&mut self) -> Vec<Slot<T>> {
        self.operations.clear();
        std::iter::from_fn(|| self.window.pop()).collect()
    }
}
