//! State shared by the users of a connection and the task that drives it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wolff_codec::CorrelationId;
use wolff_codec::wire::Chunks;
use wolff_codec::{ApiKey, BrokerId, Str, VersionRanges};

use super::answer::Submitted;
use super::gather::{Gathering, ProduceBatch};
use super::outcome::{Effect, Outcome, Unanswered, Waiter};
use super::pipeline::{Limits, Outgoing, Pipeline};
use super::probe;
use super::produce::{self, BatchSender};
use super::window::LinkStats;
use crate::endpoint::Address;
use crate::error::{ConnectionFailure, ProtocolViolation, RequestCause, RequestError};

/// The state of a connection, and how to reach whoever waits for it to change.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) versions: VersionRanges,
    pub(super) client_id: Option<Str>,
    /// Id of the broker; negative while it is not known.
    broker: AtomicI32,
    established_at: Instant,
    next_correlation_id: AtomicI32,
    state: Mutex<State>,
    /// Rung when `State::failure` is set.
    failed: Notify,
    /// Rung when there is room again.
    room: Notify,
    /// True if the broker has responded to a request with acks=0.
    has_unwanted: AtomicBool,
    /// True if bytes have followed a response.
    has_extra: AtomicBool,
    on_silence: OnceLock<SilenceReport>,
    on_failed_request: OnceLock<FailedRequestReport>,
}

/// Run when the connection ends and leaves a request without a response.
pub(crate) type FailedRequestReport = Box<dyn Fn(&RequestError) + Send + Sync>;

/// Run while the broker owes a response and sends nothing.
pub(crate) type SilenceReport = Box<dyn Fn() + Send + Sync>;

struct State {
    pipeline: Pipeline<Waiter>,
    /// Batches that will share a request as soon as the stream has taken what came before.
    gathering: Gathering<BatchSender>,
    /// Wakes the task, when that sleeps.
    task: Option<Waker>,
    /// Sticky: nothing is accepted any more, nobody waits any more.
    failure: Option<ConnectionFailure>,
    ended_at: Option<Instant>,
    /// Nobody can submit any more: the connection ends when all answers are there.
    is_released: bool,
    is_room_wanted: bool,
    /// The most that was refused for want of room, since somebody last found some. Less room than
    /// that is none: who is told otherwise would try again at once, and for ever.
    refused_bytes: usize,
}

/// Way of a request to the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    /// With all others.
    Ordinary,
    /// Ahead of those that wait, while the session is renewed.
    Renewal,
}

/// Next step of the task.
pub(super) enum Turn {
    /// Write what there is, and look again at the given time.
    Go { wake_at: Option<Instant> },
    /// The connection is over.
    Stop,
}

impl Shared {
    pub(super) fn new(
        address: Address,
        versions: VersionRanges,
        client_id: Option<Str>,
        limits: Limits,
    ) -> Self {
        Self {
            address,
            versions,
            client_id,
            broker: AtomicI32::new(-1),
            established_at: now(),
            next_correlation_id: AtomicI32::new(1),
            state: Mutex::new(State {
                pipeline: Pipeline::new(limits, now()),
                gathering: Gathering::new(),
                task: None,
                failure: None,
                ended_at: None,
                is_released: false,
                is_room_wanted: false,
                refused_bytes: 0,
            }),
            failed: Notify::new(),
            room: Notify::new(),
            has_unwanted: AtomicBool::new(false),
            has_extra: AtomicBool::new(false),
            on_silence: OnceLock::new(),
            on_failed_request: OnceLock::new(),
        }
    }

    /// Id of the broker, as far as it is known.
    pub(super) fn broker(&self) -> Option<BrokerId> {
        let id = self.broker.load(Ordering::Relaxed);
        (id >= 0).then_some(BrokerId(id))
    }

    /// Metadata says which broker is at this address.
    pub(super) fn set_broker(&self, id: BrokerId) {
        self.broker.store(id.0, Ordering::Relaxed);
    }

    /// A request that is submitted now.
    pub(super) fn submitted(&self, api: ApiKey) -> Submitted {
        Submitted::new(self.address.clone(), self.broker(), api, now())
    }

