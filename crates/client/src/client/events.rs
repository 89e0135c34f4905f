//! Changes of topics, for whoever wants to hear of them.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::topology::TopicEvent;

/// The changes of all topics that a client asks about. Dropping it, or not listening, costs
/// nothing.
#[derive(Debug)]
pub struct TopicEvents {
    receiver: Receiver<TopicEvent>,
}

impl TopicEvents {
    pub(super) fn new(receiver: Receiver<TopicEvent>) -> Self {
        Self { receiver }
    }

    /// The next change, some time; `None` when the client is gone. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<TopicEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(TopicEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
