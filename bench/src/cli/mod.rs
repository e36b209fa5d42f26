//! The command line: one file a subcommand.
//!
//! Arguments are parsed (`Arguments`, what was typed) and then resolved once (paths made, defaults
//! filled in, what cannot be done refused) before anything happens. Results go to standard output,
//! progress and messages to standard error.

pub mod base;
mod bases;
pub mod bench;
pub mod build;
pub mod check;
pub mod compare;
pub mod explain;
mod export;
mod failure;
pub mod history;
pub mod import;
mod observe;
mod otlp;
mod profile;
mod progress;
pub mod report;
mod shares;
pub mod store;
mod table;
pub mod whatif;

pub use failure::Failure;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

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

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    buildscope_builder::execute::sandbox::serve_if_helper();
    let began = std::time::Instant::now();
    let done = match Cli::parse().command {
        Command::Build(arguments) => build::run(*arguments, began),
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
    };
    done.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}

/// Where the store lies that every command shares.
#[derive(Debug, Clone, clap::Args)]
pub struct Root {
    /// Where layers, cache and runs are kept [default: /var/lib/buildscope for root, else the XDG data directory]
    #[arg(long, value_name = "DIR", env = "BUILDSCOPE_ROOT", global = true)]
    root: Option<PathBuf>,
}

impl Root {
    /// The directory; it need not exist yet.
    pub fn resolve(&self) -> Result<PathBuf, Failure> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/buildscope".into());
        }
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        let none = || {
            Failure::usage(miette::miette!("neither HOME nor XDG_DATA_HOME is set: say where the store is with --root"))
        };
        Ok(data.ok_or_else(none)?.join("buildscope"))
    }
}

/// Writes a command's result. A reader that has gone away (`| head`) is no failure, and any other
/// fault of standard output cannot be told anywhere better than by its missing text.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
