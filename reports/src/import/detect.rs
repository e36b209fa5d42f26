//! Recognises the format of a file.

use super::format::Format;
use super::kaniko;
use super::log::{Log, decode};
use super::marks::Mark;
use super::package::{self, Package};
use super::wrapped;

/// The format of a file; `None` if it is unknown. Of a log, that of the builder that wrote most of it; of an archive, that of the first
/// file whose format is known.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    match package::open(bytes).ok()? {
        Package::Layout => Some(Format::DockerBuild),
        Package::One(file) => of_file(&file),
        Package::Several(files) => files.iter().find_map(|file| of_file(file)),
    }
}

fn of_file(bytes: &[u8]) -> Option<Format> {
    let text = decode(bytes);
    document(&text).map(|(format, _)| format).or_else(|| {
        let text = wrapped::unwrapped(&text);
        let first = by_marks(&Log::read(&text)).first().copied();
        first.or_else(|| document_behind(&text).map(|(format, _)| format))
    })
}

/// The format of a JSON document and its offset. `None` for a log.
pub(crate) fn document(text: &str) -> Option<(Format, &str)> {
    let json = text.trim_start();
    let format = json.starts_with('{').then(|| json_format(json)).flatten();
    format.filter(|&format| format != Format::RawJson).map(|format| (format, json))
}

/// The format of a document after lines of other programs, and its offset.
pub(crate) fn document_behind(text: &str) -> Option<(Format, &str)> {
    document(&text[text.find("\n{")? + 1..])
}

/// The formats of a log, the one with the most lines first. A single line does not count if another format has several.
pub(crate) fn by_marks(log: &Log) -> Vec<Format> {
    let mut marks: Vec<(usize, Mark)> = log.marks.iter().map(|(mark, count)| (*count, *mark)).collect();
    marks.sort_by_key(|&(count, mark)| (std::cmp::Reverse(count), mark));
    let several = marks.iter().any(|&(count, _)| count > 1);
    let format = |(count, mark): (usize, Mark)| {
        let format = match mark {
            Mark::RawJson => Format::RawJson,
            Mark::Plain => Format::Plain,
            Mark::Classic => Format::Classic,
            Mark::Buildah => Format::Buildah,
            Mark::Kaniko => Format::KanikoLog,
            Mark::Terminal => Format::Terminal,
        };
        (count > 1 || !several).then_some(format)
    };
    marks.into_iter().filter_map(format).collect()
}

/// The format of a JSON file, from the keys of its first object. A log of rawjson starts with an object too.
fn json_format(text: &str) -> Option<Format> {
    // A record starts in this way. It may have hundreds of megabytes, which need not be parsed to recognise it.
    if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"schema\"") {
        return Some(Format::Record);
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let first = values.next();
    // The head of a recording of a terminal has only numbers, too.
    let alone = text[values.byte_offset()..].trim().is_empty();
    let Some(Ok(serde_json::Value::Object(first))) = first else {
        // The file is cut off within the first object: its first line still shows the format.
        let head = text.get(..text.len().min(400)).unwrap_or(text);
        let has = |key: &str| head.contains(key);
        return if has("\"vertexes\"") || has("\"statuses\"") {
            Some(Format::RawJson)
        } else if has("\"resourceSpans\"") {
            Some(Format::Otlp)
        } else if has("\"SpanContext\"") {
            Some(Format::StdoutTrace)
        } else if has("\"schema\"") {
            Some(Format::Record)
        } else {
            None
        };
    };
    let has = |key: &str| first.contains_key(key);
    if has("schema") && has("steps") {
        Some(Format::Record)
    } else if ["vertexes", "statuses", "logs", "warnings"].iter().any(|key| has(key)) {
        Some(Format::RawJson)
    } else if has("resourceSpans") {
        Some(Format::Otlp)
    } else if has("SpanContext") {
        Some(Format::StdoutTrace)
    } else if has("Ref") && has("StartedAt") {
        Some(Format::Inspect)
    } else if has("schema") {
        Some(Format::Record)
    } else if alone && has(kaniko::TOTAL) && first.values().all(serde_json::Value::is_i64) {
        Some(Format::Kaniko)
    } else {
        None
    }
}
