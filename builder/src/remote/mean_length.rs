//! The mean length of the steps of this build.

use parking_lot::Mutex;
use std::time::Duration;

/// The mean length of steps.
#[derive(Default)]
pub(super) struct MeanLength(Mutex<Ended>);

/// The steps that have ended.
#[derive(Default)]
struct Ended {
    steps: u32,
    time: Duration,
}

impl MeanLength {
    pub(super) fn add(&self, length: Duration) {
        let mut ended = self.0.lock();
        (ended.steps, ended.time) = (ended.steps + 1, ended.time + length);
    }

    /// The mean in nanoseconds; `None` if no step has ended.
    pub(super) fn nanos(&self) -> Option<f64> {
        let ended = self.0.lock();
        Some(ended.time.checked_div(ended.steps)?.as_nanos() as f64)
    }
}
