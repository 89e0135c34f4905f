//! An inspection as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use replayq::{InspectError, Inspection, LeaseView, Owner, SegmentState, SegmentView};
use serde_json::{Value, json};

use crate::exit::Failure;

/// A queue that could not be looked at.
pub(super) fn failure(error: &InspectError) -> Failure {
    match error {
        InspectError::NotAQueue { .. } => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    }
}

/// The word for a state.
pub(super) fn state(state: SegmentState) -> &'static str {
    match state {
        SegmentState::Sealed => "sealed",
        SegmentState::Filling => "filling",
        SegmentState::Cut => "cut short",
        SegmentState::Done => "done",
        SegmentState::Foreign => "foreign",
        _ => "unknown",
    }
}

/// All of it.
pub(super) fn json(inspection: &Inspection) -> Value {
    json!({
        "directory": inspection.directory.to_string_lossy(),
        "clean": inspection.is_clean(),
        "uuid": inspection.uuid,
        "format_version": inspection.format_version,
        "in_use": match inspection.owner {
            Owner::Nobody => json!(false),
            Owner::Process(_) => json!(true),
            _ => Value::Null,
        },
        "process": match inspection.owner {
            Owner::Process(process) => json!(process),
            _ => Value::Null,
        },
        "open_items": inspection.open_items,
        "open_bytes": inspection.open_bytes,
        "done_through": inspection.done_through.0,
        "done_beyond": inspection.done_beyond.iter().map(|range| [range.first.0, range.last.0]).collect::<Vec<_>>(),
        "next_id": inspection.commit.as_ref().map(|commit| commit.next_id.0),
        "commits": inspection.commit.as_ref().map(|commit| commit.sequence),
        "commit_tag_base64": inspection.commit.as_ref().map(|commit| STANDARD.encode(&commit.tag)),
        "segments": inspection.segments.iter().map(segment).collect::<Vec<_>>(),
        "leases": inspection.leases.iter().map(lease).collect::<Vec<_>>(),
        "damage": inspection.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "put_aside": inspection.others.iter().filter(|other| other.is_put_aside).map(|other| other.file.as_str()).collect::<Vec<_>>(),
        "disk_bytes": inspection.disk_bytes,
    })
}

fn segment(segment: &SegmentView) -> Value {
    json!({
        "file": segment.file,
        "state": state(segment.state),
        "first_id": segment.first_id.0,
        "last_id": segment.last_id.map(|id| id.0),
        "items": segment.items,
        "open_items": segment.open_items,
        "open_bytes": segment.open_bytes,
        "end": segment.end,
        "file_bytes": segment.file_bytes,
        "torn_bytes": segment.torn_bytes,
        "damage": segment.damage,
    })
}

fn lease(lease: &LeaseView) -> Value {
    json!({
        "first_id": lease.items.first.0,
        "last_id": lease.items.last.0,
        "tag_base64": STANDARD.encode(&lease.tag),
        "file": lease.file,
    })
}
