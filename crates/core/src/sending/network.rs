//! The network side: what is sent and requested next, and what becomes of the link.

use std::time::Instant;

use wolff_codec::{ProducerEpoch, ProducerId};

use super::slot::{Slot, SlotState};
use super::{Sending, is_stale};
use crate::action::{Action, ClusterRequest, Transmit};
use crate::batch::BatchNo;
use crate::config::Idempotence;
use crate::ends::Ends;
use crate::link::Leader;
use crate::retry::Pace;

impl<T: Clone> Sending<T> {
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

    /// Returns whether [`poll_action`](Self::poll_action) would have something.
    pub(crate) fn wants_network(&self, now: Instant, has_work: bool) -> bool {
        (self.window.sent() == 0 && self.link.drops_connection())
            || (self.link.is_down() && self.wants_link(now, has_work))
            || (self.link.is_up() && (self.wants_identity(now) || self.can_transmit(now)))
    }

    fn wants_link(&self, now: Instant, has_work: bool) -> bool {
        has_work && !self.is_winding_down && self.retry.is_due(now) && self.window.sent() == 0
    }

    /// A fresh identity or epoch is taken once every batch that has a stamp is in Kafka: nothing of
    /// the present one is in doubt or on its way.
    fn wants_identity(&self, now: Instant) -> bool {
        self.can_work()
            && self.identity.needed_request().is_some()
            && !self.resuming.is_loading
            && self.window.sent() == 0
            && self.retry.is_due(now)
            && !self.window.has_refusal()
            && !self.window.has_unfinished_stamps()
    }

    fn can_transmit(&self, now: Instant) -> bool {
        self.can_work()
            && !self.resuming.is_loading
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
        let is_stale = self
            .window
            .peek_ready()
            .is_some_and(|slot| self.is_stale(slot, now));
        let slot = self.window.next_ready()?;
        if slot.is_in_doubt() && is_stale {
            slot.let_go_of_proof();
        }
        let is_behind_proof = !is_stale
            && slot
                .stamp()
                .is_some_and(|stamp| self.link.is_proven(stamp, now));
        Some(slot.send(is_behind_proof))
    }

    /// Returns whether a broker may have forgotten the producer of a batch, or may forget it at any
    /// moment once it has the batch.
    pub(super) fn is_stale(&self, slot: &Slot<T>, now: Instant) -> bool {
        let stamped_at_ms = if slot.is_previous_run() {
            self.resuming.stamped_at_ms
        } else {
            0
        };
        let max_timestamp_ms = slot.body().totals().max_timestamp_ms;
        is_stale(self.scan.now_ms(now), max_timestamp_ms, stamped_at_ms)
    }

    /// Time at which something can be tried again, if there is anything to try.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.retry.due_at(now)
    }

    pub(crate) fn connected(&mut self, leader: Leader, now: Instant) {
        self.search_anew();
        self.policy.link_limit.connected();
        self.resuming.is_other_cluster = self.scan.is_other_cluster(&leader) && self.has_doubt();
        if self.resuming.is_other_cluster {
            // Its records belong to the other cluster.
            self.link.connected(leader);
            return;
        }
        if self.scan.meet(leader, now) {
            self.resuming.is_recreated = true;
            self.identity.discard();
            self.forget_stamps();
        }
        self.link.connected(leader);
    }

    /// Returns whether what became of some records is known to the cluster alone.
    fn has_doubt(&self) -> bool {
        self.resuming.is_loading || self.window.iter().any(Slot::is_in_doubt)
    }

    /// Returns whether the leader belongs to another cluster than the one that has what is in
    /// doubt.
    pub(crate) fn is_other_cluster(&self) -> bool {
        self.resuming.is_other_cluster
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
        self.identity.request_failed();
        if !self.link.is_down() {
            self.retry.link_failed(now);
        }
        self.link.lost(true);
        self.settle(now, ends);
    }

    /// Another leader may remember more of what was not recognised, or less: only answers of one
    /// connection say anything together. Some come in when that is given up already, so that this
    /// is done as the next one begins.
    fn search_anew(&mut self) {
        for slot in self.window.iter_mut() {
            if slot.is(&SlotState::Unrecognised) {
                slot.rewind();
            }
        }
    }

    pub(crate) fn request_failed(
        &mut self,
        batch: BatchNo,
        not_sent: bool,
        now: Instant,
        ends: &mut Ends<T>,
    ) {
        let bytes = self.window.find(batch).map_or(0, |slot| {
            slot.lost(not_sent);
            slot.body().wire_bytes()
        });
        if self.link.is_up() {
            if not_sent {
                self.policy.link_limit.lost_in_the_middle(bytes);
            }
            // The answers to the others on this connection are still awaited one by one.
            self.link.give_up(true);
            self.retry.link_failed(now);
            self.identity.request_failed();
        }
        self.settle(now, ends);
    }

    /// The request was granted. What is no identity is taken for a request that failed.
    pub(crate) fn identity_granted(
        &mut self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        now: Instant,
    ) {
        if producer_id.0 < 0 || epoch.0 < 0 {
            return self.identity_failed(false, now);
        }
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
}
