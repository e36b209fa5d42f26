//! Findings as JSON, with the fields of BuildKit's lint subrequest and our help.

use super::Report;
use crate::{Diagnostics, Dockerfile};
use serde_json::{Value, json};

/// Returns the document that `docker build --check --call=check,format=json` prints, with `help` added.
pub fn json(file: &Dockerfile<'_>, name: &str, report: &Report) -> Value {
    let warnings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "ruleName": finding.rule.name(),
                "description": finding.rule.description(),
                "url": finding.rule.url(),
                "detail": finding.diagnostic.message,
                "help": finding.diagnostic.help,
                "location": {
                    "sourceIndex": 0,
                    "ranges": [{ "start": { "line": finding.lines.0 }, "end": { "line": finding.lines.1 } }],
                },
            })
        })
        .collect();
    json!({ "warnings": warnings, "sources": [{ "filename": name, "language": "Dockerfile", "data": file.text }] })
}

/// Returns the same document for a file that cannot be parsed.
pub fn broken(text: &str, name: &str, diagnostics: &Diagnostics) -> Value {
    let errors: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| json!({ "message": diagnostic.message, "help": diagnostic.help, "line": diagnostics.line_of(diagnostic) }))
        .collect();
    json!({
        "warnings": [],
        "sources": [{ "filename": name, "language": "Dockerfile", "data": text }],
        "error": { "message": diagnostics.iter().next().map(|diagnostic| &*diagnostic.message) },
        "errors": errors,
    })
}
