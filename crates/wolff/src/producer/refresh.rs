//! Noticing that a topic has grown more partitions.

use std::sync::{Arc, Weak};

use wolff_client::MetadataError;

use super::topic::Topic;

/// Asks for the partition count again and again, and opens the queues of new partitions. Ends with the producer, which it does
/// not keep alive.
pub(super) async fn run(topic: Weak<Topic>) {
    let Some((interval, mut stop)) = topic.upgrade().map(|topic| {
        (
            topic.config().partition_count_refresh_interval,
            topic.stop_signal(),
        )
    }) else {
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
        _ = async { stop.wait_for(|stop| *stop).await.map(drop) } => {}
        () = work => {}
    }
}

async fn refresh(topic: &Arc<Topic>) {
    let Some(known) = topic.partition_count() else {
        // Whoever routes what is not routed yet is asking already.
        return;
    };
    topic.client().mark_stale(topic.name());
    match topic.client().topic(topic.name()).await {
        // Fewer may be a hole in the metadata, and what is queued must not be given up for that.
        Ok(metadata) if metadata.partitions.len() > known => {
            let count = u32::try_from(metadata.partitions.len()).unwrap_or(u32::MAX);
            match topic.open_partitions(count).await {
                Ok(()) => {
                    tracing::info!(topic = %topic.name(), known, count, "the topic has grown")
                }
                Err(error) => tracing::error!(
                    topic = %topic.name(), %error, "cannot open the queues of new partitions; trying again"
                ),
            }
        }
        Ok(_) => {}
        Err(error @ MetadataError::Topic { .. }) => {
            tracing::warn!(topic = %topic.name(), %error, "the partition count cannot be looked up");
        }
        Err(error) => {
            tracing::debug!(topic = %topic.name(), %error, "the partition count cannot be looked up now");
        }
    }
}
