//! How a command ends when it does not end well: a message and an exit code.

use miette::Report;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The build failed, or the gate or a check found something: exit code 1.
    Failed(Report),
    /// The same, already told: exit code 1.
    Told,
    /// What was asked cannot be: exit code 2.
    Usage(Report),
    /// buildscope itself, or the machine under it, failed: exit code 3.
    Internal(Report),
}

impl Failure {
    /// A build, gate or check that failed.
    pub(crate) fn failed(report: impl Into<Report>) -> Self {
        Self::Failed(report.into())
    }

    /// A fault of the question.
    pub(crate) fn usage(report: impl Into<Report>) -> Self {
        Self::Usage(report.into())
    }

    /// A fault of ours.
    pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Report::from_err(error))
    }

    /// Prints the message to standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (code, report) = match self {
            Self::Failed(report) => (1, Some(report)),
            Self::Told => (1, None),
            Self::Usage(report) => (2, Some(report)),
            Self::Internal(report) => (3, Some(report)),
        };
        if let Some(report) = report {
            eprintln!("{report:?}");
        }
        ExitCode::from(code)
    }
}
