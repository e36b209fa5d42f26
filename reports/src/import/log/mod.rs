//! The lines of a log as people keep it, each with its time and without the text before the builder's own.
//!
//! *Takes* text. *Gives* lines, and how many of them each builder wrote. *Must never know* what the lines mean.

mod clock;
mod decode;
pub(crate) mod prefix;
mod set_back;
pub(crate) mod stamp;
pub(crate) mod terminal;

pub(crate) use decode::decode;

use super::instant::{Instant, SECOND};
use super::marks::{self, Mark};
use prefix::{Cut, Prefixes, Quote};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogLine {
    /// The number of the line in the log.
    pub(crate) number: usize,
    /// The time that was written before the line.
    pub(crate) at: Option<Instant>,
    /// The builder's text.
    pub(crate) text: String,
    /// The source that wrote the line: a job, a service, a container. `None` for a line of an unknown form.
    stream: Option<usize>,
}

/// A log.
pub(crate) struct Log {
    pub(crate) lines: Vec<LogLine>,
    /// Whether the times are since 1970.
    pub(crate) dated: bool,
    /// The unit of the times in nanoseconds, if it is a second; zero for finer times.
    pub(crate) resolution: Instant,
    /// The numbers of the lines at which a clock had been set back.
    pub(crate) set_back: Vec<usize>,
    /// The number of lines of each builder.
    pub(crate) marks: BTreeMap<Mark, usize>,
}

impl Log {
    /// Reads the lines of a log.
    pub(crate) fn read(text: &str) -> Self {
        let pieces: Vec<LinePiece<'_>> = text.lines().flat_map(pieces).collect();
        let prefixes = Prefixes::learn(pieces.iter().map(|piece| &*piece.text));
        let cuts: Vec<Cut<'_>> = pieces.iter().map(|piece| prefixes.cut(&piece.text)).collect();
        let times = clock::times(&cuts);
        let mut streams: HashMap<&[&str], usize> = HashMap::new();
        let mut lines: Vec<LogLine> = Vec::with_capacity(pieces.len());
        for (number, ((piece, cut), mut at)) in pieces.iter().zip(&cuts).zip(times.at).enumerate() {
            if piece.redrawn && at.is_none() {
                at = lines.last().and_then(|last| last.at);
            }
            let next = streams.len();
            let stream = cut.known.then(|| *streams.entry(&cut.label).or_insert(next));
            let text = without_group(&piece.text[cut.length..]);
            let text = match cut.quote {
                Some(quote) => unquoted(text, quote),
                None => text.trim_end().to_owned(),
            };
            lines.push(LogLine { number, at, text, stream });
        }
        if newest_first(&lines) {
            lines.reverse();
            lines.iter_mut().enumerate().for_each(|(number, line)| line.number = number);
        }
        let set_back = set_back::mend(&mut lines);
        end_with_job(&mut lines);
        let whole = lines.iter().filter_map(|line| line.at).all(|at| at % SECOND == 0);
        Self { lines, dated: times.dated, resolution: if whole { SECOND } else { 0 }, set_back, marks: prefixes.marks }
    }

    /// The lines by their source. Sources are distinguished if several of them start a build.
    pub(crate) fn streams(&self, starts: impl Fn(&str) -> bool) -> Vec<Vec<&LogLine>> {
        let starting = self.lines.iter().filter(|line| starts(&line.text)).filter_map(|line| line.stream);
        let mut groups: BTreeMap<usize, Vec<&LogLine>> = starting.map(|stream| (stream, Vec::new())).collect();
        if groups.len() < 2 {
            return vec![self.lines.iter().collect()];
        }
        let mut last = *groups.keys().next().unwrap_or(&0);
        for line in &self.lines {
            last = line.stream.filter(|stream| groups.contains_key(stream)).unwrap_or(last);
            groups.entry(last).or_default().push(line);
        }
        groups.into_values().collect()
    }
}

/// A part of a line between carriage returns.
struct LinePiece<'t> {
    text: Cow<'t, str>,
    /// Whether the part replaced another one on the screen.
    redrawn: bool,
}

/// The relevant parts of a line: the first and the last one of a redrawn progress line, and each part that starts with a builder's text.
fn pieces(line: &str) -> Vec<LinePiece<'_>> {
    // Logs that were put together have byte order marks within them.
    let line = line.trim_end_matches('\r').trim_start_matches('\u{feff}');
    if !line.contains('\r') {
        return vec![LinePiece { text: terminal::plain(line), redrawn: false }];
    }
    let parts: Vec<&str> = line.split('\r').collect();
    let last = parts.len() - 1;
    let texts = parts.into_iter().enumerate().map(|(index, part)| (index, terminal::plain(part)));
    let counts = |(index, text): &(usize, Cow<'_, str>)| {
        let ends = *index == 0 || *index == last;
        !text.trim().is_empty() && (ends || marks::find(text).is_some())
    };
    texts.filter(counts).map(|(index, text)| LinePiece { text, redrawn: index > 0 }).collect()
}

