//! Bencher Metric Format: benchmark → measure → value with bounds. `latency` is Bencher's built-in
//! measure, in nanoseconds.

use crate::run::Run;
use crate::stats::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// Exports medians, with their confidence intervals if there are enough samples.
pub fn export(run: &Run) -> String {
    let metric = |summary: Summary| Metric {
        value: summary.median * 1e9,
        lower_value: summary.interval.map(|interval| interval.0 * 1e9),
        upper_value: summary.interval.map(|interval| interval.1 * 1e9),
    };
    let benchmarks: BTreeMap<_, _> = run
        .cases
        .iter()
        .filter_map(|case| {
            Some((case.case.to_string(), BTreeMap::from([("latency", metric(Summary::of(&case.times())?))])))
        })
        .collect();
    // Maps with string keys and finite numbers always serialise.
    serde_json::to_string_pretty(&benchmarks).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn as_bencher_reads_it() {
        insta::assert_snapshot!(export(&run()));
    }
}
