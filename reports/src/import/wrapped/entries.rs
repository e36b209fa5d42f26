//! The JSON in a text, and the list of its entries: objects, one a line or in an array somewhere in a document.

use super::super::marks;
use super::count_marks;
use base64::Engine as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// The greatest depth of a list or a text in a document.
const DEEPEST: usize = 8;

/// The number of lines that are examined to decide whether a text is JSON.
const LOOK: usize = 200;

/// The most bytes that are read, in all, of texts that look like documents and are not.
const MOST_IN_VAIN: usize = 16 << 20;

/// A document, and the text before it in its line.
pub(super) struct JsonDocument<'t> {
    pub(super) before: &'t str,
    pub(super) value: Value,
}

/// The documents of a text. `None` if most lines of builders are outside of them, or if they are BuildKit's own.
pub(super) fn documents(text: &str) -> Option<Vec<JsonDocument<'_>>> {
    let start = text.trim_start_matches(['\u{1e}', ' ', '\n', '\r', '\t']);
    if is_buildkits(start) {
        return None;
    }
    let whole = start
        .starts_with(['{', '['])
        .then(|| serde_json::Deserializer::from_str(start).into_iter::<Value>().collect::<Result<Vec<_>, _>>().ok());
    if let Some(values) = whole.flatten() {
        return Some(values.into_iter().map(|value| JsonDocument { before: "", value }).collect());
    }
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let looked = lines().take(LOOK).count();
    if lines().take(LOOK).filter(|line| in_line(line).is_some()).count() * 5 < looked {
        return below(text).map(|value| vec![JsonDocument { before: "", value }]);
    }
    let (mut found, mut outside) = (Vec::new(), 0);
    for line in lines() {
        match in_line(line) {
            Some(document) => found.push(document),
            None => outside += usize::from(marks::find(line).is_some()),
        }
    }
    let inside = found.iter().filter(|document| has_mark(&document.value)).count();
    (inside > outside).then_some(found)
}

/// Whether the text is BuildKit's own JSON, one object a line or a pretty-printed one.
fn is_buildkits(text: &str) -> bool {
    let own = |line: &str| matches!(marks::find(line), Some((at, marks::Mark::RawJson)) if at < 4 && !line[..at].contains('"'));
    text.lines().take(LOOK).any(own)
}

/// A line without spaces and a terminal's sequences (ECMA-48, 5.4) at its end. JSON has no such characters.
fn without_sequences(line: &str) -> &str {
    let mut line = line.trim_end();
    while let Some(at) = line.rfind("\x1b[") {
        let sequence = &line[at + 2..];
        let parameters = sequence.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let ends = sequence.len() == parameters.len() + 1;
        if !ends || !parameters.bytes().all(|byte| (0x30..=0x3f).contains(&byte)) {
            break;
        }
        line = line[..at].trim_end();
    }
    line
}

/// The document that ends a line.
fn in_line(line: &str) -> Option<JsonDocument<'_>> {
    let line = without_sequences(line).trim_end_matches(',');
    if !line.ends_with(['}', ']']) {
        return None;
    }
    let starts = line.char_indices().filter(|(_, letter)| matches!(letter, '{' | '[')).take(6);
    starts.map(|(at, _)| line.split_at(at)).find_map(|(before, json)| {
        // Fluent Bit writes `"log"=>"text"`.
        let read = |json: &str| serde_json::from_str::<Value>(json).ok();
        let value =
            read(json).or_else(|| json.contains("\"=>").then(|| read(&json.replace("\"=>", "\":"))).flatten())?;
        let holds = value.as_object().is_some_and(|object| !object.is_empty())
            || value.as_array().is_some_and(|list| list.len() > 1);
        holds.then_some(JsonDocument { before, value })
    })
}

/// A document of several lines with a builder's log in it, behind other text.
fn below(text: &str) -> Option<Value> {
    // The end of the last document, and the number of bytes that may still be read without finding one.
    let (mut at, mut known, mut left) = (0, 0, MOST_IN_VAIN);
    for line in text.split_inclusive('\n').take(LOOK) {
        let end = line.trim_end();
        if let Some(brace) = end.len().checked_sub(1).filter(|_| end.ends_with(['{', '[']) && at >= known) {
            let rest = &text[at + brace..];
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) if has_mark(&value) => {
                    let outside = count_marks(&text[..at]) + count_marks(&rest[values.byte_offset()..]);
                    return (outside == 0).then_some(value);
                }
                // What is in a document without such a line has none either.
                Some(Ok(_)) => known = at + brace + values.byte_offset(),
                Some(Err(error)) => {
                    let lines = rest.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len);
                    left = left.checked_sub(lines.sum::<usize>() + error.column())?;
                }
                None => {}
            }
        }
        at += line.len();
    }
    None
}

/// The number of builders' lines in a text, and whether they are encoded in base64.
pub(super) fn marks_in(text: &str) -> (usize, bool) {
    match count_marks(text) {
        0 => (decoded(text).map_or(0, |inner| count_marks(&inner)), true),
        count => (count, false),
    }
}