/// A text without the command of a CI service that begins a group of lines with it (GitHub, Azure).
fn without_group(text: &str) -> &str {
    ["##[group]", "::group::"].iter().find_map(|command| text.strip_prefix(command)).unwrap_or(text)
}

/// A text up to its closing quote, without the escapes in it.
fn unquoted(text: &str, quote: Quote) -> String {
    let mark = if quote == Quote::Single { '\'' } else { '"' };
    // SQL and YAML do not escape the end of a line, Python does.
    let closing = text.trim_end().trim_end_matches([',', ';', ')', ']']);
    let escapes = match quote {
        Quote::Escaped => true,
        Quote::Doubled => false,
        Quote::Single => closing.ends_with("\\n'") && !closing.ends_with("'''"),
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if escapes => match rest.next() {
                Some('t') => out.push('\t'),
                Some('n' | 'r') | None => {}
                Some(escaped) => out.push(escaped),
            },
            c if c == mark && rest.peek() == Some(&mark) => {
                rest.next();
                out.push(mark);
            }
            c if c == mark => break,
            other => out.push(other),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Takes the times from the lines after the last message that a service ended the job: they are about its own work. A build that runs
/// then ends with the message.
fn end_with_job(lines: &mut [LogLine]) {
    let Some(end) = lines.iter().rposition(|line| marks::ends_job(&line.text)) else { return };
    let rest = &mut lines[end + 1..];
    if !rest.iter().any(|line| marks::find(&line.text).is_some()) {
        rest.iter_mut().for_each(|line| line.at = None);
    }
}

/// Whether the log was exported with its last line first.
fn newest_first(lines: &[LogLine]) -> bool {
    let times: Vec<Instant> = lines.iter().filter_map(|line| line.at).collect();
    let later = times.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let earlier = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    (earlier > 1 && later == 0) || (earlier > 3 && earlier > later * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        Log::read(text).lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn redrawn_lines_keep_what_the_builder_wrote() {
        assert_eq!(texts("10%\r20%\r\n"), ["10%", "20%"]);
        assert_eq!(texts("#1 [internal] x\r#1 DONE 0.1s\r#2 [1/1] RUN y\r\n").len(), 3);
        let log = Log::read("10:00:00 #1 [internal] x\n10:00:01 pull 10%\r20%\r#1 DONE 1.0s\n");
        assert_eq!(log.lines.last().map(|line| line.at), Some(Some(36_001_000_000_000)));
    }

    #[test]
    fn quoted_texts_end_at_the_quote() {
        assert_eq!(unquoted("#1 [1/1] RUN echo \\\"a\\\"\" extra=1", Quote::Escaped), "#1 [1/1] RUN echo \"a\"");
        assert_eq!(unquoted("#1 \"\"a\\n\"\"\",x", Quote::Doubled), "#1 \"a\\n\"");
        assert_eq!(unquoted("#1 RUN printf ''a\\n'' \"b\"');", Quote::Single), "#1 RUN printf 'a\\n' \"b\"");
        assert_eq!(unquoted("#1 RUN printf \\'a\\' \"b\"\\n',", Quote::Single), "#1 RUN printf 'a' \"b\"");
    }

    #[test]
    fn a_quote_may_open_anywhere_in_a_prefix() {
        for prefix in ["msg=\"[build] ", "web | msg=\"a > ", "step \"a b\": msg=\"[build] ", "don't: msg=\"[build] "] {
            let lines = [1, 2].map(|number| format!("{prefix}#{number} [1/1] RUN echo \\\"a\\\"\" end=1"));
            assert_eq!(
                texts(&lines.join("\n")),
                [1, 2].map(|number| format!("#{number} [1/1] RUN echo \"a\"")),
                "{prefix}"
            );
        }
        let quoted = "step \"a b\": #1 [1/1] RUN echo \"a\"";
        assert_eq!(texts(quoted), ["#1 [1/1] RUN echo \"a\""]);
    }

    #[test]
    fn each_service_on_the_way_of_a_line_may_write_a_prefix() {
        let prefix = "Step #0 - \"Build\": <30>1 2026-01-01T00:00:00Z build-7 docker 812 - - [pod/builder-x7f/docker] ";
        assert_eq!(texts(&format!("{prefix}#1 [1/1] RUN a\n{prefix}#1 DONE 1.0s")), ["#1 [1/1] RUN a", "#1 DONE 1.0s"]);
    }

    #[test]
    fn a_log_with_its_last_line_first_is_turned_round() {
        let lines: Vec<String> =
            (0..8).rev().map(|second| format!("10:00:0{second} #{} [1/1] RUN x", second + 1)).collect();
        assert_eq!(texts(&lines.join("\n"))[0], "#1 [1/1] RUN x");
    }

    #[test]
    fn sources_are_separated_only_if_several_start_a_build() {
        let text = "a | #1 [internal] x\nb | #1 [internal] y\na | #1 DONE 1.0s\nb | #1 DONE 2.0s\n";
        let starts = |text: &str| text.starts_with("#1 [");
        assert_eq!(Log::read(text).streams(starts).len(), 2);
        assert_eq!(Log::read("a | #1 [internal] x\nb | #1 DONE 2.0s\n").streams(starts).len(), 1);
    }
}
