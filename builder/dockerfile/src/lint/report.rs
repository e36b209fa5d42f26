//! Findings as JSON, with the fields of BuildKit's lint subrequest and our help.

use super::{Finding, Report};
use crate::{Diagnostics, Dockerfile};
use serde_json::{Value, json};

/// Returns the document that `docker build --check --call=check,format=json` prints, with `help` added.
pub fn json(file: &Dockerfile<'_>, name: &str, report: &Report) -> Value {
    let sources = sources(file.text, name);
    json!({ "warnings": warnings(&report.findings), "sources": sources })
}

fn warnings(findings: &[Finding]) -> Vec<Value> {
    findings
        .iter()
        .map(|finding| {
            let ranges =
                finding.lines.map(|(first, last)| json!({ "start": { "line": first }, "end": { "line": last } }));
            json!({
                "ruleName": finding.rule.name(),
                "description": finding.rule.description(),
                "url": finding.rule.url(),
                "detail": finding.diagnostic.message,
                "help": finding.diagnostic.help,
                "location": { "sourceIndex": 0, "ranges": ranges.as_slice() },
            })
        })
        .collect()
}

fn sources(text: &str, name: &str) -> Value {
    json!([{ "filename": name, "language": "Dockerfile", "data": text }])
}

/// Returns the same document for a file with errors. `findings` are the problems that were found besides them.
pub fn broken(text: &str, name: &str, diagnostics: &Diagnostics, findings: &[Finding]) -> Value {
    let errors: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| json!({ "message": diagnostic.message, "help": diagnostic.help, "line": diagnostics.line_of(diagnostic) }))
        .collect();
    json!({
        "warnings": warnings(findings),
        "sources": sources(text, name),
        "error": { "message": diagnostics.iter().next().map(|diagnostic| &*diagnostic.message) },
        "errors": errors,
    })
}
