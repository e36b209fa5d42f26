//! The interval between readings: short while processes start whose arguments have to be read before they end, and long otherwise, also
//! while most of them end before the next reading at the shortest interval.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(20);

/// The pauses between readings.
#[derive(Debug)]
pub(crate) struct ReadingPace {
    pause: Duration,
}

/// How the arguments of programs become known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// They come with the reports of the starts.
    Reported,
    /// They are read while the program runs.
    Read,
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

    /// The longest pause after this result.
    fn longest(self, arguments: Arguments) -> Duration {
        match (self, arguments) {
            (Self::Crowded, _) | (Self::Started, Arguments::Read) => SHORTEST,
            (Self::Started, Arguments::Reported) | (Self::Brief | Self::Nothing, _) => LONGEST,
        }
    }

    /// The reports that come within the shortest pause, if so many were read. Pauses are long while steps start many programs, which make
    /// many reports.
    pub(crate) fn in_shortest(self, reports: usize, arguments: Arguments) -> usize {
        match self {
            Self::Nothing => reports,
            _ => reports / (self.longest(arguments).as_millis() / SHORTEST.as_millis()) as usize,
        }
    }
}

impl ReadingPace {
    pub(crate) fn new() -> Self {
        Self { pause: SHORTEST }
    }

    /// The pause after a reading.
    pub(crate) fn after(&mut self, found: ReadOutcome, arguments: Arguments) -> Duration {
        self.pause = (self.pause * 3 / 2).min(found.longest(arguments));
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_activity_pauses_become_longer() {
        let mut pace = ReadingPace::new();
        let mut after = |found| pace.after(found, Arguments::Read);
        assert_eq!(
            [ReadOutcome::Nothing; 5].map(|found| after(found).as_micros()),
            [6_000, 9_000, 13_500, 20_000, 20_000]
        );
        assert_eq!(after(ReadOutcome::Started), SHORTEST);
        assert_eq!([ReadOutcome::Brief; 4].map(|found| after(found).as_micros()), [6_000, 9_000, 13_500, 20_000]);
        assert_eq!(after(ReadOutcome::Crowded), SHORTEST);
    }

    #[test]
    fn programs_whose_arguments_are_reported_need_no_short_pauses() {
        let mut pace = ReadingPace::new();
        let mut after = |found| pace.after(found, Arguments::Reported);
        assert_eq!([ReadOutcome::Started; 4].map(|found| after(found).as_micros()), [6_000, 9_000, 13_500, 20_000]);
        assert_eq!(after(ReadOutcome::Crowded), SHORTEST);
    }

    /// A loop starts a shell's copy and a program for each turn; a compiler runs for longer than a pause.
    #[test]
    fn short_programs_do_not_need_short_pauses() {
        assert_eq!(ReadOutcome::of(26, 1), ReadOutcome::Brief);
        assert_eq!(ReadOutcome::of(26, 3), ReadOutcome::Started);
        assert_eq!(ReadOutcome::of(2, 0), ReadOutcome::Started);
        assert_eq!(ReadOutcome::of(0, 1), ReadOutcome::Nothing);
        let in_shortest = |arguments, found: ReadOutcome| found.in_shortest(360, arguments);
        assert_eq!(
            [ReadOutcome::Brief, ReadOutcome::Started].map(|found| in_shortest(Arguments::Read, found)),
            [72, 360]
        );
        let with_reports = [ReadOutcome::Crowded, ReadOutcome::Started, ReadOutcome::Nothing];
        assert_eq!(with_reports.map(|found| in_shortest(Arguments::Reported, found)), [360, 72, 360]);
    }
}
