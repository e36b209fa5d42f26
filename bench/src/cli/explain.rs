//! `buildscope explain`.

use super::Failure;
use buildscope_record::Record;
use buildscope_reports::{explain, explain_with, import, render};
use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Say where a build's time went, and what held its end back
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A build record, or another builder's log or trace: anything that `import` reads
    record: PathBuf,
    /// How it is said
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where it is written [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say why steps missed the cache: against these earlier records of the build, oldest first
    #[arg(long, value_name = "RECORD", num_args = 1..)]
    why_miss: Vec<PathBuf>,
    /// Also write the timeline (Chrome trace JSON, for Perfetto)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  buildscope build --record build.json . && buildscope explain build.json
  buildscope explain build.json --format json -o explanation.json
  buildscope explain build.json --format html -o build.html
  buildscope explain build.rawjson                        (of docker buildx build --progress rawjson)
  buildscope explain build.json --trace timeline.json     (open it in https://ui.perfetto.dev)";

/// How an explanation is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// A page for a browser, in one file
    Html,
}

/// Explains a record.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = read(&arguments.record)?;
    let earlier = arguments.why_miss.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let explanation = explain_with(&record, &earlier);
    if let Some(path) = &arguments.trace {
        write_timeline(path, &record)?;
    }
    let text = match arguments.format {
        Format::Text => render::text(&explanation, style(arguments.output.is_none())),
        Format::Json => render::json(&explanation).map_err(Failure::internal)?,
        Format::Html => render::html(&record, &explanation),
    };
    match &arguments.output {
        Some(path) => {
            fs::write(path, text).into_diagnostic().wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)
        }
        None => {
            super::say(&text);
            Ok(())
        }
    }
}

/// Reads a record, ours or made from another builder's file; what is neither is a fault of the question.
pub(super) fn read(path: &Path) -> Result<Record, Failure> {
    if path.is_dir() {
        return Err(Failure::usage(miette!(
            "{} is a directory: explaining a context needs a build of it; give its --record",
            path.display()
        )));
    }
    let bytes =
        fs::read(path).into_diagnostic().wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)?;
    let record = import::import(&bytes).into_diagnostic();
    record.wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)
}

/// Writes a record's timeline.
pub(super) fn write_timeline(path: &Path, record: &Record) -> Result<(), Failure> {
    let timeline = render::timeline(&[(record, &explain(record))]);
    let text = serde_json::to_vec(&timeline).map_err(Failure::internal)?;
    fs::write(path, text).into_diagnostic().wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)
}

/// As wide as the terminal, coloured where it has colours; plain and 100 wide elsewhere.
fn style(to_stdout: bool) -> render::Style {
    let default = render::Style::default();
    if !to_stdout || !std::io::stdout().is_terminal() {
        return default;
    }
    let width = terminal_size::terminal_size().map_or(default.width, |(width, _)| width.0.into());
    // https://no-color.org
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    render::Style { width, colours, ..default }
}
