//! The tags of recovered leases, read together.

use std::collections::VecDeque;

use bytes::Bytes;
use wolff_codec::TopicId;
use wolff_codec::records::Compression;

use crate::batch::Stamp;
use crate::identity::{last_sequence, sequence_distance};
use crate::split::StoredBatch;
use crate::stamp_tag::{LeaseTag, StampedBatch, compression_of};

/// Knowledge of a batch that a previous run had stamped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It has come to its end.
    Delivered,
    /// It was perhaps appended, and a broker that knows its producer can say.
    InDoubt,
    /// The same, and it was perhaps appended before that, under numbers that no broker is asked
    /// about any more.
    InDoubtAgain,
    /// It was perhaps appended under numbers that no broker is asked about any more.
    Unrecognisable,
    /// It is not in the log under its stamp, and never will be.
    NotAppended,
}

/// A stamped batch of a lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct PlannedBatch {
    stored: StoredBatch,
    stamp: Stamp,
    fate: Fate,
}

/// A recovered lease.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LeasePlan {
    /// Records at its front that have come to their end.
    done_records: u32,
    batches: Vec<PlannedBatch>,
    /// True if records that are in no batch were perhaps sent.
    rest_was_sent: bool,
    /// Its tag could not be read: all of it was perhaps sent.
    is_unreadable: bool,
}

/// Facts that an earlier run has recorded with what it left in doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) topic_id: TopicId,
    /// Hash of the cluster's id; 0 where it is not known.
    pub(crate) cluster: u64,
    /// Offset of the last acknowledged record that any tag names; negative where none is known.
    pub(crate) floor: i64,
    /// The newest timestamp of the oldest batch in doubt.
    pub(crate) max_timestamp_ms: i64,
    /// Time at which the oldest of them was stamped; 0 where that is not known.
    pub(crate) stamped_at_ms: i64,
}

/// Decisions about each recovered lease, in the order of the queue.
#[derive(Debug, Default)]
pub(crate) struct ResumePlan {
    leases: VecDeque<LeasePlan>,
    /// Number of the newest identity that is named anywhere.
    generation: u32,
    /// Of what is in doubt.
    recorded: Option<Recorded>,
}

impl ResumePlan {
    /// Reads the tags of recovered leases, in the order of the queue.
    pub(crate) fn new<'a>(tags: impl IntoIterator<Item = &'a Bytes>) -> Self {
        let tags: Vec<Option<LeaseTag>> = tags
            .into_iter()
            .map(|tag| LeaseTag::decode(tag).ok())
            .collect();
        let readable = || tags.iter().flatten().filter(|tag| !tag.batches.is_empty());
        let generation = readable().map(|tag| tag.generation).max().unwrap_or(0);
        let acked = AckedThrough::of(readable().flat_map(|tag| &tag.batches));
        // Whatever was acknowledged in this topic when any of them was written.
        let floor_in = |topic_id: [u8; 16]| {
            let tags = readable().filter(|tag| tag.topic_id == topic_id);
            tags.map(|tag| tag.floor).max().unwrap_or(-1)
        };
        // The identities in the order in which the queue names them: an older one behind a newer
        // one was given up with batches that had no end.
        let mut newest: Option<(u32, Stamp)> = None;
        let mut plan = Self {
            leases: VecDeque::with_capacity(tags.len()),
            generation,
            recorded: None,
        };
        for tag in &tags {
            let Some(tag) = tag else {
                plan.leases.push_back(LeasePlan {
                    is_unreadable: true,
                    ..LeasePlan::default()
                });
                continue;
            };
            let mut lease = LeasePlan {
                done_records: tag.done_records,
                rest_was_sent: tag.rest_was_sent,
                ..LeasePlan::default()
            };
            for batch in &tag.batches {
                let fate = match newest {
                    _ if acked.covers(batch) => Fate::Delivered,
                    Some((before, stamp)) if before > tag.generation => given_up(batch, &stamp),
                    // What has its end is followed by newer identities only.
                    _ if tag.generation < generation => Fate::Delivered,
                    _ if batch.was_sent_before => Fate::InDoubtAgain,
                    _ => Fate::InDoubt,
                };
                if matches!(fate, Fate::InDoubt | Fate::InDoubtAgain) {
                    plan.recorded.get_or_insert_with(|| Recorded {
                        topic_id: TopicId(tag.topic_id),
                        cluster: tag.cluster,
                        floor: floor_in(tag.topic_id),
                        max_timestamp_ms: tag.max_timestamp_ms,
                        stamped_at_ms: tag.stamped_at_ms,
                    });
                }
                if newest.is_none_or(|(before, _)| before < tag.generation) {
                    newest = Some((tag.generation, batch.stamp));
                }
                lease.batches.push(PlannedBatch {
                    stored: StoredBatch {
                        first_record: batch.first_record,
                        record_count: batch.record_count,
                        compression: compression_of(batch.compression),
                    },
                    stamp: batch.stamp,
                    fate,
                });
            }
            plan.leases.push_back(lease);
        }
        plan
    }

    /// Number of the newest identity that is named anywhere; 0: none is.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Facts about what is in doubt; `None`: nothing is.
    pub(crate) fn recorded(&self) -> Option<Recorded> {
        self.recorded
    }

    /// The plan of the next lease.
    pub(crate) fn next(&mut self) -> LeasePlan {
        self.leases.pop_front().unwrap_or(LeasePlan {
            is_unreadable: true,
            ..LeasePlan::default()
        })
    }

    /// The batches of the next lease, as they were stored: they are sent with the same boundaries
    /// again.
    pub(crate) fn next_stored(&self) -> Vec<StoredBatch> {
        let Some(lease) = self.leases.front() else {
            return Vec::new();
        };
        let done = (lease.done_records > 0).then_some(StoredBatch {
            first_record: 0,
            record_count: lease.done_records,
            compression: Compression::None,
        });
        let batches = lease.batches.iter().map(|batch| batch.stored);
        done.into_iter().chain(batches).collect()
    }
}

