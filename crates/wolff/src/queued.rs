//! Records as they are stored in a queue on disk, for tools that look into one.

use bytes::Bytes;
use wolff_codec::records::Records;
use wolff_core::QueueItem;

use crate::record::Record;

/// The records in an item of a queue that a producer has written; `None` for an item that is none
/// of those.
#[must_use]
pub fn queued_records(item: &Bytes) -> Option<Vec<Record>> {
    let item = QueueItem::decode(item).ok()?;
    let frame = item.fragment();
    if !frame.is_intact() {
        return None;
    }
    Records::of_frame(frame)
        .map(|record| {
            let record = record.ok()?;
            Some(Record {
                key: record.key,
                value: record.value,
                headers: record.headers,
                timestamp_ms: Some(record.timestamp_ms),
            })
        })
        .collect()
}

/// Returns how many records an item of a queue has; `None` for an item that no producer of this
/// version has written.
pub(crate) fn record_count(item: &Bytes) -> Option<u32> {
    Some(QueueItem::decode(item).ok()?.fragment().record_count)
}
