//! Faults by script: which requests go wrong, in what way, and how often.

mod effect;

use std::any::Any;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::ids::{BrokerId, PartitionId};
use wolff_codec::messages::{MetadataResponse, MetadataResponsePartition};
use wolff_codec::{ApiKey, ErrorCode, Message, Str};

use crate::fault_book::{FaultBook, FaultNumber, Turns};
use crate::sasl::ScramLie;

pub(crate) use effect::{Editor, Effect, Mangler};

/// Something that goes wrong with the next request that fits: once, unless told otherwise.
///
/// Without a filter every request of every client fits. A request that several faults fit meets all
/// of them.
///
/// ```
/// use wolff_codec::{ApiKey, ErrorCode};
/// use wolff_testbroker::Fault;
///
/// // The next three batches for partition 0 are refused, those for other partitions are not.
/// let refusal = Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).api(ApiKey::PRODUCE);
/// let refusal = refusal.partition("orders", 0).times(3);
/// // The answer to the second InitProducerId request is lost.
/// let lost_answer = Fault::drop_answer().api(ApiKey::INIT_PRODUCER_ID).skip(1);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    broker: Option<BrokerId>,
    api: Option<ApiKey>,
    topic: Option<Str>,
    partition: Option<PartitionId>,
    principal: Option<String>,
    turns: Turns,
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            effect,
            broker: None,
            api: None,
            topic: None,
            partition: None,
            principal: None,
            turns: Turns::default(),
        }
    }

    /// The request is answered with an error, and not applied. Where an API has an error for each
    /// topic or partition, those that the filters fit get it; else the whole response does. APIs
    /// without an error code are not affected.
    #[must_use]
    pub fn error(code: ErrorCode) -> Self {
        Self::new(Effect::Error {
            code,
            applied: false,
        })
    }

    /// The request is applied, but answered with an error, as with
    /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND` or `REQUEST_TIMED_OUT`.
    #[must_use]
    pub fn error_after_applying(code: ErrorCode) -> Self {
        Self::new(Effect::Error {
            code,
            applied: true,
        })
    }

    /// The request waits that long before it is applied. A broker handles one request of a
    /// connection at a time, so the ones behind it wait too.
    #[must_use]
    pub fn delay(duration: Duration) -> Self {
        Self::new(Effect::Delay {
            duration,
            applied: false,
        })
    }

    /// The request is applied at once, its answer comes that much later.
    #[must_use]
    pub fn delay_answer(duration: Duration) -> Self {
        Self::new(Effect::Delay {
            duration,
            applied: true,
        })
    }

    /// The request waits, before it is applied, until the fault is
    /// [removed](crate::Cluster::remove_fault): what a paused broker looks like.
    #[must_use]
    pub fn hold() -> Self {
        Self::new(Effect::Hold { applied: false })
    }

    /// The request is applied at once, its answer waits until the fault is
    /// [removed](crate::Cluster::remove_fault).
    #[must_use]
    pub fn hold_answer() -> Self {
        Self::new(Effect::Hold { applied: true })
    }

    /// The request is applied and answered at once; then the broker does not read the connection
    /// for that long, as a quota makes it (KIP-219). Responses of Produce, Fetch, Metadata and
    /// InitProducerId say so.
    #[must_use]
    pub fn throttle(duration: Duration) -> Self {
        Self::new(Effect::Throttle { duration })
    }

    /// A quota, until the fault is removed: after each request the broker does not read the
    /// connection for as long as the bytes of the request take at this rate (at least 1). Responses
    /// say so, as with [`Self::throttle`].
    ///
    /// ```
    /// use wolff_codec::ApiKey;
    /// use wolff_testbroker::Fault;
    ///
    /// let quota = Fault::quota(64 * 1024).api(ApiKey::PRODUCE).principal("alice");
    /// ```
    #[must_use]
    pub fn quota(bytes_per_second: u64) -> Self {
        Self::new(Effect::Quota { bytes_per_second }).always()
    }

    /// A topic that nobody may use, until the fault is removed: `TOPIC_AUTHORIZATION_FAILED` for
    /// it, in every request that names it. With [`Self::principal`] for one client, with
    /// [`Self::api`] for one kind of request.
    ///
    /// ```
    /// use wolff_codec::ApiKey;
    /// use wolff_testbroker::Fault;
    ///
    /// let denial = Fault::deny_topic("orders").api(ApiKey::PRODUCE).principal("alice");
    /// ```
    #[must_use]
    pub fn deny_topic(topic: impl Into<Str>) -> Self {
        Self::error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
            .topic(topic)
            .always()
    }

    /// The connection is closed, the request not applied.
    #[must_use]
    pub fn drop_request() -> Self {
        Self::new(Effect::Drop { applied: false })
    }

    /// The request is applied, but the connection is closed instead of an answer: the client cannot
    /// know.
    #[must_use]
    pub fn drop_answer() -> Self {
        Self::new(Effect::Drop { applied: true })
    }

    /// The request is applied; the first half of its answer is sent, then the connection is closed.
    #[must_use]
    pub fn half_answer() -> Self {
        Self::new(Effect::HalfAnswer)
    }

    /// The request is applied and answered, with a correlation id that is not the request's.
    #[must_use]
    pub fn wrong_correlation_id() -> Self {
        Self::new(Effect::WrongCorrelationId)
    }

    /// The request is applied, and answered with these bytes, which should bring their own length
    /// prefix.
    #[must_use]
    pub fn raw_answer(bytes: impl Into<Bytes>) -> Self {
        Self::new(Effect::RawAnswer(bytes.into()))
    }

    /// The request is applied, and its answer changed before it is sent: a broker that lies, in
    /// words of the protocol.
    ///
    /// ```
    /// use wolff_codec::messages::MetadataResponse;
    /// use wolff_testbroker::Fault;
    ///
    /// // From now on broker 2 says that all brokers are on port 0.
    /// let lie = Fault::edit_answer(|answer: &mut MetadataResponse| {
    ///     for broker in &mut answer.brokers {
    ///         broker.port = 0;
    ///     }
    /// });
    /// let lie = lie.broker(2).always();
    /// ```
    #[must_use]
    pub fn edit_answer<M: Message + 'static>(
        edit: impl Fn(&mut M) + Send + Sync + 'static,
    ) -> Self {
        let edit = move |response: &mut dyn Any| {
            if let Some(response) = response.downcast_mut() {
                edit(response);
            }
        };
        Self::new(Effect::Edit(Editor::new(edit))).api(M::API_KEY)
    }

    /// The request is applied, and its answer passed through a function before it is sent: whole,
    /// length prefix included.
    #[must_use]
    pub fn mangle_answer(mangle: impl Fn(Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Self::new(Effect::Mangle(Mangler::new(mangle)))
    }

    /// Metadata does not tell of that partition, although it is there: answers like that have been
    /// seen while leaders move.
    #[must_use]
    pub fn hole_in_metadata(topic: impl Into<Str>, partition: impl Into<PartitionId>) -> Self {
        let (topic, partition) = (topic.into(), partition.into());
        let wanted = topic.clone();
        let edit = move |answer: &mut MetadataResponse| {
            let topics = answer.topics.iter_mut();
            for topic in topics.filter(|topic| topic.name.as_ref() == Some(&wanted)) {
                let rest = |other: &MetadataResponsePartition| other.partition_index != partition;
                topic.partitions.retain(rest);
            }
        };
        Self::edit_answer(edit).topic(topic)
    }

    /// The broker cheats in every SCRAM exchange, until the fault is removed. Exchanges without
    /// Kafka's headers, as they follow SaslHandshake version 0, are not affected.
    #[must_use]
    pub fn scram_lie(lie: ScramLie) -> Self {
        Self::new(Effect::ScramLie(lie))
            .api(ApiKey::SASL_AUTHENTICATE)
            .always()
    }

    /// Only requests to this broker.
    #[must_use]
    pub fn broker(self, broker: impl Into<BrokerId>) -> Self {
        let broker = Some(broker.into());
        Self { broker, ..self }
    }

    /// Only requests of this API.
    #[must_use]
    pub fn api(self, api: ApiKey) -> Self {
        let api = Some(api);
        Self { api, ..self }
    }

    /// Only requests that name this topic.
    #[must_use]
    pub fn topic(self, topic: impl Into<Str>) -> Self {
        let topic = Some(topic.into());
        Self { topic, ..self }
    }

    /// Only requests that name this partition: Produce, Fetch, ListOffsets and DescribeProducers
    /// do.
    #[must_use]
    pub fn partition(self, topic: impl Into<Str>, partition: impl Into<PartitionId>) -> Self {
        let partition = Some(partition.into());
        Self { partition, ..self }.topic(topic)
    }

    /// Only requests of clients that have authenticated as this user.
    #[must_use]
    pub fn principal(self, user: impl Into<String>) -> Self {
        let principal = Some(user.into());
        Self { principal, ..self }
    }

    /// Not the first `count` requests that fit, but the ones after them.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.turns.skip(count);
        self
    }

    /// So many requests. Default: 1.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.turns.times(Some(count));
        self
    }

    /// Every request that fits, until the fault is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.turns.times(None);
        self
    }

    fn fits(&self, asked: &Asked<'_>, targets: &[Target]) -> bool {
        let principal = self.principal.as_deref();
        self.broker.is_none_or(|wanted| wanted == asked.broker)
            && self.api.is_none_or(|wanted| wanted == asked.api)
            && principal.is_none_or(|wanted| asked.principal == Some(wanted))
            && (self.topic.is_none() || targets.iter().any(|target| self.fits_target(target)))
    }

    fn fits_target(&self, target: &Target) -> bool {
        self.topic
            .as_ref()
            .is_none_or(|wanted| *wanted == target.topic)
            && (self.partition.is_none() || self.partition == target.partition)
    }
}

