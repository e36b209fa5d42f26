//! Logs that a collector keeps as JSON: docker's `json-file` driver, Kubernetes and cloud services, CI services' own interfaces.
//!
//! They are objects, one a line or in an array, with the text in one field and its time in another. The field of the text is the one
//! in which builders' lines are found.

use super::super::marks;
use super::prefix;
use super::stamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// How deep in an object a text may be.
const DEEPEST: usize = 4;

/// The text of a collector's log with the time before each line; `None` if the text is not one.
pub(crate) fn lines(text: &str) -> Option<String> {
    let start = text.trim_start();
    let lines = || start.lines().filter(|line| !line.trim().is_empty());
    let json = lines().take(200).filter(|line| line.trim_start().starts_with(['{', '['])).count();
    if json * 2 < lines().take(200).count() && !start.starts_with(['{', '[']) {
        return None;
    }
    // BuildKit's own JSON is not a collector's.
    if lines().take(200).any(|line| matches!(marks::find(line), Some((at, marks::Mark::RawJson)) if at < 4)) {
        return None;
    }
    let mut entries = Vec::new();
    for line in lines() {
        if let Ok(value) = serde_json::from_str::<Value>(line.trim().trim_end_matches(',')) {
            gather(value, &mut entries, 0);
        }
    }
    if entries.is_empty() {
        gather(serde_json::from_str(start).ok()?, &mut entries, 0);
    }
    written(&entries)
}

/// Adds the entries of a document: its objects, or those of the arrays in it.
fn gather(value: Value, entries: &mut Vec<Value>, depth: usize) {
    match value {
        Value::Array(values) if depth < DEEPEST => {
            values.into_iter().for_each(|value| gather(value, entries, depth + 1))
        }
        Value::Object(fields) => {
            let entry = |one: &Value| one.is_object() || one.as_str().is_some_and(|text| marks::find(text).is_some());
            let holds = |value: &Value| value.as_array().is_some_and(|list| list.iter().any(entry));
            if depth < DEEPEST && fields.values().any(holds) {
                let arrays = fields.into_iter().map(|(_, value)| value).filter(holds);
                arrays.for_each(|value| gather(value, entries, depth + 1));
            } else {
                entries.push(Value::Object(fields));
            }
        }
        Value::String(text) => entries.push(Value::String(text)),
        _ => {}
    }
}

/// The entries as lines.
fn written(entries: &[Value]) -> Option<String> {
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        leaves(entry, String::new(), 0, &mut |path, value| {
            if value.as_str().is_some_and(|text| text.lines().any(|line| marks::find(line).is_some())) {
                *texts.entry(path.to_owned()).or_default() += 1;
            } else if time(path, value).is_some() {
                *times.entry(path.to_owned()).or_default() += 1;
            }
        });
    }
    let (text, _) = texts.into_iter().max_by_key(|(_, count)| *count)?;
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let named = |path: &str| ["time", "date", "ts"].iter().any(|word| name(path).contains(word));
    let best = times.into_iter().filter(|(path, _)| *path != text).max_by_key(|(path, count)| (*count, named(path)));
    let mut out = String::new();
    for entry in entries {
        let (mut line, mut at) = (None, None);
        leaves(entry, String::new(), 0, &mut |path, value| {
            if path == text {
                line = value.as_str().map(str::to_owned);
            } else if best.as_ref().is_some_and(|(best, _)| path == best) {
                at = time(path, value);
            }
        });
        for line in line.unwrap_or_default().lines() {
            if let Some(at) = &at {
                out.push_str(at);
                out.push(' ');
            }
            out.push_str(line);
            out.push('\n');
        }
    }
    Some(out)
}

/// Calls a function with the path and the value of each text and number.
fn leaves(value: &Value, path: String, depth: usize, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) if depth < DEEPEST => {
            for (key, value) in fields {
                leaves(value, if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, depth + 1, found);
            }
        }
        Value::String(_) | Value::Number(_) => found(&path, value),
        _ => {}
    }
}

/// The text of a value that is a time.
fn time(path: &str, value: &Value) -> Option<String> {
    let name = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if stamp::whole(&text).is_some() {
        return Some(text);
    }
    let number = prefix::value(&text).filter(|_| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    let epoch = number.is_some_and(|value| value > 1_000_000_000_000_000_000);
    (epoch || (number.is_some() && name.contains("time"))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_its_time_are_found() {
        for (json, expected) in [
            (
                "{\"log\":\"#1 [internal] x\\n\",\"stream\":\"stderr\",\"time\":\"2026-03-01T10:00:00Z\"}",
                "2026-03-01T10:00:00Z #1 [internal] x\n",
            ),
            (
                "{\"@timestamp\":\"2026-03-01T10:00:00.000Z\",\"kubernetes\":{\"pod\":\"a\"},\"message\":\"#1 [internal] x\"}",
                "2026-03-01T10:00:00.000Z #1 [internal] x\n",
            ),
            (
                "[{\"pos\":0,\"out\":\"#1 [internal] x\",\"time\":0},{\"pos\":1,\"out\":\"done\",\"time\":3}]",
                "0 #1 [internal] x\n3 done\n",
            ),
            (
                "{\"events\":[{\"timestamp\":1772359200123,\"message\":\"#1 [internal] x\"}]}",
                "1772359200123 #1 [internal] x\n",
            ),
            (
                "{\"__REALTIME_TIMESTAMP\":\"1772359200123456\",\"MESSAGE\":\"#1 [internal] x\"}",
                "1772359200123456 #1 [internal] x\n",
            ),
            ("{\"stdout_lines\":[\"#1 [internal] x\",\"#1 DONE 0.1s\"]}", "#1 [internal] x\n#1 DONE 0.1s\n"),
        ] {
            assert_eq!(lines(json).as_deref(), Some(expected), "{json}");
        }
        assert_eq!(lines("{\"vertexes\":[{\"name\":\"[1/1] RUN x\"}]}"), None);
        assert_eq!(lines("#1 [internal] x\n{\"a\":1}\n"), None);
        assert_eq!(lines("{\"a\":\"b\"}"), None);
    }
}
