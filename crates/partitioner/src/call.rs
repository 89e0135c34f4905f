//! Views of a call and of a topic, as a choice sees them.

/// The call to choose a partition for. All its records go to one partition.
///
/// Implemented for a lone key, as `Option<&[u8]>`, where nothing else of the call matters.
pub trait CallView {
    /// The key of the first record. An empty key differs from none.
    fn key(&self) -> Option<&[u8]>;

    /// Bytes of keys, values and headers of all records: by them the sticky choices know when a
    /// batch is full. The length of the key unless an implementation knows better.
    fn bytes(&self) -> u64 {
        self.key().map_or(0, |key| key.len() as u64)
    }

    /// Calls `visit` for each record, in order. One record with the key and without a value unless
    /// an implementation knows better.
    fn for_each_record(&self, visit: &mut dyn FnMut(RecordView<'_>)) {
        visit(RecordView {
            key: self.key(),
            value: None,
            headers: &NoHeaders,
        });
    }
}

/// A record of a call.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    /// The key; an empty one differs from none.
    pub key: Option<&'a [u8]>,
    /// The value; an empty one differs from none.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a dyn HeadersView,
}

impl std::fmt::Debug for RecordView<'_> {
    /// Lengths only: keys and values may be confidential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordView")
            .field("key_bytes", &self.key.map(<[u8]>::len))
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

/// The headers of a record.
pub trait HeadersView {
    /// The value of the first header of this name. `Some(None)`: the header has no value.
    fn header(&self, name: &str) -> Option<Option<&[u8]>>;
}

/// The headers of a record that has none.
struct NoHeaders;

impl HeadersView for NoHeaders {
    fn header(&self, _name: &str) -> Option<Option<&[u8]>> {
        None
    }
}

impl<K: AsRef<[u8]> + ?Sized> CallView for Option<&K> {
    fn key(&self) -> Option<&[u8]> {
        self.map(K::as_ref)
    }
}

impl<T: CallView + ?Sized> CallView for &T {
    fn key(&self) -> Option<&[u8]> {
        (**self).key()
    }

    fn bytes(&self) -> u64 {
        (**self).bytes()
    }

    fn for_each_record(&self, visit: &mut dyn FnMut(RecordView<'_>)) {
        (**self).for_each_record(visit);
    }
}

/// The topic to choose a partition of.
///
/// Implemented for `u32`, a partition count: nothing waits, and each partition is available.
pub trait TopicView {
    /// Partitions that the topic has; 0 where that is not known.
    fn partition_count(&self) -> u32;

    /// The bytes that wait for this partition, and whether they can be sent. May change between two
    /// calls. Nothing, and it can, unless an implementation knows better.
    fn load(&self, partition: u32) -> Load {
        let _ = partition;
        Load::default()
    }
}

/// The load of a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Bytes that its leader has not acknowledged yet.
    pub waiting_bytes: u64,
    /// Records for it can be sent: the leader is reached, as far as is known, and no refusal is
    /// waited out.
    pub is_available: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            waiting_bytes: 0,
            is_available: true,
        }
    }
}

impl TopicView for u32 {
    fn partition_count(&self) -> u32 {
        *self
    }
}

impl<T: TopicView + ?Sized> TopicView for &T {
    fn partition_count(&self) -> u32 {
        (**self).partition_count()
    }

    fn load(&self, partition: u32) -> Load {
        (**self).load(partition)
    }
}
