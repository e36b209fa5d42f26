//! `--export-*`: a run in the formats of other tools.

use crate::output::write_file;
use crate::{Failure, destination};
use buildscope_bench::export;
use buildscope_bench::run::Run;
use buildscope_record::redacted;
use clap::Args;
use std::path::PathBuf;

/// The export files. They are rewritten after every round, and every ten seconds within longer rounds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Exports (rewritten after every round, and every ten seconds)")]
pub(super) struct Exports {
    /// JSON in the format of hyperfine 1
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// JSON in the format of hyperfine 2
    #[arg(long, value_name = "FILE")]
    export_json_v2: Option<PathBuf>,
    /// CSV with one row for each build
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,
    /// A Markdown table
    #[arg(long, value_name = "FILE")]
    export_markdown: Option<PathBuf>,
    /// JSON in the Bencher Metric Format
    #[arg(long, value_name = "FILE")]
    export_bencher: Option<PathBuf>,
    /// JSON for github-action-benchmark (customSmallerIsBetter)
    #[arg(long, value_name = "FILE")]
    export_github_action: Option<PathBuf>,
    /// CSV for Apache Otava
    #[arg(long, value_name = "FILE")]
    export_otava: Option<PathBuf>,
}

/// The text of a run in one format.
type Format = fn(&Run) -> String;

impl Exports {
    /// The requested files with their flags and formats.
    fn requested(&self) -> impl Iterator<Item = (&'static str, &PathBuf, Format)> {
        let formats: [(&str, &Option<PathBuf>, Format); 7] = [
            ("--export-json", &self.export_json, export::hyperfine_v1::export),
            ("--export-json-v2", &self.export_json_v2, export::hyperfine_v2::export),
            ("--export-csv", &self.export_csv, export::csv::export),
            ("--export-markdown", &self.export_markdown, export::markdown::export),
            ("--export-bencher", &self.export_bencher, export::bencher::export),
            ("--export-github-action", &self.export_github_action, export::github_action::export),
            ("--export-otava", &self.export_otava, export::otava::export),
        ];
        formats.into_iter().filter_map(|(flag, path, format)| Some((flag, path.as_ref()?, format)))
    }

    /// Fails if a requested file cannot be written.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.requested().try_for_each(|(flag, path, _)| destination::check_file(flag, path))
    }

    /// Writes the requested files.
    pub(super) fn write(&self, run: &Run) -> Result<(), Failure> {
        for (_, path, format) in self.requested() {
            write_file(path, redacted(&format(run)).as_bytes())?;
        }
        Ok(())
    }
}
