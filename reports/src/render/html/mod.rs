//! The explanation as one self-contained HTML page without network access. The parts of the page are in this folder.
//!
//! The page gets the explanation, the spans and the predictions of the what-if as JSON, and draws them.

use crate::Explanation;
use crate::attribute::Activities;
use crate::whatif::{PageWhatIf, page_whatif};
use buildscope_record::{EdgeKind, Nanos, Phase, Record, StepId, WaitKind, neutralised_json, redacted};
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 6] = [
    include_str!("base.js"),
    include_str!("timeline.js"),
    include_str!("charts.js"),
    include_str!("whatif.js"),
    include_str!("inside.js"),
    include_str!("page.js"),
];

/// The data of the page's scripts. Nothing is in it twice, because a build may have 100,000 steps.
#[derive(Serialize)]
struct PageData<'a> {
    explanation: &'a Explanation,
    /// The name and the group of each phase.
    phases: Vec<(&'static str, &'static str)>,
    spans: Vec<Spent<'a>>,
    waits: Vec<Waited<'a>>,
    /// The two steps, and 1 if only the policy requires that order.
    edges: Vec<(StepId, StepId, u8)>,
    /// The facts of each step that the explanation does not contain.
    extras: Vec<Extra<'a>>,
    /// The processes inside each step.
    processes: Vec<Option<super::processes::Lanes<'a>>>,
    flames: Vec<Option<super::flame::Flame>>,
    whatif: WhatIf,
}

/// The predictions, or why there are none.
#[derive(Serialize)]
struct WhatIf {
    table: Option<PageWhatIf>,
    refused: Option<&'static str>,
}

impl WhatIf {
    fn new(record: &Record) -> Self {
        match page_whatif(&Activities::new(record)) {
            Ok(table) => Self { table: Some(table), refused: None },
            Err(reason) => Self { table: None, refused: Some(reason.sentence()) },
        }
    }
}

/// A span: step, index of the phase in `phases`, start, end, name.
type Spent<'a> = (Option<StepId>, Option<usize>, Nanos, Nanos, Option<&'a str>);
/// A wait: step, kind, the step that was waited for, start, end, name.
type Waited<'a> = (StepId, &'static str, Option<StepId>, Nanos, Nanos, Option<&'a str>);

#[derive(Serialize)]
struct Extra<'a> {
    log: Vec<&'a str>,
    error: Option<&'a str>,
    exit: Option<i32>,
    slot: Option<u32>,
    locks: &'a [String],
}

/// The page.
pub fn html(record: &Record, explanation: &Explanation) -> String {
    let data = serde_json::to_string(&data(record, explanation)).expect("numbers and strings, under keys of text");
    let data = redacted(&data);
    let data = neutralised_json(&data);
    // The text of a script element ends at `</script`, and `<!--` has a meaning in it (HTML, "Restrictions for
    // contents of script elements"): within JSON strings, `<` may be written as an escape.
    let data = data.replace('<', "\\u003c");
    let title = format!("{} build, {}", record.source.tool, record.wall);
    let mut page = PAGE.to_owned();
    // The data is inserted last, because the output of a build may contain any of the marks.
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

/// The longest line of a log, in bytes, that the page shows. A line of a foreign log may have megabytes.
const LONGEST_LINE: usize = 8192;

fn start_of(line: &str) -> &str {
    &line[..line.floor_char_boundary(LONGEST_LINE)]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn data<'a>(record: &'a Record, explanation: &'a Explanation) -> PageData<'a> {
    let phase = |phase: Phase| Phase::ALL.iter().position(|&other| other == phase);
    let spans = record.spans.iter();
    let waits = record.waits.iter().filter_map(|wait| {
        let kind = match wait.kind {
            WaitKind::Slot => "slot",
            WaitKind::Lock => "lock",
            _ => return None,
        };
        Some((wait.step, kind, wait.on, wait.start, wait.end, wait.name.as_deref()))
    });
    let extras = record.steps.iter().map(|step| Extra {
        log: step.log.iter().map(|line| start_of(line)).collect(),
        error: step.error.as_deref().map(start_of),
        exit: step.exit_code,
        slot: step.slot,
        locks: &step.locks,
    });
    PageData {
        explanation,
        phases: Phase::ALL.iter().map(|phase| (phase.name(), phase.group().name())).collect(),
        spans: spans.map(|span| (span.step, phase(span.phase), span.start, span.end, span.name.as_deref())).collect(),
        waits: waits.collect(),
        edges: record.edges.iter().map(|edge| (edge.from, edge.to, u8::from(edge.kind == EdgeKind::Order))).collect(),
        extras: extras.collect(),
        processes: record.steps.iter().map(|step| step.processes.as_ref().map(super::processes::Lanes::of)).collect(),
        flames: record.steps.iter().map(|step| step.processes.as_ref().map(super::flame::Flame::of)).collect(),
        whatif: WhatIf::new(record),
    }
}
