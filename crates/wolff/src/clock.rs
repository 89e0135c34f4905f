//! The time for records that bring none: the kernel's coarse clock, which costs a fifth of the precise one and is read once
//! per call.

/// Milliseconds since the epoch, as fine as the kernel's tick (1 to 4 ms).
#[inline]
pub(crate) fn coarse_now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec
        .saturating_mul(1000)
        .saturating_add(now.tv_nsec / 1_000_000)
}
