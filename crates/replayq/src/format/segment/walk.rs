//! Walking through the entries of a segment, in order, and on behind damaged ones.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::field;
use crate::moment::Moment;
use crate::vfs::{self, VfsFile};

use super::buffers::Buffers;
use super::entry::{ALIGNMENT, HEADER_BYTES, Header, Kind};
use super::head::HEAD_BYTES;
use super::key::Seed;
use super::payload::PayloadSummer;
use super::sums::HeaderSums;

/// The treatment of payloads in a walk.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Payloads {
    /// Read and compared with their checksum.
    Verify,
    /// The same, but items' payloads are not returned, and read in pieces where they are large.
    Check,
    /// Items' payloads are stepped over.
    Skip,
}

/// An entry that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) header: Header,
    /// When the item was accepted.
    pub(crate) accepted: Moment,
    pub(crate) position: u64,
    /// Empty where payloads are skipped.
    pub(crate) payload: Bytes,
    /// The payload does not have its checksum, or ends behind the data.
    pub(crate) is_damaged: bool,
}

/// One step of a walk.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An entry. Items come with increasing ids.
    Entry(Found),
    /// Bytes that are no entry, with entries behind them.
    Garbage {
        /// Where they start.
        position: u64,
        /// Their number.
        bytes: u64,
    },
    /// No entry follows up to the end of the data.
    End,
}

/// A walk through one segment.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Arc<dyn VfsFile>,
    sums: HeaderSums,
    payloads: Payloads,
    /// When the segment was made.
    made: Moment,
    /// Where the next entry is looked for.
    position: u64,
    /// Where the data ends, as far as known.
    end: u64,
    /// The id of the last item that was found.
    last_id: u64,
    /// Ids from here on are another segment's.
    limit_id: u64,
    read_bytes: usize,
    window: Bytes,
    window_position: u64,
    buffers: Buffers,
}

enum Parsed {
    Entry(Header, bool),
    /// An item that is too large to be read at once only to be checked.
    Large(Header),
    Incomplete,
    Nothing,
}

impl Walk {
    /// A walk over all entries up to `end` with ids from `first_id` to below `limit_id`, in reads
    /// of about `read_bytes`.
    pub(crate) fn new(
        file: Arc<dyn VfsFile>,
        seed: Seed,
        payloads: Payloads,
        first_id: u64,
        limit_id: u64,
        end: u64,
        read_bytes: usize,
    ) -> Self {
        Self {
            file,
            sums: HeaderSums::new(seed),
            payloads,
            made: Moment::UNKNOWN,
            position: HEAD_BYTES,
            end,
            last_id: first_id.saturating_sub(1),
            limit_id,
            read_bytes: read_bytes.max(4096),
            window: Bytes::new(),
            window_position: HEAD_BYTES,
            buffers: Buffers::default(),
        }
    }

    /// Names the times of entries: the segment was made at that one.
    #[must_use]
    pub(crate) fn made_at(mut self, made: Moment) -> Self {
        self.made = made;
        self
    }

    /// Looks at nothing from there on.
    pub(crate) fn end_at(&mut self, position: u64) {
        self.end = self.end.min(position);
    }

    /// Goes on at another entry, which has the id.
    pub(crate) fn jump(&mut self, position: u64, id: u64) {
        self.position = position;
        self.last_id = id.saturating_sub(1);
    }

    /// Goes on after a range in which nothing can be made out, and which had items up to the id.
    pub(crate) fn skip(&mut self, position: u64, last_id: u64) {
        self.position = position;
        self.last_id = self.last_id.max(last_id);
    }

    /// Goes on with the buffers of a walk that is over.
    pub(crate) fn reuse_buffers(&mut self, other: Self) {
        self.buffers = other.buffers;
        self.buffers.give(other.window);
    }

    /// Keeps no memory until there is more to read.
    pub(crate) fn rest(&mut self) {
        self.window = Bytes::new();
        self.buffers = Buffers::default();
    }

    /// Where the walk has come to.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The last item's id that was found, or the one before the first.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// More was written, or a segment behind this one made.
    pub(crate) fn extend(&mut self, end: u64, limit_id: u64) {
        self.end = self.end.max(end);
        self.limit_id = limit_id;
    }

