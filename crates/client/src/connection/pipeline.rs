//! The requests of one connection, from the queue to the answer: what decides, without any I/O.
//!
//! ```text
//!  submit -> waiting --poll_write--> offered --handle_written--> sent --handle_frame--> answered
//!              ^ muted                  |  acks=0: done when sent ^
//!              `------------- handle_failure: NotSent ------------|---------- InDoubt
//! ```
//! While a session is renewed, `waiting` is held and only what is urgent goes out, behind all that
//! was offered before.
//!
//! A request is *sent* when its last byte was taken by the stream. Before that the broker cannot
//! have acted on it, since it acts on whole frames only.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wolff_codec::ApiKey;
use wolff_codec::CorrelationId;
use wolff_codec::wire::Chunks;

use super::deadlines::{Deadlines, Patience};
use super::unwanted::Unwanted;
use super::window::{Departure, LinkStats, Window};
use crate::error::{ConnectionFailure, ProtocolViolation};

/// Bytes offered to the stream at a time: enough to keep a socket busy, little enough to leave what
/// is queued after it *not sent* when the connection breaks.
const OFFER_BYTES: u64 = 256 * 1024;

/// Bounds of a pipeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Requests that may be waiting or in flight.
    pub(super) requests: usize,
    /// Bytes that may be waiting; a single request may be larger when it is alone.
    pub(super) waiting_bytes: usize,
    /// The time without progress that requests and the connection have.
    pub(super) patience: Patience,
}

/// A request that wants to be written. `W` is whoever waits for the outcome.
#[derive(Debug)]
pub(super) struct Outgoing<W> {
    pub(super) correlation_id: CorrelationId,
    pub(super) api: ApiKey,
    pub(super) frame: Chunks,
    /// False for Produce with acks=0, to which a broker does not respond.
    pub(super) is_answered: bool,
    pub(super) waiter: W,
}

#[derive(Debug)]
struct InFlight<W> {
    correlation_id: CorrelationId,
    api: ApiKey,
    departure: Departure,
    /// Time at which the stream took the last byte; before that, the last one so far.
    sent_at: Instant,
    bytes: u64,
    /// The position in the outgoing stream after its last byte.
    ends_at: u64,
    waiter: W,
}

/// Requests of a failed connection, by what became of them.
#[derive(Debug, Eq, PartialEq)]
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
    /// True if `waiting` must wait, since the broker takes nothing but what renews the session.
    is_held: bool,
    /// The request that proves after idleness that the connection is still there: nothing follows
    /// it before its response.
    probe: Option<CorrelationId>,
    /// Offered or sent and without a response, oldest first.
    in_flight: VecDeque<InFlight<W>>,
    in_flight_bytes: u64,
    /// Offered, and done as soon as sent.
    unanswered: VecDeque<(u64, W)>,
    /// Requests that need no response, for brokers that respond all the same.
    unwanted: Unwanted,
    /// Bytes given to the stream so far; never below `written`.
    offered: u64,
    /// Bytes the stream has taken so far.
    written: u64,
    deadlines: Deadlines,
    window: Window,
    /// Recent time of requests from being offered to having a response, with those that are ahead
    /// of them: the longest, forgotten little by little.
    latency: Duration,
}

