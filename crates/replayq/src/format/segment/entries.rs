//! Entries in the making: what one vectored write puts into a segment.

use std::io::IoSlice;

use bytes::Bytes;

use crate::field;
use crate::moment::{Elapsed, Moment};

use super::entry::{self, HEADER_BYTES, Header, Kind};
use super::payload::PayloadSum;
use super::sums::HeaderSums;

/// Payloads up to this size are copied together with their headers: cheaper than a buffer of its
/// own in the vectored write.
const COPIED_BYTES: usize = 2048;
/// So much memory is kept from one write to the next.
const KEPT_BYTES: usize = 1 << 20;

/// A run of entries. Its memory is used again by the next run.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Headers, small payloads and padding; what is beyond `used` is of an earlier run.
    scratch: Vec<u8>,
    used: usize,
    /// Some payload is not in the scratch.
    has_large: bool,
    bytes: u64,
    next_id: u64,
    /// When the segment was made.
    made: Moment,
    /// The last item's time of acceptance, and how an entry names it: that of a run is one.
    accepted: (Moment, Elapsed),
}

impl Entries {
    /// Begins a run whose first item gets the id, in a segment made at that time.
    pub(crate) fn begin(&mut self, first_id: u64, made: Moment) {
        self.used = 0;
        self.has_large = false;
        self.bytes = 0;
        self.next_id = first_id;
        self.made = made;
        self.accepted = (made, Elapsed::ZERO);
        if self.scratch.len() > KEPT_BYTES {
            self.scratch.truncate(KEPT_BYTES);
            self.scratch.shrink_to_fit();
        }
    }

    /// Bytes of all entries so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds an item that was accepted at that time.
    #[inline]
    pub(crate) fn add_item(&mut self, payload: &Bytes, accepted: Moment, sums: &mut HeaderSums) {
        if self.accepted.0 != accepted {
            self.accepted = (accepted, accepted.after(self.made));
        }
        let header = Header {
            kind: Kind::Item,
            elapsed: self.accepted.1,
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            id: self.next_id,
            payload_sum: PayloadSum::of(payload),
        };
        self.next_id = self.next_id.saturating_add(1);
        let copied = if payload.len() <= COPIED_BYTES {
            payload
        } else {
            self.has_large = true;
            &[][..]
        };
        self.add(&header, copied, sums);
    }

    /// Adds an entry that is no item; it has the id of the last one.
    pub(crate) fn add_lease(&mut self, payload: &[u8], sums: &mut HeaderSums) {
        let header = Header {
            kind: Kind::Lease,
            elapsed: Elapsed::ZERO,
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            id: self.next_id.saturating_sub(1),
            payload_sum: PayloadSum::of(payload),
        };
        self.add(&header, payload, sums);
    }

    /// Adds a header, what is copied of its payload, and the padding.
    #[inline]
    fn add(&mut self, header: &Header, copied: &[u8], sums: &mut HeaderSums) {
        let payload_bytes = field::narrow(u64::from(header.payload_bytes));
        let padding = entry::padding(payload_bytes).len();
        self.bytes = self.bytes.saturating_add(header.entry_bytes());
        let slot = self.slot(
            HEADER_BYTES
                .saturating_add(copied.len())
                .saturating_add(padding),
        );
        let Some((head, rest)) = slot.split_first_chunk_mut() else {
            return;
        };
        header.encode(sums, head);
        // The padding first, as a whole word: the payload then covers what is not padding.
        match rest.last_chunk_mut::<8>() {
            Some(last) => *last = [0; 8],
            None => rest.fill(0),
        }
        if let Some(place) = rest.get_mut(..copied.len()) {
            place.copy_from_slice(copied);
        }
    }

    /// The next so many bytes of the scratch.
    #[inline]
    fn slot(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.used;
        self.used = start.saturating_add(bytes);
        if self.used > self.scratch.len() {
            self.grow();
        }
        self.scratch.get_mut(start..self.used).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self) {
        let bytes = self.used.max(self.scratch.len().saturating_mul(2));
        self.scratch.resize(bytes.max(4096), 0);
    }

