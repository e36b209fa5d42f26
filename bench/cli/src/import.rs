//! `buildscope import`.

use super::{Failure, explain, say};
use clap::Args;
use miette::{IntoDiagnostic, WrapErr};
use std::path::PathBuf;

/// Turn another builder's log or trace into a build record
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A log or trace: BuildKit's rawjson or plain progress, a .dockerbuild, `buildx history inspect --format json`, the
    /// classic builder's or buildah's log, kaniko's benchmark file, OTLP JSON
    file: PathBuf,
    /// Where the record is written [default: standard output]
    #[arg(short, long, value_name = "RECORD")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  docker buildx build --progress rawjson . 2> build.rawjson; buildscope import build.rawjson -o build.json
  docker buildx history export -o build.dockerbuild && buildscope import build.dockerbuild -o build.json";

/// Imports.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = explain::read(&arguments.file)?;
    let mut text = Vec::new();
    record.write(&mut text).map_err(Failure::internal)?;
    match &arguments.output {
        Some(path) => {
            std::fs::write(path, text)
                .into_diagnostic()
                .wrap_err_with(|| path.display().to_string())
                .map_err(Failure::Usage)?;
        }
        None => say(&String::from_utf8_lossy(&text)),
    }
    for lack in buildscope_reports::explain(&record).missing {
        eprintln!("not in this format: {lack}");
    }
    Ok(())
}
