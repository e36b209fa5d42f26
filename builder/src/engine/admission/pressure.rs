//! Whether tasks wait for memory: pressure stall information (PSI, Documentation/accounting/psi.rst of the kernel).

use crate::cgroup;
use buildscope_record::Nanos;
use buildscope_sandbox::time_waited;
use parking_lot::Mutex;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The shortest interval over which the pressure is measured.
const INTERVAL: Duration = Duration::from_millis(100);

/// The share of an interval in which tasks waited for memory, in percent, above which nothing more starts. Below it, the kernel frees
/// page cache; above it, it frees what is used.
const HIGH: u64 = 20;

/// The memory pressure of this process's control group, else of the machine.
pub(super) struct Pressure {
    file: PathBuf,
    last: Mutex<Option<Measured>>,
}

#[derive(Clone, Copy)]
struct Measured {
    at: Instant,
    /// The time in which at least one task waited for memory, since the machine started.
    total: Nanos,
    high: bool,
}

impl Pressure {
    pub(super) fn of_this_process() -> Self {
        let own = cgroup::own().map(|group| group.join("memory.pressure"));
        Self::of(own.filter(|file| file.exists()).unwrap_or_else(|| "/proc/pressure/memory".into()))
    }

    fn of(file: PathBuf) -> Self {
        Self { file, last: Mutex::default() }
    }

    /// Whether tasks waited for memory in more than [`HIGH`] percent of the time since the question before. Without PSI it is not.
    pub(super) fn is_high(&self) -> bool {
        self.is_high_at(Instant::now())
    }

    fn is_high_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock();
        if let Some(last) = last.filter(|last| now.duration_since(last.at) < INTERVAL) {
            return last.high;
        }
        let Some(total) = fs::read_to_string(&self.file).ok().as_deref().and_then(time_waited) else { return false };
        let high = last.is_some_and(|last| {
            let elapsed = u64::try_from(now.duration_since(last.at).as_nanos()).unwrap_or(u64::MAX);
            total.saturating_sub(last.total).0 > elapsed / 100 * HIGH
        });
        *last = Some(Measured { at: now, total, high });
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn psi(total: u64) -> String {
        format!(
            "some avg10=1.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"
        )
    }

    #[test]
    fn the_pressure_is_high_when_tasks_waited_for_most_of_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory");
        fs::write(&file, psi(1_000)).unwrap();
        let (pressure, start) = (Pressure::of(file.clone()), Instant::now());
        assert!(!pressure.is_high_at(start), "nothing to compare with");
        // An hour of waiting in a moment.
        fs::write(&file, psi(3_600_000_000)).unwrap();
        assert!(!pressure.is_high_at(start + INTERVAL / 2), "asked again too soon");
        assert!(pressure.is_high_at(start + INTERVAL));
        assert!(!pressure.is_high_at(start + 2 * INTERVAL), "no further waiting");
    }

    #[test]
    fn without_pressure_information_there_is_no_brake() {
        assert!(!Pressure::of("/nonexistent".into()).is_high());
    }
}
