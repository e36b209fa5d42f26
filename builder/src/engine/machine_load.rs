//! The use of the machine by other programs during a build: the busy time of all processors (proc_stat(5)) minus the build's own CPU time,
//! and the time in which any task of the machine waited for a processor (Documentation/accounting/psi.rst).

use buildscope_record::{MachineLoad, Nanos};
use buildscope_sandbox::time_waited;
use std::time::Duration;

/// Reads the machine's counters at the start of a build.
#[derive(Clone, Copy, Debug)]
pub struct LoadMeter {
    start: Counters,
}

/// The use of the machine during a build.
#[derive(Clone, Copy, Debug)]
pub struct MachineUse {
    busy: Nanos,
    waited: Option<Nanos>,
    processors: u32,
}

#[derive(Clone, Copy, Debug)]
struct Counters {
    /// The time that all processors worked.
    busy: Nanos,
    processors: u32,
    /// The time in which at least one task waited for a processor.
    waited: Option<Nanos>,
}

impl LoadMeter {
    /// Starts measuring; `None` where the kernel does not tell.
    pub fn start() -> Option<Self> {
        Some(Self { start: Counters::read()? })
    }

    /// Returns the use of the machine since the start.
    pub fn stop(self) -> Option<MachineUse> {
        let end = Counters::read()?;
        Some(MachineUse {
            busy: end.busy.saturating_sub(self.start.busy),
            waited: end.waited.zip(self.start.waited).map(|(end, start)| end.saturating_sub(start)),
            processors: end.processors,
        })
    }
}

impl MachineUse {
    /// The part of other programs, if the build itself used `own` CPU time.
    pub fn of_others(self, own: Nanos) -> MachineLoad {
        let Self { busy, waited, processors } = self;
        MachineLoad { others: busy.saturating_sub(own), processors, waited }
    }
}

impl Counters {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let pressure = std::fs::read_to_string("/proc/pressure/cpu").ok();
        let (busy, processors) = busy(&stat, rustix::param::clock_ticks_per_second())?;
        Some(Self { busy, processors, waited: pressure.as_deref().and_then(time_waited) })
    }
}

/// The time that all processors worked, and their number. Times of guests are part of `user` and `nice`. What the hypervisor took
/// (`steal`) counts too: the build did not have it.
fn busy(stat: &str, ticks_per_second: u64) -> Option<(Nanos, u32)> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<u64> = all.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: u64 =
        times.iter().enumerate().filter(|(index, _)| matches!(index, 0..=2 | 5..=7)).map(|(_, ticks)| ticks).sum();
    let each = stat
        .lines()
        .filter(|line| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    let nanos = u128::from(busy) * Duration::from_secs(1).as_nanos() / u128::from(ticks_per_second.max(1));
    Some((Nanos(u64::try_from(nanos).ok()?), u32::try_from(each.count()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_processors() {
        let stat = "cpu  100 20 30 9000 500 4 3 2 50 0\ncpu0 50 10 15 4500 250 2 2 1 25 0\ncpu1 50 10 15 4500 250 2 1 1 25 0\nintr 1\n";
        assert_eq!(busy(stat, 100), Some((Nanos(1_590_000_000), 2)));
        assert_eq!(busy("intr 1\n", 100), None);
    }

    #[test]
    fn the_builds_own_time_is_not_that_of_others() {
        let used = MachineUse { busy: Nanos(900), waited: None, processors: 2 };
        assert_eq!(used.of_others(Nanos(300)), MachineLoad { others: Nanos(600), processors: 2, waited: None });
        assert_eq!(used.of_others(Nanos(1000)).others, Nanos::ZERO, "clock ticks are coarser than CPU times");
    }
}
