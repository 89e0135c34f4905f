//! The requests of one connection, from the queue to the answer: what decides, without any I/O.
//!
//! ```text
//!  submit -> waiting --poll_write--> offered --handle_written--> sent --handle_frame--> answered
//!              ^ muted                  |  acks=0: done when sent ^
//!              `------------- handle_failure: NotSent ------------|---------- InDoubt
//! ```
//! While a session is renewed, `waiting` is held and only what is urgent goes out, behind all that was
//! offered before.
//!
//! A request is *sent* when its last byte was taken by the stream. Before that the broker cannot
//! have acted on it, since it acts on whole frames only.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wolff_codec::ApiKey;
use wolff_codec::CorrelationId;
use wolff_codec::wire::Chunks;

use crate::error::{ConnectionFailure, ProtocolViolation};

/// How many bytes are offered to the stream at a time: enough to keep a socket busy, little enough
/// to leave what lies behind it *not sent* when the connection breaks.
const OFFER_BYTES: u64 = 256 * 1024;

/// The longest that a broker can mute a connection. Longer than any quota window of Kafka's, short
/// enough that a broken clock on the other side does not stop a producer for good.
const LONGEST_MUTE: Duration = Duration::from_secs(60);

/// What bounds a pipeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Requests that may be waiting or in flight.
    pub(super) requests: usize,
    /// Bytes that may be waiting; a single request may be larger when it is alone.
    pub(super) waiting_bytes: usize,
    /// The time that the oldest request has for its answer, and the stream to take a byte.
    pub(super) request_timeout: Duration,
}

/// A request that wants to be written. `W` is whoever waits for the outcome.
#[derive(Debug)]
pub(super) struct Outgoing<W> {
    pub(super) correlation_id: CorrelationId,
    pub(super) api: ApiKey,
    pub(super) frame: Chunks,
    /// False for Produce with acks=0, to which a broker does not answer.
    pub(super) is_answered: bool,
    pub(super) waiter: W,
}

#[derive(Debug)]
struct InFlight<W> {
    correlation_id: CorrelationId,
    api: ApiKey,
    offered_at: Instant,
    /// The position in the outgoing stream behind its last byte.
    ends_at: u64,
    waiter: W,
}

/// What became of the requests when the connection failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Abandoned<W> {
    /// The broker may have acted on these.
    pub(super) in_doubt: Vec<W>,
    /// The broker cannot have acted on these.
    pub(super) not_sent: Vec<W>,
}

/// The queue, the window and the deadlines of one connection.
#[derive(Debug)]
pub(super) struct Pipeline<W> {
    limits: Limits,
    waiting: VecDeque<Outgoing<W>>,
    waiting_bytes: usize,
    /// Goes out before `waiting`: the messages that renew the session.
    urgent: VecDeque<Outgoing<W>>,
    /// Whether `waiting` must wait, since the broker takes nothing but what renews the session.
    is_held: bool,
    /// Offered or sent and without an answer, oldest first.
    in_flight: VecDeque<InFlight<W>>,
    /// Offered, and done as soon as sent.
    unanswered: VecDeque<(u64, W)>,
    /// Bytes given to the stream so far; never below `written`.
    offered: u64,
    /// Bytes the stream has taken so far.
    written: u64,
    /// When the first of `in_flight` became the oldest: the broker reads one request at a time, so
    /// a request's clock cannot start before.
    oldest_since: Option<Instant>,
    /// When the stream last took a byte, while there are bytes that it should take.
    progress_since: Option<Instant>,
    muted_until: Option<Instant>,
    /// How long requests take of late from being offered to being answered, with those that stand before them: the longest,
    /// forgotten little by little.
    latency: Duration,
}

