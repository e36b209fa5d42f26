//! Logs of containers in Kubernetes (CRI): a time, the stream, and `P` for a part of a line or `F` for its end.

use std::collections::BTreeMap;

/// Joins the parts of each line; `None` if no line is in parts.
pub(super) fn lines(text: &str) -> Option<String> {
    if !text.lines().any(|line| parts(line).is_some_and(|(.., partial, _)| partial)) {
        return None;
    }
    let mut out = String::new();
    // The incomplete line of each stream.
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    for line in text.lines() {
        match parts(line) {
            Some((time, stream, partial, content)) => {
                let begun = open.entry(stream).or_insert_with(|| format!("{time} {stream} F "));
                begun.push_str(content);
                if !partial {
                    out += &open.remove(stream).unwrap_or_default();
                    out.push('\n');
                }
            }
            None => {
                out += line;
                out.push('\n');
            }
        }
    }
    for rest in open.into_values() {
        out += &rest;
        out.push('\n');
    }
    Some(out)
}

/// A line as (everything up to the time, stream, whether it is a part, text).
fn parts(line: &str) -> Option<(&str, &str, bool, &str)> {
    let at = [" stdout ", " stderr "].iter().filter_map(|stream| line.find(stream)).min().filter(|&at| at < 120)?;
    let (time, rest) = (&line[..at], &line[at + 1..]);
    let (stream, rest) = rest.split_once(' ')?;
    let (tag, content) = rest.split_once(' ').unwrap_or((rest, ""));
    let partial = match tag.split(':').next() {
        Some("P") => true,
        Some("F") => false,
        _ => return None,
    };
    Some((time, stream, partial, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_by_stream() {
        let log = "T1 stderr P #1 [int\nT1 stdout F other\nT2 stderr F ernal] x\n";
        assert_eq!(lines(log).as_deref(), Some("T1 stdout F other\nT1 stderr F #1 [internal] x\n"));
        assert_eq!(lines("T1 stderr F #1 [internal] x\n"), None);
    }
}
