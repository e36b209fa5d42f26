//! A profiler of this process. *Takes* nothing, *gives* samples that add up to the processor time used.

use pprof::{Frames, ProfilerGuard, ProfilerGuardBuilder, Report, Symbol};
use rustix::time::{ClockId, clock_getres, clock_gettime};
use std::time::{Duration, SystemTime};

/// The most samples a second.
const MOST: i64 = 1000;

/// The frame of samples without a stack.
pub const NOT_UNWOUND: &str = "[not unwound: in libc, or while another thread was sampled]";

/// The highest rate at which the kernel can sample: once a tick of its clock (setitimer(2)), 100 to 1000 times a second by its
/// configuration. A higher rate would give fewer samples than requested, and times would be too short.
#[must_use]
pub fn samples_per_second() -> i32 {
    let tick = clock_getres(ClockId::RealtimeCoarse).tv_nsec.max(1);
    i32::try_from((1_000_000_000 / tick).clamp(1, MOST)).expect("at most a thousand")
}

/// The processor time of this process.
#[must_use]
pub fn processor_time() -> Duration {
    // The clock counts from the start of the process.
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("not negative")
}

/// A running profiler of all threads of this process. There is only one at a time.
pub struct Profiler {
    guard: ProfilerGuard<'static>,
    start: Duration,
}

impl Profiler {
    /// Starts to sample.
    ///
    /// # Errors
    /// If another profiler runs.
    pub fn start() -> pprof::Result<Self> {
        // libgcc unwinds under a lock of its own and of libc. A thread that is interrupted with the lock held would wait forever.
        let builder = ProfilerGuardBuilder::default()
            .frequency(samples_per_second())
            .blocklist(&["libc", "libgcc", "pthread", "vdso"]);
        Ok(Self { guard: builder.build()?, start: processor_time() })
    }

    /// Ends. The processor time that no sample shows, because pprof leaves it out, has the frame [`NOT_UNWOUND`]. Samples that are too
    /// many are made fewer in proportion: the kernel charges a whole tick to the thread that it interrupts, which a busy machine
    /// interrupts more often.
    ///
    /// # Errors
    /// If the samples cannot be read.
    pub fn finish(self) -> pprof::Result<Report> {
        let used = processor_time() - self.start;
        let mut report = self.guard.report().build()?;
        let seen: isize = report.data.values().sum();
        let all = used.as_secs_f64() * f64::from(samples_per_second());
        let left_out = all.round() as isize - seen;
        if left_out < 0 {
            let (mut exact, mut given) = (0.0, 0);
            for samples in report.data.values_mut() {
                exact += *samples as f64 * all / seen as f64;
                *samples = exact.round() as isize - given;
                given += *samples;
            }
            report.data.retain(|_, samples| *samples > 0);
        } else if left_out > 0 {
            let symbol = Symbol { name: Some(NOT_UNWOUND.into()), addr: None, lineno: None, filename: None };
            let frames = Frames {
                frames: vec![vec![symbol]],
                thread_name: "any thread".to_owned(),
                thread_id: 0,
                sample_timestamp: SystemTime::now(),
            };
            report.data.insert(frames, left_out);
        }
        Ok(report)
    }
}