    /// The next entry, or the garbage before it.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let start = self.position;
        loop {
            match self.parse() {
                Parsed::Entry(header, is_damaged) if self.position == start => {
                    return Ok(Step::Entry(self.accept(header, is_damaged)));
                }
                Parsed::Large(header) if self.position == start => {
                    let fits = self.check(&header)?;
                    return Ok(Step::Entry(self.accept(header, !fits)));
                }
                Parsed::Entry(..) | Parsed::Large(_) => {
                    return Ok(Step::Garbage {
                        position: start,
                        bytes: self.position.saturating_sub(start),
                    });
                }
                Parsed::Incomplete => self.refill()?,
                Parsed::Nothing => {
                    let next = self.position.saturating_add(ALIGNMENT);
                    if next.saturating_add(field::wide(HEADER_BYTES)) > self.end {
                        self.position = start;
                        return Ok(Step::End);
                    }
                    self.position = next;
                }
            }
        }
    }

    fn accept(&mut self, header: Header, is_damaged: bool) -> Found {
        let position = self.position;
        let payload = match (header.kind, self.payloads) {
            (Kind::Item, Payloads::Skip | Payloads::Check) | (Kind::Void, _) => Bytes::new(),
            _ if is_damaged => Bytes::new(),
            _ => {
                let from = field::narrow(position.saturating_sub(self.window_position))
                    .saturating_add(HEADER_BYTES);
                let to = from.saturating_add(field::narrow(u64::from(header.payload_bytes)));
                if to <= self.window.len() {
                    self.window.slice(from..to)
                } else {
                    Bytes::new()
                }
            }
        };
        self.last_id = self.last_id.max(header.id);
        // A write can be cut short in the padding: the next entry is aligned all the same.
        let end = self.end.next_multiple_of(ALIGNMENT);
        self.position = position.saturating_add(header.entry_bytes()).min(end);
        Found {
            header,
            accepted: self.made.plus(header.elapsed),
            position,
            payload,
            is_damaged,
        }
    }

    #[inline]
    fn parse(&mut self) -> Parsed {
        let room = self.end.saturating_sub(self.position);
        if room < field::wide(HEADER_BYTES) {
            return Parsed::Nothing;
        }
        let offset = self
            .position
            .checked_sub(self.window_position)
            .map_or(usize::MAX, field::narrow);
        let Some(bytes) = self.window.get(offset..) else {
            return Parsed::Incomplete;
        };
        if bytes.len() < HEADER_BYTES {
            return Parsed::Incomplete;
        }
        let Some(header) = Header::decode(bytes, &mut self.sums) else {
            return Parsed::Nothing;
        };
        let in_order = match header.kind {
            Kind::Item => header.id > self.last_id,
            Kind::Lease | Kind::Void => header.id >= self.last_id,
        };
        if !in_order || header.id >= self.limit_id {
            return Parsed::Nothing;
        }
        let with_payload =
            field::wide(HEADER_BYTES).saturating_add(u64::from(header.payload_bytes));
        if with_payload > room {
            return Parsed::Entry(header, true);
        }
        if self.payloads == Payloads::Skip && header.kind == Kind::Item || header.kind == Kind::Void
        {
            return Parsed::Entry(header, false);
        }
        let is_large = with_payload > field::wide(self.read_bytes);
        if self.payloads == Payloads::Check && header.kind == Kind::Item && is_large {
            return Parsed::Large(header);
        }
        match bytes.get(HEADER_BYTES..field::narrow(with_payload)) {
            Some(payload) => Parsed::Entry(header, !header.payload_sum.fits(payload)),
            None => Parsed::Incomplete,
        }
    }

    /// Returns whether the payload of the entry at the position has its checksum: read in pieces, so
    /// that a header that is forged over a hole in the file takes no memory.
    fn check(&mut self, header: &Header) -> io::Result<bool> {
        let mut sum = PayloadSummer::default();
        let mut left = field::narrow(u64::from(header.payload_bytes));
        let mut position = self.position.saturating_add(field::wide(HEADER_BYTES));
        let mut piece = self.buffers.take(self.read_bytes);
        while left > 0 {
            piece.clear();
            vfs::read_full_at(&*self.file, &mut piece, left.min(self.read_bytes), position)?;
            if piece.is_empty() {
                break;
            }
            sum.add(&piece);
            left = left.saturating_sub(piece.len());
            position = position.saturating_add(field::wide(piece.len()));
        }
        self.buffers.give(Bytes::from(piece));
        Ok(left == 0 && sum.end() == header.payload_sum)
    }

    /// Reads on from the position: a window's worth, or as much as the entry there needs.
    fn refill(&mut self) -> io::Result<()> {
        let room = field::narrow(self.end.saturating_sub(self.position));
        let offset = self
            .position
            .checked_sub(self.window_position)
            .map_or(usize::MAX, field::narrow);
        let needed = match self
            .window
            .get(offset..)
            .and_then(|bytes| Header::decode(bytes, &mut self.sums))
        {
            Some(header) => field::narrow(header.entry_bytes()),
            None => HEADER_BYTES,
        };
        let wanted = self.read_bytes.max(needed).min(room);
        self.buffers.give(std::mem::take(&mut self.window));
        let mut buffer = self.buffers.take(wanted);
        vfs::read_full_at(&*self.file, &mut buffer, wanted, self.position)?;
        if buffer.len() < wanted {
            // The file is shorter than it was said to be.
            self.end = self.position.saturating_add(field::wide(buffer.len()));
        }
        let is_empty = buffer.iter().all(|byte| *byte == 0);
        self.window = Bytes::from(buffer);
        self.window_position = self.position;
        if is_empty {
            self.pass_zeros()?;
        }
        Ok(())
    }

    /// Goes on behind the window, in which there is no entry, and behind the hole in the file that
    /// may follow: it can be terabytes.
    fn pass_zeros(&mut self) -> io::Result<()> {
        let behind = self
            .window_position
            .saturating_add(field::wide(self.window.len()));
        let data = vfs::uninterrupted(|| self.file.data_from(behind))?;
        self.position = data.clamp(behind, self.end.max(behind)) / ALIGNMENT * ALIGNMENT;
        Ok(())
    }
}
