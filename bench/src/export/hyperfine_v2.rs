//! The JSON of hyperfine 2 (`schema_version` 2): one measurement per build, summaries by metric.

use crate::run::{CaseSamples, Run, Sample};
use crate::stats::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

const SCHEMA_VERSION: u32 = 2;
/// The schema version of the file.
const HYPERFINE_VERSION: &str = "2.0.0";

#[derive(Debug, Serialize)]
struct HyperfineFile<'a> {
    schema_version: u32,
    metadata: Metadata<'a>,
    primary_metric: &'static str,
    results: Vec<BenchmarkResult>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    hyperfine_version: &'static str,
    start_time: &'a str,
    platform: Platform,
}

#[derive(Debug, Serialize)]
struct Platform {
    os: &'static str,
    architecture: &'static str,
}

#[derive(Debug, Serialize)]
struct BenchmarkResult {
    command: String,
    name: String,
    measurements: Vec<Measurement>,
    parameters: BTreeMap<String, Parameter>,
    summary: BTreeMap<&'static str, Statistics>,
}

/// The value of a parameter: hyperfine 2 writes an object where hyperfine 1 writes a text.
#[derive(Debug, Serialize)]
struct Parameter {
    value: String,
}

#[derive(Debug, Serialize)]
struct Measurement {
    time_wall_clock: Quantity,
    time_cpu: Quantity,
    time_user: Quantity,
    time_system: Quantity,
    exit_code: Option<i32>,
}

#[derive(Debug, Serialize)]
struct Quantity {
    value: f64,
    unit: &'static str,
}

#[derive(Debug, Serialize)]
struct Statistics {
    unit: &'static str,
    count: usize,
    mean: f64,
    stddev: Option<f64>,
    median: f64,
    min: f64,
    max: f64,
}

/// Reads one metric of a sample.
type Metric = fn(&Sample) -> f64;

/// The metrics of a build under hyperfine's names, all in seconds.
const METRICS: [(&str, Metric); 4] = [
    ("time_wall_clock", |sample| sample.wall),
    ("time_cpu", |sample| sample.user + sample.system),
    ("time_user", |sample| sample.user),
    ("time_system", |sample| sample.system),
];

/// Exports the run in hyperfine 2's format.
pub fn export(run: &Run) -> String {
    let document = HyperfineFile {
        schema_version: SCHEMA_VERSION,
        metadata: Metadata {
            hyperfine_version: HYPERFINE_VERSION,
            start_time: &run.started,
            platform: Platform { os: "Linux", architecture: std::env::consts::ARCH },
        },
        primary_metric: METRICS[0].0,
        results: run.cases.iter().filter_map(result).collect(),
    };
    // Maps with string keys and finite numbers always serialise.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn result(case: &CaseSamples) -> Option<BenchmarkResult> {
    let statistics = |of: Metric| {
        let summary = Summary::of(&case.good().map(of).collect::<Vec<_>>())?;
        let Summary { count, mean, stddev, median, min, max, .. } = summary;
        Some(Statistics { unit: "second", count, mean, stddev, median, min, max })
    };
    Some(BenchmarkResult {
        command: case.command.clone(),
        name: case.case.to_string(),
        measurements: case.good().map(measurement).collect(),
        parameters: case.case.parameters().into_iter().map(|(name, value)| (name, Parameter { value })).collect(),
        summary: METRICS.into_iter().map(|(name, of)| Some((name, statistics(of)?))).collect::<Option<_>>()?,
    })
}

fn measurement(sample: &Sample) -> Measurement {
    let quantity = |value| Quantity { value, unit: "second" };
    Measurement {
        time_wall_clock: quantity(sample.wall),
        time_cpu: quantity(sample.user + sample.system),
        time_user: quantity(sample.user),
        time_system: quantity(sample.system),
        exit_code: sample.exit_code,
    }
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
