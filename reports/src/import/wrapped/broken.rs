//! Logs in JSON whose lines were broken at a column, as `fold` and terminals break them.

use super::super::log::terminal;
use std::borrow::Cow;

/// The widths at which lines are broken.
const WIDTHS: std::ops::RangeInclusive<usize> = 30..=400;

/// The most rows of one document.
const MOST_ROWS: usize = 200;

/// The fewest broken documents that show this form.
const FEWEST: usize = 2;

/// Joins the rows of each document; `None` if no documents are broken.
pub(super) fn lines(text: &str) -> Option<String> {
    // The width counts a terminal's sequences, which are not a part of the documents.
    let lengths: Vec<usize> = text.lines().map(|row| row.trim_end_matches('\r').chars().count()).collect();
    let rows: Vec<_> = text.lines().map(|row| terminal::plain(row.trim_end_matches('\r'))).collect();
    let width = lengths.iter().copied().max().filter(|width| WIDTHS.contains(width))?;
    let (mut out, mut joined, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at < rows.len() {
        let count =
            starts(&rows[at]).find_map(|start| document(&rows[at..], &lengths[at..], start, width)).unwrap_or(1);
        joined += usize::from(count > 1);
        out.extend(rows[at..at + count].iter().map(|row| &**row));
        out.push('\n');
        at += count;
    }
    (joined >= FEWEST).then_some(out)
}

/// Where an object may start in a row. Names in braces may be before it.
fn starts(row: &str) -> impl Iterator<Item = usize> {
    let opens = |at: &usize| row[at + 1..].is_empty() || row[at + 1..].starts_with('"');
    row.match_indices('{').map(|(at, _)| at).filter(opens).take(3)
}

/// The number of rows of a document that starts in the first one; `None` if it is not JSON, or if its rows were not broken at the width.
fn document(rows: &[Cow<'_, str>], lengths: &[usize], start: usize, width: usize) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, row) in rows.iter().take(MOST_ROWS).enumerate() {
        let from = if index == 0 { start } else { 0 };
        for (at, byte) in row.bytes().enumerate().skip(from) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                let whole: String = rows[..=index].iter().map(|row| &**row).collect();
                let before: usize = rows[..index].iter().map(|row| row.len()).sum();
                let value = &whole[start..=before + at];
                return serde_json::from_str::<serde_json::Value>(value).is_ok().then_some(index + 1);
            }
        }
        let next = rows.get(index + 1)?;
        let word = next.split_inclusive(' ').next().unwrap_or_default().chars().count();
        let length = lengths[index];
        if length != width && !(row.ends_with(' ') && length + word > width) {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "ci {\"log\":\"#1 [1/1] RUN apt-get install \\\"a b\\\"\\n\",\"stream\":\"stderr\"}\n\
                       ci {\"log\":\"#1 DONE 0.1s\\n\",\"stream\":\"stderr\",\"n\":[1, 2]}\nend\n";

    #[test]
    fn broken_documents_are_put_together() {
        for at_spaces in [false, true] {
            let mut folded = String::new();
            for line in LOG.lines() {
                let mut rest = line;
                while rest.len() > 40 {
                    let cut = rest[..40].rfind(' ').filter(|_| at_spaces).map_or(40, |space| space + 1);
                    folded += &format!("{}\n", &rest[..cut]);
                    rest = &rest[cut..];
                }
                folded += &format!("{rest}\n");
            }
            assert_eq!(lines(&folded).as_deref(), Some(LOG), "{folded}");
        }
    }

    #[test]
    fn whole_documents_stay() {
        for text in
            [LOG, "{\n  \"a\": {\n    \"log\": \"a long line of forty letters and more\"\n  }\n}\n", "{\n{\n{\n", ""]
        {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}
