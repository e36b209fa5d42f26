//! The `buildscope` command: one file a subcommand.
//!
//! Arguments are parsed (`Arguments`: what was typed) and then resolved once (paths made, defaults filled in, impossible
//! requests refused) before anything happens. Results go to standard output, progress and messages to standard error.

mod base;
mod bases;
mod bench;
mod build;
mod check;
mod compare;
mod explain;
mod export;
mod failure;
mod history;
mod import;
mod observe;
mod otlp;
mod profile;
mod progress;
mod report;
mod root;
mod shares;
mod stdout;
mod store;
mod table;
mod whatif;

use clap::{Parser, Subcommand};
use failure::Failure;
use root::Root;
use std::process::ExitCode;
use std::time::Instant;
use stdout::say;

/// Builds multi-stage Dockerfiles and shows where every second went.
#[derive(Debug, Parser)]
#[command(name = "buildscope", version, max_term_width = 120, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the build or the gate failed, 2 usage, 3 buildscope itself failed.";

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::Arguments>),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Whatif(whatif::Arguments),
    Import(import::Arguments),
    Bench(Box<bench::Arguments>),
    Compare(compare::Arguments),
    Base(base::Arguments),
    Report(report::Arguments),
    History(history::Arguments),
    Store(store::Arguments),
}

fn main() -> ExitCode {
    // The zygote is this program, started again: it does not return.
    buildscope_builder::execute::sandbox::serve_if_helper();
    let started = Instant::now();
    match run(Cli::parse().command, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command, started: Instant) -> Result<(), Failure> {
    match command {
        Command::Build(arguments) => build::run(*arguments, started),
        Command::Check(arguments) => check::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Whatif(arguments) => whatif::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Bench(arguments) => bench::run(*arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Base(arguments) => base::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::History(arguments) => history::run(arguments),
        Command::Store(arguments) => store::run(arguments),
    }
}
