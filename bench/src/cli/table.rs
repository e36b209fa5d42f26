//! A run as a table on standard output: each case against the first of its workload and cache state.

use crate::run::{CaseSamples, Run};
use crate::stats::{ALPHA, Comparison, Summary, compare, trend};
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthStr;

/// The table, with what is doubtful about it below.
pub(super) fn table(run: &Run) -> String {
    let mut rows = vec![
        ["", "n", "median", "95 % interval", "min", "max", "ratio", "95 % interval", "", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    let groups: Vec<_> =
        run.cases.chunk_by(|a, b| (&a.case.workload, a.case.scenario) == (&b.case.workload, b.case.scenario)).collect();
    // All comparisons of the table are one family.
    let pairs: Vec<_> =
        groups.iter().flat_map(|group| group[1..].iter().map(|case| group[0].paired_with(case))).collect();
    let mut comparisons = compare(&pairs).into_iter();
    let mut notes = Vec::new();
    for group in groups {
        for (place, case) in group.iter().enumerate() {
            let comparison = if place > 0 { comparisons.next().flatten() } else { None };
            rows.push(row(case, comparison.as_ref()));
            notes.extend(doubts(case));
        }
    }
    notes.extend(machine(run));
    aligned(&rows) + &versions(run) + &notes.iter().map(|note| format!("note: {note}\n")).collect::<String>()
}

/// Which versions of other builders were measured; empty where none says one.
fn versions(run: &Run) -> String {
    let subjects = run.cases.iter().map(|case| &case.case.subject);
    let versions: BTreeSet<_> =
        subjects.filter_map(|subject| Some(format!("{} {}", subject.builder, subject.version.as_ref()?))).collect();
    if versions.is_empty() {
        return String::new();
    }
    format!("builders: {}\n", versions.into_iter().collect::<Vec<_>>().join(", "))
}

fn row(case: &CaseSamples, comparison: Option<&Comparison>) -> Vec<String> {
    let name = case.case.to_string();
    let Some(summary) = Summary::of(&case.times()) else {
        return vec![name, "0".into(), "no build gave the right result".into()];
    };
    let interval =
        summary.interval.map_or_else(|| "-".into(), |(low, high)| format!("{} .. {}", seconds(low), seconds(high)));
    let mut row = vec![
        name,
        summary.count.to_string(),
        seconds(summary.median),
        interval,
        seconds(summary.min),
        seconds(summary.max),
    ];
    if let Some(Comparison { ratio, adjusted, verdict, .. }) = comparison {
        row.push(format!("{:.3}x", ratio.point));
        row.push(format!("{:.3} .. {:.3}", ratio.low, ratio.high));
        row.push(format!("p={adjusted:.2}"));
        row.push(verdict.to_string());
    }
    row
}

/// What is doubtful about the machine as a whole.
fn machine(run: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(times) = run.throttled.filter(|&times| times > 0) {
        notes.push(format!("the processor was slowed down for its heat {times} times: cool it, or cap its frequency."));
    }
    if let Some(trend) = trend(&run.canary).filter(|trend| trend.p < ALPHA / 5.0) {
        let direction = if trend.tau > 0.0 { "slower" } else { "faster" };
        notes.push(format!(
            "the canary, the same work each round, got {direction} over the run (Kendall's tau {:.2}): the machine throttles, or a \
             neighbour came or went.",
            trend.tau
        ));
    }
    notes
}

/// What a reader should not overlook.
fn doubts(case: &CaseSamples) -> Vec<String> {
    let times = case.times();
    let Some(summary) = Summary::of(&times) else { return Vec::new() };
    let name = &case.case;
    let mut notes = Vec::new();
    if summary.slow_first {
        notes.push(format!(
            "{name}: the first build was by far the slowest ({}): something was cold.",
            seconds(times[0])
        ));
    } else if !summary.outliers.is_empty() {
        let outliers: Vec<_> = summary.outliers.iter().map(|&index| seconds(times[index])).collect();
        notes.push(format!("{name}: outliers, kept: {}.", outliers.join(", ")));
    }
    if let Some(trend) = trend(&times).filter(|trend| trend.p < ALPHA / 5.0) {
        let direction = if trend.tau > 0.0 { "slower" } else { "faster" };
        notes.push(format!(
            "{name}: builds got {direction} over the run (Kendall's tau {:.2}): heat, a filling disk or a neighbour.",
            trend.tau
        ));
    }
    notes
}

/// Four significant digits in the unit that fits.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

/// Names to the left, numbers to the right.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let gap = " ".repeat(width - cell.width());
            if column == 0 || column + 1 == columns { format!("{cell}{gap}") } else { format!("{gap}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn a_machine_that_throttles_is_told() {
        let mut run = run();
        run.canary = vec![0.010, 0.0101, 0.0099, 0.0102, 0.01, 0.0098, 0.0101, 0.01];
        run.throttled = Some(0);
        assert_eq!(machine(&run), Vec::<String>::new());
        // Eight values that only rise: Kendall's tau is 1.
        run.canary = (0..8).map(|round| 0.01 + 0.001 * f64::from(round)).collect();
        run.throttled = Some(3);
        let notes = machine(&run);
        assert!(
            notes[0].contains("3 times") && notes[1].contains("got slower") && notes[1].contains("1.00"),
            "{notes:?}"
        );
    }
}
