//! The format `customSmallerIsBetter` of github-action-benchmark: a list of name, unit, value, range, extra.

use crate::run::Run;
use crate::stats::Summary;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct BenchmarkEntry {
    name: String,
    unit: &'static str,
    value: f64,
    range: String,
    extra: String,
}

/// Exports medians. The range is half of the difference between the smallest and the largest time.
pub fn export(run: &Run) -> String {
    let entries = run.cases.iter().filter_map(|case| {
        let summary = Summary::of(&case.times())?;
        let range = (summary.max - summary.min) / 2.0;
        let extra = format!("n={}, {}", summary.count, case.command);
        Some(BenchmarkEntry {
            name: case.case.to_string(),
            unit: "s",
            value: summary.median,
            range: format!("± {range:.3}"),
            extra,
        })
    });
    // Strings and finite numbers always serialise.
    serde_json::to_string_pretty(&entries.collect::<Vec<_>>()).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn as_the_action_reads_it() {
        insta::assert_snapshot!(export(&run()));
    }
}
