//! `buildscope completions` and `buildscope man`: files for shells and for man(1), made from the command line itself.

use super::Failure;
use crate::write_out;
use buildscope_record::{Admission, DriverChoice, DriverName, Policy};
use clap::{Arg, Args, Command};
use clap_complete::Shell;
use miette::{IntoDiagnostic, WrapErr};
use std::path::PathBuf;

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  buildscope completions bash > /etc/bash_completion.d/buildscope
  buildscope completions zsh > ~/.zfunc/_buildscope
  buildscope completions fish > ~/.config/fish/completions/buildscope.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Write a man page for each command
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  buildscope man /usr/local/share/man/man1 && man buildscope-build")]
pub(crate) struct Man {
    /// The directory, which is created if it is missing
    directory: PathBuf,
}

/// The values to complete of a flag whose value is read as text, because other values are allowed, too, or have errors of their own.
pub(crate) fn values(flag: &str) -> Vec<&'static str> {
    match flag {
        "granularity" => Policy::ALL.iter().map(|policy| policy.name()).collect(),
        "admission" => Admission::ALL.iter().map(|admission| admission.name()).collect(),
        "driver" => {
            let drivers = DriverName::ALL.iter().map(|driver| driver.name());
            [DriverChoice::Auto.name()].into_iter().chain(drivers).collect()
        }
        "sync" => vec!["build", "layer", "never"],
        "executor" => vec!["native", "oci", "crun", "runc"],
        "network" => vec!["default", "isolated", "host", "none"],
        "call" => vec!["build", "check", "outline", "targets", "subrequests.describe"],
        _ => Vec::new(),
    }
}

/// Prints the completion script.
pub(super) fn completions(arguments: Completions, command: Command) -> Result<(), Failure> {
    write_out(&script(arguments.shell, command));
    Ok(())
}

fn script(shell: Shell, command: Command) -> String {
    let with_values = |argument: Arg| {
        let values = argument.get_long().map(values).unwrap_or_default();
        let is_text = !values.is_empty() && argument.get_possible_values().is_empty();
        if is_text { argument.value_parser(values) } else { argument }
    };
    let mut command = command.mut_subcommands(|subcommand| subcommand.mut_args(with_values));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "buildscope", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes the man pages.
pub(super) fn man(arguments: Man, command: Command) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot write the man pages to {}", directory.display()))
        .map_err(Failure::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_text_flags_are_completed() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let build = Command::new("build").arg(Arg::new("policy").long("granularity"));
            let script = script(shell, Command::new("buildscope").subcommand(build));
            assert!(script.contains("stages") && script.contains("serial"), "{shell}: {script}");
        }
    }
}
