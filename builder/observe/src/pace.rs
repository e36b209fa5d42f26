//! The interval between readings: short while processes start, so that their arguments are read before they end, and long otherwise.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(20);

/// The pauses between readings.
#[derive(Debug)]
pub(crate) struct ReadingPace {
    pause: Duration,
}

/// The result of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// Processes of steps have started, or so many reports came that the buffers may be full before the longest pause is over.
    Activity,
    Nothing,
}

impl ReadingPace {
    pub(crate) fn new() -> Self {
        Self { pause: SHORTEST }
    }

    /// The pause after a reading.
    pub(crate) fn after(&mut self, found: ReadOutcome) -> Duration {
        self.pause = match found {
            ReadOutcome::Activity => SHORTEST,
            ReadOutcome::Nothing => (self.pause * 3 / 2).min(LONGEST),
        };
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_activity_pauses_become_longer() {
        let mut pace = ReadingPace::new();
        let pauses: Vec<_> = (0..5).map(|_| pace.after(ReadOutcome::Nothing).as_micros()).collect();
        assert_eq!(pauses, [6_000, 9_000, 13_500, 20_000, 20_000]);
        assert_eq!(pace.after(ReadOutcome::Activity), SHORTEST);
    }
}
