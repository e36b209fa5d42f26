//! CSV for Apache Otava: one row per run, one column per case. Rows of many runs are appended under one header;
//! Otava's test configuration names the columns.

use super::csv::field;
use crate::run::Run;
use crate::stats::Summary;

/// Exports the header and the row of the run. Times are medians in seconds; a case without a good sample has an empty
/// field.
pub fn export(run: &Run) -> String {
    let names = run.cases.iter().map(|case| field(&case.case.to_string().replace(' ', ".")));
    let medians = run
        .cases
        .iter()
        .map(|case| Summary::of(&case.times()).map_or_else(String::new, |summary| summary.median.to_string()));
    let header: Vec<_> = ["time".to_owned(), "version".to_owned()].into_iter().chain(names).collect();
    let row: Vec<_> = [run.started.clone(), field(&run.environment.version)].into_iter().chain(medians).collect();
    format!("{}\n{}\n", header.join(","), row.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn as_otava_reads_it() {
        insta::assert_snapshot!(export(&run()));
    }
}
