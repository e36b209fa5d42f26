//! Lines that were broken at a column: by `fold`, by a terminal from which they were copied.

use super::super::log::prefix::Prefixes;
use super::super::log::stamp;
use super::super::log::terminal;
use super::super::marks::{self, Mark};

/// The widths at which lines are broken.
const WIDTHS: std::ops::RangeInclusive<usize> = 30..=400;

/// How many lines must be completed where nothing else shows that rows were broken.
const COMPLETED: usize = 2;

/// The starts of lines of classic builders and buildah that have no number.
const BEGINNINGS: [&str; 5] = [" --->", "--> ", "Removing intermediate container", "Successfully ", "Sending build"];

/// The builder whose line starts in this row. A key of BuildKit's JSON is not the start of a line: its object was broken.
fn beginning(row: &str) -> Option<(usize, Mark)> {
    marks::find(row).filter(|&(at, _)| !row[at..].starts_with('"'))
}

/// A row of the text with its properties.
struct TextRow<'t> {
    text: &'t str,
    /// The length in characters.
    length: usize,
    mark: Option<Mark>,
    /// Whether the row has the prefix of the log's lines.
    prefixed: bool,
    /// Whether the row has a text that is only at the start of a line.
    starts: bool,
}

impl<'t> TextRow<'t> {
    fn of(line: &'t str, prefixes: &Prefixes) -> Self {
        let text = line.trim_end_matches('\r');
        let plain = terminal::plain(text);
        let cut = prefixes.cut(&plain);
        let prefixed = !plain[..cut.length].trim().is_empty() || stamp::read(text).is_some();
        let starts = BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning) || plain[cut.length..].starts_with(beginning));
        let mark = beginning(&plain).map(|(_, mark)| mark);
        Self { text, length: text.chars().count(), mark, prefixed, starts: starts || mark.is_some() }
    }

    /// Whether the row is the start of a line.
    fn begins(&self) -> bool {
        self.prefixed || self.starts || self.text.trim().is_empty()
    }

    /// Whether the line continues in the next row: the row has the full width, or the next word did not fit after its space. Several spaces
    /// at its end fill a column.
    fn continues(&self, next: &TextRow<'_>, width: usize) -> bool {
        // In a log with prefixes, a row without one was broken before its text.
        let begins = if self.prefixed && next.starts { next.prefixed } else { next.begins() };
        !begins && self.is_full(next, width)
    }

    /// Whether a time is before the builder's text.
    fn is_timed(&self) -> bool {
        let plain = terminal::plain(self.text);
        let start = beginning(&plain).map_or(0, |(at, _)| at);
        (0..start).any(|at| plain.is_char_boundary(at) && stamp::read(&plain[at..]).is_some())
    }

    /// Whether the row has the full width, or the next word did not fit with the space after it. Several spaces at its end fill a column.
    fn is_full(&self, next: &TextRow<'_>, width: usize) -> bool {
        let filled = self.text.ends_with("  ");
        let no_room = self.text.ends_with(' ') && self.length + next.first_word() > width;
        !filled && (self.length == width || no_room)
    }

    /// Whether the line ends here although the next row is not the start of one, as before lines of other programs.
    fn ends(&self, next: &TextRow<'_>, width: usize) -> bool {
        !next.begins() && self.length + 1 + next.first_word() < width
    }

    /// The length of the first word, with the space after it.
    fn first_word(&self) -> usize {
        let word = self.text.split_inclusive(' ').next().unwrap_or_default();
        word.chars().count()
    }
}

