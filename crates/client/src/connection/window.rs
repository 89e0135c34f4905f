//! Window of bytes in flight on a connection, and their rate: no I/O.
//!
//! Bytes that a buffer on the way has swallowed are not seen to move. A window that starts small
//! and grows with the responses keeps the bytes behind such a buffer to what the link carries in
//! time.

use std::time::{Duration, Instant};

/// The window that a connection starts with, and does not fall below: 10 kB/s carry it in 7 s.
const SMALLEST_BYTES: u64 = 64 * 1024;

/// Beyond that nothing is gained on any link.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;

/// No link is taken for slower, in bytes per second: what a request needs on such a one is not held
/// against its broker.
const SLOWEST: u64 = 8 * 1024;

/// A link may be so many times slower than it has proved to be.
const RATE_MARGIN: u64 = 4;

/// A response that takes longer than this part of the request timeout makes the window smaller.
const SLOW_PART: u32 = 4;

/// The state of a connection's link, for whoever sizes batches and windows above it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Bytes of requests that were given to the stream and have no response yet.
    pub bytes_in_flight: u64,
    /// Bytes that may be in flight at the moment; a single larger request goes alone.
    pub window_bytes: u64,
    /// The fastest that responses have acknowledged bytes of requests lately, in bytes per second;
    /// `None` before the first response. A lower bound while there is little to send.
    pub bytes_per_second: Option<u64>,
    /// The time from a request's last byte to its response, smoothed; `None` before the first
    /// response. It contains the broker's own time, for acks=-1 that of its replicas.
    pub round_trip: Option<Duration>,
    /// The shortest such time.
    pub shortest_round_trip: Option<Duration>,
    /// Time that the oldest request in flight has been without progress of bytes.
    pub silent_for: Duration,
}

/// The moment of a request's departure, by which its response is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    at: Instant,
    /// Bytes that had responses by then.
    delivered: u64,
}

impl Departure {
    /// The moment at which the request was offered to the stream.
    pub(super) fn at(&self) -> Instant {
        self.at
    }
}

/// The window of one connection.
#[derive(Debug)]
pub(super) struct Window {
    slow: Duration,
    bytes: u64,
    /// Bytes of requests that have their responses.
    delivered: u64,
    /// True if something had to wait for the window since the last response.
    is_full: bool,
    rate: Option<u64>,
    round_trip: Option<Duration>,
    shortest: Option<Duration>,
}

impl Window {
    pub(super) fn new(request_timeout: Duration) -> Self {
        Self {
            slow: request_timeout / SLOW_PART,
            bytes: SMALLEST_BYTES,
            delivered: 0,
            is_full: false,
            rate: None,
            round_trip: None,
            shortest: None,
        }
    }

    /// True if a request of `bytes` may go out beside `in_flight` others.
    pub(super) fn has_room(&mut self, in_flight: u64, bytes: u64) -> bool {
        let has_room = in_flight == 0 || in_flight.saturating_add(bytes) <= self.bytes;
        self.is_full |= !has_room;
        has_room
    }

    /// A request departs.
    pub(super) fn depart(&self, now: Instant) -> Departure {
        Departure {
            at: now,
            delivered: self.delivered,
        }
    }

