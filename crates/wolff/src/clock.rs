//! The clocks: one for decisions, which tokio can pause, and one for records that bring no time.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The present time for decisions: tokio's, so that a paused runtime decides in virtual time.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The clock for records that bring no time.
#[derive(Clone, Default)]
pub(crate) enum WallClock {
    /// The kernel's coarse clock, as fine as its tick (1 to 4 ms): it costs a fifth of the precise
    /// one and is read once per call.
    #[default]
    Coarse,
    /// A simulator's.
    Given(Arc<dyn Fn() -> i64 + Send + Sync>),
}

impl WallClock {
    /// Milliseconds since the epoch.
    #[inline]
    pub(crate) fn now_ms(&self) -> i64 {
        match self {
            Self::Coarse => coarse_now_ms(),
            Self::Given(now_ms) => now_ms(),
        }
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coarse => "Coarse",
            Self::Given(_) => "Given",
        })
    }
}

fn coarse_now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec
        .saturating_mul(1000)
        .saturating_add(now.tv_nsec / 1_000_000)
}
