//! `buildscope completions` and `buildscope man`: files for shells and for man(1), made from the command line itself.

use super::Failure;
use crate::write_out;
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

/// Flags whose values are read as text, because other values are allowed, too, or have errors of their own; and the values to complete.
const VALUES: [(&str, &[&str]); 7] = [
    ("granularity", &["serial", "stages", "instructions"]),
    ("admission", &["memory", "slots"]),
    ("driver", &["auto", "erofs", "overlay", "fuse-overlayfs", "btrfs", "copy"]),
    ("sync", &["build", "layer", "never"]),
    ("executor", &["native", "oci"]),
    ("network", &["default", "isolated", "host", "none"]),
    ("call", &["build", "check", "outline", "targets", "subrequests.describe"]),
];

/// Prints the completion script.
pub(super) fn completions(arguments: Completions, command: Command) -> Result<(), Failure> {
    write_out(&script(arguments.shell, command));
    Ok(())
}

fn script(shell: Shell, command: Command) -> String {
    let values = |flag: Option<&str>| VALUES.iter().find(|(name, _)| Some(*name) == flag).map(|(_, values)| *values);
    let with_values = |argument: Arg| match values(argument.get_long()) {
        Some(values) if argument.get_possible_values().is_empty() => argument.value_parser(values.to_vec()),
        _ => argument,
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
    written.into_diagnostic().wrap_err_with(|| directory.display().to_string()).map_err(Failure::Usage)
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
