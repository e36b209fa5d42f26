//! `buildscope completions` and `buildscope man`: files for shells and for man(1), made from the command line itself.

use super::Failure;
use crate::write_out;
use clap::{Args, Command};
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

/// Prints the completion script.
pub(super) fn completions(arguments: Completions, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "buildscope", &mut script);
    write_out(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Writes the man pages.
pub(super) fn man(arguments: Man, command: Command) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written.into_diagnostic().wrap_err_with(|| directory.display().to_string()).map_err(Failure::Usage)
}
