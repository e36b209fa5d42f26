//! `buildscope fleet`.

mod sources;
mod sum;

use super::builds::KeptBuilds;
use super::format::ReportFormat;
use super::output::write_result;
use super::{Failure, Root, output, shown};
use buildscope_reports::fleet;
use clap::Args;
use miette::miette;
use std::path::PathBuf;

/// Add up many builds: the steps, commands, files and base images that cost most, and the changes that would save most
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Records, logs of other builders (`-` is standard input), or directories with such files [default: the kept builds]
    builds: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Write to this file [default: `-`, standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope fleet                              the kept builds of this store
  buildscope fleet ci-logs/ --format markdown
  buildscope fleet records/*.json --format html -o fleet.html";

/// Adds up the builds.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let builds = if arguments.builds.is_empty() {
        sources::kept(&KeptBuilds::of(&arguments.root.resolve()?))?
    } else {
        sources::of_files(&arguments.builds)?
    };
    let report = sum::sum(&builds).report();
    if report.builds == 0 {
        return Err(Failure::usage(miette!("no build was found")));
    }
    let text = match arguments.format {
        ReportFormat::Text => {
            shown(&fleet::text(&report, output::style_of_result(arguments.output.as_deref()))).into_owned()
        }
        ReportFormat::Json => serde_json::to_string_pretty(&report).map_err(Failure::internal)? + "\n",
        ReportFormat::Html => fleet::html(&report),
        ReportFormat::Markdown => shown(&fleet::markdown(&report)).into_owned(),
    };
    write_result(arguments.output.as_deref(), &text)
}
