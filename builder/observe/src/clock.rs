//! The monotonic clock, which is that of the kernel's events.

use rustix::time::{ClockId, clock_gettime};

/// The time, in nanoseconds.
pub(crate) fn now() -> u64 {
    nanos(ClockId::Monotonic)
}

/// The time that the machine slept since its start, in nanoseconds. The monotonic clock does not count it, `/proc` does.
pub(crate) fn asleep() -> u64 {
    nanos(ClockId::Boottime).saturating_sub(now())
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
