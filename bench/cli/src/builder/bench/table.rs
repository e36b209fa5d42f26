//! A run as a table on standard output: each case against the first of its workload and cache state.

use buildscope_bench::report::{against_first, doubts, seconds};
use buildscope_bench::run::{CaseSamples, Run};
use buildscope_bench::stats::{Comparison, Summary};
use buildscope_reports::render::table::{Align, Cell, Table};
use std::collections::BTreeSet;

/// Renders the table, followed by doubts about the numbers.
pub(super) fn table(run: &Run) -> String {
    let mut rows = vec![
        ["", "n", "median", "95 % interval", "min", "max", "ratio", "95 % interval", "", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for group in against_first(run) {
        rows.extend(group.iter().map(|(case, comparison)| row(case, comparison.as_ref())));
    }
    aligned(rows) + &versions(run) + &doubts(run).iter().map(|note| format!("note: {note}\n")).collect::<String>()
}

/// The versions of the other builders; empty if there are none.
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
        return vec![name, "0".into(), "no build produced the right result".into()];
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

/// Aligns the first and the last column to the left, and the others, which hold numbers, to the right.
pub(super) fn aligned(rows: Vec<Vec<String>>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let align = |column| if column == 0 || column + 1 == count { Align::Left } else { Align::Right };
    let mut table = Table::new((0..count).map(align).collect::<Vec<_>>()).flush();
    for row in rows {
        table.row(row.into_iter().map(Cell::from));
    }
    table.plain(usize::MAX)
}
