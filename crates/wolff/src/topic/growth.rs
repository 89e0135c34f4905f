//! Growth of a topic: new partitions are noticed, and their queues opened.

use std::sync::{Arc, Weak};

use tokio::sync::watch;
use wolff_client::MetadataError;

use super::Topic;
use super::count::{partition_count, partitions_below};

/// Requests the partition count periodically, and opens the queues of new partitions. Ends with
/// the producer, which it does not keep alive.
pub(super) async fn run(topic: Weak<Topic>, mut stop: watch::Receiver<bool>) {
    let Some(interval) = topic
        .upgrade()
        .map(|topic| topic.config.partition_count_refresh_interval)
    else {
        return;
    };
    let work = async {
        loop {
            tokio::time::sleep(interval).await;
            let Some(topic) = topic.upgrade() else { return };
            refresh(&topic).await;
        }
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => {}
        () = work => {}
    }
}

async fn refresh(topic: &Arc<Topic>) {
    let Some(known) = topic.routes.load().count() else {
        // The task that routes unrouted records requests it already.
        return;
    };
    topic.client.mark_stale(&topic.name);
    match topic.client.topic(&topic.name).await {
        // Fewer may be a hole in the metadata, and what is queued must not be given up for that.
        Ok(metadata) => {
            let count = partition_count(&metadata).unwrap_or(known).max(known);
            let errors = topic
                .open_partitions(partitions_below(count), Some(count))
                .await;
            topic.report_closed(&errors);
            if count > known {
                tracing::info!(topic = %topic.name, known, count, "the topic has grown");
            }
        }
        Err(error @ MetadataError::Topic { .. }) => {
            tracing::warn!(topic = %topic.name, %error, "the partition count cannot be looked up");
        }
        Err(error) => {
            tracing::debug!(topic = %topic.name, %error, "the partition count cannot be looked up now");
        }
    }
}
