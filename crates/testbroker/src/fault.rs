//! Faults by script: which requests go wrong, in what way, and how often.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::ids::{BrokerId, PartitionId};
use wolff_codec::messages::{MetadataResponse, MetadataResponsePartition};
use wolff_codec::{ApiKey, ErrorCode, Message, Str};

use crate::sasl::ScramLie;

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
    skip: u64,
    /// None for as long as the fault is in place.
    times: Option<u64>,
}

/// Effect of a fault on a request.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It is answered with an error, applied or not.
    Error { code: ErrorCode, applied: bool },
    /// It waits: before it is applied, or its answer does.
    Delay { duration: Duration, applied: bool },
    /// The same until the fault is removed.
    Hold { applied: bool },
    /// It is answered, and the connection is not read for a while.
    Throttle { duration: Duration },
    /// The same, for as long as its bytes take at that rate.
    Quota { bytes_per_second: u64 },
    /// The connection is closed instead of an answer.
    Drop { applied: bool },
    /// The first half of the answer, then the connection is closed.
    HalfAnswer,
    /// The answer carries another correlation id.
    WrongCorrelationId,
    /// These bytes instead of the answer.
    RawAnswer(Bytes),
    /// Not the truth in a SCRAM exchange.
    ScramLie(ScramLie),
    /// The answer is changed before it is encoded.
    Edit(Editor),
    /// The encoded answer is changed.
    Mangle(Mangler),
}

/// Changes an answer in place.
type Edit = dyn Fn(&mut dyn Any) + Send + Sync;

/// Changes a response of the type that it was made for.
#[derive(Clone)]
pub(crate) struct Editor(Arc<Edit>);

impl Editor {
    pub(crate) fn edit(&self, response: &mut dyn Any) {
        (self.0)(response);
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Editor")
    }
}

/// Changes a frame, length prefix included.
#[derive(Clone)]
pub(crate) struct Mangler(Arc<dyn Fn(Bytes) -> Bytes + Send + Sync>);

impl Mangler {
    pub(crate) fn mangle(&self, frame: Bytes) -> Bytes {
        (self.0)(frame)
    }
}

