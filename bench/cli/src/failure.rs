//! Failures of a command: a message and an exit code.

use crate::write_message;
use buildscope_record::redacted_in_place;
use miette::Report;
use std::process::ExitCode;

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The build, the gate or a check failed: exit code 1.
    Failed(Report),
    /// Like `Failed`, but the message was already printed: exit code 1.
    Reported,
    /// The request is invalid: exit code 2.
    Usage(Report),
    /// buildscope itself or the machine failed: exit code 3.
    Internal(Report),
}

impl std::fmt::Display for Failure {
    /// The message with its causes, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(report) | Self::Usage(report) | Self::Internal(report) => {
                let causes: Vec<_> = report.chain().map(ToString::to_string).collect();
                f.write_str(&causes.join(": "))
            }
            Self::Reported => f.write_str("failed"),
        }
    }
}

impl Failure {
    /// The build, the gate or a check failed.
    pub(crate) fn failed(report: impl Into<Report>) -> Self {
        Self::Failed(report.into())
    }

    /// The request is invalid.
    pub(crate) fn usage(report: impl Into<Report>) -> Self {
        Self::Usage(report.into())
    }

    /// buildscope itself or the machine failed.
    pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Report::from_err(error))
    }

    /// Prints the message to standard error and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (code, report) = match self {
            Self::Failed(report) => (1, Some(report)),
            Self::Reported => (1, None),
            Self::Usage(report) => (2, Some(report)),
            Self::Internal(report) => (3, Some(report)),
        };
        if let Some(report) = report {
            // Marks below a line of a file must still point at the right characters.
            write_message(&redacted_in_place(&format!("{report:?}")));
        }
        ExitCode::from(code)
    }
}
