//! The commands that need the builder, and so Linux and the feature `build`: nothing outside this folder uses them.

mod base;
mod bench;
mod build;
mod observe;
mod profile;
mod progress;
mod store;

use crate::Failure;
use std::time::Instant;

/// What they are, as `buildscope --help` lists them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Build(Box<build::Arguments>),
    Bench(Box<bench::Arguments>),
    Base(base::Arguments),
    Store(store::Arguments),
}

/// Becomes the zygote, and does not return, if this process was started as one.
pub(super) fn serve_if_zygote() {
    buildscope_sandbox::serve_if_helper();
}

/// Runs one; `started` is when the process was.
pub(super) fn run(command: Command, started: Instant) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => build::run(*arguments, started),
        Command::Bench(arguments) => bench::run(*arguments),
        Command::Base(arguments) => base::run(arguments),
        Command::Store(arguments) => store::run(arguments),
    }
}
