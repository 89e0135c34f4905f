//! A connection to the leader and the requests on their way on it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use wolff_client::{Connection, Pending, ProduceAnswer, ProduceBatch, RequestError};
use wolff_codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_codec::records::BatchTooLarge;
use wolff_codec::{PartitionId, Str, TopicId};
use wolff_core::{BatchNo, Transmit};

use crate::clock;
use crate::config::RequiredAcks;

/// Fields that all produce requests of a partition share.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) topic: Str,
    pub(super) partition: PartitionId,
    pub(super) acks: RequiredAcks,
    pub(super) ack_timeout: Duration,
}

/// The link.
pub(super) struct Link {
    connection: Connection,
    topic_id: TopicId,
    /// A batch for which the connection's queue had no room.
    blocked: Option<Transmit>,
    /// Requests on their way, oldest first.
    pending: VecDeque<InFlight>,
}

/// A request on its way.
struct InFlight {
    batch: BatchNo,
    sent_at: Instant,
    answering: Answering,
}

/// The answer to come.
enum Answering {
    Answer(Pending<ProduceAnswer>),
    /// acks=none: that the bytes were handed to the socket is all there is.
    HandedOver(Pending<()>),
}

/// A request that was not started.
pub(super) enum NotStarted {
    Request(RequestError),
    TooLarge(BatchTooLarge),
}

impl From<RequestError> for NotStarted {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// The end of a request.
pub(super) struct Answered {
    pub(super) batch: BatchNo,
    pub(super) sent_at: Instant,
    /// An answer, `None` with acks=none, or an error.
    pub(super) result: Result<Option<ProduceAnswer>, RequestError>,
}

impl Link {
    pub(super) fn new(connection: Connection, topic_id: TopicId) -> Self {
        Self {
            connection,
            topic_id,
            blocked: None,
            pending: VecDeque::new(),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(super) fn block(&mut self, transmit: Transmit) {
        self.blocked = Some(transmit);
    }

    pub(super) fn unblock(&mut self) -> Option<Transmit> {
        self.blocked.take()
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Starts a produce request.
    pub(super) fn start(&mut self, target: &Target, transmit: &Transmit) -> Result<(), NotStarted> {
        let records = transmit
            .body
            .encode(transmit.stamp)
            .map_err(NotStarted::TooLarge)?;
        let batch = ProduceBatch {
            topic: target.topic.clone(),
            topic_id: self.topic_id,
            partition: target.partition,
            records,
            acks: target.acks.on_the_wire(),
            timeout_ms: i32::try_from(target.ack_timeout.as_millis()).unwrap_or(i32::MAX),
        };
        let answering = match target.acks {
            // Nobody answers, so there is nothing to share.
            RequiredAcks::None => {
                Answering::HandedOver(self.connection.start_unacknowledged(&alone(batch))?)
            }
            _ => Answering::Answer(self.connection.start_produce(batch)?),
        };
        self.pending.push_back(InFlight {
            batch: transmit.batch,
            sent_at: clock::now(),
            answering,
        });
        Ok(())
    }

    /// The end of the oldest request.
    pub(super) fn poll_answer(&mut self, context: &mut std::task::Context<'_>) -> Poll<Answered> {
        let Some(oldest) = self.pending.front_mut() else {
            return Poll::Pending;
        };
        let (batch, sent_at) = (oldest.batch, oldest.sent_at);
        let result = match &mut oldest.answering {
            Answering::Answer(pending) => Pin::new(pending)
                .poll(context)
                .map(|result| result.map(Some)),
            Answering::HandedOver(handed_over) => Pin::new(handed_over)
                .poll(context)
                .map(|result| result.map(|()| None)),
        };
        result.map(|result| {
            self.pending.pop_front();
            Answered {
                batch,
                sent_at,
                result,
            }
        })
    }

    /// Ends of requests that are there already, oldest first. The rest is given up.
    pub(super) fn drain(mut self) -> Vec<Answered> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut ends = Vec::new();
        while let Poll::Ready(end) = self.poll_answer(&mut context) {
            ends.push(end);
        }
        ends
    }
}

/// A request for this batch and nothing else.
fn alone(batch: ProduceBatch) -> ProduceRequest {
    ProduceRequest {
        acks: batch.acks,
        timeout_ms: batch.timeout_ms,
        topic_data: vec![TopicProduceData {
            name: batch.topic,
            topic_id: batch.topic_id,
            partition_data: vec![PartitionProduceData {
                index: batch.partition,
                records: Some(batch.records),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
