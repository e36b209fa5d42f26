//! The wait of an action for a worker, if its server does not say how long it was.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// The shortest time between the sending of an action and its start on each worker. The clock of a worker is not ours, so each number
/// contains the unknown difference of the clocks. Differences of these times do not.
#[derive(Default)]
pub(super) struct Starts(Mutex<HashMap<String, i128>>);

impl Starts {
    /// The wait of an action that was sent at one time and started at the other: what its start took longer than the fastest one of this
    /// worker.
    pub(super) fn waited(&self, worker: &str, sent: Instant, started: SystemTime) -> Duration {
        self.longer(worker, nanos_from(SystemTime::now() - sent.elapsed(), started))
    }

    fn longer(&self, worker: &str, took: i128) -> Duration {
        let mut fastest = self.0.lock();
        let fastest = fastest.entry(worker.to_owned()).or_insert(took);
        *fastest = took.min(*fastest);
        // A server may claim any time.
        Duration::from_nanos(u64::try_from(took - *fastest).unwrap_or(u64::MAX))
    }
}

/// The time from `begin` to `end`, which may be the earlier one.
fn nanos_from(begin: SystemTime, end: SystemTime) -> i128 {
    let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::from(u64::MAX));
    end.duration_since(begin).map_or_else(|error| -nanos(error.duration()), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_a_start_takes_longer_than_the_fastest_of_its_worker() {
        let starts = Starts::default();
        let now = SystemTime::now();
        // The clock of this worker is an hour behind.
        let took = |millis| nanos_from(now + Duration::from_secs(3600), now) + i128::from(millis * 1_000_000);
        let waits = [20, 1020, 2020, 15, 1015].map(|millis| starts.longer("one", took(millis)).as_millis());
        assert_eq!(waits, [0, 1000, 2000, 0, 1000]);
        assert_eq!(starts.longer("two", took(500)), Duration::ZERO);
        assert_eq!(starts.longer("two", i128::MAX / 2), Duration::from_nanos(u64::MAX));
    }
}
