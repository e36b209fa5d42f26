//! Logs as `key=value` fields, as loggers of Go write them (logfmt): `time=… level=INFO msg="#1 [internal] \"x\""`.
//!
//! A prefix before a quoted text is cut like any other. This form is for texts that are wrapped once more within their quotes.

use super::super::log::stamp;
use super::super::log::terminal;
use super::super::marks::{self, Mark};
use super::entries::has_mark;
use super::quoted::{closing, unescaped};
use std::collections::BTreeMap;
use std::ops::Range;

/// The log in the field with the most lines of builders, each line behind its time; `None` if the text has no such fields, or if they can
/// be read without their quotes.
pub(super) fn lines(text: &str) -> Option<String> {
    if !text.contains("=\"") {
        return None;
    }
    let rows: Vec<_> = text.lines().map(terminal::plain).collect();
    let fields: Vec<Vec<Field<'_>>> = rows.iter().map(|row| fields(row)).collect();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for field in fields.iter().flatten().filter(|field| field.is_log()) {
        *found.entry(field.key).or_default() += 1;
    }
    let (&key, &count) = found.iter().max_by_key(|(_, count)| **count)?;
    let of_key =
        || fields.iter().filter_map(|fields| fields.iter().position(|field| field.key == key).map(|at| (fields, at)));
    let wrapped = of_key().any(|(fields, at)| fields[at].is_wrapped() || late(fields, at).next().is_some());
    let with_key = |fields: &Vec<Field<'_>>| fields.iter().any(|field| field.key == key);
    let outside = rows.iter().zip(&fields).any(|(row, fields)| !with_key(fields) && marks::find(row).is_some());
    if count < 2 || !wrapped || outside {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (row, fields) in rows.iter().zip(&fields) {
        let Some(at) = fields.iter().position(|field| field.key == key) else {
            out += &format!("{row}\n");
            continue;
        };
        let field = &fields[at];
        let before = row[..field.at.start].trim_end();
        let late: String = late(fields, at).map(|time| format!("{time} ")).collect();
        let text = field.value();
        // An empty text is an empty line.
        for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
            out += &format!("{before} {late}{line}\n");
        }
    }
    Some(out)
}

/// The times in the fields behind a field.
fn late<'f>(fields: &'f [Field<'_>], at: usize) -> impl Iterator<Item = String> + 'f {
    fields[at + 1..].iter().map(Field::value).filter(|value| stamp::whole(value).is_some())
}

/// A field of a line.
struct Field<'t> {
    key: &'t str,
    /// Where the field is in its line.
    at: Range<usize>,
    /// The value as it is written, without its quotes.
    written: &'t str,
    quoted: bool,
}

impl Field<'_> {
    fn value(&self) -> String {
        if self.quoted { unescaped(self.written) } else { self.written.to_owned() }
    }

    fn is_log(&self) -> bool {
        self.quoted && self.holds().is_some()
    }

    /// Where a builder's line starts in the text; at its start if it is in a document.
    fn holds(&self) -> Option<(usize, Mark)> {
        let value = self.value();
        let document =
            || serde_json::from_str(&value).is_ok_and(|document| has_mark(&document)).then_some((1, Mark::Plain));
        marks::find(&value).or_else(document)
    }

    /// Whether the text before a builder's line in this field shows that it is wrapped once more: a document, bars, quotes, tabs.
    fn is_wrapped(&self) -> bool {
        let value = self.value();
        let wraps = |c: char| c.is_control() || matches!(c, '{' | '|' | '│' | '┃' | '║' | '"' | '<');
        self.quoted && self.holds().is_some_and(|(at, mark)| mark == Mark::RawJson || value[..at].contains(wraps))
    }
}

/// The fields of a line, in their order.
fn fields(row: &str) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(equals) = row[at..].find('=').map(|equals| at + equals) {
        let letter = |c: char| c.is_alphanumeric() || "_-.@".contains(c);
        let name = row[at..equals].trim_end_matches(letter).len();
        let key = &row[at + name..equals];
        let rest = &row[equals + 1..];
        let (written, quoted) = match rest.strip_prefix('"') {
            Some(inner) => (&inner[..closing(inner, '"')], true),
            None => (&rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())], false),
        };
        let end = (equals + 1 + written.len() + if quoted { 2 } else { 0 }).min(row.len());
        if !key.is_empty() {
            found.push(Field { key, at: at + name..end, written, quoted });
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_wrapped_within_its_quotes_is_unquoted() {
        for (log, expected) in [
            (
                "time=10:00:00 msg=\"| #1 [1/1] RUN a \\\"b\\\" |\"\ntime=10:00:01 msg=\"| #1 0.5 b |\"\n",
                "time=10:00:00 | #1 [1/1] RUN a \"b\" |\ntime=10:00:01 | #1 0.5 b |\n",
            ),
            (
                "[0] msg=\"\\t#1 [1/1] RUN a\" n=1 ts=2026-03-01T10:00:00Z\n[0] msg=\"\\t#1 DONE 1.0s\" ts=\"2026-03-01T10:00:01Z\"\n",
                "[0] 2026-03-01T10:00:00Z \t#1 [1/1] RUN a\n[0] 2026-03-01T10:00:01Z \t#1 DONE 1.0s\n",
            ),
            (
                "t=1 msg=\"{\\\"log\\\":\\\"#1 [1/1] RUN a\\\\\\\\b\\\\n\\\"}\"\nt=2 msg=\"{\\\"log\\\":\\\"#1 DONE 1.0s\\\\n\\\"}\"\nt=2 msg=\"\"\n",
                "t=1 {\"log\":\"#1 [1/1] RUN a\\\\b\\n\"}\nt=2 {\"log\":\"#1 DONE 1.0s\\n\"}\nt=2 \n",
            ),
        ] {
            assert_eq!(lines(log).as_deref(), Some(expected), "{log}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for log in [
            "time=10:00:00 msg=\"#1 [1/1] RUN a\"\ntime=10:00:01 msg=\"#1 DONE 1.0s\"\n",
            "#1 [1/1] RUN a=\"| #1 DONE 1.0s |\"\n#1 DONE 1.0s\n",
            "a=\"\nb=\n=\n",
            "",
        ] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}
