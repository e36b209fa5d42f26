//! Recordings of a terminal by asciinema (asciicast versions 1 to 3).

use serde_json::Value;
use std::fmt::Write;

/// The lines of a recording, each behind the time at which its first part was written; `None` if the text is not a recording.
pub(super) fn lines(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let whole = || serde_json::from_str::<Value>(text).ok();
    let head = serde_json::from_str::<Value>(first).ok().or_else(whole)?;
    let version = head.get("version")?.as_u64()?;
    if !["width", "term"].iter().any(|key| head.get(key).is_some()) {
        return None;
    }
    let mut lines = CastLines::default();
    match version {
        1 => {
            let mut at = 0.0;
            for part in head.get("stdout")?.as_array()? {
                at += part.get(0).and_then(Value::as_f64).unwrap_or(0.0);
                lines.add(at, part.get(1).and_then(Value::as_str).unwrap_or_default());
            }
        }
        2 | 3 => {
            let mut before = 0.0;
            // A line that begins with a number sign is a comment.
            for event in rest.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                let (Some(at), Some(kind), Some(data)) =
                    (event.get(0).and_then(Value::as_f64), event.get(1).and_then(Value::as_str), event.get(2))
                else {
                    continue;
                };
                // Version 3 has the time since the event before.
                let at = if version == 3 { before + at } else { at };
                before = at;
                if kind == "o" {
                    lines.add(at, data.as_str().unwrap_or_default());
                }
            }
        }
        _ => return None,
    }
    Some(lines.finish())
}

/// Lines that are put together from parts.
#[derive(Default)]
struct CastLines {
    out: String,
    open: Option<(f64, String)>,
}

impl CastLines {
    fn add(&mut self, at: f64, text: &str) {
        for part in text.split_inclusive('\n') {
            let (since, mut line) = self.open.take().unwrap_or((at, String::new()));
            line += part;
            if part.ends_with('\n') {
                self.write(since, &line);
            } else {
                self.open = Some((since, line));
            }
        }
    }

    fn write(&mut self, at: f64, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{at:.6}s {}", line.trim_end_matches(['\n', '\r']));
    }

    fn finish(mut self) -> String {
        if let Some((at, line)) = self.open.take() {
            self.write(at, &line);
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_versions_give_the_same_lines() {
        let expected = Some("0.500000s #1 [internal] x\n2.000000s #1 DONE 1.5s\n".to_owned());
        let one = r##"{"version": 1, "width": 80, "height": 24, "stdout": [[0.5, "#1 [int"], [0.5, "ernal] x\r\n"], [1.0, "#1 DONE 1.5s\r\n"]]}"##;
        assert_eq!(lines(one), expected);
        let two = "{\"version\": 2, \"width\": 80}\n[0.5, \"o\", \"#1 [int\"]\n[0.7, \"i\", \"x\"]\n[1.0, \"o\", \"ernal] x\\r\\n\"]\n[2.0, \"o\", \"#1 DONE 1.5s\"]\n";
        assert_eq!(lines(two), expected);
        let three = "{\"version\": 3, \"term\": {}}\n# why\n[0.5, \"o\", \"#1 [int\"]\n[0.5, \"o\", \"ernal] x\\r\\n\"]\n[1.0, \"o\", \"#1 DONE 1.5s\"]\n[0.1, \"x\", \"0\"]\n";
        assert_eq!(lines(three), expected);
        for other in ["", "{\"version\": 2}", "#1 [internal] x", "{\"version\": 9, \"width\": 1}"] {
            assert_eq!(lines(other), None);
        }
    }
}
