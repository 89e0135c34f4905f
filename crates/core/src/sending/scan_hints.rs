//! Facts about the log that batches in doubt may be in: hints for whoever looks for them.

use std::time::Instant;

use wolff_codec::{Offset, TopicId};

use crate::batch::Stamp;
use crate::link::Leader;
use crate::resume::Recorded;

/// Facts about cluster, topic and log: for the tags of leases, and to be compared with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScanHints {
    topic_id: TopicId,
    cluster: u64,
    /// The time of day at one moment, milliseconds since the epoch; `None` where it is not known.
    clock: Option<(Instant, i64)>,
    last_acked: Option<Offset>,
    /// The same of previous runs, as the tag of the oldest batch in doubt says.
    acked_before: Option<Offset>,
    /// The log may end before the last acked record.
    is_questioned: bool,
    /// The identity of the last batch that was acked, and the highest sequence number of it that is
    /// in Kafka.
    acked_through: Option<(Stamp, i32)>,
}

/// The place of an acknowledgement among earlier ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Behind them.
    Behind,
    /// Not behind them, since the cluster has lost them.
    AfterLoss,
    /// A place where nothing of this queue can be any more: the batch was taken for another one.
    Impossible,
}

impl ScanHints {
    /// The facts that an earlier run had recorded with what it left in doubt.
    pub(super) fn of(recorded: Recorded) -> Self {
        Self {
            topic_id: recorded.topic_id,
            cluster: recorded.cluster,
            acked_before: (recorded.floor >= 0).then_some(Offset(recorded.floor)),
            ..Self::default()
        }
    }

    /// The topic's id; zero where it is not known.
    pub(super) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The cluster's number; 0 where it is not known.
    pub(super) fn cluster(&self) -> u64 {
        self.cluster
    }

    /// Returns whether the leader belongs to another cluster than before.
    pub(super) fn is_other_cluster(&self, leader: &Leader) -> bool {
        self.cluster != 0 && leader.cluster != 0 && self.cluster != leader.cluster
    }

    /// Notes a new leader. Returns whether its topic is another one of the same name.
    pub(super) fn meet(&mut self, leader: Leader, now: Instant) -> bool {
        let none = TopicId::default();
        let is_known = self.topic_id != none && leader.topic_id != none;
        let is_other = is_known && self.topic_id != leader.topic_id;
        if is_other {
            (self.last_acked, self.acked_before) = (None, None);
        }
        if leader.topic_id != none {
            self.topic_id = leader.topic_id;
        }
        if leader.cluster != 0 {
            self.cluster = leader.cluster;
        }
        self.clock = (leader.now_ms > 0).then_some((now, leader.now_ms));
        is_other
    }

    /// Offset of the last acknowledged record of any run, where it is known.
    pub(super) fn floor(&self) -> Option<Offset> {
        self.last_acked.or(self.acked_before)
    }

    /// The place of an acknowledgement with this offset.
    pub(super) fn place(&self, base_offset: Offset) -> Place {
        match self.last_acked {
            Some(last) if base_offset <= last && self.is_questioned => Place::AfterLoss,
            Some(last) if base_offset <= last => Place::Impossible,
            _ => Place::Behind,
        }
    }

    /// The leader does not know what it was sent before: its log may end before what was
    /// acknowledged.
    pub(super) fn question_offsets(&mut self) {
        self.is_questioned = true;
    }

    /// The time of day, milliseconds since the epoch; 0 where it is not known.
    pub(super) fn now_ms(&self, now: Instant) -> i64 {
        self.clock.map_or(0, |(at, at_ms)| {
            let since = now.saturating_duration_since(at).as_millis();
            at_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
        })
    }

    /// A batch with this stamp is in Kafka; its last sequence number.
    pub(super) fn acked(&mut self, stamp: Stamp, last_sequence: i32) {
        self.acked_through = Some((stamp, last_sequence));
    }

    /// Offset of the last acked record, where it is known.
    pub(super) fn reached(&mut self, last: Option<Offset>) {
        self.last_acked = last.or(self.last_acked);
        self.is_questioned &= last.is_none();
    }

    /// The highest sequence number of the stamp's identity that is in Kafka; -1: none.
    pub(super) fn acked_through(&self, stamp: &Stamp) -> i32 {
        self.acked_through
            .filter(|(acked, _)| acked.is_same_identity(stamp))
            .map_or(-1, |(_, last_sequence)| last_sequence)
    }
}
