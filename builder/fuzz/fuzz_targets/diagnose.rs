//! Any text: whatever is wrong or odd in it is shown with its place, as text and as JSON, without a panic.
#![no_main]

use buildscope_dockerfile::{self as dockerfile, Outline, Parsed, lint};
use buildscope_builder::plan::{self, LowerRequest};
use libfuzzer_sys::fuzz_target;
use miette::{GraphicalReportHandler, GraphicalTheme};

fuzz_target!(|text: &str| {
    let faults = plan::diagnose(text, &LowerRequest::default());
    assert!(dockerfile::parse(text).is_ok() || !faults.is_empty());
    let shown = |diagnostics: &dockerfile::Diagnostics| {
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
        handler.render_report(&mut out, diagnostics).expect("writing to a string");
        for diagnostic in diagnostics.iter() {
            let line = diagnostics.line_of(diagnostic);
            assert!(line.is_none_or(|line| line as usize <= text.split('\n').count()));
        }
    };
    shown(&faults);
    let _ = lint::broken(text, "Dockerfile", &faults).to_string();
    let parsed = Parsed::of(text);
    let _ = Outline::of(&parsed.file).to_string();
    match lint::run(&parsed.file, &lint::Context::default()) {
        Ok(report) => {
            shown(&report.diagnostics(&parsed.file));
            let _ = lint::json(&parsed.file, "Dockerfile", &report).to_string();
        }
        Err(faults) => shown(&faults),
    }
});