/// Request as the filters of faults see it, beside topics and partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) broker: BrokerId,
    pub(crate) api: ApiKey,
    /// The user that the client has authenticated as.
    pub(crate) principal: Option<&'a str>,
    /// The length of the request's body, in bytes.
    pub(crate) request_bytes: usize,
}

/// A topic or partition that a request names.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: Str,
    /// None where the request speaks of the whole topic.
    pub(crate) partition: Option<PartitionId>,
}

/// Names a fault that is in place.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FaultId(u64);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FaultNumber for FaultId {
    fn numbered(number: u64) -> Self {
        Self(number)
    }
}

impl FaultBook<FaultId, Fault> {
    /// Draws the faults that a request meets, and counts it against them.
    pub(crate) fn draw(&mut self, asked: &Asked<'_>, targets: &[Target]) -> Script {
        let mut drawn = Vec::new();
        for (id, fault) in self.iter_mut() {
            if !fault.fits(asked, targets) || !fault.turns.strike() {
                continue;
            }
            let mut fault = fault.clone();
            if let Effect::Quota { bytes_per_second } = fault.effect {
                fault.effect = Effect::Throttle {
                    duration: time_for(asked.request_bytes, bytes_per_second),
                };
            }
            drawn.push((id, fault));
        }
        Script { drawn }
    }
}

