//! One segment file: what is known of it, and what is written to it.

use crate::format::segment::head::HEAD_BYTES;
use crate::format::segment::key::SegmentKey;
use crate::ids::ItemRange;
use crate::limits::load::Load;
use crate::moment::Moment;

/// One segment file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    /// The last item's id; below the key's first id while there is none.
    pub(crate) last_id: u64,
    /// The id before the first that this segment was made with.
    pub(crate) previous_id: u64,
    /// When it was made.
    pub(crate) made: Moment,
    /// Items in it, done or not.
    pub(crate) items: u64,
    /// Their payloads' bytes.
    pub(crate) payload_bytes: u64,
    /// The items that are not done; `None` where they are not counted.
    pub(crate) open: Option<Load>,
    /// Where the entries end that readers may see.
    pub(crate) end: u64,
    /// All of it up to there was looked at when the queue was opened: its damage is known.
    pub(crate) known_end: u64,
    /// The length of the file.
    pub(crate) file_bytes: u64,
    /// Nothing will be appended to it any more.
    pub(crate) is_closed: bool,
    /// Damage was found in it: it is put aside in the end, not used again.
    pub(crate) is_damaged: bool,
    /// Something in it may not survive a power loss.
    pub(crate) is_unsynced: bool,
    /// A sync of it failed: what of it survives a power loss is unknown.
    pub(crate) is_suspect: bool,
    /// A write to it or a sync of it failed: its file is not used again.
    pub(crate) is_given_up: bool,
    /// Leases in it whose items are not done. It stays as long as there are any.
    pub(crate) lease_pins: u32,
}

impl Segment {
    pub(crate) fn new(key: SegmentKey, previous_id: u64, made: Moment, file_bytes: u64) -> Self {
        Self {
            last_id: key.first_id.saturating_sub(1),
            previous_id,
            made,
            items: 0,
            payload_bytes: 0,
            open: Some(Load::default()),
            end: HEAD_BYTES,
            known_end: HEAD_BYTES,
            file_bytes,
            is_closed: false,
            is_damaged: false,
            is_unsynced: false,
            is_suspect: false,
            is_given_up: false,
            lease_pins: 0,
        }
    }

    /// Items were written to it, up to the id.
    pub(super) fn add(&mut self, load: Load, last_id: u64) {
        self.last_id = last_id;
        self.items = self.items.saturating_add(load.items);
        self.payload_bytes = self.payload_bytes.saturating_add(load.bytes);
        self.open = self.open.map(|open| open.plus(load));
    }

    /// Damage was found in it.
    pub(crate) fn note_damage(&mut self) {
        self.is_damaged = true;
        self.open = None;
    }
}

/// A run of entries that was written.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Written {
    pub(crate) segment: SegmentKey,
    /// Where the first entry starts.
    pub(crate) position: u64,
    /// Where the lease entry starts, if one was written.
    pub(crate) lease_position: u64,
    /// Where the entries end now.
    pub(crate) end: u64,
    pub(crate) file_bytes: u64,
}

/// A segment whose items are all done, on its way out.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Retired {
    pub(crate) key: SegmentKey,
    pub(crate) file_bytes: u64,
    pub(crate) is_damaged: bool,
    /// A write to it or a sync of it failed: it is not used again.
    pub(crate) is_given_up: bool,
    /// It may be removed or used again when the commit with this sequence is durable.
    pub(crate) covered_by: u64,
}

/// A part of the list of segments, to be read without the list.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Span {
    pub(crate) segment: SegmentKey,
    /// The items of interest.
    pub(crate) items: ItemRange,
    /// When the segment was made.
    pub(crate) made: Moment,
    /// Where the entries end.
    pub(crate) end: u64,
    /// Ids from here on are another segment's.
    pub(crate) limit_id: u64,
}