    /// A request of `bytes` has its response; its last byte was written at `sent_at`.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        departure: Departure,
        sent_at: Instant,
        bytes: u64,
    ) {
        self.delivered = self.delivered.saturating_add(bytes);
        let took = now.saturating_duration_since(departure.at);
        let round_trip = now.saturating_duration_since(sent_at);
        self.shortest = Some(
            self.shortest
                .map_or(round_trip, |known| known.min(round_trip)),
        );
        self.round_trip = Some(match self.round_trip {
            Some(known) => known / 8 * 7 + round_trip / 8,
            None => round_trip,
        });
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let moved = self.delivered.saturating_sub(departure.delivered);
        let sample = moved.saturating_mul(1_000_000) / micros;
        self.rate = Some(self.rate.map_or(sample, |known| sample.max(known / 8 * 7)));
        if took > self.slow {
            self.bytes = (self.bytes / 2).max(SMALLEST_BYTES);
        } else if self.is_full {
            self.bytes = self.bytes.saturating_add(bytes).min(LARGEST_BYTES);
        }
        self.is_full = false;
    }

    /// The time that a request of `bytes` may need on its way beyond what any request may: a buffer
    /// on the way can take all of it at once, and is then not seen to pass it on.
    pub(super) fn allowance(&self, bytes: u64) -> Duration {
        let excess = bytes.saturating_sub(SMALLEST_BYTES);
        let proved = self.rate.unwrap_or_default() / RATE_MARGIN;
        let millis = excess.saturating_mul(1_000) / proved.max(SLOWEST);
        Duration::from_millis(millis)
    }

    /// Bytes of requests that have their responses.
    pub(super) fn carried_bytes(&self) -> u64 {
        self.delivered
    }

    /// The shortest round trip so far.
    pub(super) fn shortest_round_trip(&self) -> Option<Duration> {
        self.shortest
    }

    /// Returns the measurements of the link.
    pub(super) fn stats(&self, bytes_in_flight: u64, silent_for: Duration) -> LinkStats {
        LinkStats {
            bytes_in_flight,
            window_bytes: self.bytes,
            bytes_per_second: self.rate,
            round_trip: self.round_trip,
            shortest_round_trip: self.shortest,
            silent_for,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Sends requests of a window's size one after the other, each answered after `millis`.
    fn run(window: &mut Window, start: Instant, rounds: u32, millis: u64) -> Instant {
        let mut now = start;
        for _ in 0..rounds {
            let departure = window.depart(now);
            let bytes = window.bytes;
            assert!(window.has_room(0, bytes));
            assert!(!window.has_room(bytes, 1));
            let sent_at = now;
            now += Duration::from_millis(millis);
            window.handle_response(now, departure, sent_at, bytes);
        }
        now
    }

    #[test]
    fn a_window_doubles_while_responses_are_fast_and_shrinks_when_they_are_slow() {
        let mut window = Window::new(TIMEOUT);
        let now = run(&mut window, Instant::now(), 6, 1);
        assert_eq!(window.bytes, 64 * SMALLEST_BYTES);
        run(&mut window, now, 3, 8_000);
        assert_eq!(window.bytes, 8 * SMALLEST_BYTES);
        run(&mut window, now, 20, 8_000);
        assert_eq!(window.bytes, SMALLEST_BYTES);
    }

    #[test]
    fn a_window_that_is_not_used_up_does_not_grow() {
        let mut window = Window::new(TIMEOUT);
        let now = Instant::now();
        for _ in 0..100 {
            assert!(window.has_room(0, 1_000));
            let departure = window.depart(now);
            window.handle_response(now + Duration::from_millis(1), departure, now, 1_000);
        }
        assert_eq!(window.bytes, SMALLEST_BYTES);
    }

    #[test]
    fn rate_and_round_trip_of_a_slow_link_are_reported() {
        let mut window = Window::new(TIMEOUT);
        let start = Instant::now();
        let departure = window.depart(start);
        let sent_at = start + Duration::from_millis(4_600);
        let answered_at = start + Duration::from_secs(5);
        window.handle_response(answered_at, departure, sent_at, 50_000);
        let stats = window.stats(0, Duration::ZERO);
        assert_eq!(stats.bytes_per_second, Some(10_000));
        assert_eq!(stats.round_trip, Some(Duration::from_millis(400)));
        assert_eq!(stats.shortest_round_trip, stats.round_trip);
    }

    #[test]
    fn a_large_request_has_the_time_that_a_slow_link_needs_until_the_link_proves_fast() {
        let mut window = Window::new(TIMEOUT);
        assert_eq!(window.allowance(SMALLEST_BYTES), Duration::ZERO);
        assert_eq!(window.allowance(500_000), Duration::from_millis(53_035));
        let now = Instant::now();
        let departure = window.depart(now);
        let answered_at = now + Duration::from_millis(10);
        window.handle_response(answered_at, departure, now, 1_000_000);
        assert_eq!(window.allowance(500_000), Duration::from_millis(17));
    }

    #[test]
    fn one_large_request_goes_alone() {
        let mut window = Window::new(TIMEOUT);
        assert!(window.has_room(0, 10 * SMALLEST_BYTES));
        assert!(!window.has_room(10 * SMALLEST_BYTES, 1));
    }
}
