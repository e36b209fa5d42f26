//! The `buildscope` command: one file a subcommand.
//!
//! Arguments are parsed (`Arguments`: what was typed) and then resolved once (paths made, defaults filled in, impossible
//! requests refused) before anything happens. Results go to standard output, progress and messages to standard error.

#![forbid(unsafe_code)]

mod bases;
mod builder;
mod check;
mod compare;
mod explain;
mod failure;
mod history;
mod import;
mod otlp;
mod report;
mod root;
mod stdout;
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
    #[command(flatten)]
    Builder(builder::Command),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Whatif(whatif::Arguments),
    Import(import::Arguments),
    Compare(compare::Arguments),
    Report(report::Arguments),
    History(history::Arguments),
}

fn main() -> ExitCode {
    builder::serve_if_zygote();
    let started = Instant::now();
    match run(Cli::parse().command, started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command, started: Instant) -> Result<(), Failure> {
    match command {
        Command::Builder(command) => builder::run(command, started),
        Command::Check(arguments) => check::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Whatif(arguments) => whatif::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::History(arguments) => history::run(arguments),
    }
}