/// The fate of a batch whose identity was given up for a newer one.
fn given_up(batch: &StampedBatch, newer: &Stamp) -> Fate {
    let stamp = &batch.stamp;
    if batch.was_sent_before {
        return Fate::Unrecognisable;
    }
    // The next epoch of an id is begun once nothing of it is in doubt; a fresh id is taken by those
    // who have no other way.
    if stamp.producer_id == newer.producer_id && stamp.epoch.0 < newer.epoch.0 {
        Fate::NotAppended
    } else {
        Fate::Unrecognisable
    }
}

impl LeasePlan {
    /// The fate of some of its records, and the stamp where they are a batch that has one.
    pub(crate) fn fate(&self, first_record: u32, record_count: u32) -> (Fate, Option<Stamp>) {
        let end = first_record.saturating_add(record_count);
        if self.is_unreadable {
            return (Fate::Unrecognisable, None);
        }
        if end <= self.done_records {
            return (Fate::Delivered, None);
        }
        let overlaps = |batch: &&PlannedBatch| {
            batch.stored.first_record < end && first_record < batch.stored.end()
        };
        let Some(batch) = self.batches.iter().find(overlaps) else {
            let fate = if self.rest_was_sent {
                Fate::Unrecognisable
            } else {
                Fate::NotAppended
            };
            return (fate, None);
        };
        let is_within = batch.stored.first_record <= first_record && end <= batch.stored.end();
        let is_same = is_within && batch.stored.record_count == record_count;
        match batch.fate {
            Fate::InDoubt | Fate::InDoubtAgain if is_same => (batch.fate, Some(batch.stamp)),
            // Damage has changed its boundaries: no broker would recognise it.
            Fate::InDoubt | Fate::InDoubtAgain => (Fate::Unrecognisable, None),
            // Part of what was delivered, and all of it.
            Fate::Delivered if is_within => (Fate::Delivered, None),
            Fate::Delivered => (Fate::Unrecognisable, None),
            other => (other, None),
        }
    }
}

/// The highest sequence number of each identity that was acknowledged, as far as any tag says.
struct AckedThrough(Vec<(Stamp, i32)>);

impl AckedThrough {
    fn of<'a>(batches: impl Iterator<Item = &'a StampedBatch>) -> Self {
        let mut highest: Vec<(Stamp, i32)> = Vec::new();
        for batch in batches.filter(|batch| batch.acked_through >= 0) {
            // Identities come one after the other: the last one is nearly always it.
            let known = highest
                .iter_mut()
                .rev()
                .find(|(stamp, _)| stamp.is_same_identity(&batch.stamp));
            match known {
                Some((_, through)) if sequence_distance(batch.acked_through, *through) > 0 => {
                    *through = batch.acked_through;
                }
                Some(_) => {}
                None => highest.push((batch.stamp, batch.acked_through)),
            }
        }
        Self(highest)
    }

    fn covers(&self, batch: &StampedBatch) -> bool {
        let through = self
            .0
            .iter()
            .rev()
            .find(|(stamp, _)| stamp.is_same_identity(&batch.stamp));
        let last = last_sequence(&batch.stamp, batch.record_count);
        through.is_some_and(|(_, through)| sequence_distance(*through, last) >= 0)
    }
}

#[cfg(test)]
mod tests {
    use wolff_codec::{ProducerEpoch, ProducerId};

    use super::*;

    /// A tag of one batch of ten records.
    fn tag(generation: u32, (id, epoch): (i64, i16), base: i32, acked_through: i32) -> Bytes {
        LeaseTag {
            topic_id: [0; 16],
            cluster: 0,
            floor: -1,
            max_timestamp_ms: 0,
            stamped_at_ms: i64::from(base),
            generation,
            done_records: 0,
            rest_was_sent: false,
            batches: vec![StampedBatch {
                stamp: Stamp {
                    producer_id: ProducerId(id),
                    epoch: ProducerEpoch(epoch),
                    base_sequence: base,
                },
                first_record: 0,
                record_count: 10,
                compression: 0,
                acked_through,
                was_sent_before: false,
            }],
        }
        .encode()
    }

