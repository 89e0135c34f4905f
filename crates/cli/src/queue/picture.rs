//! An inspection for a person: a line of figures, and a bar for each segment.

use std::fmt;

use indicatif::{HumanBytes, HumanCount};
use replayq::{Damage, Depth, Inspection, ItemId, ItemRange, Owner, SegmentView};

use crate::console::{OneLine, Shown};

use super::report::state;

/// Cells of a bar.
const BAR_CELLS: u64 = 32;
/// More segments than this are not shown one by one: the first and the last are.
const MOST_SEGMENTS: usize = 40;
/// More damaged places than this are only counted.
const MOST_DAMAGE: usize = 20;

/// Number of damaged places, in words.
pub(super) fn places(count: usize) -> String {
    match count {
        1 => "damaged in 1 place".to_owned(),
        count => format!("damaged in {count} places"),
    }
}

/// The whole picture.
pub(super) struct Picture<'a> {
    pub(super) inspection: &'a Inspection,
    pub(super) depth: Depth,
}

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.inspection;
        writeln!(f, "queue {}", Shown(OneLine(&queue.directory)))?;
        let owner = match queue.owner {
            Owner::Nobody => "not in use".to_owned(),
            Owner::Process(Some(process)) => format!("in use by process {process}"),
            Owner::Process(None) => "in use".to_owned(),
            _ => "perhaps in use".to_owned(),
        };
        writeln!(
            f,
            "  format {}, id {}, {owner}",
            queue.format_version, queue.uuid
        )?;
        writeln!(
            f,
            "  {} items wait, {}; items up to {} are done{}",
            HumanCount(queue.open_items),
            HumanBytes(queue.open_bytes),
            queue.done_through,
            match queue.done_beyond.len() {
                0 => String::new(),
                ranges => format!(", and {ranges} ranges after that"),
            }
        )?;
        writeln!(
            f,
            "  {} on disk in {} segments",
            HumanBytes(queue.disk_bytes),
            queue.segments.len()
        )?;
        for lease in &queue.leases {
            writeln!(
                f,
                "  items {} are leased with a tag of {} bytes, in {}",
                lease.items,
                lease.tag.len(),
                Shown(&lease.file)
            )?;
        }
        for other in queue.others.iter().filter(|other| other.is_put_aside) {
            writeln!(
                f,
                "  put aside: {}, {}",
                Shown(&other.file),
                HumanBytes(other.file_bytes)
            )?;
        }
        if !queue.segments.is_empty() {
            writeln!(f, "\n  segments (# waiting, L leased, . done, ! damaged):")?;
        }
        let hidden = queue.segments.len().saturating_sub(MOST_SEGMENTS);
        for (index, segment) in queue.segments.iter().enumerate() {
            if hidden == 0 || index < MOST_SEGMENTS / 2 || index >= MOST_SEGMENTS / 2 + hidden {
                write_segment(queue, segment, f)?;
            } else if index == MOST_SEGMENTS / 2 {
                writeln!(f, "    … {hidden} more …")?;
            }
        }
        match queue.damage.len() {
            0 if self.depth == Depth::Summaries => write!(
                f,
                "\n  no damage seen; what is in full segments was not read"
            ),
            0 => write!(f, "\n  clean"),
            count => {
                write!(f, "\n  {}:", places(count))?;
                for damage in queue.damage.iter().take(MOST_DAMAGE) {
                    write!(f, "\n    {}", Shown(damage))?;
                }
                match count.saturating_sub(MOST_DAMAGE) {
                    0 => Ok(()),
                    more => write!(f, "\n    and {more} more"),
                }
            }
        }
    }
}

fn write_segment(
    queue: &Inspection,
    segment: &SegmentView,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let ids = match segment.last_id {
        Some(last) => ItemRange {
            first: segment.first_id,
            last,
        }
        .to_string(),
        None => format!("{}…", segment.first_id),
    };
    writeln!(
        f,
        "    [{}] {:<9} {:>8} of {:>8} items open, {:>10}, ids {ids}{}",
        bar(queue, segment),
        state(segment.state),
        HumanCount(segment.open_items).to_string(),
        HumanCount(segment.items).to_string(),
        HumanBytes(segment.open_bytes).to_string(),
        match segment.torn_bytes {
            0 => String::new(),
            bytes => format!(", {bytes} bytes of a write that was cut short"),
        }
    )
}

/// Content of each part of the segment: the worst of what is in a cell.
fn bar(queue: &Inspection, segment: &SegmentView) -> String {
    let Some(last) = segment.last_id else {
        return " ".repeat(usize::try_from(BAR_CELLS).unwrap_or(0));
    };
    let (first, span) = (
        segment.first_id.0,
        last.0.saturating_sub(segment.first_id.0).saturating_add(1),
    );
    let id_at = |cell: u64| {
        let offset = u128::from(span).saturating_mul(u128::from(cell)) / u128::from(BAR_CELLS);
        first.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    };
    (0..BAR_CELLS)
        .map(|cell| {
            let from = id_at(cell);
            let to = id_at(cell.saturating_add(1)).saturating_sub(1).max(from);
            symbol(queue, segment, from, to)
        })
        .collect()
}

fn symbol(queue: &Inspection, segment: &SegmentView, from: u64, to: u64) -> char {
    let meets = |range: &ItemRange| range.first.0 <= to && from <= range.last.0;
    let is_damaged = queue.damage.iter().any(|damage| match damage {
        Damage::Item { file, id, .. } => *file == segment.file && meets(&ItemRange::one(*id)),
        Damage::Bytes {
            file,
            ids: Some(ids),
            ..
        } => *file == segment.file && meets(ids),
        Damage::Missing { ids } => meets(ids),
        _ => false,
    });
    if is_damaged {
        '!'
    } else if is_done(queue, from, to) {
        '.'
    } else if queue.leases.iter().any(|lease| meets(&lease.items)) {
        'L'
    } else {
        '#'
    }
}

/// True if all of these ids are done.
fn is_done(queue: &Inspection, from: u64, to: u64) -> bool {
    let from = from.max(queue.done_through.0.saturating_add(1));
    from > to
        || queue
            .done_beyond
            .iter()
            .any(|range| range.contains(ItemId(from)) && range.contains(ItemId(to)))
}
