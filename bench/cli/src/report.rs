//! `buildscope report`.

use super::output::{is_stdout, write_file};
use super::{Failure, Root};
use buildscope_bench::history::History;
use buildscope_bench::report::{MedianBuild, Trend, page};
use buildscope_bench::run::{Case, CaseSamples, Run, Sample};
use buildscope_bench::stats::change_points;
use buildscope_record::Group;
use buildscope_reports::{Explanation, explain, render};
use clap::Args;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs;
use std::path::{Path, PathBuf};

/// Write a run of `bench` as an HTML page, with a page for the median build of each case
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  buildscope report runs/20261125T030000Z -o report.html")]
pub(crate) struct Arguments {
    /// The folder of the run
    run: PathBuf,
    /// Write the page to this file, and the pages of builds to a folder next to it
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    root: Root,
}

/// Writes the page.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if is_stdout(&arguments.output) {
        let what = "--output -: the page cannot be written to standard output, because other pages are next to it";
        return Err(Failure::usage(miette!(help = "give a file", "{what}")));
    }
    let run = Run::read(&arguments.run).into_diagnostic().map_err(Failure::Usage)?;
    let folder =
        if arguments.run.is_dir() { arguments.run.as_path() } else { arguments.run.parent().unwrap_or(Path::new(".")) };
    let beside = arguments.output.with_extension("builds");
    fs::create_dir_all(&beside)
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot create {}", beside.display()))
        .map_err(Failure::Usage)?;
    let mut explained: Vec<(Case, MedianBuild)> = Vec::new();
    for case in &run.cases {
        let Some(record) = median_build(case).and_then(|sample| sample.record.as_ref()) else { continue };
        let record = super::builds::read(&folder.join(record), &arguments.root)?;
        let explanation = explain(&record);
        let [page, timeline] = ["html", "trace.json"].map(|kind| format!("{}.{kind}", case.case.slug()));
        write_file(&beside.join(&page), render::html(&record, &explanation))?;
        super::explain::write_timeline(&beside.join(&timeline), &record, &explanation)?;
        let [page, timeline] =
            [page, timeline].map(|name| Path::new(beside.file_name().unwrap_or_default()).join(name));
        explained.push((case.case.clone(), MedianBuild { page, timeline, storage: storage(&explanation) }));
    }
    let built =
        |case: &CaseSamples| explained.iter().find(|(explained, _)| *explained == case.case).map(|found| &found.1);
    write_file(&arguments.output, page(&run, &trends(&run, &arguments.root)?, built))
}

/// The share of storage in the wall time, from 0 to 1.
fn storage(explanation: &Explanation) -> f64 {
    let row = explanation.accounts.groups.iter().find(|row| row.name == Group::Storage);
    row.map_or(0.0, |row| row.wall.0 as f64 / explanation.wall.0.max(1) as f64)
}

/// The median good sample by wall time.
fn median_build(case: &CaseSamples) -> Option<&Sample> {
    let mut samples: Vec<_> = case.good().collect();
    samples.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    samples.get(samples.len() / 2).copied()
}

/// The trends of the run's cases that were measured at least three times before.
fn trends(run: &Run, root: &Root) -> Result<Vec<Trend>, Failure> {
    let history = History::open(&root.resolve()?).map_err(Failure::internal)?;
    let mut trends = Vec::new();
    for case in &run.cases {
        let medians = history.medians(&case.case).map_err(Failure::internal)?;
        if medians.len() >= 3 {
            trends.push(Trend { name: case.case.to_string(), changes: change_points(&medians), medians });
        }
    }
    Ok(trends)
}
