//! Batches that are known to be too large before they are sent: for the broker, which has refused
//! such, or for the link, which was lost in the middle of such.

use super::Sending;
use super::blame::Blame;
use super::slot::{Slot, SlotState};
use crate::action::LeaseOperation;
use crate::split::SplitRule;

impl<T: Clone> Sending<T> {
    /// The most bytes of a batch on the wire.
    pub(super) fn wire_bytes_limit(&self) -> usize {
        let link = self.policy.link_limit.bytes_or_max();
        self.policy.learned.wire_bytes.min(link)
    }

    /// Splits what is too large and has no sequence range yet.
    pub(super) fn make_smaller(&mut self) {
        self.take_back_stamps();
        let limit = self.wire_bytes_limit();
        for slot in self.window.iter_mut() {
            let wire_bytes = slot.body().wire_bytes();
            if wire_bytes <= limit || slot.is_single_call() || !slot.is(&SlotState::Unstamped) {
                continue;
            }
            slot.start_split(Blame::default());
            self.writing.operations.push_back(LeaseOperation::Split {
                batch: slot.no(),
                body: slot.body().clone(),
                rule: SplitRule::AtMost {
                    bytes: share(slot.body().records_bytes(), limit, wire_bytes),
                },
            });
        }
    }

    /// Takes the sequence ranges from batches that the link does not carry, so that they can be
    /// split. No broker can have any of them: no attempt had all of its bytes on the way. What
    /// is perhaps appended keeps its range and its boundaries, and with it everything behind it;
    /// it is sent again until the link carries it.
    fn take_back_stamps(&mut self) {
        let Some(limit) = self.policy.link_limit.bytes() else {
            return;
        };
        let is_too_large = |slot: &Slot<T>| {
            slot.is(&SlotState::Ready) && !slot.is_single_call() && slot.body().wire_bytes() > limit
        };
        let is_known_to_be_here = |slot: &Slot<T>| {
            matches!(slot.state(), SlotState::Ready | SlotState::Unstamped)
                && !slot.was_perhaps_appended()
        };
        if self.resuming.is_loading
            || self.writing.reserved.is_some()
            || !self.window.iter().all(is_known_to_be_here)
            || !self.window.iter().any(is_too_large)
        {
            return;
        }
        let mut has_gap = false;
        for slot in self.window.iter_mut() {
            has_gap |= slot
                .stamp()
                .is_some_and(|stamp| self.identity.is_current(stamp));
            if slot.is(&SlotState::Ready) {
                slot.unstamp();
            }
        }
        self.writing
            .operations
            .retain(|operation| !matches!(operation, LeaseOperation::Stamp { .. }));
        if has_gap {
            self.identity.open_gap();
        }
    }
}

/// The part of `whole` that `limit` is of `size`; at least one byte.
fn share(whole: usize, limit: usize, size: usize) -> usize {
    let wide = |length: usize| u128::try_from(length).unwrap_or(u128::MAX);
    let part = wide(whole).saturating_mul(wide(limit)) / wide(size.max(1));
    usize::try_from(part).unwrap_or(usize::MAX).max(1)
}
