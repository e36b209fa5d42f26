//! The JSON of hyperfine 1 (`--export-json`): times in seconds, so that its plotting scripts read our runs.

use crate::run::{CaseSamples, Run};
use serde::Serialize;
use std::collections::BTreeMap;

/// The document.
#[derive(Debug, Serialize)]
struct Document {
    results: Vec<BenchmarkResult>,
}

/// One command, under hyperfine's names and in its order.
#[derive(Debug, Serialize)]
struct BenchmarkResult {
    command: String,
    mean: f64,
    /// Of the sample (n - 1); null for one run.
    stddev: Option<f64>,
    median: f64,
    user: f64,
    system: f64,
    min: f64,
    max: f64,
    times: Vec<f64>,
    exit_codes: Vec<Option<i32>>,
    parameters: BTreeMap<String, String>,
}

/// The run as hyperfine would have written it. Cases without a good sample are left out: hyperfine
/// has no way to say that a command never succeeded.
pub fn export(run: &Run) -> String {
    let document = Document { results: run.cases.iter().filter_map(result).collect() };
    // Maps with string keys and finite numbers always serialise.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn result(case: &CaseSamples) -> Option<BenchmarkResult> {
    let times = case.times();
    let count = times.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let average = mean(&times);
    let squares: f64 = times.iter().map(|time| (time - average).powi(2)).sum();
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(BenchmarkResult {
        command: case.case.to_string(),
        mean: average,
        stddev: (times.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        median: if sorted.len() % 2 == 1 {
            *sorted.get(middle)?
        } else {
            (sorted.get(middle)? + sorted.get(middle.checked_sub(1)?)?) / 2.0
        },
        user: mean(&case.good().map(|sample| sample.user).collect::<Vec<_>>()),
        system: mean(&case.good().map(|sample| sample.system).collect::<Vec<_>>()),
        min: *sorted.first()?,
        max: *sorted.last()?,
        exit_codes: case.good().map(|sample| sample.exit_code).collect(),
        times,
        parameters: case.case.parameters(),
    })
}
