//! The deadlines of a connection: what decides when it has been silent for too long, without I/O.
//!
//! A deadline counts only time without progress of bytes: a link of 10 kB/s may need a minute for a
//! request, and a broker that is swallowed by the network needs none to be given up. Where the last
//! byte of a large request has left this machine, it may still wait in a buffer on the way, which
//! is not seen: such a request has the time that a slow link needs for it.

use std::time::{Duration, Instant};

use wolff_codec::ApiKey;

use crate::error::ConnectionFailure;

/// The longest that a broker can mute a connection. Longer than any quota window of Kafka's, short
/// enough that a broken clock on the other side does not stop a producer for good.
const LONGEST_MUTE: Duration = Duration::from_secs(60);

/// A request may take so many times its deadline while its bytes move: a peer that takes or sends a
/// byte now and then does not hold a connection for ever.
const LONGEST_REQUEST: u32 = 20;

/// After so long without a byte for the oldest request it is worth a look at the metadata whether
/// the broker still leads.
const SILENCE: Duration = Duration::from_secs(1);

/// The time for the response to a probe, unless the link is known to be slower.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The time for the response to a probe, in round trips of the link.
const PROBE_ROUND_TRIPS: u32 = 4;

/// The durations that a connection is configured with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The time without progress that the oldest request has, and the stream to take a byte.
    pub(super) request_timeout: Duration,
    /// After so long without a request, the next one is preceded by a probe.
    pub(super) idle_probe: Option<Duration>,
    /// After so long without a request, the connection ends.
    pub(super) idle_limit: Option<Duration>,
}

/// The clocks of one connection.
#[derive(Debug)]
pub(super) struct Deadlines {
    patience: Patience,
    /// When the oldest request in flight last made progress; the broker reads one request at a
    /// time, so a request's clock cannot start before the one ahead of it has its response.
    oldest_since: Option<Instant>,
    /// When the oldest request became the oldest.
    oldest_from: Option<Instant>,
    /// The time that the oldest request may need on its way, beyond the deadline of any request.
    allowance: Duration,
    /// When the stream last took a byte, while there are bytes that it should take.
    progress_since: Option<Instant>,
    muted_until: Option<Instant>,
    /// When something was last sent or received.
    active_at: Instant,
    /// When the silence of the oldest request was last reported.
    silence_at: Option<Instant>,
    /// Metadata names another leader: the oldest request has the time of a silence, and no more.
    is_suspected: bool,
    /// The probe's own deadline, while the oldest request is one.
    probe_timeout: Option<Duration>,
    /// Idle time of the connection before the probe.
    probed_after: Duration,
}

impl Deadlines {
    pub(super) fn new(patience: Patience, now: Instant) -> Self {
        Self {
            patience,
            oldest_since: None,
            oldest_from: None,
            allowance: Duration::ZERO,
            progress_since: None,
            muted_until: None,
            active_at: now,
            silence_at: None,
            is_suspected: false,
            probe_timeout: None,
            probed_after: Duration::ZERO,
        }
    }

    /// True if the broker reads nothing at the moment.
    pub(super) fn is_muted(&mut self, now: Instant) -> bool {
        let is_muted = self.muted_until.is_some_and(|until| now < until);
        if !is_muted {
            self.muted_until = None;
        }
        is_muted
    }