/// Joins the broken lines; `None` if no line is broken.
pub(super) fn lines(text: &str) -> Option<String> {
    let plain: Vec<_> = text.lines().map(terminal::plain).collect();
    let prefixes = Prefixes::learn(plain.iter().map(|line| &**line).filter(|line| beginning(line).is_some()));
    let rows: Vec<TextRow<'_>> = text.lines().map(|line| TextRow::of(line, &prefixes)).collect();
    let width = rows.iter().map(|row| row.length).max().filter(|width| WIDTHS.contains(width))?;
    let broken = |pair: &&[TextRow<'_>]| pair[0].mark.is_some() && pair[0].continues(&pair[1], width);
    let proofs = rows.windows(2).filter(broken);
    // BuildKit writes a number before each line, so a single row without a number shows that lines were broken. Lines of other builders
    // have no numbers.
    let proven = |row: &TextRow<'_>| if matches!(row.mark, Some(Mark::Plain | Mark::RawJson)) { 2 } else { 1 };
    let proof: usize = proofs.map(|pair| proven(&pair[0])).sum();
    // Unbroken lines have any length; broken ones have the full width.
    let near =
        rows.iter().filter(|row| row.length < width && row.length + 4 > width && !row.text.ends_with(' ')).count();
    let full = rows.iter().filter(|row| row.length == width || row.text.ends_with(' ')).count();
    // Every line of BuildKit has its number. A short line before a row without a number was not broken.
    let numbered = |row: &TextRow<'_>| matches!(row.mark, Some(Mark::Plain | Mark::RawJson));
    let whole = rows.windows(2).filter(|pair| numbered(&pair[0]) && pair[0].ends(&pair[1], width)).count();
    if proof < 2 || full <= near || whole * 2 > proof {
        return by_width(&rows, width, false);
    }
    // The rest of a broken prefix begins the next row, as a prefix does.
    if let Some(joined) = by_width(&rows, width, true) {
        return Some(joined);
    }
    let mut out = String::with_capacity(text.len());
    let mut open = false;
    for (index, row) in rows.iter().enumerate() {
        out += row.text;
        open =
            (open || row.prefixed || row.starts) && rows.get(index + 1).is_some_and(|next| row.continues(next, width));
        if !open {
            out.push('\n');
        }
    }
    Some(out)
}

/// Joins every full row with the next one, if that completes builders' lines that were broken within their first word (`#` and
/// `12 [1/1] RUN a`), or puts a time before each of them that none had. In rows that were not broken, it would make one line of two.
fn by_width(rows: &[TextRow<'_>], width: usize, only_times: bool) -> Option<String> {
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        out += row.text;
        // A row that ends with a space may be an empty line behind its prefix. Then the next one begins with a time, too.
        let full =
            |next: &TextRow<'_>| row.length == width || row.is_full(next, width) && stamp::read(next.text).is_none();
        if !rows.get(index + 1).is_some_and(|next| !next.text.is_empty() && full(next)) {
            out.push('\n');
        }
    }
    let before = rows.iter().filter(|row| row.mark.is_some()).count();
    let after = out.lines().filter(|line| beginning(&terminal::plain(line)).is_some()).count();
    let timed = || after == before && after >= COMPLETED && !rows.iter().any(TextRow::is_timed) && timed(&out);
    (after >= before + COMPLETED && !only_times || timed()).then_some(out)
}

/// Whether a time is before each line of a builder.
fn timed(text: &str) -> bool {
    let lines: Vec<_> = text.lines().map(terminal::plain).collect();
    let prefixes = Prefixes::learn(lines.iter().map(|line| &**line));
    let marked = || lines.iter().filter(|line| beginning(line).is_some());
    marked().all(|line| !prefixes.cut(line).stamps.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/2] RUN apt-get install -y --no-install-recommends build-essential git curl\n#1 DONE 0.1s\n\n\
                       #2 [2/2] COPY --from=build /usr/local/share/applications /usr/local/share/apps\n#2 DONE 0.1s\n";

    /// A text as `fold -w WIDTH` breaks it, with `-s` if lines are broken at spaces.
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
    fn lines_that_were_broken_before_their_text_are_put_together() {
        let log = LOG.replace('\n', "\n2026-03-01 10:00:00 [pool-1-thread-3] INFO ");
        let log = format!(
            "2026-03-01 10:00:00 [pool-1-thread-3] INFO {}",
            log.trim_end_matches("2026-03-01 10:00:00 [pool-1-thread-3] INFO ")
        );
        // Within the number of a line, and within the prefix.
        for (width, at_spaces) in [(44, false), (30, false), (42, true), (39, true)] {
            let folded = folded(&log, width, at_spaces);
            assert_eq!(lines(&folded).as_deref(), Some(&*log), "{folded}");
        }
    }

    #[test]
    fn whole_lines_stay() {
        for text in [
            LOG,
            "STEP 1/3: FROM docker.io/library/busybox:1.36-musl\nSTEP 2/3: RUN make --directory services/accounts\ncc a.c\n--> 01\n",
            "#1 [1/1] RUN echo a line that is the longest of all of them\n#1 0.1 \n#1 DONE 0.1s\n",
            // Several lines as long as the longest, before lines that begin with a prefix.
            "a | STEP 1/3: FROM busybox:1.36-musl AS tools\na | --> 0123456789a\na | STEP 2/3: RUN make -C services/accounts1\n\
             a | --> 1123456789a\na | STEP 3/3: RUN make -C services/accounts2\na | --> 2123456789a\n",
            // Lines of another program are between them.
            "12\n#1 [1/1] RUN echo a line that is the longest of all of them\n13\n#1 0.1 a\n14\n#1 DONE 0.1s\n15\n",
            // Spaces fill the columns.
            "STEP 1/2: RUN a                         \nb                                       \n\
             STEP 2/2: RUN c                         \nd                                       \n",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}
