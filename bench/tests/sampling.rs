//! The rate of a sampling profiler is one that the kernel keeps to.

#![cfg(all(feature = "build", target_os = "linux"))]

use buildscope_bench::sampling::samples_per_second;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The processor time of this process.
fn used() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// Alone in its program: the profiler counts the time of all threads.
#[test]
fn a_busy_loop_has_as_many_samples_as_it_has_time() {
    let guard = pprof::ProfilerGuardBuilder::default().frequency(samples_per_second()).build().unwrap();
    let start = used();
    while used() - start < Duration::from_secs(2) {
        (0..10_000).map(std::hint::black_box).for_each(|_| ());
    }
    let used = (used() - start).as_secs_f64();
    let samples: isize = guard.report().build().unwrap().data.values().sum();
    let seen = samples as f64 / f64::from(samples_per_second());
    // The kernel charges a whole tick to the thread that it interrupts: on a busy machine that is some percent off. A rate that it does
    // not keep to is off by a factor (a fifth at 1000 Hz on a kernel of 250).
    assert!((seen / used - 1.0).abs() < 0.1, "{samples} samples are {seen:.3} s of {used:.3} s");
}
