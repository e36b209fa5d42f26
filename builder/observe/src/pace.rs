//! The interval between readings: short while processes start, so that their arguments are read before they end, and long
//! otherwise, also while most of them end before the next reading at the shortest interval.

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
    /// So many reports came that the buffers may be full before the longest pause is over.
    Crowded,
    /// Processes of steps have started.
    Started,
    /// Many have started, and nearly all of them have ended: more readings would not see more of them.
    Brief,
    Nothing,
}

impl ReadOutcome {
    /// The result when so many processes and programs have begun, of which so many still run.
    pub(crate) fn of(begun: u64, running: usize) -> Self {
        const MANY: u64 = 16;
        match begun {
            0 => Self::Nothing,
            MANY.. if running as u64 <= begun / MANY => Self::Brief,
            _ => Self::Started,
        }
    }

    /// The reports that come within the shortest pause, if so many were read. Pauses are long while programs are short, which make many
    /// reports.
    pub(crate) fn in_shortest(self, reports: usize) -> usize {
        match self {
            Self::Brief => reports / (LONGEST.as_millis() / SHORTEST.as_millis()) as usize,
            _ => reports,
        }
    }
}

impl ReadingPace {
    pub(crate) fn new() -> Self {
        Self { pause: SHORTEST }
    }

    /// The pause after a reading.
    pub(crate) fn after(&mut self, found: ReadOutcome) -> Duration {
        let longest = match found {
            ReadOutcome::Crowded | ReadOutcome::Started => SHORTEST,
            ReadOutcome::Brief | ReadOutcome::Nothing => LONGEST,
        };
        self.pause = (self.pause * 3 / 2).min(longest);
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
        assert_eq!(pace.after(ReadOutcome::Started), SHORTEST);
        let pauses: Vec<_> = (0..4).map(|_| pace.after(ReadOutcome::Brief).as_micros()).collect();
        assert_eq!(pauses, [6_000, 9_000, 13_500, 20_000]);
        assert_eq!(pace.after(ReadOutcome::Crowded), SHORTEST);
    }

    /// A loop starts a shell's copy and a program for each turn; a compiler runs for longer than a pause.
    #[test]
    fn short_programs_do_not_need_short_pauses() {
        assert_eq!(ReadOutcome::of(26, 1), ReadOutcome::Brief);
        assert_eq!(ReadOutcome::of(26, 3), ReadOutcome::Started);
        assert_eq!(ReadOutcome::of(2, 0), ReadOutcome::Started);
        assert_eq!(ReadOutcome::of(0, 1), ReadOutcome::Nothing);
        assert_eq!([ReadOutcome::Brief, ReadOutcome::Started].map(|outcome| outcome.in_shortest(360)), [72, 360]);
    }
}
