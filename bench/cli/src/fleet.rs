//! `buildscope fleet`.

use super::builds::KeptBuilds;
use super::format::ReportFormat;
use super::output::write_result;
use super::{Failure, Root, terminal, write_message};
use buildscope_record::Record;
use buildscope_reports::fleet::{self, Fleet};
use buildscope_reports::import;
use clap::Args;
use miette::miette;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Add up many builds: the steps, commands, files and base images that cost most, and the changes that would save most
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Records, logs of other builders, or directories with such files [default: the kept builds]
    builds: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Write to this file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope fleet                                        the kept builds of this store
  buildscope fleet ci-logs/ --format markdown
  buildscope fleet records/*.json --format html -o fleet.html";

/// Adds up the builds.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut fleet = Fleet::default();
    if arguments.builds.is_empty() {
        add_kept(&mut fleet, &KeptBuilds::of(&arguments.root.resolve()?))?;
    } else {
        add_files(&mut fleet, &arguments.builds)?;
    }
    let report = fleet.report();
    if report.builds == 0 {
        return Err(Failure::usage(miette!("no build was found")));
    }
    let text = match arguments.format {
        ReportFormat::Text => fleet::text(&report, terminal::style_of_result(arguments.output.as_deref())),
        ReportFormat::Json => serde_json::to_string_pretty(&report).map_err(Failure::internal)? + "\n",
        ReportFormat::Html => fleet::html(&report),
        ReportFormat::Markdown => fleet::markdown(&report),
    };
    write_result(arguments.output.as_deref(), &text)
}

/// The kept builds, the oldest first.
fn add_kept(fleet: &mut Fleet, builds: &KeptBuilds) -> Result<(), Failure> {
    for kept in builds.list().map_err(Failure::internal)?.into_iter().rev() {
        // A damaged record counts nothing.
        let Ok(record) = builds.read(&kept.id) else { continue };
        let name = kept.subject.dockerfile.unwrap_or_else(|| kept.tool.to_string());
        fleet.add(&name, record);
    }
    Ok(())
}

/// Every readable file, by its start. A file that cannot be read is named and left out.
fn add_files(fleet: &mut Fleet, paths: &[PathBuf]) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files).map_err(|error| Failure::usage(miette!("{}: {error}", path.display())))?;
    }
    // Records are read twice, so that not all are in memory: first for their starts, then to be added in this order.
    let mut ordered: Vec<(Option<String>, PathBuf, usize)> = Vec::new();
    let mut reported = Instant::now();
    for (number, path) in files.iter().enumerate() {
        if reported.elapsed() >= Duration::from_secs(1) {
            write_message(&format!("read {number} of {} files", files.len()));
            reported = Instant::now();
        }
        match read(path) {
            Ok(records) => {
                let one = |(number, record): (usize, Record)| (record.started, path.clone(), number);
                ordered.extend(records.into_iter().enumerate().map(one));
            }
            Err(error) => write_message(&format!("warning: {}: {error}: left out", path.display())),
        }
    }
    ordered.sort();
    for (_, path, number) in ordered {
        let records = read(&path).unwrap_or_default();
        if let Some(record) = records.into_iter().nth(number) {
            fleet.add(&name(&record, &path), record);
        }
    }
    Ok(())
}

/// The builds of a file.
fn read(path: &Path) -> Result<Vec<Record>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Ok(import::builds(&bytes).map_err(|error| error.to_string())?.records().to_vec())
}

/// The Dockerfile of a record; else the directory of the file, because a log does not name its Dockerfile.
fn name(record: &Record, path: &Path) -> String {
    let target = record.options.target.as_ref().map(|target| format!(" ({target})")).unwrap_or_default();
    let directory = || path.parent().unwrap_or(Path::new(".")).display().to_string();
    record.options.dockerfile.clone().unwrap_or_else(directory) + &target
}

/// The files of a directory and those below it. Links to directories are not followed.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
