//! Time at which an attempt to reach a broker may start: decided without any I/O.
//!
//! A thousand partitions that lost the same broker must not dial it a thousand times at once, nor
//! learn one after the other that it is down. While all is well, a number of attempts run side by
//! side. After a failure a single one goes ahead when the pause is over; whoever else wants the
//! same waits for its outcome, and shares it.

use std::time::{Duration, Instant};

use wolff_backoff::{Backoff, BackoffPolicy};

use crate::error::HostReason;

/// Attempts to the same broker that may run at the same time.
const SIDE_BY_SIDE: usize = 32;

/// A connection that ended sooner than this was none: a peer that accepts and closes must not be
/// dialled in a loop.
const SHORT_LIVED: Duration = Duration::from_secs(5);

/// After so long without trouble the next trouble is the first again.
const FORGIVEN: Duration = Duration::from_secs(30);

/// Outcome of [`Gate::poll`].
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Admission {
    /// Go ahead, and report the outcome.
    Go(Ticket),
    /// Look again when something has changed, or at that time.
    Wait(Option<Instant>),
    /// The attempt of somebody else has failed meanwhile.
    Failed(HostReason),
}

/// Number of failures so far, which tells a new failure from one that is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

/// The attempts to reach one broker.
#[derive(Debug)]
pub(super) struct Gate {
    backoff: Backoff,
    running: usize,
    failures: u64,
    /// The last attempt failed, or the last connection was short-lived.
    failure: Option<HostReason>,
    not_before: Option<Instant>,
    last_trouble: Option<Instant>,
}

impl Gate {
    pub(super) fn new(policy: BackoffPolicy) -> Self {
        Self {
            backoff: Backoff::new(policy),
            running: 0,
            failures: 0,
            failure: None,
            not_before: None,
            last_trouble: None,
        }
    }