/// The text in base64.
pub(super) fn decoded(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// Whether a text in a value is a line of a builder.
pub(super) fn has_mark(value: &Value) -> bool {
    match value {
        Value::String(text) => marks_in(text).0 > 0,
        Value::Array(values) => values.iter().any(has_mark),
        Value::Object(fields) => fields.values().any(has_mark),
        _ => false,
    }
}

/// An entry: its texts and numbers by their path.
#[derive(Clone, Debug, Default)]
pub(super) struct LogEntry {
    pub(super) leaves: BTreeMap<String, String>,
    /// The text before its document.
    pub(super) before: String,
}

/// The entries of the documents: the lists at the path with the most lines of builders.
pub(super) fn entries(documents: &[JsonDocument<'_>]) -> Vec<Vec<LogEntry>> {
    let mut lists: BTreeMap<(usize, String), Vec<Vec<LogEntry>>> = BTreeMap::new();
    let top =
        documents.iter().map(|document| LogEntry { before: document.before.to_owned(), ..entry(&document.value) });
    let mut top: Vec<LogEntry> = top.collect();
    if let [only] = &mut top[..] {
        // A single document is an entry only if one text of it has a whole log.
        only.leaves.retain(|_, text| text.contains('\n'));
    }
    lists.insert((0, String::new()), vec![top]);
    for document in documents {
        gather(&document.value, "", 1, &mut lists);
    }
    let marked = |entry: &LogEntry| entry.leaves.values().map(|text| marks_in(text).0).max().unwrap_or(0);
    let total = |lists: &Vec<Vec<LogEntry>>| lists.iter().flatten().map(marked).sum::<usize>();
    // Of equal paths the outermost counts: its entries have the times.
    let best = lists.iter().max_by_key(|((depth, _), lists)| (total(lists), std::cmp::Reverse(*depth)));
    let best = best.filter(|(_, lists)| total(lists) > 0).map(|(key, _)| key.clone());
    best.and_then(|key| lists.remove(&key)).unwrap_or_default()
}

/// Adds the lists of a value by their path.
fn gather(value: &Value, path: &str, depth: usize, lists: &mut BTreeMap<(usize, String), Vec<Vec<LogEntry>>>) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::Array(values) => {
            let path = format!("{path}[]");
            lists.entry((depth, path.clone())).or_default().push(values.iter().map(entry).collect());
            values.iter().for_each(|value| gather(value, &path, depth + 1, lists));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                gather(value, &format!("{path}.{key}"), depth + 1, lists);
            }
        }
        _ => {}
    }
}

fn entry(value: &Value) -> LogEntry {
    let mut found = BTreeMap::new();
    leaves(value, String::new(), 0, &mut found);
    LogEntry { leaves: found.into_iter().map(|(path, pieces)| (path, pieces.text)).collect(), ..LogEntry::default() }
}

/// The joined pieces of a text.
struct Pieces {
    text: String,
    /// Whether the last piece has a line break. The text is not searched again for each piece.
    has_break: bool,
}

/// Adds the texts and numbers of a value by their paths. The pieces of a line in an array of objects are joined.
fn leaves(value: &Value, path: String, depth: usize, found: &mut BTreeMap<String, Pieces>) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::String(text) => piece(found, path, text),
        Value::Number(number) => piece(found, path, &number.to_string()),
        Value::Object(fields) => {
            // A field as an object: `{"field": "@message", "value": "…"}`.
            let named = ["field", "name", "key"].iter().find_map(|key| fields.get(*key)?.as_str());
            if let (Some(name), Some(value), true) = (named, fields.get("value"), fields.len() <= 3) {
                return leaves(value, format!("{path}.{name}"), depth + 1, found);
            }
            for (key, value) in fields {
                leaves(value, format!("{path}.{key}"), depth + 1, found);
            }
        }
        // An array of bytes: journalctl writes texts with unprintable characters in this way.
        Value::Array(values)
            if values.len() > 1 && values.iter().all(|value| value.as_u64().is_some_and(|byte| byte < 256)) =>
        {
            let bytes: Vec<u8> =
                values.iter().filter_map(Value::as_u64).filter_map(|byte| u8::try_from(byte).ok()).collect();
            piece(found, path, &String::from_utf8_lossy(&bytes));
        }
        Value::Array(values) => {
            let pieces = values.iter().all(Value::is_object);
            for (index, value) in values.iter().enumerate() {
                let path = if pieces { path.clone() } else { format!("{path}.{index}") };
                leaves(value, path, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// Adds a piece of a text. Whole lines are not pieces: they belong to the entries of another list.
fn piece(found: &mut BTreeMap<String, Pieces>, path: String, text: &str) {
    let has_break = text.contains('\n');
    match found.get_mut(&path) {
        Some(known) if known.text.is_empty() || known.has_break => known.text.clear(),
        Some(known) => {
            known.text.push_str(text);
            known.has_break = has_break;
        }
        None => {
            found.insert(path, Pieces { text: text.to_owned(), has_break });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searching the joined text for each piece would take minutes.
    #[test]
    fn a_list_of_many_objects_takes_linear_time() {
        let list = |text: &str| serde_json::json!({"a": vec![serde_json::json!({"text": text}); 20_000]});
        assert_eq!(entry(&list("0123456789")).leaves[".a.text"].len(), 200_000);
        assert_eq!(entry(&list("whole\n")).leaves[".a.text"], "");
    }

    /// Each brace at the end of a line may begin a document.
    #[test]
    fn a_document_is_found_after_others_and_within_none() {
        let nested = |end: &str| format!("x {{\n{}\"b\": [{}0]{end}", "\"a\": {\n".repeat(100), "0,".repeat(5_000));
        assert!(below(&nested(&"}".repeat(101))).is_none());
        assert!(below(&nested(&"}".repeat(99))).is_none());
        let log = "{\n \"a\": 1\n}\n{\n \"log\": \"#1 [1/1] RUN a\\n#1 DONE 0.1s\"\n}\n";
        assert!(below(&format!("a log:\n{log}")).is_some());
    }
}
