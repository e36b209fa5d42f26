//! How often a sampling profiler can look at a process. *Takes* nothing, *gives* a rate.

/// The most samples a second.
const MOST: i64 = 1000;

/// How often the kernel can sample: once a tick of its clock (setitimer(2)), 100 to 1000 times a second by its configuration. A
/// higher rate would give fewer samples than it says, and times would be too short.
#[must_use]
pub fn samples_per_second() -> i32 {
    let tick = rustix::time::clock_getres(rustix::time::ClockId::RealtimeCoarse).tv_nsec.max(1);
    i32::try_from((1_000_000_000 / tick).clamp(1, MOST)).expect("at most a thousand")
}