    /// Returns the ticket of an attempt that begins to wait now.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.failures)
    }

    /// Decides if the attempt with that ticket can go ahead.
    pub(super) fn poll(&mut self, now: Instant, ticket: Ticket) -> Admission {
        if self.failures > ticket.0
            && let Some(reason) = &self.failure
        {
            return Admission::Failed(reason.clone());
        }
        if let Some(until) = self.not_before.filter(|until| now < *until) {
            return Admission::Wait(Some(until));
        }
        let limit = if self.failure.is_some() {
            1
        } else {
            SIDE_BY_SIDE
        };
        if self.running >= limit {
            return Admission::Wait(None);
        }
        self.running += 1;
        Admission::Go(self.ticket())
    }

    /// An attempt has succeeded.
    pub(super) fn handle_connected(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.failure = None;
        // A pause after a short-lived connection stays: one that was open already proves nothing.
    }

    /// An attempt that was admitted with `ticket` has failed; `random` is any number.
    pub(super) fn handle_failed(
        &mut self,
        now: Instant,
        ticket: Ticket,
        reason: HostReason,
        random: u64,
    ) {
        self.running = self.running.saturating_sub(1);
        // Of those that ran side by side, the first failure counts for all.
        if ticket.0 == self.failures {
            self.failures += 1;
            self.failure = Some(reason);
            self.pause(now, random);
        }
    }

    /// An attempt was given up without an outcome.
    pub(super) fn handle_abandoned(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A connection was lost that had lived from `since` to `until`; `random` is any number.
    pub(super) fn handle_lost(&mut self, since: Instant, until: Instant, random: u64) {
        let is_short_lived = until.saturating_duration_since(since) < SHORT_LIVED;
        // Connections that were open side by side break side by side, which is one trouble.
        let is_known = self.last_trouble.is_some_and(|last| since < last);
        if is_short_lived && !is_known {
            self.pause(until, random);
        }
    }

    /// True if the gate is as good as a new one.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.running == 0 && self.is_forgiven(now)
    }

    fn is_forgiven(&self, now: Instant) -> bool {
        self.last_trouble
            .is_none_or(|last| now.saturating_duration_since(last) >= FORGIVEN)
    }

    fn pause(&mut self, now: Instant, random: u64) {
        if self.is_forgiven(now) {
            self.backoff.reset();
        }
        self.last_trouble = Some(now);
        self.not_before = Some(now + self.backoff.next_delay(random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        start: Instant,
        gate: Gate,
    }

    impl Scene {
        fn new() -> Self {
            let policy = BackoffPolicy {
                jitter: 0.0,
                ..BackoffPolicy::default()
            };
            Self {
                start: Instant::now(),
                gate: Gate::new(policy),
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn poll(&mut self, millis: u64) -> Admission {
            let (now, ticket) = (self.at(millis), self.gate.ticket());
            self.gate.poll(now, ticket)
        }

        fn go(&mut self, millis: u64) -> Ticket {
            match self.poll(millis) {
                Admission::Go(ticket) => ticket,
                other => panic!("{other:?} at {millis} ms"),
            }
        }

        fn fail(&mut self, millis: u64, ticket: Ticket) {
            let now = self.at(millis);
            self.gate.handle_failed(now, ticket, HostReason::Refused, 0);
        }
    }

    #[test]
    fn in_good_times_a_number_of_attempts_run_side_by_side() {
        let mut scene = Scene::new();
        for _ in 0..SIDE_BY_SIDE {
            scene.go(0);
        }
        assert_eq!(scene.poll(0), Admission::Wait(None));
        scene.gate.handle_connected();
        scene.go(0);
        scene.gate.handle_abandoned();
        scene.go(0);
    }

    #[test]
    fn one_failure_is_told_to_all_who_waited() {
        let mut scene = Scene::new();
        let waiting = scene.gate.ticket();
        let tickets: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scene.go(0)).collect();
        for ticket in tickets {
            scene.fail(10, ticket);
        }
        let now = scene.at(10);
        assert_eq!(
            scene.gate.poll(now, waiting),
            Admission::Failed(HostReason::Refused)
        );
        // All these failures are one: the next attempt is the one that comes at once.
        let ticket = scene.go(10);
        assert_eq!(
            scene.poll(10),
            Admission::Wait(None),
            "now only one at a time"
        );
        scene.fail(10, ticket);
        assert_eq!(scene.poll(10), Admission::Wait(Some(scene.at(60))));
        let ticket = scene.go(60);
        scene.fail(60, ticket);
        assert_eq!(scene.poll(60), Admission::Wait(Some(scene.at(160))));
        scene.go(160);
        scene.gate.handle_connected();
        scene.go(160);
        scene.go(160);
    }

    #[test]
    fn a_peer_that_accepts_and_closes_is_dialled_less_and_less() {
        let mut scene = Scene::new();
        let mut now = 0;
        for pause in [0, 50, 100, 200, 400, 800, 1600, 2000, 2000] {
            scene.go(now);
            scene.gate.handle_connected();
            let (since, until) = (scene.at(now), scene.at(now + 1));
            scene.gate.handle_lost(since, until, 0);
            now += 1 + pause;
            if pause > 0 {
                assert_eq!(scene.poll(now - 1), Admission::Wait(Some(scene.at(now))));
            }
        }
    }

    #[test]
    fn connections_that_break_together_are_one_trouble() {
        let mut scene = Scene::new();
        for _ in 0..1_000 {
            let (since, until) = (scene.at(0), scene.at(1_000));
            scene.gate.handle_lost(since, until, 0);
        }
        scene.go(1_000);
    }

    #[test]
    fn a_long_life_is_no_trouble_and_old_trouble_is_forgiven() {
        let mut scene = Scene::new();
        for millis in [0, 0, 50, 150] {
            let ticket = scene.go(millis);
            scene.fail(millis, ticket);
        }
        assert_eq!(scene.poll(150), Admission::Wait(Some(scene.at(350))));
        scene.go(350);
        scene.gate.handle_connected();
        let (since, until) = (scene.at(350), scene.at(6_000));
        scene.gate.handle_lost(since, until, 0);
        scene.go(6_000);
        scene.gate.handle_connected();
        assert!(!scene.gate.is_idle(scene.at(30_000)));
        assert!(scene.gate.is_idle(scene.at(30_150)));
        let ticket = scene.go(40_000);
        scene.fail(40_000, ticket);
        scene.go(40_000);
    }
}
