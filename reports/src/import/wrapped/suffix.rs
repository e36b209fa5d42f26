//! Logs with the same fields behind each line: `#1 DONE 0.1s [docker] build=12`, `#1 DONE 0.1s [] []`.

use super::super::log::terminal;
use super::super::marks::{self, Mark};

/// The fewest lines of builders that show this form.
const FEWEST: usize = 4;

/// The lines without the fields behind them; `None` if they do not all end with the same ones.
pub(super) fn lines(text: &str) -> Option<String> {
    let all: Vec<_> = text.lines().map(|line| terminal::plain(line.trim_end())).collect();
    let mut common: Option<&str> = None;
    let mut count = 0;
    for line in &all {
        let Some((_, mark)) = marks::find(line) else { continue };
        if mark == Mark::RawJson {
            return None;
        }
        count += 1;
        common = Some(common.map_or(line, |common| common_end(common, line)));
        if common.is_some_and(str::is_empty) {
            return None;
        }
    }
    let fields = common.filter(|_| count >= FEWEST).and_then(|end| Some(&end[end.find(char::is_whitespace)?..]))?;
    let filled = all.iter().filter(|line| !line.trim().is_empty()).count();
    let same = all.iter().filter(|line| line.ends_with(fields)).count();
    if !are_fields(fields.trim()) || same * 10 < filled * 9 {
        return None;
    }
    Some(all.iter().map(|line| line.strip_suffix(fields).unwrap_or(line).trim_end().to_owned() + "\n").collect())
}

/// What two lines end with.
fn common_end<'t>(one: &'t str, other: &str) -> &'t str {
    let same = one.chars().rev().zip(other.chars().rev()).take_while(|(one, other)| one == other);
    let length: usize = same.map(|(c, _)| c.len_utf8()).sum();
    &one[one.len() - length..]
}

/// Whether a text is fields of a logger: in brackets, or with an equals sign. The end of an object in JSON has a bracket without the other.
fn are_fields(text: &str) -> bool {
    let balanced = [('[', ']'), ('(', ')'), ('{', '}')]
        .into_iter()
        .all(|(opens, closes)| text.matches(opens).count() == text.matches(closes).count());
    let quoted = text.matches('"').count().is_multiple_of(2);
    balanced && quoted && (text.starts_with(['[', '{', '(']) || text.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/2] RUN a\n#1 0.1 x\n#1 DONE 0.1s\n#2 [2/2] RUN b\n#2 0.1 y\n#2 DONE 0.1s\n";

    #[test]
    fn the_same_fields_behind_all_lines_are_taken_off() {
        for fields in [" [docker] build=12", " [] []", "\t{\"id\": 12}", "     job=a"] {
            let log = LOG.replace('\n', &format!("{fields}\n"));
            assert_eq!(lines(&log).as_deref(), Some(LOG), "{fields}");
        }
    }

    #[test]
    fn the_ends_of_builders_lines_stay() {
        let json =
            LOG.lines().map(|line| format!("{{\"log\": \"{line}\", \"stream\": \"stderr\"}}\n")).collect::<String>();
        let steps = "Step 1/2 : RUN make CC=gcc\n ---> 0123456789ab\n".repeat(8);
        for log in [LOG, &json, &steps, "#1 [1/1] RUN a x=1\n#1 DONE x=1\n", ""] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}
