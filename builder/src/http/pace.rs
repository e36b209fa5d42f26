//! The slowest transfer that is accepted. A server could otherwise hold a build for any time with a byte now and then.

use std::io;
use std::time::{Duration, Instant};

/// The time that each transfer may take in addition to that of its bytes.
const ALLOWANCE: Duration = Duration::from_secs(5 * 60);
/// The slowest average rate in bytes for each second: that of a modem.
const RATE: u64 = 4 << 10;

/// The pace of one transfer, which may consist of several requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferPace {
    start: Instant,
}

impl TransferPace {
    /// A transfer that starts now.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Checks the pace after `received` bytes.
    ///
    /// # Errors
    /// Fails with [`TimedOut`](io::ErrorKind::TimedOut) if the transfer is too slow.
    pub(crate) fn check(&self, received: u64) -> io::Result<()> {
        if self.start.elapsed() <= limit(received) {
            return Ok(());
        }
        let what = format!("the server is too slow: {received} bytes in {} s", self.start.elapsed().as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

/// The time that `received` bytes may take.
fn limit(received: u64) -> Duration {
    ALLOWANCE + Duration::from_secs(received / RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_has_five_minutes_and_a_modems_rate() {
        assert_eq!(limit(0), Duration::from_secs(300));
        assert_eq!(limit(4096 * 60), Duration::from_secs(360));
        // A byte each minute is refused after five of them; a gigabyte may take three days.
        assert!(limit(5) < Duration::from_secs(301) && limit(1 << 30) > Duration::from_secs(3 * 24 * 3600));
        assert!(TransferPace::new().check(0).is_ok());
        let before = Instant::now().checked_sub(Duration::from_secs(301)).unwrap();
        let error = TransferPace { start: before }.check(5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(TransferPace { start: before }.check(4096 * 60).is_ok());
    }
}