    /// A number that no request in flight has.
    pub(super) fn next_correlation_id(&self) -> CorrelationId {
        CorrelationId(self.next_correlation_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Queues a request for writing, behind all that were queued before on the same lane.
    pub(super) fn submit(
        &self,
        lane: Lane,
        correlation_id: CorrelationId,
        api: ApiKey,
        frame: Chunks,
        is_answered: bool,
        waiter: Waiter,
    ) -> Result<(), RequestCause> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(RequestCause::Connection(failure.clone()));
        }
        let request = Outgoing {
            correlation_id,
            api,
            frame,
            is_answered,
            waiter,
        };
        match lane {
            Lane::Ordinary => {
                state.take_room_for(request.frame.len())?;
                let full = |_refused| RequestCause::QueueFull;
                state.pipeline.submit(request).map_err(full)?;
            }
            Lane::Renewal => state.pipeline.submit_urgent(request),
        }
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    /// Queues a batch; it shares its request with those of other partitions that wait as well.
    pub(super) fn submit_batch(
        &self,
        batch: ProduceBatch,
        teller: BatchSender,
    ) -> Result<(), RequestCause> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Err(RequestCause::Connection(failure.clone()));
        }
        state.take_room_for(batch.records.len())?;
        state.gathering.push(batch, teller);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        Ok(())
    }

    /// Time that the broker may need until it has read all that is in flight.
    pub(super) fn latency(&self) -> Duration {
        self.state.lock().pipeline.latency(now())
    }

    /// Since when nothing stands before the renewal of the session, while the broker owes an answer
    /// to that.
    pub(super) fn renewing_since(&self) -> Option<tokio::time::Instant> {
        let since = self.state.lock().pipeline.renewing_since();
        since.map(Into::into)
    }

    /// From now on nothing goes out but what renews the session.
    pub(super) fn hold(&self) {
        self.state.lock().pipeline.hold();
    }

    /// The session is renewed: what was held goes out.
    pub(super) fn resume(&self) {
        let task = {
            let mut state = self.state.lock();
            state.pipeline.resume();
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Resolves when what was refused last would be accepted, or refused for another reason.
    pub(super) async fn wait_for_room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.failure.is_some() || state.has_room_for(state.refused_bytes) {
                    state.refused_bytes = 0;
                    return;
                }
                state.is_room_wanted = true;
            }
            room.await;
        }
    }

    /// Why the connection has ended, if it has.
    pub(super) fn failure(&self) -> Option<ConnectionFailure> {
        self.state.lock().failure.clone()
    }

    /// From when to when the connection lived, if it has ended otherwise than by this side's will.
    pub(super) fn lost_life(&self) -> Option<(Instant, Instant)> {
        let state = self.state.lock();
        let failure = state.failure.as_ref()?;
        let is_lost = !failure.is_intended();
        let ended_at = state.ended_at.filter(|_| is_lost)?;
        Some((self.established_at, ended_at))
    }

    /// Resolves when the connection has ended.
    pub(super) async fn wait_for_failure(&self) -> ConnectionFailure {
        loop {
            let failed = self.failed.notified();
            tokio::pin!(failed);
            failed.as_mut().enable();
            if let Some(failure) = self.failure() {
                return failure;
            }
            failed.await;
        }
    }

    /// Ends the connection and tells everybody. The first failure is the one that stays. For the
    /// connection's own task, which knows how much the stream has taken.
    pub(super) fn fail(&self, failure: ConnectionFailure) {
        self.end(failure, false);
    }

    /// The same for everybody else, at any moment. The task may be writing, and not have noted yet
    /// what the stream took: all that it was given is in doubt.
    pub(super) fn abort(&self, failure: ConnectionFailure) {
        self.end(failure, true);
    }

    fn end(&self, failure: ConnectionFailure, may_be_writing: bool) {
        let (abandoned, gathered, oldest, task) = {
            let mut state = self.state.lock();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(failure.clone());
            state.ended_at = Some(now());
            let gathered: Vec<_> = state.gathering.drain().collect();
            let unanswered = if may_be_writing {
                state.pipeline.handle_written(now(), usize::MAX)
            } else {
                Vec::new()
            };
            let oldest = state.pipeline.oldest(now());
            let oldest = oldest.or((!gathered.is_empty()).then(|| (ApiKey::PRODUCE, now())));
            let mut abandoned = state.pipeline.handle_failure();
            abandoned.in_doubt.extend(unanswered);
            (abandoned, gathered, oldest, state.task.take())
        };
        let is_intended = failure.is_intended();
        let cause = RequestCause::Connection(failure);
        if let Some((api, since)) = oldest
            && !is_intended
            && let Some(report) = self.on_failed_request.get()
        {
            let oldest = Submitted::new(self.address.clone(), self.broker(), api, since);
            report(&match abandoned.in_doubt.is_empty() {
                true => oldest.not_sent(cause.clone()),
                false => oldest.in_doubt(cause.clone()),
            });
        }
        for waiter in abandoned.in_doubt {
            waiter(Outcome::Failed(Unanswered::InDoubt(cause.clone())));
        }
        for waiter in abandoned.not_sent {
            waiter(Outcome::Failed(Unanswered::NotSent(cause.clone())));
        }
        for teller in gathered {
            let _ = teller.send(Err(Unanswered::NotSent(cause.clone())));
        }
        self.failed.notify_waiters();
        self.room.notify_waiters();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The last user has gone.
    pub(super) fn release(&self) {
        let task = {
            let mut state = self.state.lock();
            state.is_released = true;
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The task's look at what is to be done; `waker` is rung when that changes.
    pub(super) fn turn(
        &self,
        now: Instant,
        waker: &Waker,
        out: &mut std::collections::VecDeque<Bytes>,
    ) -> Turn {
        let mut state = self.state.lock();
        if state.failure.is_some() {
            return Turn::Stop;
        }
        if out.is_empty() {
            self.submit_probe_if_due(now, &mut state);
            let is_changed = self.submit_gathered(&mut state);
            state.pipeline.poll_write(now, out);
            // What goes out waits no more.
            if (is_changed || !out.is_empty()) && std::mem::take(&mut state.is_room_wanted) {
                self.room.notify_waiters();
            }
        }
        if out.is_empty() && state.is_released && state.is_idle() {
            return Turn::Stop;
        }
        if !state
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(waker))
        {
            state.task = Some(waker.clone());
        }
        Turn::Go {
            wake_at: state.pipeline.poll_timeout(),
        }
    }

    /// After a long idleness, what waits is preceded by a request that shows whether the broker is
    /// still there.
    fn submit_probe_if_due(&self, now: Instant, state: &mut State) {
        let is_wanted = !state.gathering.is_empty() || !state.pipeline.is_nothing_waiting();
        if !is_wanted || !state.pipeline.is_probe_due(now) {
            return;
        }
        let id = self.next_correlation_id();
        let Some((api, frame)) = probe::encode(&self.versions, id, self.client_id.as_deref())
        else {
            return;
        };
        // Whatever the response is, it is one.
        let waiter: Waiter = Box::new(|_outcome| Effect::NONE);
        let probe = Outgoing {
            correlation_id: id,
            api,
            frame,
            is_answered: true,
            waiter,
        };
        state.pipeline.submit_probe(now, probe);
    }

    /// Makes a request of what has gathered, unless something waits already. Gives whether anything
    /// has left the place where it gathered.
    fn submit_gathered(&self, state: &mut State) -> bool {
        let mut is_changed = false;
        while state.pipeline.is_nothing_waiting()
            && state.pipeline.has_room_for(0)
            && let Some((request, asked)) =
                state.gathering.next_request(state.pipeline.carried_bytes())
        {
            is_changed = true;
            let correlation_id = self.next_correlation_id();
            let client_id = self.client_id.as_deref();
            let encoded = produce::encode(&request, &self.versions, correlation_id, client_id);
            match encoded {
                Ok((version, frame)) => {
                    let request = Outgoing {
                        correlation_id,
                        api: ApiKey::PRODUCE,
                        frame,
                        is_answered: true,
                        waiter: produce::waiter(version, asked),
                    };
                    // There is room: nothing else waits.
                    if let Err(refused) = state.pipeline.submit(request) {
                        let full = Unanswered::NotSent(RequestCause::QueueFull);
                        (refused.waiter)(Outcome::Failed(full));
                    }
                }
                // Those behind may be better.
                Err(cause) => produce::fail_all(asked, &Unanswered::NotSent(cause)),
            }
        }
        is_changed
    }

    /// The stream took `count` bytes.
    pub(super) fn handle_written(&self, now: Instant, count: usize) {
        let (done, is_room_wanted) = {
            let mut state = self.state.lock();
            let done = state.pipeline.handle_written(now, count);
            let is_room_wanted = !done.is_empty() && std::mem::take(&mut state.is_room_wanted);
            (done, is_room_wanted)
        };
        for waiter in done {
            waiter(Outcome::Sent);
        }
        if is_room_wanted {
            self.room.notify_waiters();
        }
    }

    /// The stream failed in a write of `given` bytes.
    pub(super) fn handle_write_error(&self, given: usize) {
        self.state.lock().pipeline.handle_write_error(given);
    }

    /// An answer has come.
    pub(super) fn handle_frame(
        &self,
        now: Instant,
        correlation_id: CorrelationId,
        frame: Bytes,
    ) -> Result<(), ProtocolViolation> {
        let (waiter, is_room_wanted) = {
            let mut state = self.state.lock();
            let waiter = state.pipeline.handle_frame(now, correlation_id)?;
            (waiter, std::mem::take(&mut state.is_room_wanted))
        };
        let Some(waiter) = waiter else {
            if !self.has_unwanted.swap(true, Ordering::Relaxed) {
                tracing::info!(broker = %self.address, "responds to requests with acks=0, which is not needed");
            }
            return Ok(());
        };
        if is_room_wanted {
            self.room.notify_waiters();
        }
        let effect = waiter(Outcome::Answered(frame));
        if let Some((api, bytes)) = effect.extra
            && !self.has_extra.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(broker = %self.address, %api, bytes, "ignores bytes after a response; said once for a connection");
        }
        if !effect.throttle.is_zero() {
            self.state
                .lock()
                .pipeline
                .handle_throttle(now, effect.throttle);
        }
        effect.violation.map_or(Ok(()), Err)
    }

    /// A part of a response has come.
    pub(super) fn handle_received(&self, now: Instant) {
        self.state.lock().pipeline.handle_received(now);
    }

    /// The failure that follows from the time, if any.
    pub(super) fn handle_timeout(&self, now: Instant) -> Option<ConnectionFailure> {
        let (failure, is_silent) = {
            let mut state = self.state.lock();
            let failure = state.pipeline.handle_timeout(now);
            (failure, state.pipeline.poll_silence(now))
        };
        if is_silent
            && failure.is_none()
            && let Some(report) = self.on_silence.get()
        {
            report();
        }
        failure
    }

    /// Has `report` run once a second while the broker owes a response and sends nothing. Only the
    /// first one counts.
    pub(super) fn watch_silence(&self, report: SilenceReport) {
        let _is_watched_already = self.on_silence.set(report);
    }

    /// Has `report` run if the connection ends and leaves a request without a response. Only the
    /// first one counts.
    pub(super) fn watch_failed_request(&self, report: FailedRequestReport) {
        let _is_watched_already = self.on_failed_request.set(report);
    }

    /// Metadata names another leader: a silent broker is not waited for any more.
    pub(super) fn suspect(&self) {
        let task = {
            let mut state = self.state.lock();
            state.pipeline.handle_suspicion();
            state.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The state of the link.
    pub(super) fn link(&self) -> LinkStats {
        self.state.lock().pipeline.link(now())
    }

    /// Time since something was last sent or received.
    pub(super) fn idle(&self) -> Duration {
        self.state.lock().pipeline.idle(now())
    }
}

impl State {
    fn has_room_for(&self, bytes: usize) -> bool {
        let gathered = self.gathering.bytes().saturating_add(bytes);
        self.pipeline
            .has_room_beside(self.gathering.len(), gathered)
    }

    /// Checks that there is room; if not, remembers how much was wanted.
    fn take_room_for(&mut self, bytes: usize) -> Result<(), RequestCause> {
        if self.has_room_for(bytes) {
            return Ok(());
        }
        self.refused_bytes = self.refused_bytes.max(bytes);
        Err(RequestCause::QueueFull)
    }

    fn is_idle(&self) -> bool {
        self.pipeline.is_idle() && self.gathering.is_empty()
    }
}

/// The runtime's clock, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
