//! A run as a table on standard output.

use crate::run::Run;

/// A row a case.
#[expect(clippy::print_stdout, reason = "the table is the command's result")]
pub(super) fn print(run: &Run) {
    let rows = run.cases.iter().map(|case| (case.case.to_string(), case.times()));
    let width = run.cases.iter().map(|case| case.case.to_string().len()).max().unwrap_or(0);
    for (name, mut times) in rows {
        times.sort_by(f64::total_cmp);
        let Some(median) = times.get(times.len() / 2) else { continue };
        println!("{name:width$}  {median:8.3} s  n={}", times.len());
    }
}
