//! Delivery for partitions whose own queue cannot be opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wolff_codec::PartitionId;
use wolff_core::{DoubtReason, FailReason};

use super::Topic;
use crate::error::with_causes;
use crate::partition::PartitionQueue;

/// Interval at which a queue that cannot be opened is tried again.
const REOPEN_EVERY: Duration = Duration::from_millis(500);

/// Queues in memory that deliver for partitions whose own queue cannot be opened now.
#[derive(Default)]
pub(super) struct Carriers(HashMap<PartitionId, Arc<PartitionQueue>>);

/// With the task that routes, nobody serves them any more: what they have not delivered ends.
impl Drop for Carriers {
    fn drop(&mut self) {
        for queue in self.0.values() {
            queue.give_up(&FailReason::Stopped, DoubtReason::Stopped);
        }
    }
}

impl Carriers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The queue that delivers for a partition: its own, or one in memory while that cannot be
    /// opened, as on a full disk.
    pub(super) async fn find(
        &mut self,
        topic: &Arc<Topic>,
        partition: PartitionId,
    ) -> Arc<PartitionQueue> {
        if let Some(queue) = self.0.get(&partition) {
            return queue.clone();
        }
        if let Some(queue) = topic.routes.load().partition(partition) {
            return queue.clone();
        }
        loop {
            match topic.open_in_memory(partition) {
                Ok(queue) => {
                    self.0.insert(partition, queue.clone());
                    return queue;
                }
                Err(error) => {
                    tracing::error!(%partition, error = %with_causes(&error), "records cannot be routed yet");
                }
            }
            tokio::time::sleep(REOPEN_EVERY).await;
        }
    }
}
