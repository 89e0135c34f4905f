//! Taking over the segments that were found: into the ledger, and the last one into the writer.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Storage};
use crate::damage::{Damage, Recovery};
use crate::disk::writer::Writer;
use crate::error::{IoContext, IoFailure};
use crate::format::control::commit::{PartlyDone, open_of};
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entry::ALIGNMENT;
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::walk::Payloads;
use crate::ids::{ItemId, ItemRange};
use crate::limits::load::Load;
use crate::moment::Moment;
use crate::scan::Candidate;
use crate::state::leases::Home;
use crate::state::ledger::Ledger;
use crate::state::segment::{Retired, Segment};
use crate::vfs::{self, OpenMode, Salvage, VfsFile};

use super::survey::{Sealed, Surveyed, seal_late, survey};

/// A segment in which all is done is filled on where it is not larger than this: a queue without
/// items is small.
const LARGEST_KEPT_EMPTY: u64 = 32 << 10;

/// The parts of a queue while it is being opened.
pub(super) struct Builder<'a> {
    pub(super) config: &'a Config,
    pub(super) uuid: QueueUuid,
    /// Ids below this one were used when the newest commit was written; none if that is not known
    /// for sure.
    pub(super) used_before: Option<u64>,
    /// The rests of segments, by the newest commit.
    pub(super) partly_done: Vec<PartlyDone>,
    pub(super) ledger: Ledger,
    pub(super) recovery: Recovery,
    pub(super) writer: Writer,
    /// The lease records in segments.
    pub(super) leases: Vec<(LeaseRecord, Home)>,
    /// The view of the file system that passes over unreadable places, where it is to.
    pub(super) salvage: Option<Arc<Salvage>>,
    /// Some of the control file cannot be read, and so cannot be written in part either: it is made
    /// anew.
    pub(super) has_bad_control: bool,
    /// The newest commit was written since the machine was started.
    pub(super) is_same_boot: bool,
    /// The sequence of the commit that is written next.
    pub(super) next_commit: u64,
}

