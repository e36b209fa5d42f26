//! Logs as several documents of YAML, each with a line and its time: what `gcloud logging read` prints.

use super::collector;
use super::entries::{JsonDocument, entries};
use buildscope_record::weight;
use serde::Deserialize as _;
use serde_json::Value;

/// How many documents a text needs. One with front matter is not a list.
const FEWEST: usize = 3;
/// How many times as large as the text its values may be. A value takes at least 32 bytes.
const MOST_TIMES: usize = 32;

/// The text of the documents, each line behind its time; `None` if the text is not several documents.
pub(super) fn lines(text: &str) -> Option<String> {
    let separators = text.lines().filter(|line| line.trim_end() == "---").count();
    if separators + 1 < FEWEST {
        return None;
    }
    // Aliases could make it much larger than its text.
    let mut left = text.len().saturating_mul(MOST_TIMES);
    for document in yaml_serde::Deserializer::from_str(text) {
        left -= weight(document, left).ok()?;
    }
    let mut documents = Vec::with_capacity(separators);
    for document in yaml_serde::Deserializer::from_str(text) {
        let value = Value::deserialize(document).ok()?;
        if !value.is_object() && !value.is_null() {
            return None;
        }
        documents.push(JsonDocument { before: "", value });
    }
    collector::lines_of(entries(&documents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_a_line() {
        let entry = |text: &str, second: u32| {
            format!(
                "---\ninsertId: a{second}\nresource:\n  labels:\n    id: x\ntextPayload: {text}\ntimestamp: '2026-03-01T10:00:0{second}Z'\n"
            )
        };
        let log =
            entry("'#1 [1/1] RUN echo ''a'''", 1) + &entry("\"#1 0.5\\ta: b\"", 2) + &entry("'#1 DONE\n  0.5s'", 3);
        let expected = "2026-03-01T10:00:01Z #1 [1/1] RUN echo 'a'\n2026-03-01T10:00:02Z #1 0.5\ta: b\n2026-03-01T10:00:03Z #1 DONE 0.5s\n";
        assert_eq!(lines(&log).as_deref(), Some(expected));
    }

    #[test]
    fn aliases_do_not_multiply_a_text() {
        let long = "x".repeat(10_000);
        let entry = |labels: &str, second: u32| {
            format!(
                "---\ninsertId: a{second}\nresource:\n  labels: [{labels}]\ntextPayload: '#1 0.5 a'\ntimestamp: '2026-03-01T10:00:0{second}Z'\n"
            )
        };
        let log =
            |aliases: usize| entry(&format!("&a {long}{}", ",*a".repeat(aliases)), 1) + &entry("b", 2) + &entry("c", 3);
        assert!(lines(&log(1)).is_some());
        assert_eq!(lines(&log(100)), None);
    }

    #[test]
    fn a_log_with_rules_is_not_yaml() {
        for log in ["---\n#1 [1/1] RUN a\n---\n#1 DONE 0.1s\n---\n", "---\ntitle: x\n---\n#1 [1/1] RUN a\n", ""] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}
