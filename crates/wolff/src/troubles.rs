//! Failures to reach what records need, the last of each kind, until they have passed.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wolff_client::{ConnectError, MetadataError};
use wolff_codec::PartitionId;

use crate::error::RequestFailure;

/// Troubles of one producer. Written when an attempt ends, never for a record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    metadata: Option<MetadataError>,
    /// Partitions whose leader could not be reached at the last attempt.
    unreached: BTreeMap<PartitionId, ConnectError>,
    /// Partitions whose leader gave no response to the last request.
    unanswered: BTreeMap<PartitionId, RequestFailure>,
}

impl Troubles {
    /// The end of the last request for the topic's partitions.
    pub(crate) fn asked(&self, error: Option<MetadataError>) {
        self.0.lock().metadata = error;
    }

    /// The end of the last attempt to connect to a partition's leader.
    pub(crate) fn connected(&self, partition: PartitionId, error: Option<ConnectError>) {
        let mut known = self.0.lock();
        match error {
            Some(error) => known.unreached.insert(partition, error),
            None => known.unreached.remove(&partition),
        };
    }

    /// The end of a request to a partition's leader.
    pub(crate) fn responded(&self, partition: PartitionId, failure: Option<RequestFailure>) {
        let mut known = self.0.lock();
        match failure {
            Some(failure) => known.unanswered.insert(partition, failure),
            None => known.unanswered.remove(&partition),
        };
    }

    pub(crate) fn metadata(&self) -> Option<MetadataError> {
        self.0.lock().metadata.clone()
    }

    pub(crate) fn unreached(&self, partition: PartitionId) -> Option<ConnectError> {
        self.0.lock().unreached.get(&partition).cloned()
    }

    pub(crate) fn unanswered(&self, partition: PartitionId) -> Option<RequestFailure> {
        self.0.lock().unanswered.get(&partition).cloned()
    }
}
