//! Recognises the format of a file.

use super::format::Format;
use super::lines::lines;
use super::{buildah, classic, plain};

/// The format of a file, from its first bytes; `None` if it is unknown.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.get(257..262) == Some(b"ustar") {
        return Some(Format::DockerBuild);
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start().starts_with('{') { json_format(&text) } else { log_format(&text) }
}

/// The format of a JSON file, from the keys of its first object. A log of rawjson starts with an object too.
fn json_format(text: &str) -> Option<Format> {
    // A record begins so as it is written, and may have hundreds of megabytes: they need not be read to know it.
    if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"schema\"") {
        return Some(Format::Record);
    }
    let first = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>().next();
    let Some(Ok(serde_json::Value::Object(first))) = first else {
        // Torn within the first object: the first line still says what it is.
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
    } else if !first.is_empty() && first.values().all(serde_json::Value::is_i64) {
        Some(Format::Kaniko)
    } else {
        None
    }
}

/// The format of a log, by the first line that only one builder writes.
fn log_format(text: &str) -> Option<Format> {
    lines(text).take(2000).find_map(|line| {
        let text = line.text.trim_start();
        if plain::numbered(text).is_some() {
            Some(Format::Plain)
        } else if classic::step(text).is_some() {
            Some(Format::Classic)
        } else if buildah::step(text).is_some() {
            Some(Format::Buildah)
        } else {
            None
        }
    })
}