    /// True if the connection has been idle for so long that it has to prove itself.
    pub(super) fn is_probe_due(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.active_at);
        self.oldest_since.is_none() && (self.patience.idle_probe).is_some_and(|limit| idle >= limit)
    }

    /// A probe is about to go out, over a link of that round trip.
    pub(super) fn handle_probe(&mut self, now: Instant, round_trip: Option<Duration>) {
        let slow = round_trip.unwrap_or_default() * PROBE_ROUND_TRIPS;
        let timeout = PROBE_TIMEOUT.max(slow).min(self.patience.request_timeout);
        self.probed_after = now.saturating_duration_since(self.active_at);
        self.probe_timeout = Some(timeout);
    }

    /// Bytes were offered to the stream. With `oldest` they are a request without another one in
    /// flight before it, which may need so long on its way.
    pub(super) fn handle_offered(&mut self, now: Instant, oldest: Option<Duration>) {
        self.active_at = now;
        self.progress_since.get_or_insert(now);
        if let Some(allowance) = oldest {
            self.restart(Some(now), allowance);
        }
    }

    /// The stream took bytes; `of_oldest` says that some were the oldest request's own, and
    /// `is_all` that nothing is left to take.
    pub(super) fn handle_written(&mut self, now: Instant, of_oldest: bool, is_all: bool) {
        self.active_at = now;
        self.progress_since = (!is_all).then_some(now);
        if of_oldest {
            self.handle_progress(now);
        }
    }

    /// Bytes of a response have come, though not all of it.
    pub(super) fn handle_received(&mut self, now: Instant) {
        self.active_at = now;
        self.handle_progress(now);
    }

    fn handle_progress(&mut self, now: Instant) {
        if let Some(since) = &mut self.oldest_since {
            *since = now.max(*since);
            self.silence_at = None;
        }
    }

    /// The oldest request has its response. `next` is the time that the one behind it may need on
    /// its way, if there is one.
    pub(super) fn handle_response(&mut self, now: Instant, next: Option<Duration>) {
        self.active_at = now;
        self.probe_timeout = None;
        self.restart(next.map(|_| now), next.unwrap_or_default());
    }

    fn restart(&mut self, oldest_since: Option<Instant>, allowance: Duration) {
        self.oldest_since = oldest_since;
        self.allowance = allowance;
        self.oldest_from = oldest_since;
        self.silence_at = None;
        self.is_suspected = false;
    }

    /// The broker said that it will not read from this connection for `throttle` (KIP-219). What is
    /// in flight behind that response is accepted, only later: it is neither resent nor late.
    pub(super) fn handle_throttle(&mut self, now: Instant, throttle: Duration) {
        let until = now + throttle.min(LONGEST_MUTE);
        if self.muted_until.is_none_or(|earlier| earlier < until) {
            self.muted_until = Some(until);
        }
        for since in [
            &mut self.oldest_since,
            &mut self.oldest_from,
            &mut self.progress_since,
        ] {
            *since = since.map(|since| since.max(until));
        }
    }

    /// Metadata names another leader than this broker: a silent one is not waited for any more.
    pub(super) fn handle_suspicion(&mut self) {
        self.is_suspected = self.oldest_since.is_some();
    }

    /// Everything on the connection has ended.
    pub(super) fn handle_failure(&mut self) {
        self.restart(None, Duration::ZERO);
        self.progress_since = None;
    }

    /// Since when the oldest request makes no progress.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        self.oldest_since
    }

    /// Time since something was last sent or received.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.active_at)
    }

    /// True if the oldest request has been silent for as long as is worth a look at the metadata;
    /// once per silence of a second.
    pub(super) fn poll_silence(&mut self, now: Instant) -> bool {
        let is_silent = self.silence_due().is_some_and(|due| now >= due);
        if is_silent {
            self.silence_at = Some(now);
        }
        is_silent
    }

    fn silence_due(&self) -> Option<Instant> {
        let since = self.oldest_since.filter(|_| self.probe_timeout.is_none())?;
        Some(self.silence_at.map_or(since, |at| at.max(since)) + SILENCE)
    }

    /// When to look again although nothing has come or gone: `is_something_due` says that something
    /// waits for the end of a mute, `is_idle` that nothing waits at all.
    pub(super) fn poll_timeout(&self, is_something_due: bool, is_idle: bool) -> Option<Instant> {
        let unmute = self.muted_until.filter(|_| is_something_due);
        let idle_end = (self.patience.idle_limit)
            .filter(|_| is_idle)
            .map(|limit| self.active_at + limit);
        [
            self.oldest_due(),
            self.progress_due(),
            self.silence_due(),
            unmute,
            idle_end,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The time that the oldest request has without progress.
    fn oldest_timeout(&self) -> Duration {
        let timeout = self.patience.request_timeout;
        match self.probe_timeout {
            Some(timeout) => timeout,
            None if self.is_suspected => SILENCE.min(timeout),
            None => timeout + self.allowance,
        }
    }

    fn oldest_due(&self) -> Option<Instant> {
        let longest = self.patience.request_timeout * LONGEST_REQUEST;
        let due = self.oldest_since? + self.oldest_timeout();
        Some(due.min(self.oldest_from? + longest))
    }

    fn progress_due(&self) -> Option<Instant> {
        Some(self.progress_since? + self.patience.request_timeout)
    }

    /// The failure that follows from the time, if any: `oldest` is the API of the oldest request in
    /// flight, `is_idle` says that nothing waits at all.
    pub(super) fn handle_timeout(
        &self,
        now: Instant,
        oldest: Option<ApiKey>,
        is_idle: bool,
    ) -> Option<ConnectionFailure> {
        let is_over = |due: Option<Instant>| due.is_some_and(|due| now >= due);
        let after = self.patience.request_timeout;
        if is_over(self.progress_due()) {
            return Some(ConnectionFailure::WriteStalled { after });
        }
        if is_over(self.oldest_due()) {
            let api = oldest?;
            return Some(match self.probe_timeout {
                Some(after) => ConnectionFailure::LostWhileIdle {
                    idle: self.probed_after,
                    after,
                },
                None if self.is_suspected => ConnectionFailure::LeaderMoved { api },
                None => ConnectionFailure::TimedOut {
                    api,
                    after: self.oldest_timeout(),
                },
            });
        }
        let limit = self.patience.idle_limit.filter(|_| is_idle)?;
        (self.idle(now) >= limit).then_some(ConnectionFailure::Idle { after: limit })
    }
}
