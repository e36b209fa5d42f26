//! Lines that were broken at a column before something was written around each row: a name before it, an edge or a quote on both sides.

use super::super::log::terminal;
use super::super::marks;
use super::columns;

/// The edges at the right side of a row.
const EDGES: [char; 6] = ['|', '│', '┃', '║', '"', '\''];

/// The most characters before the text of a row.
const LONGEST: usize = 60;

/// Joins the rows, each line behind what was before its rows; `None` if no line was broken.
pub(super) fn lines(text: &str) -> Option<String> {
    let rows: Vec<_> = text.lines().map(terminal::plain).collect();
    let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).filter(|row| !row.is_empty()).collect();
    let before = rows.iter().find_map(|row| marks::find(row).map(|(at, _)| &row[..at]))?;
    // Rows with different times before them are lines of their own.
    if before.is_empty() || before.chars().count() > LONGEST {
        return None;
    }
    let inner = |row: &&str| {
        let inner = row.strip_prefix(before).or_else(|| row.strip_prefix(before.trim_end()))?;
        Some(inner.to_owned())
    };
    let mut inner: Vec<String> = rows.iter().map(inner).collect::<Option<_>>()?;
    let edge = inner.first()?.chars().next_back().filter(|last| EDGES.contains(last));
    let edged = edge.filter(|edge| inner.iter().all(|row| row.ends_with(*edge)));
    if let Some(edge) = edged {
        for row in &mut inner {
            row.pop();
            if !matches!(edge, '"' | '\'') {
                // One space is between the text and its edge, and others fill the column.
                if row.ends_with(' ') {
                    row.pop();
                }
            }
        }
        let width = inner.iter().map(|row| row.chars().count()).max()?;
        for row in &mut inner {
            let text = row.trim_end();
            // A row may have been broken behind a space.
            let kept = if text.chars().count() + 1 == width { text.len() + 1 } else { text.len() };
            row.truncate(kept.min(row.len()));
        }
    }
    let joined = columns::lines(&(inner.join("\n") + "\n"))?;
    let before = before.trim_end_matches(['"', '\'']);
    Some(joined.lines().map(|line| format!("{before}{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/2] RUN apt-get install -y --no-install-recommends build-essential git curl\n#1 DONE 0.1s\n\
                       #2 [2/2] COPY --from=build /usr/local/share/applications /usr/local/share/apps\n#2 DONE 0.1s\n";

    fn broken(width: usize, row: impl Fn(&str) -> String) -> String {
        let rows = LOG.lines().flat_map(|line| line.as_bytes().chunks(width)).map(|row| String::from_utf8_lossy(row));
        rows.map(|text| row(&text) + "\n").collect()
    }

    #[test]
    fn rows_with_something_around_each_are_put_together() {
        for width in [40, 48, 53] {
            let behind = |before: &str| LOG.lines().map(|line| format!("{before}{line}\n")).collect::<String>();
            let named = broken(width, |row| format!("web | {row}"));
            assert_eq!(lines(&named), Some(behind("web | ")), "{named}");
            let boxed = broken(width, |row| format!("│ {row:width$} │"));
            assert_eq!(lines(&boxed), Some(behind("│ ")), "{boxed}");
            let quoted = broken(width, |row| format!("\"{row}\""));
            assert_eq!(lines(&quoted), Some(behind("")), "{quoted}");
        }
    }

    #[test]
    fn whole_rows_stay() {
        for row in ["web | ", "│ ", "\"", ""] {
            let log: String = LOG.lines().map(|line| format!("{row}{line}\n")).collect();
            assert_eq!(lines(&log), None, "{log}");
        }
    }
}
