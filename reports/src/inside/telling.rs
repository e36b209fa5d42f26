//! The lines of a step's output that say what its tools do. A record keeps these and no others.

use super::inferred::traced;
use super::tools::{self, Says, ToolLine};

/// The most lines of a step that are kept. A step may print any number.
const MOST: usize = 400;
/// The most lines of a shell that traces its commands: a script of a tool (rpmbuild) may trace a loop.
const MOST_TRACED: usize = MOST / 2;
/// The longest line that is kept, in characters, unless what it says is behind them.
const LONGEST: usize = 200;
/// The longest line that is kept in any case. A compiler's line may name hundreds of directories before `-c`.
const LONGEST_SAYING: usize = 16 * LONGEST;

/// Lines that say what a step does, each with its time.
#[derive(Clone, Debug)]
pub struct TellingLines<T> {
    lines: Vec<TellingLine<T>>,
    last: Option<ToolLine>,
    traced: usize,
}

#[derive(Clone, Debug)]
struct TellingLine<T> {
    at: T,
    text: String,
    says: Option<Says>,
}

impl<T> Default for TellingLines<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), last: None, traced: 0 }
    }
}

impl<T> TellingLines<T> {
    /// Keeps a line if it says something that the line before it does not. Of several lines that say that something has ended, the last one
    /// is kept.
    pub fn add(&mut self, at: T, text: &str) {
        // Equal lines of two commands are not the same.
        let says = tools::line(text);
        if says.is_none() {
            if traced(text).is_none() || self.traced == MOST_TRACED {
                return;
            }
            self.traced += 1;
        }
        // Two lines at the end are those of two commands.
        let is_same = says == self.last && !says.as_ref().is_some_and(|line| line.order.is_end());
        if says.is_some() && (is_same || self.ends_again(says.as_ref())) {
            match (says.map(|line| line.says), self.lines.last_mut()) {
                (Some(Says::Ended(_)), Some(last)) => (last.at, last.text) = (at, shortened(text)),
                _ => return,
            }
            return;
        }
        if self.lines.len() >= MOST {
            self.merge();
        }
        if self.lines.len() < MOST {
            self.lines.push(TellingLine { at, text: shortened(text), says: says.as_ref().map(|line| line.says) });
            self.last = says;
        }
    }

    /// Whether the last line says the same with another length, of which there are many.
    fn ends_again(&self, line: Option<&ToolLine>) -> bool {
        let has_length = |line: &&ToolLine| line.lasted.or(line.took).is_some();
        let ended = |line: Option<&ToolLine>| line.filter(has_length).map(|line| line.says);
        self.lines.len() >= MOST / 2 && ended(line).is_some() && ended(line) == ended(self.last.as_ref())
    }

    /// Makes one of two downloads that follow each other: there may be thousands between two lines of another kind.
    fn merge(&mut self) {
        let is_whole = |at: usize| match (self.lines.get(at), self.lines.get(at + 1)) {
            (Some(start), Some(end)) => match (start.says, end.says) {
                (Some(Says::Interrupts(activity)), Some(Says::Ended(ended))) => activity == ended,
                _ => false,
            },
            _ => false,
        };
        let mut keeps = vec![true; self.lines.len()];
        let mut at = 0;
        while at < keeps.len() {
            if is_whole(at) && is_whole(at + 2) {
                (keeps[at + 1], keeps[at + 2]) = (false, false);
                at += 4;
            } else {
                at += 1;
            }
        }
        let mut keeps = keeps.into_iter();
        self.lines.retain(|_| keeps.next().unwrap_or(true));
    }

    /// The kept lines, in the order in which they were printed.
    pub fn into_lines(self) -> Vec<(T, String)> {
        self.lines.into_iter().map(|line| (line.at, line.text)).collect()
    }
}

/// The beginning of a line that says the same.
fn shortened(text: &str) -> String {
    let cut = |longest| &text[..text.char_indices().nth(longest).map_or(text.len(), |(end, _)| end)];
    let says = tools::line(text);
    let lengths =
        std::iter::successors(Some(LONGEST), |length| Some(2 * length)).take_while(|&length| length <= LONGEST_SAYING);
    let same = lengths.map(cut).find(|&cut| tools::line(cut) == says);
    same.unwrap_or_else(|| cut(LONGEST)).to_owned()
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

    /// A line of automake 1.16.
    #[test]
    fn a_kept_line_says_the_same() {
        let line = format!("gcc {}-I. -c -o main.o main.c", "-DPACKAGE_NAME=\"app\" ".repeat(20));
        let kept = kept(&[&line]);
        assert_eq!(tools::line(&kept[0].1), tools::line(&line));
        assert!(kept[0].1.len() <= 3 * LONGEST);
    }

    /// `apt-get update` reads lists, too. The line after it shows that an install runs, to which the next download belongs.
    #[test]
    fn a_line_of_another_command_is_kept() {
        let lines = [
            "Reading package lists...",
            "Building dependency tree...",
            "Reading state information...",
            "Get:1 http://a",
        ];
        assert_eq!(kept(&lines).into_iter().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1, 3]);
    }

    /// Of commands that a shell traces, each is kept.
    #[test]
    fn commands_divide_the_phases_that_their_tools_print() {
        let lines = ["+ apt-get install a", "Unpacking a (1) ...", "+ apt-get install b", "Unpacking b (1) ..."];
        assert_eq!(kept(&lines).len(), 4);
    }

    /// Maven prints two lines for each of the files that it downloads.
    #[test]
    fn what_comes_after_thousands_of_downloads_is_kept() {
        let one = [
            "Downloading from central: https://example.com/a.jar",
            "Downloaded from central: https://example.com/a.jar (1 kB)",
        ];
        let test = "[INFO] --- maven-surefire-plugin:2.22.3:test (default-test) @ app ---";
        let mut lines = vec!["[INFO] --- maven-compiler-plugin:3.10.1:compile (default-compile) @ app ---"];
        lines.extend(one.repeat(1500));
        lines.push(test);
        let kept = kept(&lines);
        assert!(kept.len() < MOST);
        assert_eq!(kept[0], (0, lines[0].into()));
        assert_eq!(kept[1], (1, one[0].into()));
        assert_eq!(kept[kept.len() - 2], (3000, one[1].into()), "the end of the last download");
        assert_eq!(kept[kept.len() - 1], (3001, test.into()));
    }

    /// rpmbuild traces the shells of its phases.
    #[test]
    fn a_traced_loop_leaves_room_for_what_tools_say() {
        let mut lines = vec!["Executing(%install): /bin/sh -e /var/tmp/rpm-tmp.a"];
        lines.extend(["+ echo 1", "+ i=1"].repeat(MOST));
        lines.push("Executing(%check): /bin/sh -e /var/tmp/rpm-tmp.b");
        let kept = kept(&lines);
        assert_eq!(kept.len(), MOST_TRACED + 2);
        assert_eq!(kept[kept.len() - 1].0, lines.len() - 1);
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
