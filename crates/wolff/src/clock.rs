//! The clocks: one for decisions, which tokio can pause, and one for records that bring no time.

use std::time::Instant;

/// The present time for decisions: tokio's, so that a paused runtime decides in virtual time.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Milliseconds since the epoch by the kernel's coarse clock, as fine as its tick (1 to 4 ms): it costs
/// a fifth of the precise one and is read once per call.
#[inline]
pub(crate) fn coarse_now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec
        .saturating_mul(1000)
        .saturating_add(now.tv_nsec / 1_000_000)
}
