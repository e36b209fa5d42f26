//! Failures of a command: a message and an exit code.

use crate::write_message;
use buildscope_record::redacted_in_place;
use miette::{MietteHandler, MietteHandlerOpts, Report};
use std::process::ExitCode;
use textwrap::{WordSeparator, WordSplitter};

/// Lets lines of reports break at spaces only. An address stays whole: its credentials can be found, and it can be copied.
pub(crate) fn set_report_style() {
    // Fails only if another handler is set already.
    let _ = miette::set_hook(Box::new(|_| Box::new(report_style())));
}

fn report_style() -> MietteHandler {
    let style = MietteHandlerOpts::new().break_words(false).word_separator(WordSeparator::AsciiSpace);
    style.word_splitter(WordSplitter::NoHyphenation).build()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use miette::{ReportHandler as _, miette};
    use std::fmt;

    /// A report as a command shows it. The style of the process may be another one here: tests share it.
    struct Shown(Report);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            report_style().debug(self.0.as_ref(), f)
        }
    }

    #[test]
    fn no_width_breaks_an_address() {
        for words in 1..40 {
            let before = "abc ".repeat(words);
            let report = miette!("{before}`type=s3,endpoint_url=http://me:SECRET@host-a.example/b?token=SECRET`");
            let shown = Shown(report).to_string();
            let redacted = redacted_in_place(&shown);
            assert!(redacted.contains("http://me:xxxxxx@host-a.example/b?token=xxxxxx"), "{shown}");
        }
    }
}
