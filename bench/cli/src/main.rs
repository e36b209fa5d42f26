//! The `buildscope` command: one file per subcommand.
//!
//! Arguments are parsed into `Arguments` and then resolved once, before anything happens: paths become absolute,
//! defaults are filled in, and invalid combinations are rejected. Results go to standard output, progress and
//! messages to standard error.

#![forbid(unsafe_code)]

#[cfg(all(feature = "build", target_os = "linux"))]
mod builder;
mod builds;
mod check;
mod compare;
mod context_files;
#[cfg(all(feature = "build", target_os = "linux"))]
mod destination;
mod explain;
mod failure;
mod fleet;
mod format;
mod history;
mod import;
mod input;
mod otlp;
mod output;
mod patch;
mod plugin;
mod report;
mod root;
mod shell;
mod switches;
mod terminal;
mod units;
mod whatif;

#[cfg(all(feature = "build", target_os = "linux"))]
use builder::interrupted;
use clap::{CommandFactory as _, Parser, Subcommand};
use failure::Failure;
use output::{shown, write_message, write_out, write_text};
use root::Root;
use std::process::ExitCode;

/// Build multi-stage Dockerfiles and show where every second went.
#[derive(Debug, Parser)]
#[command(name = "buildscope", version, max_term_width = 120, after_help = EXIT_CODES, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the build or the gate failed, 2 usage, 3 buildscope itself failed, \
                          130 Ctrl-C, 143 SIGTERM.";

/// Whether `build` and the other commands of [`builder`] are included.
const CAN_BUILD: bool = cfg!(all(feature = "build", target_os = "linux"));

/// Commands that read records end with the signal itself.
#[cfg(not(all(feature = "build", target_os = "linux")))]
fn interrupted() -> Option<u8> {
    None
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(all(feature = "build", target_os = "linux"))]
    #[command(flatten)]
    Builder(builder::BuilderCommand),
    Check(check::Arguments),
    Builds(builds::Arguments),
    Explain(explain::Arguments),
    Whatif(whatif::Arguments),
    Import(import::Arguments),
    Compare(compare::Arguments),
    Fleet(fleet::Arguments),
    Report(report::Arguments),
    History(history::Arguments),
    Completions(shell::Completions),
    Man(shell::Man),
}

fn main() -> ExitCode {
    failure::set_report_style();
    #[cfg(all(feature = "build", target_os = "linux"))]
    builder::start();
    let arguments = match plugin::arguments(std::env::args_os().collect()) {
        plugin::Call::Metadata => {
            write_out(&plugin::metadata());
            return ExitCode::SUCCESS;
        }
        plugin::Call::Refused(message) => return Failure::usage(miette::miette!("{message}")).report(),
        plugin::Call::Command(arguments) => switches::without_values(&Cli::command(), arguments),
    };
    let done = match Cli::try_parse_from(arguments) {
        Ok(cli) => run(cli.command),
        Err(error) if error.use_stderr() => return output::report_usage(&error),
        Err(help) => {
            output::write_help(&help);
            Ok(())
        }
    };
    match done.and(output::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.report();
            interrupted().map_or(code, ExitCode::from)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        #[cfg(all(feature = "build", target_os = "linux"))]
        Command::Builder(command) => builder::run(command),
        Command::Check(arguments) => check::run(arguments),
        Command::Builds(arguments) => builds::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Whatif(arguments) => whatif::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Fleet(arguments) => fleet::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::History(arguments) => history::run(arguments),
        Command::Completions(arguments) => shell::completions(arguments, Cli::command()),
        Command::Man(arguments) => shell::man(arguments, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &clap::Command, path: &str, without: &mut Vec<String>) {
        for child in command.get_subcommands() {
            let path = format!("{path} {}", child.get_name());
            let help = child.get_after_help().map(ToString::to_string).unwrap_or_default();
            if child.get_name() != "help" && !help.contains(&format!("buildscope{path}")) {
                without.push(path.clone());
            }
            walk(child, &path, without);
        }
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        let mut without = Vec::new();
        walk(&Cli::command(), "", &mut without);
        assert!(without.is_empty(), "no example: {without:?}");
    }

    #[cfg(all(feature = "build", target_os = "linux"))]
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // Help is printed with at most 100 columns: a longer line would be broken.
        assert!(help.lines().all(|line| !line.starts_with("  ") || line.len() <= 98), "{help}");
        let help = help.replace("\\\n", "");
        found.extend(help.lines().filter(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()));
        command.get_subcommands().for_each(|child| examples(child, found));
    }

    /// The words of a command line: spaces separate them, except in single quotes.
    #[cfg(all(feature = "build", target_os = "linux"))]
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        for (index, part) in line.split('\'').enumerate() {
            let mut pieces = part.split(if index % 2 == 0 { ' ' } else { '\'' });
            words.last_mut().unwrap().push_str(pieces.next().unwrap_or_default());
            words.extend(pieces.map(str::to_owned));
        }
        words.retain(|word| !word.is_empty());
        words
    }

    // Examples also name commands that need the builder.
    #[cfg(all(feature = "build", target_os = "linux"))]
    #[test]
    fn every_example_is_a_valid_command_line() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        let mut count = 0;
        for line in &found {
            let line = line.replace(" && ", " ; ").replace(" | ", " ; ").replace("; ", " ; ");
            for part in line.split(" ; ") {
                let Some((before, arguments)) = part.trim().split_once("buildscope ") else { continue };
                if !before.split_whitespace().all(|word| word.contains('=')) {
                    continue;
                }
                // A comment is behind several spaces, a redirection behind `>`.
                let arguments = arguments.split("  ").next().unwrap_or_default();
                let arguments = arguments.split(" >").next().unwrap_or_default();
                let line = [vec!["buildscope".to_owned()], words(arguments)].concat();
                if let Err(error) = Cli::command().try_get_matches_from(&line) {
                    panic!("{line:?}: {error}");
                }
                count += 1;
            }
        }
        assert!(count > 20, "{found:?}");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
