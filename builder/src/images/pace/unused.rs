//! The processor time that nothing has used.
//!
//! *Takes* the machine's counters (proc_stat(5)) of the processors that this process may run on, and, where a quota limits them
//! (cgroups(7), `cpu.max`), the time that the control group has used. *Gives* a total that grows: two readings tell how many processors
//! were unused between them.
//!
//! The number of tasks that run at one moment does not tell this. It includes tasks that run for microseconds, and on virtual machines
//! it was three and more with a single busy process.

use crate::cgroup;
use buildscope_storage::pipeline;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Reads the counters.
#[derive(Debug)]
pub(super) struct UnusedTime {
    /// The processors that this process may run on.
    processors: Vec<usize>,
    ticks_per_second: u64,
    quota: Option<Quota>,
}

/// A control group whose processes may use fewer processors than there are.
#[derive(Debug)]
struct Quota {
    processors: usize,
    /// Its file `cpu.stat`.
    file: PathBuf,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    at: Instant,
    /// The time in which the processors had nothing to do, summed over them.
    idle: Duration,
    /// The number of processors that the quota allows, and the processor time used of it.
    quota: Option<(usize, Duration)>,
}

impl UnusedTime {
    pub(super) fn of_this_process() -> Self {
        let allowed = rustix::thread::sched_getaffinity(None).ok();
        let processors: Vec<usize> =
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_none_or(|set| set.is_set(*cpu))).collect();
        let quota = Some(pipeline::processors()).filter(|limit| allowed.is_some() && *limit < processors.len());
        let group = || cgroup::own().unwrap_or_else(|| cgroup::ROOT.into());
        let quota = quota.map(|processors| Quota { processors, file: group().join("cpu.stat") });
        Self { processors, ticks_per_second: rustix::param::clock_ticks_per_second().max(1), quota }
    }

    /// The counters now; `None` where the kernel does not tell them.
    pub(super) fn read(&self) -> Option<Reading> {
        let ticks = idle_ticks(&fs::read_to_string("/proc/stat").ok()?, &self.processors)?;
        let idle = Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second);
        let quota = match &self.quota {
            None => None,
            Some(Quota { processors, file }) => Some((*processors, usage(&fs::read_to_string(file).ok()?)?)),
        };
        Some(Reading { at: Instant::now(), idle, quota })
    }
}

impl Reading {
    /// Counters that showed `idle` ms of idle time, `millis` ms after `begun`.
    #[cfg(test)]
    pub(super) fn for_test(begun: Instant, millis: u64, idle: u64) -> Self {
        Self { at: begun + Duration::from_millis(millis), idle: Duration::from_millis(idle), quota: None }
    }

    /// The time since an earlier reading.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        self.at.saturating_duration_since(earlier.at)
    }

    /// The processor time that was available since an earlier reading to work that itself used `own`: what nothing used, and its own
    /// part.
    pub(super) fn available(&self, earlier: &Self, own: Duration) -> Duration {
        let unused = self.idle.saturating_sub(earlier.idle);
        let of_quota = self.quota.zip(earlier.quota).map(|((processors, used), (_, before))| {
            let allowed = self.since(earlier).saturating_mul(u32::try_from(processors).unwrap_or(u32::MAX));
            allowed.saturating_sub(used.saturating_sub(before))
        });
        of_quota.map_or(unused, |allowed| allowed.min(unused)) + own
    }
}

/// The ticks that these processors spent idle or waiting for a disk, in the text of `/proc/stat`.
fn idle_ticks(stat: &str, processors: &[usize]) -> Option<u64> {
    let mut found = false;
    let mut ticks = 0;
    for line in stat.lines().filter_map(|line| line.strip_prefix("cpu")) {
        let mut words = line.split_whitespace();
        // The first line is the sum of all processors. It begins with `cpu` and a space.
        let number = if line.starts_with(' ') { None } else { words.next().and_then(|word| word.parse().ok()) };
        if number.is_some_and(|number| processors.contains(&number)) {
            // user, nice, system, idle, iowait
            ticks += words.skip(3).take(2).filter_map(|word| word.parse::<u64>().ok()).sum::<u64>();
            found = true;
        }
    }
    found.then_some(ticks)
}

/// `usage_usec` of a control group's `cpu.stat`.
fn usage(stat: &str) -> Option<Duration> {
    let micros = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    micros.parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 20 30 9100 500 4 3 2 50 0\ncpu0 50 10 15 4500 250 2 2 1 25 0\ncpu1 50 10 15 4600 250 2 1 1 25 0\nintr 1\n";

    fn limited(begun: Instant, millis: u64, idle: u64, used: u64) -> Reading {
        Reading { quota: Some((2, Duration::from_millis(used))), ..Reading::for_test(begun, millis, idle) }
    }

    #[test]
    fn only_allowed_processors_count() {
        assert_eq!(idle_ticks(STAT, &[0, 1]), Some(9600));
        assert_eq!(idle_ticks(STAT, &[1]), Some(4850));
        assert_eq!(idle_ticks(STAT, &[2]), None);
        assert_eq!(idle_ticks("", &[0]), None);
    }

    #[test]
    fn idle_and_own_processor_time_is_available() {
        let begun = Instant::now();
        let before = Reading::for_test(begun, 0, 5000);
        let after = Reading::for_test(begun, 100, 5080);
        assert_eq!(after.since(&before), Duration::from_millis(100));
        assert_eq!(after.available(&before, Duration::from_millis(30)), Duration::from_millis(110));
        assert_eq!(before.available(&after, Duration::ZERO), Duration::ZERO, "counters may go back");
    }

    #[test]
    fn a_quota_limits_what_is_available() {
        let begun = Instant::now();
        // 64 processors, of which 2 are allowed: 200 ms in 100 ms, of which 170 were used, 20 of them by the work itself.
        let before = limited(begun, 0, 0, 1000);
        let after = limited(begun, 100, 6000, 1170);
        assert_eq!(after.available(&before, Duration::from_millis(20)), Duration::from_millis(50));
        assert_eq!(usage("usage_usec 1170000\nuser_usec 1\n"), Some(Duration::from_millis(1170)));
        assert_eq!(usage("user_usec 1\n"), None);
    }

    #[test]
    fn this_machine_tells_its_counters() {
        let unused = UnusedTime::of_this_process();
        let before = unused.read().expect("the counters");
        let after = unused.read().expect("the counters");
        assert!(after.since(&before) < Duration::from_secs(3600));
    }
}
