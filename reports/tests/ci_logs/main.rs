//! What a log of a CI job is made of: several builds, targets, platforms, steps without an end, failures, and foreign lines.

mod advice;
mod ends;
mod failures;
mod lines;
mod several;
mod stages;
mod times;

use buildscope_record::{Record, Step};
use buildscope_reports::import::{Builds, builds, import};
use buildscope_reports::{Explanation, explain};

pub(crate) fn read(text: &str) -> (Record, Explanation) {
    let record = import(text.as_bytes()).unwrap();
    let explanation = explain(&record);
    (record, explanation)
}

pub(crate) fn all(text: &str) -> Builds {
    builds(text.as_bytes()).unwrap()
}

pub(crate) fn step<'r>(record: &'r Record, text: &str) -> &'r Step {
    record.steps.iter().find(|step| step.text.contains(text)).unwrap_or_else(|| panic!("no {text} in {record:#?}"))
}

/// Start and end in milliseconds.
pub(crate) fn times(record: &Record, text: &str) -> (u64, u64) {
    let step = step(record, text);
    (step.start.unwrap().0 / 1_000_000, step.end.unwrap().0 / 1_000_000)
}

pub(crate) fn texts(record: &Record) -> Vec<&str> {
    record.steps.iter().map(|step| step.text.as_str()).collect()
}

/// Wall times in milliseconds.
pub(crate) fn walls(builds: &Builds) -> Vec<u64> {
    builds.records().iter().map(|record| record.wall.0 / 1_000_000).collect()
}