impl fmt::Debug for Mangler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mangler")
    }
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
            skip: 0,
            times: Some(1),
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
        Self::new(Effect::Edit(Editor(Arc::new(edit)))).api(M::API_KEY)
    }

    /// The request is applied, and its answer passed through a function before it is sent: whole,
    /// length prefix included.
    #[must_use]
    pub fn mangle_answer(mangle: impl Fn(Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Self::new(Effect::Mangle(Mangler(Arc::new(mangle))))
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
    pub fn skip(self, count: u64) -> Self {
        Self {
            skip: count,
            ..self
        }
    }

    /// So many requests. Default: 1.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        let times = Some(count);
        Self { times, ..self }
    }

    /// Every request that fits, until the fault is removed.
    #[must_use]
    pub fn always(self) -> Self {
        Self {
            times: None,
            ..self
        }
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

/// The faults in place.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    faults: Vec<(FaultId, Fault)>,
    last_id: u64,
}

impl FaultBook {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.last_id = self.last_id.saturating_add(1);
        let id = FaultId(self.last_id);
        self.faults.push((id, fault));
        id
    }

    /// True if there was such a fault, used up or not.
    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.faults.len();
        self.faults.retain(|(other, _)| *other != id);
        self.faults.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn contains(&self, id: FaultId) -> bool {
        self.faults.iter().any(|(other, _)| *other == id)
    }

    /// Draws the faults that a request meets, and counts it against them.
    pub(crate) fn draw(&mut self, asked: &Asked<'_>, targets: &[Target]) -> Script {
        let mut drawn = Vec::new();
        for (id, fault) in &mut self.faults {
            if fault.times == Some(0) || !fault.fits(asked, targets) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            let mut fault = fault.clone();
            if let Effect::Quota { bytes_per_second } = fault.effect {
                fault.effect = Effect::Throttle {
                    duration: time_for(asked.request_bytes, bytes_per_second),
                };
            }
            drawn.push((*id, fault));
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
mod tests {
    use super::*;

    const CODE: ErrorCode = ErrorCode::NOT_ENOUGH_REPLICAS;

    fn orders(partition: i32) -> Target {
        Target {
            topic: Str::from("orders"),
            partition: Some(PartitionId(partition)),
        }
    }

    fn produce(principal: Option<&str>) -> Asked<'_> {
        Asked {
            broker: BrokerId(1),
            api: ApiKey::PRODUCE,
            principal,
            request_bytes: 3_000,
        }
    }

    fn draw(book: &mut FaultBook, targets: &[Target]) -> usize {
        book.draw(&produce(None), targets).drawn.len()
    }

    #[test]
    fn a_fault_hits_after_its_skips_and_as_often_as_it_says() {
        let mut book = FaultBook::default();
        book.add(Fault::error(CODE).skip(2).times(3));
        let hits: Vec<usize> = (0..7).map(|_| draw(&mut book, &[])).collect();
        assert_eq!(hits, [0, 0, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_lasting_fault_hits_until_it_is_removed() {
        let mut book = FaultBook::default();
        let id = book.add(Fault::hold().always());
        assert_eq!((draw(&mut book, &[]), draw(&mut book, &[])), (1, 1));
        assert!(book.remove(id) && !book.remove(id));
        assert_eq!(draw(&mut book, &[]), 0);
    }

    #[test]
    fn a_fault_that_is_used_up_stays_until_it_is_removed() {
        let mut book = FaultBook::default();
        let id = book.add(Fault::hold());
        assert_eq!(draw(&mut book, &[]), 1);
        assert!(book.contains(id), "whom it holds waits for its removal");
    }

    #[test]
    fn filters_are_met_all_together() {
        let fits = |fault: Fault, targets: &[Target]| {
            let mut book = FaultBook::default();
            book.add(fault);
            draw(&mut book, targets) == 1
        };
        let fault = || Fault::error(CODE);
        assert!(fits(fault(), &[]));
        assert!(fits(fault().broker(BrokerId(1)).api(ApiKey::PRODUCE), &[]));
        assert!(!fits(fault().broker(BrokerId(2)), &[]));
        assert!(!fits(fault().api(ApiKey::FETCH), &[]));
        assert!(fits(fault().topic("orders"), &[orders(0)]));
        assert!(!fits(fault().topic("orders"), &[]));
        assert!(!fits(fault().topic("other"), &[orders(0)]));
        assert!(fits(
            fault().partition("orders", 1),
            &[orders(0), orders(1)]
        ));
        assert!(!fits(
            fault().partition("orders", 2),
            &[orders(0), orders(1)]
        ));
        let whole_topic = Target {
            topic: Str::from("orders"),
            partition: None,
        };
        assert!(!fits(fault().partition("orders", 0), &[whole_topic]));
    }

    #[test]
    fn an_error_is_for_the_partitions_that_its_filter_names() {
        let mut book = FaultBook::default();
        book.add(Fault::error(CODE).partition("orders", 1));
        let script = book.draw(&produce(None), &[orders(0), orders(1)]);
        let orders = Str::from("orders");
        assert_eq!(script.error_for_partition(&orders, PartitionId(0)), None);
        assert_eq!(
            script.error_for_partition(&orders, PartitionId(1)),
            Some((CODE, false))
        );
        assert_eq!(script.error_for_topic(&orders), None);
        assert_eq!(script.error(), Some(CODE));
    }

    #[test]
    fn a_denial_and_a_quota_are_for_one_principal_until_they_are_removed() {
        let mut book = FaultBook::default();
        let orders = Target {
            topic: Str::from("orders"),
            partition: Some(PartitionId(0)),
        };
        let denial = book.add(Fault::deny_topic("orders").principal("alice"));
        let quota = book.add(Fault::quota(1_000).principal("alice"));
        for _ in 0..3 {
            let script = book.draw(&produce(Some("alice")), std::slice::from_ref(&orders));
            let denied = Some((ErrorCode::TOPIC_AUTHORIZATION_FAILED, false));
            assert_eq!(script.error_for_topic(&orders.topic), denied);
            assert_eq!(script.error_for_topic(&Str::from("bills")), None);
            assert_eq!(script.throttle(), Duration::from_secs(3));
        }
        for other in [None, Some("bob")] {
            let script = book.draw(&produce(other), std::slice::from_ref(&orders));
            assert_eq!(script.error(), None);
            assert_eq!(script.throttle(), Duration::ZERO);
        }
        assert!(book.remove(denial) && book.remove(quota));
        assert_eq!(draw(&mut book, &[orders]), 0);
    }
}
