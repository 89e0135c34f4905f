//! The producer identity of one partition queue: producer id, epoch and the next sequence number (KIP-98).
//!
//! One identity per partition queue, so that a fault of one partition never disturbs another.

use wolff_codec::{ProducerEpoch, ProducerId};

use crate::batch::Stamp;

/// Where the partition stands with its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Batches go out without one.
    Off,
    /// Needed, not asked for yet.
    Absent,
    /// Asked for.
    Requested,
    /// In hand.
    Ready {
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        next_sequence: i32,
    },
}

impl Identity {
    /// Whether batches can be sent as far as the identity is concerned.
    pub(crate) fn allows_sending(self) -> bool {
        matches!(self, Self::Off | Self::Ready { .. })
    }

    /// Takes the sequence numbers for `records` records.
    pub(crate) fn stamp(&mut self, records: u32) -> Option<Stamp> {
        let Self::Ready {
            producer_id,
            epoch,
            next_sequence,
        } = self
        else {
            return None;
        };
        let stamp = Stamp {
            producer_id: *producer_id,
            epoch: *epoch,
            base_sequence: *next_sequence,
        };
        *next_sequence = sequence_after(*next_sequence, records);
        Some(stamp)
    }

    /// Starts the sequence anew at the next epoch, which needs no broker's leave (KIP-360). When the epochs are used up a
    /// fresh producer id is asked for.
    pub(crate) fn next_epoch(&mut self) {
        if let Self::Ready {
            producer_id, epoch, ..
        } = *self
        {
            *self = match epoch.0.checked_add(1) {
                Some(next) if next < i16::MAX => Self::Ready {
                    producer_id,
                    epoch: ProducerEpoch(next),
                    next_sequence: 0,
                },
                _ => Self::Absent,
            };
        }
    }

    /// Forgets the identity; a fresh one is asked for.
    pub(crate) fn discard(&mut self) {
        if matches!(self, Self::Ready { .. }) {
            *self = Self::Absent;
        }
    }
}

/// The sequence number `records` behind `sequence`. Sequences are counted modulo 2^31.
fn sequence_after(sequence: i32, records: u32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(records)) & 0x7fff_ffff;
    i32::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_at_two_to_the_31() {
        assert_eq!(sequence_after(0, 5), 5);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 4), 2);
    }

    #[test]
    fn the_last_epoch_is_followed_by_a_fresh_id() {
        let mut identity = Identity::Ready {
            producer_id: ProducerId(7),
            epoch: ProducerEpoch(3),
            next_sequence: 9,
        };
        identity.next_epoch();
        assert_eq!(
            identity,
            Identity::Ready {
                producer_id: ProducerId(7),
                epoch: ProducerEpoch(4),
                next_sequence: 0
            }
        );
        identity = Identity::Ready {
            producer_id: ProducerId(7),
            epoch: ProducerEpoch(i16::MAX - 1),
            next_sequence: 9,
        };
        identity.next_epoch();
        assert_eq!(identity, Identity::Absent);
    }
}
