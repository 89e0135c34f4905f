//! A look at what previous runs left in a queue, for items that this version cannot read.
//!
//! They stay where they are, and so does everything behind them. Nobody should learn of that only
//! when the last record before them is sent.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use replayq::{Inspector, ItemState};
use wolff_core::{QueueItem, QueueItemError};

use super::Topic;
use crate::error::with_causes;
use crate::partition::{CallMachine, Queue};

/// Items of another version in a queue.
struct Unknown {
    error: QueueItemError,
    first: u64,
    items: u64,
}

impl Topic {
    /// Looks through a queue in the background. One that holds such items takes no more calls: they
    /// would never be sent.
    pub(super) fn survey<M: CallMachine>(self: &Arc<Self>, queue: &Arc<Queue<M>>, path: PathBuf) {
        if !self.environment.is_real_disk() {
            return;
        }
        let (topic, queue) = (Arc::downgrade(self), Arc::downgrade(queue));
        let lanes = self.environment.lanes();
        self.spawn(async move {
            let looked_at = path.clone();
            let found = lanes.compute(move || find(&looked_at)).await;
            let (Some(Some(unknown)), Some(topic), Some(queue)) =
                (found, topic.upgrade(), queue.upgrade())
            else {
                return;
            };
            tracing::error!(
                path = %path.display(), items = unknown.items, first = unknown.first, error = %unknown.error,
                "a queue on disk holds items of another version: they and what is behind them are kept, and the \
                 queue takes no more calls"
            );
            topic.incidents.unknown_items.fetch_add(unknown.items, Ordering::Relaxed);
            queue.change(|machine| machine.refuse_unreadable(unknown.error));
        });
    }
}

fn find(path: &Path) -> Option<Unknown> {
    let mut found: Option<Unknown> = None;
    let visited = Inspector::new().visit(path, |item| {
        if item.state != ItemState::Done
            && let Err(error) = QueueItem::decode(&item.payload)
            && error.is_foreign()
        {
            let first = item.id.0;
            found
                .get_or_insert(Unknown {
                    error,
                    first,
                    items: 0,
                })
                .items += 1;
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = visited {
        tracing::debug!(path = %path.display(), error = %with_causes(&error), "a queue could not be looked through");
    }
    found
}
