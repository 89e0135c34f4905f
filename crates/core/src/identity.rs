//! The producer identity of a partition queue: producer id, epoch and the next sequence number
//! (KIP-98).

use wolff_codec::{ProducerEpoch, ProducerId};

use crate::batch::Stamp;

/// Scope of an identity: who else uses it, and so who decides on its next epoch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdentityScope {
    /// One partition queue: a fault of one partition never disturbs another.
    #[default]
    Partition,
}

/// A request for an identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdentityRequest {
    /// A producer id that nobody has used.
    Fresh,
    /// The next epoch of this id (KIP-360). In the scope of a partition the producer takes it by
    /// itself: see [`next_epoch`](IdentityRequest::next_epoch).
    NextEpoch {
        /// The id.
        producer_id: ProducerId,
        /// Its present epoch.
        epoch: ProducerEpoch,
    },
}

impl IdentityRequest {
    /// The identity that this request gets without a broker; `None` where the cluster has to be
    /// asked: for a fresh id, also when the epochs of an id are used up.
    #[must_use]
    pub fn next_epoch(self) -> Option<(ProducerId, ProducerEpoch)> {
        let Self::NextEpoch { producer_id, epoch } = self else {
            return None;
        };
        let next = epoch.0.checked_add(1).filter(|next| *next < i16::MAX)?;
        Some((producer_id, ProducerEpoch(next)))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Batches go out without one.
    Off,
    /// Needed, not requested.
    Absent,
    /// Requested.
    Requested,
    Ready,
}

/// The identity, with the invariant that a sequence range is handed out once.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    state: State,
    /// Id, epoch and next sequence number; kept while the next epoch is requested.
    next: Option<Stamp>,
    /// A range was handed out and not used, or a batch was given up: nothing is stamped before the
    /// next epoch.
    has_gap: bool,
    /// Number of the identity among those that the queue has had.
    generation: u32,
}

impl Identity {
    /// None yet. `generation`: the number of the last one that the queue has had.
    pub(crate) fn new(is_wanted: bool, generation: u32) -> Self {
        Self {
            state: if is_wanted { State::Absent } else { State::Off },
            next: None,
            has_gap: false,
            generation,
        }
    }

    /// Number of the identity among those that the queue has had: a newer one has a larger one.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state == State::Off
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Returns whether new batches may be stamped, or need no stamp.
    pub(crate) fn allows_stamps(&self) -> bool {
        self.is_off() || (self.is_ready() && !self.has_gap)
    }

    /// Returns whether the stamp belongs to the present id and epoch.
    pub(crate) fn is_current(&self, stamp: &Stamp) -> bool {
        self.next.is_some_and(|next| next.is_same_identity(stamp))
    }

    /// The request that has to be made before new batches can be stamped.
    pub(crate) fn needed_request(&self) -> Option<IdentityRequest> {
        match (self.state, self.next) {
            (State::Ready, Some(next)) if self.has_gap => Some(IdentityRequest::NextEpoch {
                producer_id: next.producer_id,
                epoch: next.epoch,
            }),
            (State::Absent, _) => Some(IdentityRequest::Fresh),
            _ => None,
        }
    }

    pub(crate) fn requested(&mut self) {
        self.state = State::Requested;
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.state == State::Requested
    }

    /// The request was answered.
    pub(crate) fn granted(&mut self, producer_id: ProducerId, epoch: ProducerEpoch) {
        self.state = State::Ready;
        self.has_gap = false;
        self.generation = self.generation.saturating_add(1);
        self.next = Some(Stamp {
            producer_id,
            epoch,
            base_sequence: 0,
        });
    }

    /// The request got no answer: it is made again.
    pub(crate) fn request_failed(&mut self) {
        if self.is_requested() {
            self.state = State::Absent;
        }
    }

    /// Takes the sequence range of `records` records.
    pub(crate) fn stamp(&mut self, records: u32) -> Option<Stamp> {
        let next = self.next.as_mut().filter(|_| self.state == State::Ready)?;
        let stamp = *next;
        next.base_sequence = sequence_after(next.base_sequence, records);
        Some(stamp)
    }

    /// Takes a range back that was handed out last and came to nobody's eyes.
    pub(crate) fn give_back(&mut self, stamp: &Stamp, records: u32) {
        let after = sequence_after(stamp.base_sequence, records);
        let is_last = |next: &&mut Stamp| {
            next.is_same_identity(stamp) && next.base_sequence == after && !self.has_gap
        };
        if let Some(next) = self.next.as_mut().filter(is_last) {
            next.base_sequence = stamp.base_sequence;
        }
    }

    /// A batch was given up, or a range was lost: the next epoch closes the gap.
    pub(crate) fn open_gap(&mut self) {
        self.has_gap |= self.state == State::Ready;
    }

    /// Forgets the identity; a fresh one is requested.
    pub(crate) fn discard(&mut self) {
        if !self.is_off() {
            *self = Self::new(true, self.generation);
        }
    }

    /// The cluster gives none: batches go out without one.
    pub(crate) fn turn_off(&mut self) {
        *self = Self::new(false, self.generation);
    }
}

/// The sequence number `records` after `sequence`. Sequences are counted modulo 2^31.
fn sequence_after(sequence: i32, records: u32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(records)) & 0x7fff_ffff;
    i32::try_from(sum).unwrap_or(0)
}

/// The sequence number of the last of so many records.
pub(crate) fn last_sequence(stamp: &Stamp, records: u32) -> i32 {
    sequence_after(stamp.base_sequence, records.saturating_sub(1))
}

/// Distance by which `sequence` is ahead of `other`; negative: behind. Half of the numbers are
/// taken to be ahead.
pub(crate) fn sequence_distance(sequence: i32, other: i32) -> i32 {
    let ahead = sequence.wrapping_sub(other) & i32::MAX;
    if ahead > i32::MAX / 2 {
        ahead.wrapping_sub(i32::MAX).wrapping_sub(1)
    } else {
        ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(epoch: i16) -> Identity {
        let mut identity = Identity::new(true, 0);
        identity.requested();
        identity.granted(ProducerId(7), ProducerEpoch(epoch));
        identity
    }

    #[test]
    fn sequences_wrap_at_two_to_the_31() {
        assert_eq!(sequence_after(0, 5), 5);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 4), 2);
        for (sequence, other, distance) in [
            (5, 3, 2),
            (3, 5, -2),
            (0, i32::MAX, 1),
            (i32::MAX, 0, -1),
            (2, i32::MAX - 1, 4),
            (7, 7, 0),
        ] {
            assert_eq!(sequence_distance(sequence, other), distance);
        }
    }

    #[test]
    fn ranges_are_handed_out_once_and_a_gap_needs_the_next_epoch() {
        let mut identity = ready(3);
        assert_eq!(identity.stamp(5).unwrap().base_sequence, 0);
        assert_eq!(identity.stamp(2).unwrap().base_sequence, 5);
        identity.open_gap();
        assert!(!identity.allows_stamps());
        let request = identity.needed_request().unwrap();
        assert_eq!(
            request.next_epoch(),
            Some((ProducerId(7), ProducerEpoch(4)))
        );
        identity.requested();
        identity.granted(ProducerId(7), ProducerEpoch(4));
        assert!(identity.allows_stamps());
        assert_eq!(identity.stamp(1).unwrap().base_sequence, 0);
    }

    #[test]
    fn the_last_epoch_is_followed_by_a_fresh_id() {
        let mut identity = ready(i16::MAX - 1);
        identity.open_gap();
        assert_eq!(identity.needed_request().unwrap().next_epoch(), None);
    }
}
