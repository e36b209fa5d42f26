//! Lines in a box or a table: spaces and an edge follow each line.

use super::super::log::terminal;
use super::super::marks;

/// The edges that tables and boxes have at their right side.
const EDGES: [char; 4] = ['|', '│', '┃', '║'];

/// The lines without the edge after them; `None` unless every line of a builder has one.
pub(super) fn lines(text: &str) -> Option<String> {
    let mut edges = text.lines().map(terminal::plain).filter_map(|line| {
        let (inner, edge) = cut(&line);
        marks::find(inner).map(|_| edge)
    });
    let first = edges.next()??;
    let mut several = false;
    for edge in edges {
        several = true;
        if edge != Some(first) {
            return None;
        }
    }
    // Markdown escapes the edge within a cell.
    let without = |line: &str| cut(&terminal::plain(line)).0.replace("\\|", "|") + "\n";
    several.then(|| text.lines().map(without).collect())
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
