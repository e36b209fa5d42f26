//! `buildscope compare`.

use super::format::TableFormat;
use super::{Failure, Root, builds, output, shown, write_message, write_out};
use buildscope_bench::gate;
use buildscope_bench::history::History;
use buildscope_bench::run::Run;
use buildscope_bench::stats::{mann_whitney, threshold};
use buildscope_record::{Nanos, Record};
use buildscope_reports::compare::{Pair, missed, side_by_side, slower};
use buildscope_reports::misses::Miss;
use buildscope_reports::render;
use clap::Args;
use miette::{IntoDiagnostic, miette};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Compare two runs of `bench`, or two build records
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The baseline: the folder of a run, or a build (a record, `last`, `^1`, an id)
    base: PathBuf,
    /// What to compare with the baseline: the folder of a run, or a build
    head: PathBuf,
    /// Output format; JSON is for builds only
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["markdown", "json"])]
    format: TableFormat,
    /// Short for --format markdown
    #[arg(long)]
    markdown: bool,
    /// Short for --format json
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope compare ^1 last                    what changed since the build before
  buildscope compare serial.json parallel.json  two records: why one is slower, in a sentence
  buildscope compare serial.json instructions.json --json
  buildscope compare runs/20261101T030000Z runs/20261102T030000Z --markdown

Two runs: the exit code is 1 if a case is slower (significantly, and by more than its noise)
or if an exact quantity changed.
Two records are one build each: the comparison explains the difference and judges nothing.";

/// The comparison of two records, as JSON. Fields may be added under one version.
#[derive(Debug, Serialize)]
struct Compared {
    /// The version of the format.
    comparison: u32,
    answer: String,
    /// Nanoseconds of the first and the second record.
    walls: [Nanos; 2],
    /// Why steps of the second build were not in the cache, the most expensive first.
    misses: Vec<Miss>,
    /// Sorted by their effect on the critical path, largest first.
    steps: Vec<Pair>,
}

/// The number of misses that text and Markdown show.
const MISSES: usize = 3;

impl Arguments {
    fn format(&self) -> TableFormat {
        match (self.markdown, self.json) {
            (true, _) => TableFormat::Markdown,
            (_, true) => TableFormat::Json,
            _ => self.format,
        }
    }
}

/// Runs the comparison.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match (is_run(&arguments.base), is_run(&arguments.head)) {
        (true, true) if arguments.format() == TableFormat::Json => {
            Err(Failure::usage(miette!("--json compares only build records; the numbers of a run are in its run.json")))
        }
        (true, true) => runs(&arguments),
        (false, false) => {
            let records =
                [builds::read(&arguments.base, &arguments.root)?, builds::read(&arguments.head, &arguments.root)?];
            write_out(&builds_compared(&records, arguments.format())?);
            Ok(())
        }
        _ => Err(Failure::usage(miette!("cannot compare a run with a build record: give two runs or two records"))),
    }
}

/// The comparison of two builds.
fn builds_compared(records: &[Record; 2], format: TableFormat) -> Result<String, Failure> {
    let [base, head] = records;
    let (answer, steps) = (slower(records).unwrap_or_default(), side_by_side(base, head));
    let names = ["base", "head"];
    let misses = missed(base, head);
    let answer_and_misses = |mark: &str| {
        let lines = misses.iter().take(MISSES).map(|miss| format!("{mark}not cached: {}\n", miss.sentence));
        let more = misses.len().saturating_sub(MISSES);
        let more = (more > 0).then(|| format!("{mark}and {more} more steps that were not cached\n"));
        format!("{answer}\n\n{}", lines.chain(more).collect::<String>()) + if misses.is_empty() { "" } else { "\n" }
    };
    Ok(match format {
        TableFormat::Text => {
            let table = render::text::side_by_side(names, &steps, output::style_of_result(None));
            shown(&(output::folded(&answer_and_misses("")).into_owned() + &table)).into_owned()
        }
        TableFormat::Markdown => {
            let table = render::markdown::side_by_side(names, &steps, render::Style::default().steps);
            shown(&format!("### {} -> {}\n\n{}{table}", base.wall, head.wall, answer_and_misses("- "))).into_owned()
        }
        TableFormat::Json => {
            let compared = Compared { comparison: 1, answer, walls: [base.wall, head.wall], misses, steps };
            serde_json::to_string_pretty(&compared).map_err(Failure::internal)? + "\n"
        }
    })
}

fn runs(arguments: &Arguments) -> Result<(), Failure> {
    let read = |path| Run::read(path).into_diagnostic().map_err(Failure::Usage);
    let (base, head) = (read(&arguments.base)?, read(&arguments.head)?);
    if !base.environment.comparable(&head.environment) {
        write_message(
            "warning: the runs are from different machines (processor, kernel or file system): their times do not show the effect of the code.",
        );
    }
    let machine = mann_whitney(&base.canary, &head.canary);
    if machine.p < 0.01 {
        write_message(&format!(
            "warning: the canary, the same work in both runs, took a different time (p = {:.4}): the machine itself changed.",
            machine.p
        ));
    }
    let history = History::open(&arguments.root.resolve()?).map_err(Failure::internal)?;
    let noise = |case: &_| threshold(&history.medians(case).unwrap_or_default());
    let pairs = gate::between((&base, folder(&arguments.base)), (&head, folder(&arguments.head)));
    if pairs.is_empty() {
        return Err(Failure::usage(miette!("the runs have no case in common")));
    }
    let judgements = gate::judge(&pairs, noise);
    write_out(&if arguments.format() == TableFormat::Markdown {
        gate::markdown(&judgements)
    } else {
        gate::text(&judgements)
    });
    if judgements.iter().any(gate::Judgement::flagged) { Err(Failure::Reported) } else { Ok(()) }
}

/// A folder is a run; a file is a run only if it is `run.json`.
fn is_run(path: &Path) -> bool {
    path.is_dir() || path.file_name().is_some_and(|name| name == "run.json")
}

fn folder(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) }
}