    fn fates(tags: &[Bytes]) -> Vec<Fate> {
        let mut plan = ResumePlan::new(tags);
        tags.iter().map(|_| plan.next().fate(0, 10).0).collect()
    }

    #[test]
    fn what_any_tag_says_is_acked_is_delivered_and_the_rest_is_in_doubt() {
        let tags = [
            tag(1, (7, 0), 0, -1),
            tag(1, (7, 0), 10, -1),
            tag(1, (7, 0), 20, 19),
            tag(1, (7, 0), 30, 9),
        ];
        use Fate::{Delivered, InDoubt};
        assert_eq!(fates(&tags), [Delivered, Delivered, InDoubt, InDoubt]);
        let plan = ResumePlan::new(&tags);
        assert_eq!(plan.recorded().unwrap().stamped_at_ms, 20);
    }

    #[test]
    fn sequence_numbers_are_compared_across_their_wrap() {
        let tags = [
            tag(1, (7, 0), i32::MAX - 14, -1),
            tag(1, (7, 0), i32::MAX - 4, i32::MAX - 5),
            tag(1, (7, 0), 5, 4),
            tag(1, (7, 0), 15, 4),
        ];
        use Fate::{Delivered, InDoubt};
        assert_eq!(fates(&tags), [Delivered, Delivered, InDoubt, InDoubt]);
    }

    #[test]
    fn an_older_identity_in_front_has_ended_and_one_behind_was_given_up() {
        use Fate::{Delivered, InDoubt, NotAppended, Unrecognisable};
        let ended = [tag(1, (7, 0), 0, -1), tag(2, (8, 0), 0, -1)];
        assert_eq!(fates(&ended), [Delivered, InDoubt]);
        let next_epoch = [tag(2, (7, 1), 0, -1), tag(1, (7, 0), 10, -1)];
        assert_eq!(fates(&next_epoch), [InDoubt, NotAppended]);
        let fresh_id = [tag(2, (8, 0), 0, -1), tag(1, (7, 0), 10, -1)];
        assert_eq!(fates(&fresh_id), [InDoubt, Unrecognisable]);
    }

    #[test]
    fn what_was_sent_before_under_other_numbers_stays_in_doubt_whatever_becomes_of_these() {
        let sent_before = |tag: &Bytes| {
            let mut tag = LeaseTag::decode(tag).unwrap();
            tag.batches[0].was_sent_before = true;
            tag.encode()
        };
        use Fate::{InDoubt, InDoubtAgain, Unrecognisable};
        let same = [sent_before(&tag(1, (7, 0), 0, -1)), tag(1, (7, 0), 10, -1)];
        assert_eq!(fates(&same), [InDoubtAgain, InDoubt]);
        let plan = ResumePlan::new(&same);
        assert_eq!(plan.recorded().unwrap().stamped_at_ms, 0);
        let next_epoch = [tag(2, (7, 1), 0, -1), sent_before(&tag(1, (7, 0), 10, -1))];
        assert_eq!(fates(&next_epoch), [InDoubt, Unrecognisable]);
        let mut whole = LeaseTag::decode(&tag(1, (7, 0), 0, -1)).unwrap();
        whole.rest_was_sent = true;
        let lease = ResumePlan::new(&[whole.encode()]).next();
        assert_eq!(lease.fate(10, 5), (Unrecognisable, None));
    }

    #[test]
    fn a_tag_that_cannot_be_read_leaves_everything_perhaps_sent() {
        let tags = [Bytes::from_static(b"?"), tag(1, (7, 0), 0, -1)];
        assert_eq!(fates(&tags), [Fate::Unrecognisable, Fate::InDoubt]);
    }

    #[test]
    fn records_that_are_done_or_no_batch_are_known_and_other_boundaries_are_not() {
        let mut whole = LeaseTag::decode(&tag(1, (7, 0), 0, -1)).unwrap();
        whole.done_records = 5;
        whole.batches[0].first_record = 5;
        let lease = ResumePlan::new(&[whole.encode()]).next();
        assert_eq!(lease.fate(0, 5), (Fate::Delivered, None));
        assert_eq!(lease.fate(5, 10).0, Fate::InDoubt);
        assert_eq!(lease.fate(5, 9).0, Fate::Unrecognisable);
        assert_eq!(lease.fate(4, 11).0, Fate::Unrecognisable);
        assert_eq!(lease.fate(15, 3), (Fate::NotAppended, None));
        whole.batches[0].acked_through = 9;
        let lease = ResumePlan::new(&[whole.encode()]).next();
        assert_eq!(lease.fate(6, 3).0, Fate::Delivered);
        assert_eq!(lease.fate(4, 11).0, Fate::Unrecognisable, "more than that");
    }
}
