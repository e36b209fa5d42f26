//! The commands that need the builder, and so Linux and the feature `build`. Code outside this folder does not use
//! them.

mod bake;
mod base;
mod bench;
mod build;
mod engine_trace;
mod interrupt;
mod layer_names;
mod observe;
mod passing;
mod profile;
mod progress;
mod rawjson;
mod recording;
mod remote_flags;
mod runner;
mod scheduling;
mod scripts;
mod store;
mod subscriber;
mod unverified;

use crate::Failure;
use miette::miette;
use std::sync::OnceLock;
use std::time::Instant;

/// These commands, as `buildscope --help` lists them.
#[derive(Debug, clap::Subcommand)]
pub(super) enum BuilderCommand {
    Build(Box<build::Arguments>),
    Bake(Box<bake::Arguments>),
    Bench(Box<bench::Arguments>),
    Base(base::Arguments),
    Store(store::Arguments),
    Observe(observe::Arguments),
    Runner(runner::Arguments),
}

/// The start of this process. The time of a build starts here, before the arguments are parsed.
static STARTED: OnceLock<Instant> = OnceLock::new();

/// SQLite maps a file of the store into memory.
const BUS_ERROR: &str = "buildscope: a file that is mapped into memory cannot be read or written, probably because the disk is full (SIGBUS)\n";

/// Must be called first in a process. Does not return if the process is the zygote of a build.
pub(super) fn start() {
    buildscope_sandbox::serve_if_zygote();
    buildscope_sandbox::end_at_bus_error(BUS_ERROR, 3);
    buildscope_sandbox::return_large_blocks();
    STARTED.get_or_init(Instant::now);
}

/// The exit code of a failed command if a signal asked it to end.
pub(super) fn interrupted() -> Option<u8> {
    interrupt::exit_code()
}

/// The least limit of open files with which a build works: its runtime, the store, the zygote, the network (with too few it would be the
/// host's) and one step. Some 45 suffice.
const LEAST_DESCRIPTORS: u64 = 64;

/// Fails if this process may open too few files. Its runtime would panic.
fn check_descriptors() -> Result<(), Failure> {
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < LEAST_DESCRIPTORS => Err(Failure::Internal(miette!(
            help = format!("raise it, for example with `ulimit -n {}`", 2 * LEAST_DESCRIPTORS),
            "the limit of open files is {limit}; buildscope needs at least {LEAST_DESCRIPTORS}"
        ))),
        _ => Ok(()),
    }
}

/// Runs a command.
pub(super) fn run(command: BuilderCommand) -> Result<(), Failure> {
    let started = *STARTED.get_or_init(Instant::now);
    check_descriptors()?;
    match command {
        BuilderCommand::Build(arguments) => build::run(*arguments, started),
        BuilderCommand::Bake(arguments) => bake::run(*arguments, started),
        BuilderCommand::Bench(arguments) => bench::run(*arguments),
        BuilderCommand::Base(arguments) => base::run(arguments),
        BuilderCommand::Store(arguments) => store::run(arguments),
        BuilderCommand::Observe(arguments) => observe::run(arguments),
        BuilderCommand::Runner(arguments) => runner::run(arguments, started),
    }
}
