//! The link to the partition's leader, and the proof that the leader knows our identity.

use std::time::{Duration, Instant};

use wolff_codec::{BrokerId, LeaderEpoch, TopicId};

use crate::batch::Stamp;

/// Time for which a success proves that the leader knows the identity: far below the shortest time
/// after which a broker forgets a producer.
const PROOF_HOLDS: Duration = Duration::from_secs(3600);

/// The broker at the other end of a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leader {
    /// Its id.
    pub broker: BrokerId,
    /// The epoch in which it leads the partition; negative where the cluster does not say.
    pub epoch: LeaderEpoch,
    /// The topic's id; zero where the cluster has none.
    pub topic_id: TopicId,
    /// Hash of the cluster's id; 0 where it is not known.
    pub cluster: u64,
    /// The time of day at the connection, milliseconds since the epoch; 0 where it is not known.
    pub now_ms: i64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Down,
    Connecting,
    Up(Leader),
}

/// A success of an identity on the present connection.
#[derive(Clone, Copy, Debug)]
struct Proof {
    identity: Stamp,
    at: Instant,
}

/// State of the link. Until the first success of an identity on a connection one request is in
/// flight at a time: a leader that does not know a producer id accepts any first sequence, so that
/// a second batch in flight could shut out the first (KAFKA-15591).
#[derive(Clone, Debug)]
pub(crate) struct Link {
    state: State,
    proof: Option<Proof>,
    /// The next attempt asks for fresh metadata first.
    refreshes_metadata: bool,
    /// An answer named the leader: no metadata is needed for the next attempt.
    knows_leader: bool,
    /// The driver has to drop its connection.
    drops_connection: bool,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Down,
            proof: None,
            refreshes_metadata: false,
            knows_leader: false,
            drops_connection: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state == State::Down
    }

    /// An attempt starts. Returns whether it needs fresh metadata.
    pub(crate) fn connect(&mut self) -> bool {
        self.state = State::Connecting;
        let refreshes = std::mem::take(&mut self.refreshes_metadata);
        refreshes && !std::mem::take(&mut self.knows_leader)
    }

    /// An answer named the new leader (KIP-951).
    pub(crate) fn learn_leader(&mut self) {
        self.knows_leader = true;
    }

    pub(crate) fn connected(&mut self, leader: Leader) {
        self.state = State::Up(leader);
        self.knows_leader = false;
        self.proof = None;
        self.drops_connection = false;
    }

    /// The link is lost, or an attempt failed. `refresh`: the next attempt needs fresh metadata.
    pub(crate) fn lost(&mut self, refresh: bool) {
        self.state = State::Down;
        self.proof = None;
        self.refreshes_metadata |= refresh;
        self.drops_connection = false;
    }

    /// The link is given up from this side: the driver drops the connection.
    pub(crate) fn give_up(&mut self, refresh: bool) {
        let was_up = self.is_up();
        self.lost(refresh);
        self.drops_connection = was_up;
    }

    /// Returns whether the driver has to drop its connection; asked once.
    pub(crate) fn must_drop(&mut self) -> bool {
        std::mem::take(&mut self.drops_connection)
    }

    pub(crate) fn drops_connection(&self) -> bool {
        self.drops_connection
    }

    /// The leader took a batch of this identity.
    pub(crate) fn prove(&mut self, identity: Stamp, now: Instant) {
        if self.is_up() {
            self.proof = Some(Proof { identity, at: now });
        }
    }

    /// The last success proves nothing of what is sent from now on.
    pub(crate) fn forget_proof(&mut self) {
        self.proof = None;
    }

    /// Returns whether the leader is known to know the identity, so that several requests may be in
    /// flight.
    pub(crate) fn is_proven(&self, identity: &Stamp, now: Instant) -> bool {
        self.proof.is_some_and(|proof| {
            proof.identity.is_same_identity(identity)
                && now.saturating_duration_since(proof.at) < PROOF_HOLDS
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests take the time from the system once"
)]
mod tests {
    use wolff_codec::{ProducerEpoch, ProducerId};

    use super::*;

    fn stamp(id: i64, epoch: i16) -> Stamp {
        Stamp {
            producer_id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
            base_sequence: 0,
        }
    }

    fn leader() -> Leader {
        Leader {
            broker: BrokerId(1),
            epoch: LeaderEpoch(0),
            topic_id: TopicId::default(),
            cluster: 0,
            now_ms: 0,
        }
    }

    #[test]
    fn a_proof_ends_with_connection_identity_epoch_or_an_hour() {
        let now = Instant::now();
        let mut link = Link::new();
        link.connected(leader());
        link.prove(stamp(1, 0), now);
        assert!(link.is_proven(&stamp(1, 0), now));
        assert!(!link.is_proven(&stamp(2, 0), now));
        assert!(!link.is_proven(&stamp(1, 1), now));
        assert!(!link.is_proven(&stamp(1, 0), now + PROOF_HOLDS));
        link.lost(true);
        link.connected(leader());
        assert!(!link.is_proven(&stamp(1, 0), now));
    }

    #[test]
    fn only_a_link_that_was_up_is_dropped_and_only_once() {
        let mut link = Link::new();
        link.give_up(true);
        assert!(!link.must_drop());
        assert!(link.connect());
        link.connected(leader());
        link.give_up(false);
        assert!(link.must_drop() && !link.must_drop());
        assert!(!link.connect());
    }
}
