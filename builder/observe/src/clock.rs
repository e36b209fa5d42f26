//! The monotonic clock, which is that of the kernel's events.

use rustix::time::{ClockId, clock_gettime};
use std::sync::LazyLock;

/// How far the monotonic clock of this process is ahead of the kernel's, in nanoseconds: a time namespace may shift it
/// (time_namespaces(7)), but not the times of events.
static SHIFT: LazyLock<i64> = LazyLock::new(|| {
    let link = |name| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
    // The file has the offsets of the namespace of future children.
    let is_own = link("time") == link("time_for_children");
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").ok().filter(|_| is_own);
    offsets.and_then(|offsets| monotonic(&offsets)).unwrap_or_default()
});

/// The time of the kernel's events, in nanoseconds.
pub(crate) fn now() -> u64 {
    nanos(ClockId::Monotonic).saturating_add_signed(-*SHIFT)
}

/// What the clock of the start times in `/proc` is ahead of [`now`], in nanoseconds: it counts the time that the machine slept, and a time
/// namespace shifts it.
pub(crate) fn ahead() -> i64 {
    nanos(ClockId::Boottime).cast_signed() - now().cast_signed()
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The offset of the monotonic clock: each line has a clock, seconds and nanoseconds.
fn monotonic(offsets: &str) -> Option<i64> {
    let mut words = offsets.lines().find_map(|line| line.strip_prefix("monotonic"))?.split_whitespace();
    let [seconds, nanos] = [words.next()?, words.next()?].map(str::parse::<i64>);
    seconds.ok()?.checked_mul(1_000_000_000)?.checked_add(nanos.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of `/proc/self/timens_offsets` (time_namespaces(7)).
    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(monotonic("monotonic           0         0\nboottime            0         0\n"), Some(0));
        assert_eq!(
            monotonic("monotonic       86400         5\nboottime       604800         0\n"),
            Some(86_400_000_000_005)
        );
        assert_eq!(monotonic("monotonic         -10 500000000\n"), Some(-9_500_000_000));
        assert_eq!(monotonic("boottime 1 1\n"), None);
    }
}
