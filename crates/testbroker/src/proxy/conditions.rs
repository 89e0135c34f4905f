//! Quality of a line, in one direction.

use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// From the client to the broker: requests.
    ToBroker,
    /// From the broker to the client: responses.
    ToClient,
}

/// Conditions for every byte that goes one way through a [`Proxy`](crate::Proxy). The default is a
/// perfect line.
///
/// ```
/// use std::time::Duration;
/// use wolff_testbroker::Conditions;
///
/// // A satellite on a bad day.
/// let line = Conditions::default()
///     .latency(Duration::from_millis(300))
///     .jitter(Duration::from_millis(100))
///     .bytes_per_second(20_000)
///     .slice_bytes(100);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) slice_bytes: Option<usize>,
    pub(super) is_stalled: bool,
}

impl Conditions {
    /// Sets the least time that every byte takes. Default: 0.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the most that is added to it, drawn anew for each piece that arrives from the proxy's
    /// seed. Order is kept. Default: 0.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the bytes that pass in a second, of each connection by itself. Zero counts as one.
    /// Default: no limit.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes_per_second = Some(bytes.max(1));
        self
    }

    /// The most bytes that are passed on with one write, so that frames arrive in pieces. Zero
    /// counts as one. Default: no limit.
    #[must_use]
    pub fn slice_bytes(mut self, bytes: usize) -> Self {
        self.slice_bytes = Some(bytes.max(1));
        self
    }

    /// With true, nothing passes, and who writes is not read, until the conditions change: a black
    /// hole that heals. Default: false.
    #[must_use]
    pub fn stalled(mut self, is_stalled: bool) -> Self {
        self.is_stalled = is_stalled;
        self
    }
}
