//! The commands that need the builder, and so Linux and the feature `build`: nothing outside this folder uses them.

mod base;
mod bench;
mod build;
mod observe;
mod profile;
mod progress;
mod store;
mod watch;

use crate::Failure;
use std::sync::OnceLock;
use std::time::Instant;

/// What they are, as `buildscope --help` lists them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Build(Box<build::Arguments>),
    Bench(Box<bench::Arguments>),
    Base(base::Arguments),
    Store(store::Arguments),
    Observe(watch::Arguments),
}

/// When this process started: a build's time begins there, before its arguments are parsed.
static STARTED: OnceLock<Instant> = OnceLock::new();

/// The first thing that a process does. Does not return if it was started as the zygote of a build.
pub(super) fn start() {
    buildscope_sandbox::serve_if_helper();
    STARTED.get_or_init(Instant::now);
}

/// Runs one.
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
