//! A Markdown table with hyperfine's columns, for a pull request or a page.

use crate::run::Run;
use crate::stats::Summary;
use std::fmt::Write as _;

/// Compares the cases of each workload and cache state with the first one. It shows medians because build times have
/// a long tail.
pub fn export(run: &Run) -> String {
    let mut text =
        "| Build | Median [s] | Min [s] | Max [s] | n | Relative |\n|:---|---:|---:|---:|---:|---:|\n".to_owned();
    for group in run.cases.chunk_by(|a, b| a.case.same_group(&b.case)) {
        let base = group.iter().find_map(|case| Summary::of(&case.times())).map(|summary| summary.median);
        for case in group {
            let Some(summary) = Summary::of(&case.times()) else { continue };
            let relative = base.map_or(1.0, |base| summary.median / base);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| `{}` | {:.3} | {:.3} | {:.3} | {} | {relative:.2} |",
                case.case, summary.median, summary.min, summary.max, summary.count
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn each_case_is_one_row() {
        insta::assert_snapshot!(export(&run()));
    }
}