/// Time that so many bytes take at that rate.
fn time_for(bytes: usize, bytes_per_second: u64) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let millis = bytes.saturating_mul(1000) / bytes_per_second.max(1);
    Duration::from_millis(millis)
}

/// Faults that one request meets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    drawn: Vec<(FaultId, Fault)>,
}

impl Script {
    /// The lie of the broker in SCRAM, if there is one.
    pub(crate) fn scram_lie(&self) -> Option<&ScramLie> {
        self.effects().find_map(|(_, effect)| match effect {
            Effect::ScramLie(lie) => Some(lie),
            _ => None,
        })
    }

    pub(crate) fn fault_ids(&self) -> impl Iterator<Item = FaultId> {
        self.drawn.iter().map(|(id, _)| *id)
    }

    pub(crate) fn effects(&self) -> impl Iterator<Item = (FaultId, &Effect)> {
        self.drawn.iter().map(|(id, fault)| (*id, &fault.effect))
    }

    /// The error for the whole response.
    pub(crate) fn error(&self) -> Option<ErrorCode> {
        self.find_error(|_| true).map(|(code, _)| code)
    }

    /// The error for a topic, and whether the request is applied all the same.
    pub(crate) fn error_for_topic(&self, topic: &Str) -> Option<(ErrorCode, bool)> {
        let target = Target {
            topic: topic.clone(),
            partition: None,
        };
        self.find_error(|fault| fault.fits_target(&target))
    }

    /// The error for a partition, and whether the request is applied all the same.
    pub(crate) fn error_for_partition(
        &self,
        topic: &Str,
        partition: PartitionId,
    ) -> Option<(ErrorCode, bool)> {
        let target = Target {
            topic: topic.clone(),
            partition: Some(partition),
        };
        self.find_error(|fault| fault.fits_target(&target))
    }

    /// Time that the connection is not read after the response.
    pub(crate) fn throttle(&self) -> Duration {
        let throttles = self.effects().filter_map(|(_, effect)| match effect {
            Effect::Throttle { duration } => Some(*duration),
            _ => None,
        });
        throttles.sum()
    }

    /// The same as responses tell it, in milliseconds.
    pub(crate) fn throttle_ms(&self) -> i32 {
        i32::try_from(self.throttle().as_millis()).unwrap_or(i32::MAX)
    }

    fn find_error(&self, fits: impl Fn(&Fault) -> bool) -> Option<(ErrorCode, bool)> {
        self.drawn.iter().find_map(|(_, fault)| match fault.effect {
            Effect::Error { code, applied } if fits(fault) => Some((code, applied)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
