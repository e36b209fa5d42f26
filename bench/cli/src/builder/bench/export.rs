//! `--export-*`: the formats that a run is written in.

use crate::Failure;
use buildscope_bench::export;
use buildscope_bench::run::Run;
use clap::Args;
use miette::miette;
use std::fs;
use std::path::PathBuf;

/// Where a run goes besides its own folder; written anew after every round, and every ten seconds of longer ones.
#[derive(Debug, Args)]
#[command(next_help_heading = "Exports, written anew after every round and every ten seconds")]
pub(super) struct Exports {
    /// hyperfine 1's JSON
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// hyperfine 2's JSON
    #[arg(long, value_name = "FILE")]
    export_json_v2: Option<PathBuf>,
    /// A row a build
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,
    /// A table
    #[arg(long, value_name = "FILE")]
    export_markdown: Option<PathBuf>,
    /// Bencher Metric Format
    #[arg(long, value_name = "FILE")]
    export_bencher: Option<PathBuf>,
    /// github-action-benchmark's customSmallerIsBetter
    #[arg(long, value_name = "FILE")]
    export_github_action: Option<PathBuf>,
    /// Apache Otava's CSV
    #[arg(long, value_name = "FILE")]
    export_otava: Option<PathBuf>,
}

/// A run as text.
type Format = fn(&Run) -> String;

impl Exports {
    /// Writes what was asked for.
    pub(super) fn write(&self, run: &Run) -> Result<(), Failure> {
        let formats: [(&Option<PathBuf>, Format); 7] = [
            (&self.export_json, export::hyperfine_v1::export),
            (&self.export_json_v2, export::hyperfine_v2::export),
            (&self.export_csv, export::csv::export),
            (&self.export_markdown, export::markdown::export),
            (&self.export_bencher, export::bencher::export),
            (&self.export_github_action, export::github_action::export),
            (&self.export_otava, export::otava::export),
        ];
        for (path, format) in formats {
            let Some(path) = path else { continue };
            fs::write(path, format(run)).map_err(|error| Failure::usage(miette!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}
