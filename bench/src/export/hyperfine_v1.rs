//! The JSON of hyperfine 1 (`--export-json`): times in seconds, so that its plotting scripts read our runs.

use crate::run::{CaseSamples, Run, Sample};
use crate::stats::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

/// The top level of the file.
#[derive(Debug, Serialize)]
struct HyperfineFile {
    results: Vec<BenchmarkResult>,
}

/// The result of one command; names and order of the fields are hyperfine's.
#[derive(Debug, Serialize)]
struct BenchmarkResult {
    command: String,
    mean: f64,
    /// Standard deviation of the sample (n - 1); null for one run.
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

/// Exports the run in hyperfine 1's format. Cases without a good sample are omitted: the format cannot express that a
/// command never succeeded.
pub fn export(run: &Run) -> String {
    let document = HyperfineFile { results: run.cases.iter().filter_map(result).collect() };
    // Maps with string keys and finite numbers always serialise.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn result(case: &CaseSamples) -> Option<BenchmarkResult> {
    let times = case.times();
    let summary = Summary::of(&times)?;
    let mean = |of: fn(&Sample) -> f64| case.good().map(of).sum::<f64>() / summary.count as f64;
    Some(BenchmarkResult {
        command: case.case.to_string(),
        mean: summary.mean,
        stddev: summary.stddev,
        median: summary.median,
        user: mean(|sample| sample.user),
        system: mean(|sample| sample.system),
        min: summary.min,
        max: summary.max,
        exit_codes: case.good().map(|sample| sample.exit_code).collect(),
        times,
        parameters: case.case.parameters(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn as_hyperfine_writes_it() {
        insta::assert_snapshot!(export(&run()));
    }
}
