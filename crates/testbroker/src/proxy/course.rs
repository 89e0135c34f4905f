//! Incidents of the bytes of one direction on their way, by position.

use bytes::{Bytes, BytesMut};

use super::fault::{Fate, Incident, IncidentKind};

/// Where the bytes of one direction of one connection have got to, and what they will meet.
#[derive(Debug)]
pub(super) struct Course {
    position: u64,
    /// By position, what is next at the end.
    incidents: Vec<Incident>,
}

impl Course {
    pub(super) fn new(mut incidents: Vec<Incident>) -> Self {
        // Of two at one position the older comes first, so it must stand last.
        incidents.reverse();
        incidents.sort_by_key(|incident| std::cmp::Reverse(incident.position));
        Self {
            position: 0,
            incidents,
        }
    }

    /// End of the connection here and now, if there is one.
    pub(super) fn fate(&self) -> Option<Fate> {
        let here = self.incidents.iter().rev();
        here.take_while(|incident| incident.position <= self.position)
            .find_map(|incident| match incident.kind {
                IncidentKind::End(fate) => Some(fate),
                IncidentKind::FlipBit(_) => None,
            })
    }

    /// Number of so many bytes that can go before the connection ends.
    pub(super) fn allowed_bytes(&self, len: usize) -> usize {
        let ends = self
            .incidents
            .iter()
            .filter(|incident| matches!(incident.kind, IncidentKind::End(_)));
        let left = ends
            .map(|incident| incident.position.saturating_sub(self.position))
            .min();
        left.and_then(|left| usize::try_from(left).ok())
            .map_or(len, |left| left.min(len))
    }

    /// Moves on by a piece, and returns it as it arrives.
    pub(super) fn pass(&mut self, piece: Bytes) -> Bytes {
        let start = self.position;
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.position = start.saturating_add(len);
        let mut flipped: Option<BytesMut> = None;
        self.incidents.retain(|incident| {
            let offset = incident.position.checked_sub(start);
            let (Some(offset), IncidentKind::FlipBit(bit)) = (offset, incident.kind) else {
                return true;
            };
            if offset >= len {
                return true;
            }
            let bytes = flipped.get_or_insert_with(|| BytesMut::from(&piece[..]));
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1_u8.checked_shl(bit.into()).unwrap_or(0);
            }
            false
        });
        flipped.map_or(piece, BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64, kind: IncidentKind) -> Incident {
        Incident { position, kind }
    }

    #[test]
    fn a_connection_ends_at_exactly_its_byte() {
        let mut course = Course::new(vec![
            at(5, IncidentKind::End(Fate::Reset)),
            at(3, IncidentKind::End(Fate::Close)),
        ]);
        assert_eq!((course.allowed_bytes(2), course.fate()), (2, None));
        course.pass(Bytes::from_static(b"ab"));
        assert_eq!((course.allowed_bytes(9), course.fate()), (1, None));
        course.pass(Bytes::from_static(b"c"));
        assert_eq!(
            (course.allowed_bytes(9), course.fate()),
            (0, Some(Fate::Close))
        );
    }

    #[test]
    fn bits_are_turned_where_they_were_meant_to_be_however_the_stream_is_cut() {
        let text = Bytes::from_static(b"abcdefgh");
        for cut in 0..=text.len() {
            let mut course = Course::new(vec![
                at(6, IncidentKind::FlipBit(5)),
                at(0, IncidentKind::FlipBit(0)),
                at(6, IncidentKind::FlipBit(0)),
                at(100, IncidentKind::FlipBit(7)),
            ]);
            let front = course.pass(text.slice(..cut));
            let back = course.pass(text.slice(cut..));
            assert_eq!([front, back].concat(), b"`bcdefFh");
        }
    }

    #[test]
    fn of_two_ends_at_one_place_the_older_counts() {
        let course = Course::new(vec![
            at(0, IncidentKind::End(Fate::HalfOpen)),
            at(0, IncidentKind::End(Fate::Reset)),
        ]);
        assert_eq!(course.fate(), Some(Fate::HalfOpen));
    }
}
