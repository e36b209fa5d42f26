//! The interval between readings: short while processes start whose arguments have to be read before they end, and long otherwise, also
//! while most of them end before the next reading at the shortest interval.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(20);

/// The pauses between readings.
#[derive(Debug)]
pub(crate) struct ReadingPace {
    pause: Duration,
    /// The longest pause while programs start.
    started: Duration,
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
}

impl ReadingPace {
    /// `has_arguments` says that the arguments of programs come with the reports of their starts.
    pub(crate) fn new(has_arguments: bool) -> Self {
        Self { pause: SHORTEST, started: if has_arguments { LONGEST } else { SHORTEST } }
    }

    /// The pause after a reading.
    pub(crate) fn after(&mut self, found: ReadOutcome) -> Duration {
        self.pause = (self.pause * 3 / 2).min(self.longest(found));
        self.pause
    }

    fn longest(&self, found: ReadOutcome) -> Duration {
        match found {
            ReadOutcome::Crowded => SHORTEST,
            ReadOutcome::Started => self.started,
            ReadOutcome::Brief | ReadOutcome::Nothing => LONGEST,
        }
    }

    /// The reports that come within the shortest pause, if so many were read. Pauses are long while steps start many programs, which make
    /// many reports.
    pub(crate) fn in_shortest(&self, found: ReadOutcome, reports: usize) -> usize {
        match found {
            ReadOutcome::Nothing => reports,
            _ => reports / (self.longest(found).as_millis() / SHORTEST.as_millis()) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_activity_pauses_become_longer() {
        let mut pace = ReadingPace::new(false);
        let pauses: Vec<_> = (0..5).map(|_| pace.after(ReadOutcome::Nothing).as_micros()).collect();
        assert_eq!(pauses, [6_000, 9_000, 13_500, 20_000, 20_000]);
        assert_eq!(pace.after(ReadOutcome::Started), SHORTEST);
        let pauses: Vec<_> = (0..4).map(|_| pace.after(ReadOutcome::Brief).as_micros()).collect();
        assert_eq!(pauses, [6_000, 9_000, 13_500, 20_000]);
        assert_eq!(pace.after(ReadOutcome::Crowded), SHORTEST);
    }

    #[test]
    fn programs_whose_arguments_come_need_no_short_pauses() {
        let mut pace = ReadingPace::new(true);
        let pauses: Vec<_> = (0..4).map(|_| pace.after(ReadOutcome::Started).as_micros()).collect();
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
        let in_shortest = |has_arguments, found| ReadingPace::new(has_arguments).in_shortest(found, 360);
        assert_eq!([ReadOutcome::Brief, ReadOutcome::Started].map(|found| in_shortest(false, found)), [72, 360]);
        assert_eq!([ReadOutcome::Crowded, ReadOutcome::Started].map(|found| in_shortest(true, found)), [360, 72]);
    }
}
