//! The lines of a step's output that show its activity, with their times.

use super::instant::Instant;
use crate::inside::TellingLines;

/// The time at which a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineTime {
    At(Instant),
    /// Nanoseconds after the start of its step.
    After(i128),
}

/// The lines of a step's output that show its activity.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputLines {
    lines: TellingLines<LineTime>,
    /// The start of an incomplete line, and the time at which it was printed.
    open: Option<(LineTime, String)>,
}

impl OutputLines {
    /// Adds a part of the output, which may end within a line.
    pub(crate) fn add(&mut self, at: LineTime, text: &str) {
        for part in text.split_inclusive(['\n', '\r']) {
            let (time, mut line) = self.open.take().unwrap_or((at, String::new()));
            line.push_str(part);
            if part.ends_with(['\n', '\r']) {
                self.line(time, line.trim_end());
            } else if line.len() < 1 << 16 {
                self.open = Some((time, line));
            }
        }
    }

    /// Adds a whole line.
    pub(crate) fn line(&mut self, at: LineTime, text: &str) {
        self.lines.add(at, text);
    }

    /// The lines of a step with this start.
    pub(crate) fn lines(mut self, start: Option<Instant>) -> Vec<(Instant, String)> {
        if let Some((time, line)) = self.open.take() {
            self.line(time, &line);
        }
        let at = |printed| match printed {
            LineTime::At(at) => Some(at),
            LineTime::After(after) => Some(start? + after),
        };
        self.lines.into_lines().into_iter().filter_map(|(printed, line)| Some((at(printed)?, line))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_lines_have_the_time_of_their_start() {
        let mut output = OutputLines::default();
        output.add(LineTime::At(5), "hello\nUnpack");
        output.add(LineTime::At(7), "ing gcc (12) ...\r\nSetting up gcc");
        assert_eq!(output.lines(None), [(5, "Unpacking gcc (12) ...".into()), (7, "Setting up gcc".into())]);
    }

    #[test]
    fn times_after_the_start_of_a_step_need_it() {
        let mut output = OutputLines::default();
        output.line(LineTime::After(30), "Setting up gcc (12) ...");
        assert_eq!(output.clone().lines(Some(100)), [(130, "Setting up gcc (12) ...".into())]);
        assert_eq!(output.lines(None), []);
    }
}
