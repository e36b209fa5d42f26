//! `buildscope import`.

use super::{Failure, Root, builds, write_message, write_out};
use clap::Args;
use miette::{IntoDiagnostic, WrapErr};
use std::path::PathBuf;

/// Convert the log or trace of another builder to a build record
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A log or trace: rawjson or plain progress of BuildKit, a .dockerbuild file, `buildx history inspect --format json`, a
    /// log of the classic builder or buildah, a benchmark file of kaniko, or OTLP JSON
    file: PathBuf,
    /// Write the record to this file [default: standard output]
    #[arg(short, long, value_name = "RECORD")]
    output: Option<PathBuf>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  docker buildx build --progress rawjson . 2> build.rawjson; buildscope import build.rawjson -o build.json
  docker buildx history export -o build.dockerbuild && buildscope import build.dockerbuild -o build.json";

/// Runs the conversion.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = builds::read(&arguments.file, &arguments.root)?;
    let mut text = Vec::new();
    record.write(&mut text).map_err(Failure::internal)?;
    match &arguments.output {
        Some(path) => {
            std::fs::write(path, text)
                .into_diagnostic()
                .wrap_err_with(|| path.display().to_string())
                .map_err(Failure::Usage)?;
        }
        None => write_out(&String::from_utf8_lossy(&text)),
    }
    for lack in buildscope_reports::explain(&record).missing {
        write_message(&format!("not in this format: {lack}"));
    }
    Ok(())
}
