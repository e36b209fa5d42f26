//! Lines that were broken at a column: by `fold`, by a terminal from which they were copied.

use super::super::log::stamp;
use super::super::log::terminal;
use super::super::marks::{self, Mark};

/// The widths at which lines are broken.
const WIDTHS: std::ops::RangeInclusive<usize> = 30..=400;

/// What classic builders and buildah write without a number before it.
const BEGINNINGS: [&str; 5] = [" --->", "--> ", "Removing intermediate container", "Successfully ", "Sending build"];

/// A row of the text, and what is known of it.
struct Row<'t> {
    text: &'t str,
    /// In characters.
    length: usize,
    mark: Option<Mark>,
}

impl<'t> Row<'t> {
    fn of(line: &'t str) -> Self {
        let text = line.trim_end_matches('\r');
        let plain = terminal::plain(text);
        let mark = marks::find(&plain).map(|(at, mark)| (at, mark, plain[at..].starts_with('"')));
        // A key of BuildKit's JSON begins no line: its object was broken.
        let mark = mark.filter(|(_, _, key)| !key).map(|(_, mark, _)| mark);
        Self { text, length: text.chars().count(), mark }
    }

    /// Whether the row begins a line.
    fn begins(&self) -> bool {
        self.mark.is_some()
            || self.text.trim().is_empty()
            || stamp::read(self.text).is_some()
            || BEGINNINGS.iter().any(|beginning| self.text.starts_with(beginning))
    }

    /// Whether the line goes on in the next row: it is as long as the rows are wide, or the next word did not fit behind its space.
    fn goes_on(&self, next: &Row<'_>, width: usize) -> bool {
        let word = || next.text.split(' ').next().unwrap_or_default().chars().count();
        !next.begins() && (self.length == width || (self.text.ends_with(' ') && self.length + word() > width))
    }
}

/// The lines in one piece; `None` if they are whole already.
pub(super) fn lines(text: &str) -> Option<String> {
    let rows: Vec<Row<'_>> = text.lines().map(Row::of).collect();
    let width = rows.iter().map(|row| row.length).max().filter(|width| WIDTHS.contains(width))?;
    let broken = |pair: &&[Row<'_>]| pair[0].mark.is_some() && pair[0].goes_on(&pair[1], width);
    let proofs = rows.windows(2).filter(broken);
    // BuildKit writes a number before each line, so that a single row without one shows it. Other builders' output has none.
    let proven = |row: &Row<'_>| if matches!(row.mark, Some(Mark::Plain | Mark::RawJson)) { 2 } else { 1 };
    let proof: usize = proofs.map(|pair| proven(&pair[0])).sum();
    // Lines of any length end anywhere; broken ones at the width.
    let near =
        rows.iter().filter(|row| row.length < width && row.length + 4 > width && !row.text.ends_with(' ')).count();
    let full = rows.iter().filter(|row| row.length == width || row.text.ends_with(' ')).count();
    if proof < 2 || full <= near {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut open = false;
    for (index, row) in rows.iter().enumerate() {
        out += row.text;
        open = (open || row.mark.is_some()) && rows.get(index + 1).is_some_and(|next| row.goes_on(next, width));
        if !open {
            out.push('\n');
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/2] RUN apt-get install -y --no-install-recommends build-essential git curl\n#1 DONE 0.1s\n\n\
                       #2 [2/2] COPY --from=build /usr/local/share/applications /usr/local/share/apps\n#2 DONE 0.1s\n";

    /// What `fold -w WIDTH` makes of a text, with `-s` if lines are broken at spaces.
    fn folded(text: &str, width: usize, at_spaces: bool) -> String {
        let mut out = String::new();
        for line in text.lines() {
            let mut rest = line;
            while rest.len() > width {
                let space = rest[..width].rfind(' ').filter(|_| at_spaces).map_or(width, |at| at + 1);
                out += &rest[..space];
                out.push('\n');
                rest = &rest[space..];
            }
            out += rest;
            out.push('\n');
        }
        out
    }

    #[test]
    fn broken_lines_are_put_together() {
        let json = "{\"vertexes\":[{\"digest\":\"sha256:a\",\"name\":\"[1/1] RUN x\"}],\"statuses\":[],\"logs\":[]}\n";
        let buildah = "STEP 1/2: RUN apt-get install -y --no-install-recommends git curl wget\n--> 0123456789a\n\
                       STEP 2/2: RUN apt-get install -y --no-install-recommends make gcc g++\n--> 1123456789a\n";
        for width in [40, 60, 72] {
            for text in [LOG, json, buildah] {
                for at_spaces in [false, true] {
                    let folded = folded(text, width, at_spaces);
                    let changed = folded != text;
                    assert_eq!(lines(&folded).as_deref(), Some(text).filter(|_| changed), "{folded}");
                }
            }
        }
    }

    #[test]
    fn whole_lines_stay() {
        for text in [
            LOG,
            "STEP 1/3: FROM docker.io/library/busybox:1.36-musl\nSTEP 2/3: RUN make --directory services/accounts\ncc a.c\n--> 01\n",
            "#1 [1/1] RUN echo a line that is the longest of all of them\n#1 0.1 \n#1 DONE 0.1s\n",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}
