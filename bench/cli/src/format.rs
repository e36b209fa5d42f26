//! Output formats that several commands have.

use clap::ValueEnum;

/// The format of an explanation or a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// A self-contained page for a browser
    Html,
    /// For a job summary or a comment on a pull request
    Markdown,
}

/// The format of a list or a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    /// For a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// For a job summary or a comment on a pull request
    Markdown,
}
