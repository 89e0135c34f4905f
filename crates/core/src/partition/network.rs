//! The traffic with the leader: connecting, the identity, and what to send next.

use std::time::Instant;

use wolff_codec::{ProducerEpoch, ProducerId};

use super::machine::Partition;
use crate::action::{Action, Transmit};
use crate::config::Idempotence;
use crate::identity::Identity;
use crate::link::LinkState;
use crate::window::SlotState;

impl<T: Clone> Partition<T> {
    /// The next thing to do on the network.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if std::mem::take(&mut self.disconnect) {
            return Some(Action::Disconnect);
        }
        match self.link.state {
            LinkState::Down { retry_at } => {
                let due = retry_at.is_none_or(|at| at <= now);
                if due && self.has_work() && self.window.sent() == 0 {
                    self.link.state = LinkState::Connecting;
                    return Some(Action::Connect {
                        refresh_metadata: self.link.refresh_metadata,
                    });
                }
                None
            }
            LinkState::Connecting => None,
            LinkState::Up { proven } => {
                if self.identity == Identity::Absent
                    && self.window.sent() == 0
                    && self.resend_is_due(now)
                {
                    self.identity = Identity::Requested;
                    return Some(Action::InitProducerId);
                }
                self.next_transmit(proven, now).map(Action::Send)
            }
        }
    }

    /// Whether [`poll_action`](Self::poll_action) would have something, without changing anything.
    #[must_use]
    pub fn wants_network(&self, now: Instant) -> bool {
        let idle = self.window.sent() == 0;
        self.disconnect
            || match self.link.state {
                LinkState::Down { retry_at } => {
                    idle && self.has_work() && retry_at.is_none_or(|at| at <= now)
                }
                LinkState::Connecting => false,
                LinkState::Up { proven } => {
                    (self.identity == Identity::Absent && idle && self.resend_is_due(now))
                        || self.can_transmit(proven, now)
                }
            }
    }

    fn can_transmit(&self, proven: bool, now: Instant) -> bool {
        let is_in_question = self.window.has_forgotten();
        let limit = if (proven && !is_in_question) || self.identity == Identity::Off {
            self.config.max_in_flight
        } else {
            1
        };
        self.identity.allows_sending()
            && !self.window.has_error()
            && self.resend_is_due(now)
            && self.window.sent() < limit
            && self.window.has_ready()
    }

    fn resend_is_due(&self, now: Instant) -> bool {
        self.resend_at.is_none_or(|at| at <= now)
    }

    fn next_transmit(&mut self, proven: bool, now: Instant) -> Option<Transmit> {
        if !self.can_transmit(proven, now) {
            return None;
        }
        let slot = self.window.next_ready()?;
        if slot.stamp.is_none() {
            slot.stamp = self.identity.stamp(slot.body.record_count());
        }
        let attempt = slot.attempts;
        slot.state = SlotState::Sent;
        slot.attempts = slot.attempts.saturating_add(1);
        if attempt > 0 {
            self.counters.retried_batches += 1;
        }
        if slot.in_doubt && slot.stamp.is_none() {
            self.counters.possibly_duplicated_records += u64::from(slot.body.record_count());
        }
        Some(Transmit {
            batch: slot.no,
            body: slot.body.clone(),
            stamp: slot.stamp,
            attempt,
        })
    }

    /// The link to the leader stands.
    pub fn handle_connected(&mut self) {
        self.link.connected();
    }

    /// The attempt to connect failed.
    pub fn handle_connect_failed(&mut self, now: Instant) {
        self.link.fail(now);
    }

    /// The link was lost. What was sent on it and not answered is in doubt, unless the driver said otherwise before.
    pub fn handle_disconnected(&mut self, now: Instant) {
        for slot in self.window.iter_mut() {
            match slot.state {
                SlotState::Sent => {
                    slot.state = SlotState::Ready;
                    slot.in_doubt = true;
                }
                // Another leader may remember more.
                SlotState::Forgotten => slot.state = SlotState::Ready,
                SlotState::Ready | SlotState::Answered(_) => {}
            }
        }
        if self.identity == Identity::Requested {
            self.identity = Identity::Absent;
        }
        if self.link.is_up() {
            self.link.fail(now);
        }
        self.settle_front(now);
    }

    /// A producer id was given.
    pub fn handle_producer_id(&mut self, producer_id: ProducerId, epoch: ProducerEpoch) {
        if self.identity == Identity::Requested {
            self.identity = Identity::Ready {
                producer_id,
                epoch,
                next_sequence: 0,
            };
        }
    }

    /// No producer id was given. `refused`: the cluster will not give one, now or later.
    ///
    /// Returns whether the partition goes on without one, at least once.
    pub fn handle_producer_id_failed(&mut self, refused: bool, now: Instant) -> bool {
        if self.identity != Identity::Requested {
            return false;
        }
        if refused && self.config.idempotence == Idempotence::Auto {
            self.identity = Identity::Off;
            // Without sequence numbers only one request at a time keeps the order.
            self.config.max_in_flight = 1;
            return true;
        }
        self.identity = Identity::Absent;
        self.resend_at = Some(now + self.link.retry_delay());
        false
    }
}
