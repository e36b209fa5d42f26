//! Lines in a box or a table: spaces and an edge follow each line.

use super::super::log::terminal;
use super::super::marks;

/// The edges that tables and boxes have at their right side.
const EDGES: [char; 4] = ['|', '│', '┃', '║'];

/// The lines without the edge after them; `None` unless every line of a builder has one.
pub(super) fn lines(text: &str) -> Option<String> {
    let rows: Vec<_> = text.lines().map(terminal::plain).collect();
    let cells: Vec<(&str, Option<char>)> = rows.iter().map(|row| cut(row)).collect();
    // Markdown shows a text between backquotes as it is. The head of a table has none.
    let is_code = |cell: &str| cell.ends_with('`') && cell.matches('`').count() > 1;
    let mut edged = cells.iter().filter(|(_, edge)| edge.is_some()).map(|(cell, _)| *cell);
    let code = edged.any(is_code) && edged.filter(|cell| cell.contains('`')).all(is_code);
    let inner = |cell: &str| if code { cell.strip_suffix('`').unwrap_or(cell).to_owned() } else { cell.to_owned() };
    let cells: Vec<(String, Option<char>)> = cells.into_iter().map(|(cell, edge)| (inner(cell), edge)).collect();
    let mut edges = cells.iter().filter(|(cell, _)| marks::find(cell).is_some()).map(|(_, edge)| *edge);
    let first = edges.next()??;
    let mut several = false;
    for edge in edges {
        several = true;
        if edge != Some(first) {
            return None;
        }
    }
    // Markdown escapes the edge within a cell.
    several.then(|| cells.iter().map(|(cell, _)| cell.replace("\\|", "|") + "\n").collect())
}

/// A line without the edge after it.
fn cut(line: &str) -> (&str, Option<char>) {
    let line = line.trim_end();
    let edge = line.chars().next_back().filter(|last| EDGES.contains(last));
    (edge.map_or(line, |edge| line[..line.len() - edge.len_utf8()].trim_end()), edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_taken_off() {
        for (boxed, expected) in [
            (
                "╭──────────╮\n│ #1 [1/1] RUN a │\n│ #1 DONE 0.1s   │\n╰──────────╯\n",
                "│ #1 [1/1] RUN a\n│ #1 DONE 0.1s\n",
            ),
            ("| 1 | `#1 [1/1] RUN a` |\n| 2 | `#1 DONE 0.1s` |\n", "| 1 | `#1 [1/1] RUN a\n| 2 | `#1 DONE 0.1s\n"),
            ("| 1 | #1 [1/1] RUN a \\| b |\n| 2 | #1 DONE 0.1s |\n", "| 1 | #1 [1/1] RUN a | b\n| 2 | #1 DONE 0.1s\n"),
        ] {
            assert!(lines(boxed).unwrap().contains(expected), "{:?}", lines(boxed));
        }
        for log in [
            "STEP 1/2: FROM a\nSTEP 2/2: RUN b |\n",
            "#1 [1/1] RUN a |\n",
            "web | #1 [1/1] RUN a\nweb | #1 DONE 0.1s\n",
        ] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}