impl<W> Pipeline<W> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            urgent: VecDeque::new(),
            is_held: false,
            in_flight: VecDeque::new(),
            unanswered: VecDeque::new(),
            offered: 0,
            written: 0,
            oldest_since: None,
            progress_since: None,
            muted_until: None,
            latency: Duration::ZERO,
        }
    }

    /// Whether a request of that many bytes can be submitted.
    pub(super) fn has_room_for(&self, frame_bytes: usize) -> bool {
        self.has_room_beside(0, frame_bytes)
    }

    /// As [`Pipeline::has_room_for`], while so many requests with so many bytes wait beside it.
    pub(super) fn has_room_beside(&self, requests: usize, bytes: usize) -> bool {
        let waiting = self.waiting.len() + self.in_flight.len() + self.unanswered.len();
        let total = self.waiting_bytes.saturating_add(bytes);
        let is_alone = self.waiting.is_empty() && requests == 0;
        waiting.saturating_add(requests) < self.limits.requests
            && (is_alone || total <= self.limits.waiting_bytes)
    }

    /// Whether every ordinary request was offered to the stream.
    pub(super) fn is_nothing_waiting(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.urgent.is_empty()
            && self.in_flight.is_empty()
            && self.unanswered.is_empty()
    }

    /// Takes a request in, behind all earlier ones.
    ///
    /// # Errors
    /// The request itself when there is no room for it.
    pub(super) fn submit(&mut self, request: Outgoing<W>) -> Result<(), Outgoing<W>> {
        let bytes = request.frame.len();
        if !self.has_room_for(bytes) {
            return Err(request);
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        self.waiting.push_back(request);
        Ok(())
    }

    /// Takes in a request that renews the session; there is always room for it.
    pub(super) fn submit_urgent(&mut self, request: Outgoing<W>) {
        self.urgent.push_back(request);
    }

    /// From now on only what is urgent is written.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Everything is written again.
    pub(super) fn resume(&mut self) {
        self.is_held = false;
    }

    /// Gives out what the stream should write next, behind what is in `out` already.
    pub(super) fn poll_write(&mut self, now: Instant, out: &mut VecDeque<Bytes>) {
        if self.muted_until.is_some_and(|until| now < until) {
            return;
        }
        self.muted_until = None;
        while self.offered - self.written < OFFER_BYTES {
            let Some(request) = self.next_request() else {
                return;
            };
            let frame_bytes = request.frame.len();
            self.offered += frame_bytes as u64;
            self.progress_since.get_or_insert(now);
            out.extend(request.frame);
            if request.is_answered {
                if self.in_flight.is_empty() {
                    self.oldest_since = Some(now);
                }
                self.in_flight.push_back(InFlight {
                    correlation_id: request.correlation_id,
                    api: request.api,
                    offered_at: now,
                    ends_at: self.offered,
                    waiter: request.waiter,
                });
            } else {
                self.unanswered.push_back((self.offered, request.waiter));
            }
        }
    }

    fn next_request(&mut self) -> Option<Outgoing<W>> {
        if let Some(request) = self.urgent.pop_front() {
            return Some(request);
        }
        if self.is_held {
            return None;
        }
        let request = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(request.frame.len());
        Some(request)
    }

    /// The stream took `count` more bytes. Gives those who only waited for that.
    pub(super) fn handle_written(&mut self, now: Instant, count: usize) -> Vec<W> {
        self.written = self.written.saturating_add(count as u64).min(self.offered);
        self.progress_since = (self.written < self.offered).then_some(now);
        let mut done = Vec::new();
        while let Some((ends_at, _)) = self.unanswered.front()
            && *ends_at <= self.written
        {
            done.extend(self.unanswered.pop_front().map(|(_, waiter)| waiter));
        }
        done
    }

    /// Writing failed: some streams (TLS) then have taken bytes without saying so. From here on
    /// every offered request counts as sent.
    pub(super) fn handle_write_error(&mut self) {
        self.written = self.offered;
    }

    /// An answer has come. Gives whose it is.
    ///
    /// # Errors
    /// Answers come in the order of the requests (KAFKA protocol guide, "Network"): one that does
    /// not belong to the oldest request, or comes before that was sent, ends the connection.
    pub(super) fn handle_frame(
        &mut self,
        now: Instant,
        got: CorrelationId,
    ) -> Result<W, ProtocolViolation> {
        let oldest = match self.in_flight.pop_front() {
            Some(oldest) if oldest.ends_at <= self.written => oldest,
            too_early => {
                // It stays in the window, so that it is told about the failure as well.
                if let Some(request) = too_early {
                    self.in_flight.push_front(request);
                }
                return Err(ProtocolViolation::Unasked { got });
            }
        };
        if oldest.correlation_id != got {
            let expected = oldest.correlation_id;
            self.in_flight.push_front(oldest);
            return Err(ProtocolViolation::OutOfOrder { expected, got });
        }
        self.oldest_since = (!self.in_flight.is_empty()).then_some(now);
        let latency = now.saturating_duration_since(oldest.offered_at);
        self.latency = latency.max(self.latency / 8 * 7);
        Ok(oldest.waiter)
    }

    /// Since when the oldest request in flight is one that renews the session.
    pub(super) fn renewing_since(&self) -> Option<Instant> {
        let oldest = self.in_flight.front()?;
        let is_renewal = [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&oldest.api);
        self.oldest_since.filter(|_| is_renewal)
    }

    /// How long it may take until the broker has read all that is in flight, as far as can be told from what it has answered,
    /// and from how long it has been silent by now.
    pub(super) fn latency(&self, now: Instant) -> Duration {
        let oldest = self.in_flight.front();
        let silence = oldest.map(|oldest| now.saturating_duration_since(oldest.offered_at));
        self.latency.max(silence.unwrap_or_default())
    }

    /// The broker said that it will not read from this connection for `throttle` (KIP-219). What is
    /// in flight behind that answer is accepted, only later: it is neither resent nor late.
    pub(super) fn handle_throttle(&mut self, now: Instant, throttle: Duration) {
        let until = now + throttle.min(LONGEST_MUTE);
        if self.muted_until.is_none_or(|earlier| earlier < until) {
            self.muted_until = Some(until);
        }
        for since in [&mut self.oldest_since, &mut self.progress_since] {
            *since = since.map(|since| since.max(until));
        }
    }

    /// When to look again although nothing has come or gone.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = |since: Instant| since + self.limits.request_timeout;
        let is_something_due =
            !self.urgent.is_empty() || (!self.is_held && !self.waiting.is_empty());
        let unmute = self.muted_until.filter(|_| is_something_due);
        [
            self.oldest_since.map(deadline),
            self.progress_since.map(deadline),
            unmute,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The failure that follows from the time, if any.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<ConnectionFailure> {
        let after = self.limits.request_timeout;
        let is_over = |since: Option<Instant>| since.is_some_and(|since| now >= since + after);
        if is_over(self.progress_since) {
            return Some(ConnectionFailure::WriteStalled { after });
        }
        if !is_over(self.oldest_since) {
            return None;
        }
        let api = self.in_flight.front()?.api;
        Some(ConnectionFailure::TimedOut { api, after })
    }

    /// The connection has failed: gives everybody back, and what to tell them.
    pub(super) fn handle_failure(&mut self) -> Abandoned<W> {
        let mut abandoned = Abandoned {
            in_doubt: Vec::new(),
            not_sent: Vec::new(),
        };
        for request in self.in_flight.drain(..) {
            if request.ends_at <= self.written {
                abandoned.in_doubt.push(request.waiter);
            } else {
                abandoned.not_sent.push(request.waiter);
            }
        }
        for (ends_at, waiter) in self.unanswered.drain(..) {
            if ends_at <= self.written {
                abandoned.in_doubt.push(waiter);
            } else {
                abandoned.not_sent.push(waiter);
            }
        }
        let waiting = self.urgent.drain(..).chain(self.waiting.drain(..));
        let waiting = waiting.map(|request| request.waiter);
        abandoned.not_sent.extend(waiting);
        self.waiting_bytes = 0;
        self.oldest_since = None;
        self.progress_since = None;
        abandoned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    struct Line {
        start: Instant,
        pipeline: Pipeline<u32>,
        out: VecDeque<Bytes>,
    }

    impl Line {
        fn new() -> Self {
            let limits = Limits {
                requests: 8,
                waiting_bytes: 100,
                request_timeout: TIMEOUT,
            };
            Self {
                start: Instant::now(),
                pipeline: Pipeline::new(limits),
                out: VecDeque::new(),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        /// Submits a request of ten bytes; its waiter is its correlation id.
        fn submit(&mut self, id: u32, is_answered: bool) -> Result<(), u32> {
            let request = Outgoing {
                correlation_id: CorrelationId(i32::try_from(id).unwrap()),
                api: ApiKey::PRODUCE,
                frame: Bytes::from_static(&[7; 10]).into(),
                is_answered,
                waiter: id,
            };
            self.pipeline
                .submit(request)
                .map_err(|refused| refused.waiter)
        }

        fn submit_urgent(&mut self, id: u32) {
            self.pipeline.submit_urgent(Outgoing {
                correlation_id: CorrelationId(i32::try_from(id).unwrap()),
                api: ApiKey::SASL_HANDSHAKE,
                frame: Bytes::from_static(&[7; 10]).into(),
                is_answered: true,
                waiter: id,
            });
        }

        fn ask(&mut self, ids: std::ops::RangeInclusive<u32>) {
            for id in ids {
                self.submit(id, true).unwrap();
            }
        }

        /// Offers what may be written; gives how many bytes that is.
        fn offer(&mut self, seconds: u64) -> usize {
            let now = self.at(seconds);
            self.pipeline.poll_write(now, &mut self.out);
            self.out.drain(..).map(|chunk| chunk.len()).sum()
        }

        fn written(&mut self, seconds: u64, count: usize) -> Vec<u32> {
            let now = self.at(seconds);
            self.pipeline.handle_written(now, count)
        }

        fn answer(&mut self, seconds: u64, id: i32) -> Result<u32, ProtocolViolation> {
            let now = self.at(seconds);
            self.pipeline.handle_frame(now, CorrelationId(id))
        }
    }

    #[test]
    fn latency_is_the_longest_of_late_and_grows_while_the_broker_is_silent() {
        let mut line = Line::new();
        line.ask(1..=2);
        assert_eq!(line.offer(0), 20);
        line.written(0, 20);
        let latency = |line: &Line, seconds| line.pipeline.latency(line.at(seconds));
        assert_eq!(latency(&line, 5), Duration::from_secs(5));
        line.answer(8, 1).unwrap();
        line.answer(8, 2).unwrap();
        assert_eq!(latency(&line, 60), Duration::from_secs(8));
        for id in 3..100 {
            line.ask(id..=id);
            line.offer(60);
            line.written(60, 10);
            line.answer(61, i32::try_from(id).unwrap()).unwrap();
        }
        assert_eq!(latency(&line, 61), Duration::from_secs(1));
    }

    #[test]
    fn answers_belong_to_the_oldest() {
        let mut line = Line::new();
        line.ask(1..=3);
        assert_eq!(line.offer(0), 30);
        line.written(0, 30);
        assert_eq!(line.answer(0, 1), Ok(1));
        assert_eq!(line.answer(0, 2), Ok(2));
        let (expected, got) = (CorrelationId(3), CorrelationId(9));
        let violation = ProtocolViolation::OutOfOrder { expected, got };
        assert_eq!(line.answer(0, 9), Err(violation));
        assert_eq!(
            line.pipeline.handle_failure().in_doubt,
            [3],
            "told with the others"
        );
    }

    #[test]
    fn an_answer_before_the_request_was_sent_is_none() {
        let mut line = Line::new();
        let got = CorrelationId(1);
        assert_eq!(line.answer(0, 1), Err(ProtocolViolation::Unasked { got }));
        line.ask(1..=1);
        line.offer(0);
        line.written(0, 9);
        assert_eq!(line.answer(0, 1), Err(ProtocolViolation::Unasked { got }));
        assert_eq!(line.pipeline.handle_failure().not_sent, [1]);
    }

    #[test]
    fn in_doubt_is_what_was_taken_to_its_last_byte() {
        for written in 0..=40 {
            let mut line = Line::new();
            line.ask(1..=3);
            line.submit(4, false).unwrap();
            line.offer(0);
            let done = line.written(0, written);
            line.submit(5, true).unwrap();
            let Abandoned { in_doubt, not_sent } = line.pipeline.handle_failure();
            assert_eq!(in_doubt.len(), (written / 10).min(3));
            assert_eq!(done.len(), written / 40);
            let mut all: Vec<_> = [in_doubt, not_sent, done].concat();
            all.sort_unstable();
            assert_eq!(all, [1, 2, 3, 4, 5]);
            assert!(line.pipeline.is_idle());
        }
    }

    #[test]
    fn while_a_session_is_renewed_only_what_renews_it_goes_out() {
        let mut line = Line::new();
        line.ask(1..=2);
        assert_eq!(line.offer(0), 20);
        line.written(0, 20);
        line.ask(3..=3);
        line.pipeline.hold();
        assert_eq!(line.offer(0), 0);
        line.submit_urgent(4);
        assert_eq!(line.offer(0), 10, "behind what was in flight");
        line.written(0, 10);
        for id in [1, 2, 4] {
            assert_eq!(line.answer(0, id), Ok(u32::try_from(id).unwrap()));
        }
        line.submit_urgent(5);
        assert_eq!(line.offer(0), 10);
        line.written(0, 10);
        assert_eq!(line.answer(0, 5), Ok(5));
        assert_eq!(line.offer(0), 0, "still held");
        assert!(!line.pipeline.is_idle());
        line.pipeline.resume();
        assert_eq!(line.offer(0), 10);
        line.written(0, 10);
        assert_eq!(line.answer(0, 3), Ok(3));
    }

    #[test]
    fn a_renewal_that_fails_leaves_what_was_held_unsent() {
        let mut line = Line::new();
        line.pipeline.hold();
        line.ask(1..=2);
        line.submit_urgent(3);
        line.offer(0);
        line.written(0, 10);
        line.submit_urgent(4);
        let abandoned = line.pipeline.handle_failure();
        assert_eq!(abandoned.in_doubt, [3]);
        assert_eq!(abandoned.not_sent, [4, 1, 2]);
    }

    #[test]
    fn a_mute_counts_for_what_is_urgent_and_not_for_what_is_held() {
        let mut line = Line::new();
        line.pipeline.hold();
        line.ask(1..=1);
        let now = line.at(0);
        line.pipeline.handle_throttle(now, Duration::from_secs(5));
        assert_eq!(line.pipeline.poll_timeout(), None);
        line.submit_urgent(2);
        assert_eq!(line.offer(0), 0);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(5)));
        assert_eq!(line.offer(5), 10);
    }

    #[test]
    fn a_failed_write_leaves_everything_offered_in_doubt() {
        let mut line = Line::new();
        line.ask(1..=2);
        line.offer(0);
        line.ask(3..=3);
        line.pipeline.handle_write_error();
        let abandoned = line.pipeline.handle_failure();
        assert_eq!(abandoned.in_doubt, [1, 2]);
        assert_eq!(abandoned.not_sent, [3]);
    }

    #[test]
    fn the_clock_runs_for_the_oldest_only() {
        let mut line = Line::new();
        assert_eq!(line.pipeline.poll_timeout(), None);
        line.ask(1..=2);
        line.offer(0);
        line.written(0, 20);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(30)));
        line.answer(25, 1).unwrap();
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(55)));
        let now = line.at(54);
        assert_eq!(line.pipeline.handle_timeout(now), None);
        let (now, api) = (line.at(55), ApiKey::PRODUCE);
        let failure = ConnectionFailure::TimedOut {
            api,
            after: TIMEOUT,
        };
        assert_eq!(line.pipeline.handle_timeout(now), Some(failure));
        line.answer(55, 2).unwrap();
        assert_eq!(line.pipeline.poll_timeout(), None);
    }

    #[test]
    fn bytes_that_nobody_takes_have_a_deadline_too() {
        let mut line = Line::new();
        line.submit(1, false).unwrap();
        line.offer(0);
        line.written(20, 5);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(50)));
        let (now, after) = (line.at(50), TIMEOUT);
        let failure = ConnectionFailure::WriteStalled { after };
        assert_eq!(line.pipeline.handle_timeout(now), Some(failure));
        assert_eq!(line.written(50, 5), [1]);
        assert_eq!(line.pipeline.poll_timeout(), None);
    }

    #[test]
    fn a_mute_holds_writes_back_and_stops_the_clock() {
        let mut line = Line::new();
        line.ask(1..=2);
        line.offer(0);
        line.written(0, 20);
        line.answer(10, 1).unwrap();
        let now = line.at(10);
        line.pipeline.handle_throttle(now, Duration::from_secs(40));
        line.pipeline.handle_throttle(now, Duration::from_secs(1));
        line.ask(3..=3);
        assert_eq!(line.offer(49), 0);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(50)));
        assert_eq!(line.offer(50), 10);
        line.written(50, 10);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(80)));
        let now = line.at(79);
        assert_eq!(line.pipeline.handle_timeout(now), None);
    }

    #[test]
    fn no_broker_mutes_for_longer_than_a_minute() {
        let mut line = Line::new();
        let now = line.at(0);
        line.pipeline.handle_throttle(now, Duration::MAX);
        line.ask(1..=1);
        assert_eq!(line.pipeline.poll_timeout(), Some(line.at(60)));
    }

    #[test]
    fn requests_and_bytes_are_bounded() {
        let mut line = Line::new();
        line.ask(1..=8);
        assert_eq!(line.submit(9, true), Err(9), "eight requests are the limit");
        line.offer(0);
        assert_eq!(line.submit(9, true), Err(9), "in flight they count as well");
        line.written(0, 80);
        line.answer(0, 1).unwrap();
        line.submit(9, true).unwrap();

        let mut line = Line::new();
        line.pipeline.limits.waiting_bytes = 15;
        line.ask(1..=1);
        assert_eq!(line.submit(2, true), Err(2));
        line.offer(0);
        line.pipeline.limits.waiting_bytes = 5;
        line.submit(3, true).unwrap();
    }

    #[test]
    fn a_part_of_a_long_queue_is_offered_at_a_time() {
        let mut line = Line::new();
        line.pipeline.limits.waiting_bytes = usize::MAX;
        for id in 1..=4 {
            let request = Outgoing {
                correlation_id: CorrelationId(id),
                api: ApiKey::PRODUCE,
                frame: Bytes::from(vec![0; 200_000]).into(),
                is_answered: true,
                waiter: 0,
            };
            line.pipeline.submit(request).unwrap();
        }
        assert_eq!(line.offer(0), 400_000);
        assert_eq!(line.offer(0), 0);
        line.written(0, 400_000);
        assert_eq!(line.offer(0), 400_000);
    }
}
