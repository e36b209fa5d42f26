//! Samples of the resource usage of a running step.

use super::cgroup::StepCgroup;
use buildscope_record::{Nanos, Probe};
use std::time::Instant;

/// Records the resource usage of a running step over time.
pub(super) struct Counters<'a> {
    probe: &'a Probe,
    at: Instant,
    cpu: Option<Nanos>,
    pressure: [Option<Nanos>; 3],
}

impl<'a> Counters<'a> {
    pub(super) fn new(probe: &'a Probe) -> Self {
        Self { probe, at: Instant::now(), cpu: Some(Nanos::ZERO), pressure: [Some(Nanos::ZERO); 3] }
    }

    /// Records the bytes of memory in use and, since the last sample, the processors in use and the shares of time in which some
    /// task waited for CPU, memory or I/O.
    pub(super) fn sample(&mut self, cgroup: &StepCgroup) {
        let now = Instant::now();
        let elapsed = Nanos::from(now.saturating_duration_since(self.at)).as_secs_f64();
        let rate = |now: Option<Nanos>, before: Option<Nanos>| {
            Some(now?.saturating_sub(before?).as_secs_f64() / elapsed.max(1e-3))
        };
        let (cpu, pressure) = (cgroup.cpu(), cgroup.pressure());
        let names = ["cpu.pressure", "memory.pressure", "io.pressure"];
        let pressures =
            names.iter().zip(pressure.iter().zip(self.pressure)).map(|(name, (now, was))| (*name, rate(*now, was)));
        let values = [("cpu.used", rate(cpu, self.cpu)), ("memory.used", cgroup.memory().map(|bytes| bytes as f64))];
        for (name, value) in values.into_iter().chain(pressures) {
            if let Some(value) = value {
                self.probe.count(name, value);
            }
        }
        (self.at, self.cpu, self.pressure) = (now, cpu, pressure);
    }
}