impl Builder<'_> {
    /// Takes over all segments, which come in the order of their keys.
    pub(super) fn take_over(
        &mut self,
        directory: &Path,
        candidates: Vec<Candidate>,
    ) -> Result<(), IoFailure> {
        let mut last_id = self.ledger.acks().through();
        let mut candidates = candidates.into_iter().peekable();
        while let Some(candidate) = candidates.next() {
            let limit_id = candidates.peek().map(|next| next.key.first_id);
            last_id = self.take_over_one(directory, &candidate, limit_id, last_id)?;
        }
        // Ids behind the last item that were used by something that is not there any more.
        let next_id = self.ledger.next_id();
        let used_through = self.used_before.map_or(0, |id| id.saturating_sub(1));
        self.note_missing(last_id, used_through, next_id);
        Ok(())
    }

    /// Notes damage, for the caller of open and in the ledger.
    pub(super) fn report(&mut self, damage: Damage) {
        self.ledger.report(damage.clone());
        self.recovery.note(damage);
    }

    /// Files in which nothing is go when the commit that is written next is durable; those in which
    /// something must have been are kept aside.
    pub(super) fn retire(&mut self, empty: &[(Candidate, bool)]) {
        for (candidate, is_damaged) in empty {
            self.ledger.add_empty_file(Retired {
                key: candidate.key,
                file_bytes: candidate.file_bytes,
                is_damaged: *is_damaged,
                is_given_up: true,
                covered_by: self.next_commit,
            });
        }
    }

    /// Takes over one segment, of which items from `limit_id` on are not. The segment before ended
    /// with `previous_last_id`; returns with what this one ends.
    fn take_over_one(
        &mut self,
        directory: &Path,
        candidate: &Candidate,
        limit_id: Option<u64>,
        previous_last_id: u64,
    ) -> Result<u64, IoFailure> {
        let key = candidate.key;
        self.ledger.note_generation(key.generation);
        let (mut surveyed, unsealed) =
            self.survey(directory, candidate, limit_id.unwrap_or(u64::MAX))?;
        if let Some(salvage) = &self.salvage {
            // At the end of a segment only this distinguishes what was lost from what was never
            // written.
            let holes = salvage.take_holes().into_iter();
            let acks = self.ledger.acks();
            surveyed.damage.extend(holes.map(Damage::from), acks);
        }
        let header = candidate.header();
        if header.is_none() && surveyed.items > 0 {
            self.report(Damage::SegmentHeader {
                file: key.file_name(),
            });
        }
        let before_key = key.first_id.saturating_sub(1);
        let previous_id = header.map_or(before_key, |header| header.previous_id);
        self.note_missing(previous_last_id, previous_id, key.first_id);
        self.ledger.report_all(&surveyed.damage);
        for damage in surveyed.damage.first() {
            self.recovery.note(damage.clone());
        }
        for (first, last) in &surveyed.absent {
            self.ledger.finish(*first, *last);
        }
        let made = header.map_or(Moment::UNKNOWN, |header| header.made);
        let mut segment = Segment::new(key, previous_id, made, candidate.file_bytes);
        segment.last_id = surveyed.last_id;
        segment.items = surveyed.items;
        segment.payload_bytes = surveyed.payload_bytes;
        segment.end = surveyed.end;
        segment.is_damaged = !surveyed.damage.is_empty();
        segment.is_unsynced = true;
        segment.is_closed = true;
        let is_counted = !segment.is_damaged && !surveyed.is_suspect;
        segment.open = is_counted.then_some(Load {
            items: surveyed.open_items,
            bytes: surveyed.open_bytes,
        });
        if let Some(file) = unsealed {
            segment.known_end = surveyed.end;
            if self.config.syncs() {
                // What was read may not be durable yet, and from here on things are built on it.
                let path = self.writer.path(key);
                vfs::uninterrupted(|| file.sync()).context("sync", &path)?;
            }
            if limit_id.is_none() && self.is_same_boot && self.has_lost_tail(&surveyed) {
                // Items were there when the last commit was written, and the machine has run since:
                // what is left of them is kept.
                segment.is_damaged = true;
            }
            let is_sound = !segment.is_damaged;
            let is_needless = surveyed.open_items == 0
                && surveyed.leases.is_empty()
                && candidate.file_bytes > LARGEST_KEPT_EMPTY;
            let may_go_on = limit_id.is_none()
                && is_sound
                && !is_needless
                && header.is_some()
                && surveyed.end < self.config.segment_bytes;
            // What follows may be room, of an earlier use or made ahead, but no more than that is.
            let is_overlong = candidate.file_bytes
                > surveyed
                    .end
                    .saturating_add(self.config.segment_bytes.saturating_mul(2));
            let is_to_cut = surveyed.is_torn || is_overlong;
            if may_go_on && (!is_to_cut || file.set_length(surveyed.end).is_ok()) {
                if is_to_cut {
                    segment.file_bytes = surveyed.end;
                }
                segment.is_closed = false;
                self.writer
                    .resume(key, made, file, surveyed.end, segment.file_bytes);
            } else if is_sound {
                seal_late(key, &*file, &surveyed, self.uuid);
            }
        }
        let after_last = surveyed.last_id.max(surveyed.highest_id).saturating_add(1);
        self.ledger.use_ids_below(after_last.max(key.first_id));
        let waiting = self.count(&surveyed, key);
        self.ledger.add_segment(key, segment, waiting);
        self.leases.append(&mut surveyed.leases);
        Ok(surveyed.last_id.max(before_key))
    }

    /// Looks into a segment. One that is not sealed is read, and handed over open.
    fn survey(
        &self,
        directory: &Path,
        candidate: &Candidate,
        limit_id: u64,
    ) -> Result<(Surveyed, Option<Arc<dyn VfsFile>>), IoFailure> {
        let key = candidate.key;
        let vfs = &*self.config.vfs;
        let path = candidate.path(directory);
        let seal = candidate
            .seal(vfs, directory, self.uuid)
            .context("read", &path)?
            .filter(|seal| seal.last_id < limit_id);
        // Less than an entry's padding is missing where a write was cut short in there: nothing,
        // that is.
        let missing = seal.as_ref().map_or(0, |seal| {
            let missing = seal.end.saturating_sub(candidate.file_bytes);
            missing / ALIGNMENT * ALIGNMENT
        });
        let seal = seal.filter(|_| missing == 0);
        let acks = self.ledger.acks();
        if let Some(seal) = seal {
            let open = open_of(&self.partly_done, key, &seal);
            let file = Sealed {
                vfs,
                directory,
                candidate,
                seal: &seal,
                uuid: self.uuid,
                limit_id,
            };
            let surveyed = file.survey(acks, open)?;
            return Ok((surveyed, None));
        }
        let file = candidate
            .open(vfs, directory, OpenMode::Write)
            .context("open", &path)?;
        let mut surveyed = survey(
            key,
            &file,
            self.uuid,
            Payloads::Check,
            limit_id,
            candidate.file_bytes,
            acks,
        )
        .context("read", &path)?;
        if missing > 0 {
            let cut = Damage::Bytes {
                file: key.file_name(),
                position: candidate.file_bytes,
                bytes: missing,
                ids: None,
            };
            surveyed.damage.push(cut, acks);
        }
        Ok((surveyed, Some(file)))
    }

    /// Returns whether items behind the last one that was found had been there when the newest
    /// commit was written.
    fn has_lost_tail(&self, surveyed: &Surveyed) -> bool {
        let is_known = matches!(self.config.storage, Storage::Disk(_));
        let through = self.used_before.filter(|_| is_known);
        through.is_some_and(|next_id| {
            let first = surveyed.last_id.saturating_add(1);
            let last = next_id.saturating_sub(1);
            first <= last && !self.ledger.acks().covers(first, last)
        })
    }

    /// Counts what is not done. Returns it where there is, or may be, something to read.
    fn count(&mut self, surveyed: &Surveyed, key: SegmentKey) -> Option<Load> {
        let load = Load {
            items: surveyed.open_items,
            bytes: surveyed.open_bytes,
        };
        if surveyed.open_items == 0 {
            return surveyed.is_suspect.then_some(load);
        }
        let range = ItemRange {
            first: ItemId(surveyed.lowest_open.unwrap_or(key.first_id)),
            last: ItemId(surveyed.highest_open.unwrap_or(surveyed.last_id)),
        };
        let recovery = &mut self.recovery;
        recovery.ids = Some(recovery.ids.map_or(range, |ids| ItemRange {
            first: ids.first,
            last: range.last,
        }));
        recovery.segments = recovery.segments.saturating_add(1);
        recovery.items = recovery.items.saturating_add(surveyed.open_items);
        recovery.bytes = recovery.bytes.saturating_add(surveyed.open_bytes);
        Some(load)
    }

    /// Ids from behind `after` to before `first_id` have no items; those up to `used_through` once
    /// had.
    fn note_missing(&mut self, after: u64, used_through: u64, first_id: u64) {
        let (first, last) = (after.saturating_add(1), first_id.saturating_sub(1));
        if first > last {
            return;
        }
        // Where a commit is lost, they may well have been acked in it; where items live in memory,
        // they may have been there.
        let is_known =
            self.used_before.is_some() && matches!(self.config.storage, Storage::Disk(_));
        if is_known {
            let acks = self.ledger.acks();
            let ids = acks.open_within(first, used_through.min(last));
            let damage = ids.iter().map(|(first, last)| Damage::Missing {
                ids: ItemRange {
                    first: ItemId(first),
                    last: ItemId(last),
                },
            });
            for damage in damage {
                self.report(damage);
            }
        }
        self.ledger.finish(first, last);
    }
}
