//! Logs with the time in a line of its own, above each line of the builder: supervisord, chats.

use super::super::log::prefix::Prefixes;
use super::super::log::{stamp, terminal};
use super::super::marks;

/// The largest offset in a line at which its time may start, in bytes.
const FARTHEST: usize = 60;

/// Puts each time before the lines that follow it. `None` if the log does not have this form.
pub(super) fn lines(text: &str) -> Option<String> {
    let all: Vec<_> = text.lines().map(terminal::plain).filter(|line| !line.trim().is_empty()).collect();
    let heads: Vec<Option<Head<'_>>> = all.iter().map(|line| Head::read(line)).collect();
    let marked: Vec<usize> = (1..all.len()).filter(|&at| marks::find(&all[at]).is_some()).collect();
    let above: Vec<&Head<'_>> = marked.iter().filter_map(|&at| heads[at - 1].as_ref()).collect();
    let shape = above.first().map(|head| head.shape.clone())?;
    let same = above.iter().filter(|head| head.shape == shape).count();
    let prefixes = Prefixes::learn(all.iter().map(|line| &**line));
    let timed = marked.iter().any(|&at| !prefixes.cut(&all[at]).stamps.is_empty());
    if same < 3 || same * 5 < marked.len() * 4 || timed {
        return None;
    }
    let (mut out, mut time) = (String::with_capacity(text.len() * 2), "");
    for (line, head) in all.iter().zip(&heads) {
        match head.as_ref().filter(|head| head.shape == shape) {
            Some(head) => time = head.time,
            None => out += &format!("{time} {line}\n"),
        }
    }
    Some(out)
}

/// A line with a time and without a builder's text.
struct Head<'t> {
    time: &'t str,
    /// The text around the time, without numbers.
    shape: String,
}

impl<'t> Head<'t> {
    fn read(line: &'t str) -> Option<Self> {
        if marks::find(line).is_some() {
            return None;
        }
        let bounds = |(at, _): &(usize, char)| *at == 0 || !line[..*at].ends_with(char::is_alphanumeric);
        let starts = line.char_indices().filter(bounds).map(|(at, _)| at).take_while(|at| *at < FARTHEST);
        let (at, length) = starts.filter_map(|at| Some((at, stamp::read(&line[at..])?.0))).next()?;
        let around = format!("{}\u{0}{}", &line[..at], &line[at + length..]);
        let shape = around.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        Some(Self { time: &line[at..at + length], shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_line_is_above_it() {
        let log = "2026-03-01 10:00:00,123 DEBG 'build' stderr output:\nSTEP 1/2: FROM a\n\n\
                   2026-03-01 10:00:01,123 DEBG 'build' stderr output:\nSTEP 2/2: RUN b\nb\n\n\
                   2026-03-01 10:00:03,123 DEBG 'build' stderr output:\n[1/2] STEP 1/1: FROM b\n";
        let expected = "2026-03-01 10:00:00,123 STEP 1/2: FROM a\n2026-03-01 10:00:01,123 STEP 2/2: RUN b\n\
                        2026-03-01 10:00:01,123 b\n2026-03-01 10:00:03,123 [1/2] STEP 1/1: FROM b\n";
        assert_eq!(lines(log).as_deref(), Some(expected));
        // Times of a program within the build.
        for other in
            ["STEP 1/3: FROM a\nSTEP 2/3: RUN b\n10:00:00 b\nSTEP 3/3: RUN c\n", "10:00:00\n10:00:01 #1 [1/1] RUN a\n"]
        {
            assert_eq!(lines(other), None, "{other}");
        }
    }
}
