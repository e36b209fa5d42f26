//! The ways to show progress.

use clap::ValueEnum;

/// Progress output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// tty on a terminal, else plain
    #[default]
    Auto,
    /// Live lines on a terminal
    Tty,
    /// One line for each event, in the format of BuildKit
    Plain,
    /// JSON lines in the format of BuildKit (SolveStatus)
    Rawjson,
    /// Nothing
    #[value(alias = "none")]
    Quiet,
}
