//! Logs with the time at the end of each line: `#1 DONE 0.1s [2026-03-01T10:00:00Z]`.

use super::super::log::prefix::Prefixes;
use super::super::log::{stamp, terminal};
use super::super::marks;

/// The longest time, in bytes.
const LONGEST: usize = 48;

/// The fewest lines of builders that show this form.
const FEWEST: usize = 3;

/// Puts each time before its line. `None` if the log does not have this form.
pub(super) fn lines(text: &str) -> Option<String> {
    let all: Vec<_> = text.lines().map(terminal::plain).collect();
    let marked: Vec<&str> = all.iter().map(|line| &**line).filter(|line| marks::find(line).is_some()).collect();
    let ends = marked.iter().filter_map(|line| TimeAtEnd::read(line)).collect::<Vec<_>>();
    let shape = (ends.first()?.before, ends.first()?.after);
    let same = ends.iter().filter(|end| (end.before, end.after) == shape).count();
    // The output of one step may end in a time. All lines of the builder do only in such a log.
    if same < FEWEST || same * 10 < marked.len() * 9 {
        return None;
    }
    let prefixes = Prefixes::learn(marked.iter().copied());
    // With times before the lines too, only times in brackets behind all lines are not a part of the builder's text.
    let twice = marked.iter().any(|line| !prefixes.cut(line).stamps.is_empty());
    if twice && (shape.0.is_empty() || same < marked.len()) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + all.len());
    for line in &all {
        match TimeAtEnd::read(line).filter(|end| (end.before, end.after) == shape) {
            Some(end) => out += &format!("{} {}\n", end.time, end.line),
            None => out += &format!("{line}\n"),
        }
    }
    Some(out)
}

/// A line with a time at its end.
struct TimeAtEnd<'t> {
    line: &'t str,
    time: &'t str,
    /// The brackets around the time.
    before: &'t str,
    after: &'t str,
}

impl<'t> TimeAtEnd<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let line = line.trim_end();
        let inner = line.trim_end_matches([')', ']', '>', '}']);
        let after = &line[inner.len()..];
        let start = |at: usize| line.is_char_boundary(at) && line[..at].ends_with([' ', '\t', '(', '[', '<', '{']);
        // The earliest start has the whole time: a date may contain spaces.
        let at = (inner.len().saturating_sub(LONGEST)..inner.len())
            .filter(|&at| start(at))
            .find(|&at| stamp::read(&line[at..]).is_some_and(|(length, _)| at + length == inner.len()))?;
        let head = line[..at].trim_end_matches(['(', '[', '<', '{']);
        let before = &line[head.len()..at];
        // A clock in the text of a step, as in `RUN at 10:00:00`, has no bracket; all lines must have the same.
        (before.len() == after.len()).then(|| Self {
            line: head.trim_end(),
            time: &line[at..inner.len()],
            before,
            after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_line_is_at_its_end() {
        let log = [
            ("2026-03-01T10:00:00.1Z", "#1 [1/2] RUN a"),
            ("2026-03-01T10:00:00.1Z", "#1 0.1 a"),
            ("2026-03-01T10:00:02.1Z", "#1 DONE 2.0s"),
            ("2026-03-01T10:00:02.1Z", "#2 [2/2] RUN b"),
        ];
        let expected: String = log.iter().map(|(time, text)| format!("{time} {text}\n")).collect();
        for (before, after) in [(" [", "]"), ("  ", ""), (" (", ")"), ("\t<", ">")] {
            let log: String = log.iter().map(|(time, text)| format!("{text}{before}{time}{after}\n")).collect();
            assert_eq!(lines(&log).as_ref(), Some(&expected), "{log}");
        }
    }

    #[test]
    fn times_may_be_at_both_ends() {
        let log =
            "10:00:00 #1 [1/1] RUN a  [10:00:00]\n10:00:01 #1 0.5 b  [10:00:01]\n10:00:01 #2 [1/1] RUN c  [10:00:01]\n";
        let expected =
            "10:00:00 10:00:00 #1 [1/1] RUN a\n10:00:01 10:00:01 #1 0.5 b\n10:00:01 10:00:01 #2 [1/1] RUN c\n";
        assert_eq!(lines(log).as_deref(), Some(expected));
    }

    #[test]
    fn times_in_the_text_stay() {
        for log in [
            // Times before the lines, too.
            "10:00:00 #1 [1/1] RUN at 10:00:00\n10:00:00 #1 0.1 10:00:00\n10:00:01 #1 DONE 10:00:00\n",
            "#1 [1/2] RUN date\n#1 0.1 Sun Mar  1 10:00:00 UTC 2026\n#1 DONE 0.1s\n#2 [2/2] RUN b\n#2 DONE 0.1s\n",
            "#1 [1/1] RUN a (10:00:00)\n",
            "",
        ] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}