    /// The buffers of the write, given the items' payloads again: ranges of the scratch, with the
    /// large payloads between them.
    pub(crate) fn buffers<'run, 'payload: 'run>(
        &'run self,
        payloads: impl Iterator<Item = &'payload Bytes>,
    ) -> Vec<IoSlice<'run>> {
        let mut rest = self.scratch.get(..self.used).unwrap_or_default();
        if !self.has_large {
            return vec![IoSlice::new(rest)];
        }
        let mut buffers = Vec::new();
        let mut pending = 0_usize;
        for payload in payloads {
            pending = pending.saturating_add(HEADER_BYTES);
            if payload.len() <= COPIED_BYTES {
                pending = pending.saturating_add(payload.len());
            } else {
                let (before, after) = rest.split_at_checked(pending).unwrap_or((rest, &[]));
                buffers.push(IoSlice::new(before));
                buffers.push(IoSlice::new(payload));
                rest = after;
                pending = 0;
            }
            pending = pending.saturating_add(entry::padding(payload.len()).len());
        }
        buffers.push(IoSlice::new(rest));
        buffers
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Seed;
    use super::*;

    const MADE: Moment = Moment::from_bits(1000);
    const ACCEPTED: Moment = Moment::from_bits(1234);

    /// The bytes of a run, in one piece.
    fn written(run: &mut Entries, payloads: &[Bytes], first_id: u64) -> Vec<u8> {
        let mut sums = HeaderSums::new(Seed(7));
        run.begin(first_id, MADE);
        for payload in payloads {
            run.add_item(payload, ACCEPTED, &mut sums);
        }
        let bytes = run.bytes();
        let buffers = run.buffers(payloads.iter());
        let all: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.to_vec()).collect();
        assert_eq!(all.len() as u64, bytes);
        all
    }

    #[test]
    fn a_run_is_its_headers_payloads_and_zeros_whatever_was_in_the_memory_before() {
        let sizes = [
            0,
            1,
            7,
            8,
            9,
            COPIED_BYTES,
            COPIED_BYTES + 1,
            3,
            5000,
            0,
            116,
        ];
        let payloads: Vec<Bytes> = sizes
            .iter()
            .map(|bytes| Bytes::from(vec![0xee; *bytes]))
            .collect();
        let mut expected = Vec::new();
        let mut sums = HeaderSums::new(Seed(7));
        for (payload, id) in payloads.iter().zip(41..) {
            let mut head = [0; HEADER_BYTES];
            let header = Header {
                kind: Kind::Item,
                elapsed: Elapsed::from_bits(234),
                payload_bytes: u32::try_from(payload.len()).unwrap(),
                id,
                payload_sum: PayloadSum::of(payload),
            };
            header.encode(&mut sums, &mut head);
            expected.extend(head);
            expected.extend(payload);
            expected.resize(expected.len().next_multiple_of(8), 0);
        }
        let mut run = Entries {
            scratch: vec![0xff; 100],
            ..Entries::default()
        };
        assert_eq!(written(&mut run, &payloads, 41), expected);
        assert_eq!(written(&mut run, &payloads, 41), expected);
        let small = &payloads[..4];
        let used = expected.len();
        let short = written(&mut run, small, 41);
        assert!(short.len() < used && expected.starts_with(&short));
    }

    #[test]
    fn what_a_large_run_took_is_given_back() {
        let payloads: Vec<Bytes> = vec![Bytes::from(vec![1; COPIED_BYTES]); 2000];
        let mut run = Entries::default();
        let _ = written(&mut run, &payloads, 1);
        assert!(run.scratch.capacity() > KEPT_BYTES);
        run.begin(9, MADE);
        assert!(run.scratch.capacity() <= KEPT_BYTES);
    }
}
