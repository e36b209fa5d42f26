//! What steps of this build took or made on average.

use parking_lot::Mutex;

/// The mean of some measurements.
#[derive(Default)]
pub(super) struct Mean(Mutex<Sum>);

#[derive(Default)]
struct Sum {
    count: u32,
    total: f64,
}

impl Mean {
    pub(super) fn add(&self, value: f64) {
        let mut sum = self.0.lock();
        (sum.count, sum.total) = (sum.count + 1, sum.total + value);
    }

    /// `None` before the first measurement.
    pub(super) fn get(&self) -> Option<f64> {
        let sum = self.0.lock();
        (sum.count > 0).then(|| sum.total / f64::from(sum.count))
    }
}
