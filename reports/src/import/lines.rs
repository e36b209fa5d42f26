//! The lines of a log: an optional time before each, without escape sequences.

use super::draft::{Instant, parse_time};

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The time that was written before the line.
    pub(crate) at: Option<Instant>,
    /// The text of the line.
    pub(crate) text: String,
}

/// The lines of a log.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line> + '_ {
    text.lines().map(|line| {
        // A progress line that is redrawn: the last state counts.
        let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        let line = plain(line);
        match line.split_once([' ', '\t']).and_then(|(first, rest)| Some((time(first)?, rest))) {
            Some((at, rest)) => Line { at: Some(at), text: rest.trim_end().to_owned() },
            None => Line {
                at: time(&line),
                text: if time(&line).is_some() { String::new() } else { line.trim_end().to_owned() },
            },
        }
    })
}

/// Parses RFC 3339, also in brackets, as CI services write it.
fn time(word: &str) -> Option<Instant> {
    let word = word.trim_start_matches('[').trim_end_matches([']', ':']);
    let dated = word.len() >= 20 && word.as_bytes()[4] == b'-' && word.contains('T');
    dated.then(|| parse_time(word)).flatten()
}

/// The line without escape sequences (ECMA-48, "CSI").
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut parts = line.split('\u{1b}');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part
            .strip_prefix('[')
            .and_then(|part| part.find(|c: char| ('@'..='~').contains(&c)).map(|end| &part[end + 1..]));
        out.push_str(rest.unwrap_or(part));
    }
    out
}

/// Parses Go's durations (`0.3s`, `1m2.5s`) as nanoseconds.
pub(crate) fn duration(text: &str) -> Option<Instant> {
    let (mut total, mut rest) = (0.0, text.trim());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let (length, factor) = match unit {
            _ if unit.starts_with("ms") => (2, 1e-3),
            _ if unit.starts_with("µs") => ("µs".len(), 1e-6),
            _ if unit.starts_with('h') => (1, 3600.0),
            _ if unit.starts_with('m') => (1, 60.0),
            _ if unit.starts_with('s') => (1, 1.0),
            _ => return None,
        };
        total += value * factor;
        rest = &unit[length..];
    }
    // `as` saturates, at 292 years.
    (total < 3e9).then(|| (total * 1e9).round() as Instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_colours_are_taken_off() {
        let line = |text: &str| lines(text).next().unwrap();
        assert_eq!(line("2026-11-25T01:20:04.305644Z  ---> x").text, " ---> x");
        assert_eq!(line("2026-11-25T01:20:04.305644Z #1 x").at, Some(1_795_569_604_305_644_000));
        assert_eq!(line("\u{1b}[32m#1 x\u{1b}[0m"), Line { at: None, text: "#1 x".into() });
        assert_eq!(line("10%\r20%"), Line { at: None, text: "20%".into() });
    }

    #[test]
    fn go_durations() {
        assert_eq!(duration("0.3s"), Some(300_000_000));
        assert_eq!(duration("1m2.5s"), Some(62_500_000_000));
        assert_eq!(duration("45ms"), Some(45_000_000));
        assert_eq!(duration("s"), None);
        assert_eq!(duration(""), None);
    }
}
