//! `buildscope history`.

use super::{Failure, Root, write_text};
use buildscope_bench::history::History;
use buildscope_bench::stats::{change_points, threshold};
use clap::{Args, Subcommand};
use miette::miette;
use std::fmt::Write as _;

/// Show measured runs over time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    question: Question,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope history list
  buildscope history show 12
  buildscope history trend 'files cold buildscope instructions'";

#[derive(Debug, Subcommand)]
enum Question {
    /// List the latest runs, newest first
    #[command(after_help = "Example:\n  buildscope history list --last 10")]
    List {
        /// Number of runs to list
        #[arg(long, default_value_t = 30)]
        last: u32,
    },
    /// Show the medians of one run
    #[command(after_help = "Example:\n  buildscope history show 12")]
    Show {
        /// The number of the run, as `list` shows it
        run: i64,
    },
    /// Show a case over time, with its change points; without a case, all change points
    #[command(after_help = "Example:\n  buildscope history trend 'files cold buildscope instructions'")]
    Trend {
        /// The name of the case, as tables show it
        case: Option<String>,
    },
}

/// Prints the answer.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let history = History::open(&arguments.root.resolve()?).map_err(Failure::internal)?;
    // Writing to a String cannot fail.
    let mut text = String::new();
    match arguments.question {
        Question::List { last } => {
            for run in history.runs(last).map_err(Failure::internal)? {
                let _ = writeln!(text, "{:>5}  {}  {:>4} cases  {}", run.id, run.started, run.cases, run.label);
            }
        }
        Question::Show { run } => {
            let results = history.results(run).map_err(Failure::internal)?;
            if results.is_empty() {
                return Err(Failure::usage(miette!("unknown run {run}: see `buildscope history list`")));
            }
            for (case, median, count) in results {
                let _ = writeln!(text, "{median:>10.3} s  n={count:<3}  {case}");
            }
        }
        Question::Trend { case: Some(case) } => {
            let series = history.series(&case).map_err(Failure::internal)?;
            if series.is_empty() {
                return Err(Failure::usage(miette!(
                    "unknown case `{case}`; the history has:\n{}",
                    history.cases().map_err(Failure::internal)?.join("\n")
                )));
            }
            let medians: Vec<_> = series.iter().map(|point| point.median).collect();
            let changes = change_points(&medians);
            for (index, point) in series.iter().enumerate() {
                if let Some(change) = changes.iter().find(|change| change.at == index) {
                    let percent = (change.after / change.before - 1.0) * 100.0;
                    let _ = writeln!(text, "       --- changes by {percent:+.1} % (p = {:.3}) ---", change.p);
                }
                let _ = writeln!(
                    text,
                    "{:>5}  {}  {:>10.3} s  n={:<3}  {}",
                    point.run, point.started, point.median, point.count, point.label
                );
            }
            let _ = writeln!(text, "noise: a change below {:.0} % is not flagged", threshold(&medians) * 100.0);
        }
        Question::Trend { case: None } => {
            for case in history.cases().map_err(Failure::internal)? {
                let series = history.series(&case).map_err(Failure::internal)?;
                let medians: Vec<_> = series.iter().map(|point| point.median).collect();
                for change in change_points(&medians) {
                    let (point, percent) = (&series[change.at], (change.after / change.before - 1.0) * 100.0);
                    let _ = writeln!(
                        text,
                        "{}  {percent:+.1} %  {case}  (run {}, {})",
                        point.started, point.run, point.label
                    );
                }
            }
        }
    }
    write_text(&text);
    Ok(())
}
