//! The explanation as one self-contained HTML page: no network, no build step, the page's parts beside this file.
//!
//! The page gets the explanation, the spans and the what-if model as JSON, and draws and recomputes by itself.

use crate::Explanation;
use crate::attribute::Activities;
use crate::whatif::page_model;
use buildscope_record::{EdgeKind, Phase, Record, WaitKind};
use serde_json::{Value, json};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 5] = [
    include_str!("base.js"),
    include_str!("timeline.js"),
    include_str!("charts.js"),
    include_str!("whatif.js"),
    include_str!("page.js"),
];

/// The page.
pub fn html(record: &Record, explanation: &Explanation) -> String {
    let data = data(record, explanation).to_string();
    // The text of a script element ends at `</script`, and `<!--` has a meaning in it (HTML, "Restrictions for
    // contents of script elements"): within JSON strings, `<` may be written as an escape.
    let data = data.replace('<', "\\u003c");
    let title = format!("{} build, {}", record.source.tool, record.wall);
    let mut page = PAGE.to_owned();
    // The data comes last: what a build printed may hold any of the marks.
    for (mark, text) in [
        ("{{title}}", escape(&title)),
        ("{{style}}", STYLE.to_owned()),
        ("{{script}}", SCRIPTS.join("\n")),
        ("{{data}}", data),
    ] {
        page = page.replacen(mark, &text, 1);
    }
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn data(record: &Record, explanation: &Explanation) -> Value {
    let phases: Vec<Value> = Phase::ALL.iter().map(|phase| json!([phase.name(), phase.group().name()])).collect();
    let phase = |phase: Phase| Phase::ALL.iter().position(|&other| other == phase);
    let spans: Vec<Value> = record
        .spans
        .iter()
        .map(|span| json!([span.step, phase(span.phase), span.start, span.end, span.name]))
        .collect();
    let waits: Vec<Value> = record
        .waits
        .iter()
        .filter(|wait| matches!(wait.kind, WaitKind::Slot | WaitKind::Lock))
        .map(|wait| {
            json!([
                wait.step,
                if wait.kind == WaitKind::Slot { "slot" } else { "lock" },
                wait.on,
                wait.start,
                wait.end,
                wait.name
            ])
        })
        .collect();
    let edges: Vec<Value> =
        record.edges.iter().map(|edge| json!([edge.from, edge.to, u8::from(edge.kind == EdgeKind::Order)])).collect();
    let extras: Vec<Value> = record.steps.iter().map(|step| {
        json!({"log": step.log, "error": step.error, "exit": step.exit_code, "slot": step.slot, "locks": step.locks})
    }).collect();
    json!({
        "explanation": explanation,
        "phases": phases,
        "spans": spans,
        "waits": waits,
        "edges": edges,
        "extras": extras,
        "model": page_model(&Activities::new(record)),
    })
}
