//! The lines of a step's output that say what its tools do. A record keeps these and no others.

use super::inferred::traced;
use super::tools::{self, Says};

/// The most lines of a step that are kept. A step may print any number.
const MOST: usize = 400;
/// The longest line that is kept, in characters.
const LONGEST: usize = 200;

/// Lines that say what a step does, each with its time.
#[derive(Clone, Debug)]
pub struct TellingLines<T> {
    lines: Vec<(T, String)>,
    /// What the last line said, and the programs that may have printed it.
    last: Option<(Says, &'static [&'static str])>,
}

impl<T> Default for TellingLines<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), last: None }
    }
}

impl<T> TellingLines<T> {
    /// Keeps a line if it says something that the line before it does not. Of several lines that say that something has ended, the last one
    /// is kept.
    pub fn add(&mut self, at: T, text: &str) {
        let says = tools::line(text).map(|line| (line.says, line.names));
        if says.is_none() && traced(text).is_none() {
            return;
        }
        if says.is_some() && says == self.last {
            match (says, self.lines.last_mut()) {
                (Some((Says::Ended(_), _)), Some(last)) => *last = (at, shortened(text)),
                _ => return,
            }
            return;
        }
        if self.lines.len() < MOST {
            self.last = says;
            self.lines.push((at, shortened(text)));
        }
    }

    /// The kept lines, in the order in which they were printed.
    pub fn into_lines(self) -> Vec<(T, String)> {
        self.lines
    }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[&str]) -> Vec<(usize, String)> {
        let mut telling = TellingLines::default();
        lines.iter().enumerate().for_each(|(at, line)| telling.add(at, line));
        telling.into_lines()
    }

    #[test]
    fn a_line_is_kept_if_it_says_something_new() {
        let lines = [
            "hello",
            "Unpacking gcc (12) ...",
            "Unpacking make (4) ...",
            "Setting up gcc (12) ...",
            "Setting up make (4) ...",
        ];
        assert_eq!(kept(&lines), [(1, lines[1].into()), (3, lines[3].into())]);
        let ends = ["   Compiling a v1.0.0", "  Downloaded a v1.0.0", "  Downloaded b v1.0.0", "   Compiling b v1.0.0"];
        assert_eq!(kept(&ends), [(0, ends[0].into()), (2, ends[2].into()), (3, ends[3].into())]);
    }

    /// Of commands that a shell traces, each is kept.
    #[test]
    fn commands_part_what_their_tools_say() {
        let lines = ["+ apt-get install a", "Unpacking a (1) ...", "+ apt-get install b", "Unpacking b (1) ..."];
        assert_eq!(kept(&lines).len(), 4);
    }

    #[test]
    fn the_number_and_the_length_of_lines_are_bounded() {
        let long = format!("Unpacking {}", "é".repeat(9000));
        let lines: Vec<&str> =
            (0..900).map(|number| if number % 2 == 0 { &*long } else { "Setting up a (1) ..." }).collect();
        let kept = kept(&lines);
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept[0].1.chars().count(), LONGEST);
    }
}
