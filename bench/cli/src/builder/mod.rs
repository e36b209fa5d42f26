//! The commands that need the builder, and so Linux and the feature `build`. Code outside this folder does not use
//! them.

mod base;
mod bench;
mod build;
mod interrupt;
mod layer_names;
mod observe;
mod profile;
mod progress;
mod store;
mod watch;

use crate::Failure;
use std::sync::OnceLock;
use std::time::Instant;

/// These commands, as `buildscope --help` lists them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Build(Box<build::Arguments>),
    Bench(Box<bench::Arguments>),
    Base(base::Arguments),
    Store(store::Arguments),
    Observe(watch::Arguments),
}

/// The start of this process. The time of a build starts here, before the arguments are parsed.
static STARTED: OnceLock<Instant> = OnceLock::new();

/// Must be called first in a process. Does not return if the process is the zygote of a build.
pub(super) fn start() {
    buildscope_sandbox::serve_if_zygote();
    STARTED.get_or_init(Instant::now);
}

/// Runs a command.
pub(super) fn run(command: Command) -> Result<(), Failure> {
    let started = *STARTED.get_or_init(Instant::now);
    match command {
        Command::Build(arguments) => build::run(*arguments, started),
        Command::Bench(arguments) => bench::run(*arguments),
        Command::Base(arguments) => base::run(arguments),
        Command::Store(arguments) => store::run(arguments),
        Command::Observe(arguments) => watch::run(arguments),
    }
}
