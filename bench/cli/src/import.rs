//! `buildscope import`.

use super::{Failure, Root, builds, write_message};
use clap::Args;
use std::path::PathBuf;

/// Convert the log or trace of another builder to a build record
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A log or trace: rawjson, plain or terminal progress of BuildKit, a .dockerbuild file, `buildx history inspect --format
    /// json`, a log of the classic builder, buildah or kaniko, a benchmark file of kaniko, or OTLP JSON; `-` for standard input
    file: PathBuf,
    /// Convert this build of a file with several, counted from 1 [default: the slowest]
    #[arg(long = "build", value_name = "N")]
    number: Option<usize>,
    /// Write the record to this file [default: `-`, standard output]
    #[arg(short, long, value_name = "RECORD")]
    output: Option<PathBuf>,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  docker buildx build --progress rawjson . 2> b.rawjson; buildscope import b.rawjson -o b.json
  docker buildx history export -o b.dockerbuild && buildscope import b.dockerbuild -o b.json";

/// Runs the conversion.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = builds::find(&arguments.file, arguments.number, &arguments.root)?.record;
    builds::write_record(arguments.output.as_deref(), &record)?;
    for note in &record.notes {
        write_message(note);
    }
    for lack in buildscope_reports::explain(&record).missing {
        write_message(&format!("not in this format: {lack}"));
    }
    Ok(())
}
