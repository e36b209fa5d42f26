//! The distribution of build time: one line per case, from the record of its median build. Works for every builder.

use super::table::aligned;
use buildscope_bench::report::seconds;
use buildscope_bench::run::{CaseSamples, Run};
use buildscope_record::Record;
use buildscope_reports::{Explanation, explain};
use std::fs::File;
use std::path::Path;

/// Renders the table; empty if no build left a record.
pub(super) fn shares(run: &Run, folder: &Path) -> String {
    let explained: Vec<_> =
        run.cases.iter().filter_map(|case| Some((case.case.to_string(), explain(&median(case, folder)?)))).collect();
    let Some((_, first)) = explained.first() else { return String::new() };
    let groups = first.accounts.groups.iter().map(|group| group.name.to_string());
    let head = ["".to_owned(), "wall".to_owned()].into_iter().chain(groups).chain(["longest on the path".to_owned()]);
    let mut rows = vec![head.collect()];
    rows.extend(explained.iter().map(|(name, explanation)| row(name, explanation)));
    format!("\nWhere the time of the median build went\n{}", aligned(rows))
}

fn row(name: &str, explanation: &Explanation) -> Vec<String> {
    let wall = explanation.wall.as_secs_f64();
    let share = |part: f64| if wall > 0.0 { format!("{:.1} %", 100.0 * part / wall) } else { "-".into() };
    let groups = explanation.accounts.groups.iter().map(|group| share(group.wall.as_secs_f64()));
    let longest = explanation.steps.iter().max_by_key(|step| step.wall).map_or_else(String::new, |step| {
        let text: String = step.text.chars().take(40).collect();
        format!("{} {text}", seconds(step.wall.as_secs_f64()))
    });
    [name.to_owned(), seconds(wall)].into_iter().chain(groups).chain([longest]).collect()
}

/// The record of the median sample; of two in the middle, the faster one.
fn median(case: &CaseSamples, folder: &Path) -> Option<Record> {
    let mut samples: Vec<_> = case.good().filter(|sample| sample.record.is_some()).collect();
    samples.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let sample = samples.get(samples.len().checked_sub(1)? / 2)?;
    Record::read(File::open(folder.join(sample.record.as_ref()?)).ok()?).ok()
}