impl<W> Pipeline<W> {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            urgent: VecDeque::new(),
            is_held: false,
            probe: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            unanswered: VecDeque::new(),
            unwanted: Unwanted::new(),
            offered: 0,
            written: 0,
            deadlines: Deadlines::new(limits.patience, now),
            window: Window::new(limits.patience.request_timeout),
            latency: Duration::ZERO,
        }
    }

    /// True if a request of that many bytes can be submitted.
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

    /// True if every ordinary request was offered to the stream.
    pub(super) fn is_nothing_waiting(&self) -> bool {
        self.waiting.is_empty()
    }

    /// True if nothing is left to do.
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

    /// True if what waits must be preceded by a probe, since the connection was idle for so long.
    pub(super) fn is_probe_due(&self, now: Instant) -> bool {
        let is_quiet = !self.is_held && self.urgent.is_empty() && self.in_flight.is_empty();
        is_quiet && self.probe.is_none() && self.deadlines.is_probe_due(now)
    }

    /// Takes in the request that proves that the connection is still there.
    pub(super) fn submit_probe(&mut self, now: Instant, probe: Outgoing<W>) {
        let round_trip = self.window.shortest_round_trip();
        self.deadlines.handle_probe(now, round_trip);
        self.probe = Some(probe.correlation_id);
        self.urgent.push_front(probe);
    }

    /// From now on only what is urgent is written.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Everything is written again.
    pub(super) fn resume(&mut self) {
        self.is_held = false;
    }

    /// Gives out what the stream should write next, after what is in `out` already.
    pub(super) fn poll_write(&mut self, now: Instant, out: &mut VecDeque<Bytes>) {
        if self.deadlines.is_muted(now) {
            return;
        }
        while self.offered - self.written < OFFER_BYTES {
            let Some(request) = self.next_request() else {
                return;
            };
            let bytes = request.frame.len() as u64;
            self.offered += bytes;
            let is_oldest = request.is_answered && self.in_flight.is_empty();
            let oldest = is_oldest.then(|| self.window.allowance(bytes));
            self.deadlines.handle_offered(now, oldest);
            out.extend(request.frame);
            if request.is_answered {
                self.in_flight_bytes = self.in_flight_bytes.saturating_add(bytes);
                self.in_flight.push_back(InFlight {
                    correlation_id: request.correlation_id,
                    api: request.api,
                    departure: self.window.depart(now),
                    sent_at: now,
                    bytes,
                    ends_at: self.offered,
                    waiter: request.waiter,
                });
            } else {
                self.unwanted.handle_offered(request.correlation_id);
                self.unanswered.push_back((self.offered, request.waiter));
            }
        }
    }

    fn next_request(&mut self) -> Option<Outgoing<W>> {
        let is_probing = self.probe.is_some() && !self.in_flight.is_empty();
        if is_probing {
            return None;
        }
        if let Some(request) = self.urgent.pop_front() {
            return Some(request);
        }
        if self.is_held {
            return None;
        }
        let next = self.waiting.front()?;
        let bytes = next.frame.len() as u64;
        if next.is_answered && !self.window.has_room(self.in_flight_bytes, bytes) {
            return None;
        }
        let request = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(request.frame.len());
        Some(request)
    }

    /// The stream took `count` more bytes. Returns those who only waited for that.
    pub(super) fn handle_written(&mut self, now: Instant, count: usize) -> Vec<W> {
        let before = self.written;
        self.written = before.saturating_add(count as u64).min(self.offered);
        let of_oldest = (self.in_flight.front()).is_some_and(|oldest| oldest.ends_at > before);
        let is_all = self.written == self.offered;
        self.deadlines.handle_written(now, of_oldest, is_all);
        // Those whose last byte is among these are the youngest in flight.
        for request in self.in_flight.iter_mut().rev() {
            if request.ends_at <= before {
                break;
            }
            request.sent_at = now;
        }
        let mut done = Vec::new();
        while let Some((ends_at, _)) = self.unanswered.front()
            && *ends_at <= self.written
        {
            done.extend(self.unanswered.pop_front().map(|(_, waiter)| waiter));
        }
        done
    }

    /// A write of `given` bytes failed: some streams (TLS) then have taken bytes without saying so.
    /// From here on all of them count as sent.
    pub(super) fn handle_write_error(&mut self, given: usize) {
        self.written = self.written.saturating_add(given as u64).min(self.offered);
    }

    /// A part of a response has come.
    pub(super) fn handle_received(&mut self, now: Instant) {
        self.deadlines.handle_received(now);
    }

    /// A response has come. Returns whose it is; `None` for the response to a request with acks=0,
    /// which some brokers send (Azure Event Hubs).
    ///
    /// # Errors
    /// Responses come in the order of the requests (KAFKA protocol guide, "Network"): one that does
    /// not belong to the oldest request, or comes before that was sent, ends the connection.
    pub(super) fn handle_frame(
        &mut self,
        now: Instant,
        got: CorrelationId,
    ) -> Result<Option<W>, ProtocolViolation> {
        let oldest = match self.in_flight.pop_front() {
            Some(oldest) if oldest.ends_at <= self.written && oldest.correlation_id == got => {
                oldest
            }
            other => {
                let (expected, is_sent) = match &other {
                    Some(oldest) => (Some(oldest.correlation_id), oldest.ends_at <= self.written),
                    None => (None, false),
                };
                // It stays in the window, so that it is notified of the failure as well.
                if let Some(request) = other {
                    self.in_flight.push_front(request);
                }
                let is_awaited = (self.in_flight.iter()).any(|asked| asked.correlation_id == got);
                if !is_awaited && self.unwanted.handle_response(got) {
                    return Ok(None);
                }
                return Err(match expected.filter(|_| is_sent) {
                    Some(expected) => ProtocolViolation::OutOfOrder { expected, got },
                    None => ProtocolViolation::Unasked { got },
                });
            }
        };
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(oldest.bytes);
        if self.probe == Some(got) {
            self.probe = None;
        } else {
            let (departure, sent_at) = (oldest.departure, oldest.sent_at);
            self.window
                .handle_response(now, departure, sent_at, oldest.bytes);
        }
        let next = self.in_flight.front();
        let next = next.map(|next| self.window.allowance(next.bytes));
        self.deadlines.handle_response(now, next);
        let latency = now.saturating_duration_since(oldest.departure.at());
        self.latency = latency.max(self.latency / 8 * 7);
        Ok(Some(oldest.waiter))
    }

    /// Since when the oldest request in flight is one that renews the session.
    pub(super) fn renewing_since(&self) -> Option<Instant> {
        let oldest = self.in_flight.front()?;
        let is_renewal = [ApiKey::SASL_HANDSHAKE, ApiKey::SASL_AUTHENTICATE].contains(&oldest.api);
        self.deadlines.oldest_since().filter(|_| is_renewal)
    }

    /// Time that the broker may need until it has read all that is in flight, as far as can be told
    /// from its responses, and from how long it has been silent by now.
    pub(super) fn latency(&self, now: Instant) -> Duration {
        let oldest = self.in_flight.front();
        let silence = oldest.map(|oldest| now.saturating_duration_since(oldest.departure.at()));
        self.latency.max(silence.unwrap_or_default())
    }

    /// Bytes of requests that have their responses.
    pub(super) fn carried_bytes(&self) -> u64 {
        self.window.carried_bytes()
    }

    /// The state of the link.
    pub(super) fn link(&self, now: Instant) -> LinkStats {
        let since = self.deadlines.oldest_since();
        let silent_for = since.map(|since| now.saturating_duration_since(since));
        self.window
            .stats(self.in_flight_bytes, silent_for.unwrap_or_default())
    }

    /// Time since something was last sent or received.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        self.deadlines.idle(now)
    }

    /// The broker said that it will not read for `throttle`.
    pub(super) fn handle_throttle(&mut self, now: Instant, throttle: Duration) {
        self.deadlines.handle_throttle(now, throttle);
    }

    /// Metadata names another leader: a silent broker is not waited for any more.
    pub(super) fn handle_suspicion(&mut self) {
        self.deadlines.handle_suspicion();
    }

    /// True if the broker has been silent for so long that metadata may know more; once a second.
    pub(super) fn poll_silence(&mut self, now: Instant) -> bool {
        !self.in_flight.is_empty() && self.deadlines.poll_silence(now)
    }

    /// Time to look again although nothing has come or gone.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let is_something_due =
            !self.urgent.is_empty() || (!self.is_held && !self.waiting.is_empty());
        self.deadlines
            .poll_timeout(is_something_due, self.is_idle())
    }

    /// The failure that follows from the time, if any.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<ConnectionFailure> {
        let oldest = self.in_flight.front().map(|oldest| oldest.api);
        self.deadlines.handle_timeout(now, oldest, self.is_idle())
    }

    /// The API of the oldest request that has no response, and when it was offered to the stream;
    /// that is now for one that waits.
    pub(super) fn oldest(&self, now: Instant) -> Option<(ApiKey, Instant)> {
        let sent = self.in_flight.front();
        let sent = sent.map(|oldest| (oldest.api, oldest.departure.at()));
        let mut waiting = self.urgent.iter().chain(&self.waiting);
        sent.or_else(|| waiting.next().map(|oldest| (oldest.api, now)))
    }

    /// The connection has failed: returns everybody, and what happened to their requests.
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
        self.in_flight_bytes = 0;
        self.deadlines.handle_failure();
        abandoned
    }
}

#[cfg(test)]
mod tests;
