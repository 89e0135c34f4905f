//! Commit records of the ledger, and the acks that need one.

use bytes::Bytes;

use crate::error::AckError;
use crate::format::control::Control;
use crate::format::control::commit::Commit;
use crate::format::segment::key::SegmentKey;
use crate::ids::{ItemRange, LeaseId};
use crate::state::leases::Home;

use super::Ledger;

/// An ack that a commit must show.
#[derive(Debug)]
pub(crate) struct Acked {
    /// The version that shows it.
    pub(crate) version: u64,
    /// The places of the records of leases that are over.
    pub(crate) homes: Vec<Home>,
}

/// A commit record on its way to the disk.
#[derive(Debug)]
pub(crate) struct PendingCommit {
    /// The version of the ledger that it shows.
    pub(crate) version: u64,
    /// Separate ranges of items that are done after the oldest open one.
    pub(crate) ranges: usize,
    next_id: u64,
    /// Segments that are done in it.
    done: Vec<SegmentKey>,
}

impl Ledger {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Asks for a commit although nothing is done that was not. Returns its version.
    pub(crate) fn touch(&mut self) -> u64 {
        self.version = self.version.saturating_add(1);
        self.version
    }

    /// Puts the caller's tag into the next commit. Returns its version.
    pub(crate) fn set_commit_tag(&mut self, tag: Bytes) -> Result<u64, AckError> {
        if self.is_closed {
            return Err(AckError::Closed);
        }
        self.commit_tag = tag;
        Ok(self.touch())
    }

    /// Marks the items of a lease as done, all or some, with a tag of the caller's. Returns `None`
    /// where no file has these items, so that none needs to say that they are done.
    pub(crate) fn mark_done(
        &mut self,
        lease: LeaseId,
        items: Option<ItemRange>,
        tag: Option<Bytes>,
    ) -> Result<Option<Acked>, AckError> {
        if self.is_closed {
            return Err(AckError::Closed);
        }
        let was_in_file = self.is_in_file(lease, items);
        let homes = match items {
            None => self.ack(lease)?,
            Some(items) => self.ack_items(lease, items)?,
        };
        for home in &homes {
            // Under the same lock: a segment that is replaced meanwhile counts its leases anew.
            if let Home::Entry { segment, .. } = home {
                self.unpin(*segment);
            }
        }
        if !was_in_file && homes.is_empty() && tag.is_none() && !self.owes_commit {
            return Ok(None);
        }
        if let Some(tag) = tag {
            self.commit_tag = tag;
        }
        let version = self.version;
        Ok(Some(Acked { version, homes }))
    }

    /// Encodes the state for the next commit slot, with so many more ids as used.
    pub(crate) fn begin_commit(&self, file: &mut Control, reserve: u64) -> PendingCommit {
        let next_id = self.next_id.saturating_add(reserve);
        file.encode_commit(
            &self.acks,
            self.segments.partly_done(&self.acks),
            next_id,
            &self.generations,
            &self.commit_tag,
        );
        PendingCommit {
            version: self.version,
            ranges: self.acks.beyond().len(),
            next_id,
            done: if self.segments.has_done() {
                self.segments.done()
            } else {
                Vec::new()
            },
        }
    }

    /// The commit was written, with that sequence. `is_reserving`: ids are used that are in no
    /// file.
    pub(crate) fn note_commit(
        &mut self,
        pending: &PendingCommit,
        sequence: u64,
        is_reserving: bool,
    ) {
        self.owes_commit = false;
        if is_reserving {
            self.reserved_id = pending.next_id;
        }
        if !pending.done.is_empty() {
            self.segments.retire(&pending.done, sequence);
        }
    }

    /// The commit could not be written.
    pub(crate) fn note_failed_commit(&mut self) {
        self.owes_commit = true;
    }

    /// A commit of the present state, for a control file that is made anew.
    pub(crate) fn as_commit(&self, sequence: u64, boot_id: [u8; 16]) -> Commit {
        Commit {
            sequence,
            acks: self.acks.clone(),
            next_id: self.next_id,
            generations: self.generations.clone(),
            boot_id,
            tag: self.commit_tag.clone(),
            partly_done: self.segments.partly_done(&self.acks).collect(),
        }
    }
}
