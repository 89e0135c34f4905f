//! A call and a topic as the partitioner sees them.

use wolff_codec::PartitionId;
use wolff_codec::records::{Header, Record};
use wolff_partitioner::{CallView, HeadersView, Load, RecordView, TopicView};

use super::routes::Routes;
use crate::record::Call;

/// A call that is routed.
pub(super) struct RoutedCall<'a, C: ?Sized>(pub(super) &'a C);

struct Headers<'a>(&'a [Header]);

impl HeadersView for Headers<'_> {
    fn header(&self, name: &str) -> Option<Option<&[u8]>> {
        let header = self.0.iter().find(|header| &*header.key == name)?;
        Some(header.value.as_deref())
    }
}

impl<C: Call + ?Sized> CallView for RoutedCall<'_, C> {
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        self.0.records(0).next().and_then(|record| record.key)
    }

    fn bytes(&self) -> u64 {
        self.0
            .records(0)
            .map(|record| {
                length(record.key) + length(record.value) + headers_length(record.headers)
            })
            .sum()
    }

    fn for_each_record(&self, visit: &mut dyn FnMut(RecordView<'_>)) {
        for record in self.0.records(0) {
            visit(RecordView {
                key: record.key,
                value: record.value,
                headers: &Headers(record.headers),
            });
        }
    }
}

/// A call that was stored before the topic's partitions were known.
pub(super) struct StoredCall<'a>(pub(super) &'a [Record]);

impl CallView for StoredCall<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.0.first().and_then(|record| record.key.as_deref())
    }

    fn bytes(&self) -> u64 {
        let sizes = self.0.iter().map(|record| {
            length(record.key.as_deref())
                + length(record.value.as_deref())
                + headers_length(&record.headers)
        });
        sizes.sum()
    }

    fn for_each_record(&self, visit: &mut dyn FnMut(RecordView<'_>)) {
        for record in self.0 {
            visit(RecordView {
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &Headers(&record.headers),
            });
        }
    }
}

fn length(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

fn headers_length(headers: &[Header]) -> u64 {
    let lengths = headers
        .iter()
        .map(|header| header.key.len() as u64 + length(header.value.as_deref()));
    lengths.sum()
}

impl TopicView for Routes {
    #[inline]
    fn partition_count(&self) -> u32 {
        self.count().unwrap_or(0)
    }

    /// A partition whose queue is not open cannot be sent to.
    fn load(&self, partition: u32) -> Load {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        match self.partition(PartitionId(number)) {
            Some(queue) => {
                let machine = queue.machine();
                Load {
                    waiting_bytes: machine.held_bytes(),
                    is_available: machine.is_available(),
                }
            }
            None => Load {
                waiting_bytes: 0,
                is_available: false,
            },
        }
    }
}
