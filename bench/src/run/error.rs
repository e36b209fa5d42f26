//! Errors of a run.

use buildscope_workloads::WorkloadError;
use std::path::{Path, PathBuf};

/// The reason why a run or the build of a case failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The corpus cannot be read.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A file or folder of the run cannot be read or written.
    #[error("cannot {action} {}: {error}", .path.display())]
    Io {
        /// The operation as an infinitive: `read`.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A builder cannot be started.
    #[error("cannot start {program}: {error}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        error: std::io::Error,
    },
    /// An untimed build that prepares a cache state failed. No number of that case would be meaningful.
    #[error("an untimed build for {case} failed (exit code {code:?}):\n{output}")]
    Prepare {
        /// The case.
        case: String,
        /// The exit code; `None` after a signal.
        code: Option<i32>,
        /// The end of the output.
        output: String,
    },
    /// `run.json` is malformed.
    #[error("{} is not a valid run: {error}", .path.display())]
    Format {
        /// The path.
        path: PathBuf,
        /// The cause.
        error: serde_json::Error,
    },
    /// A run written by a later version.
    #[error("{} has schema {found}; this version reads up to {RUN_SCHEMA}", .path.display(), RUN_SCHEMA = super::RUN_SCHEMA)]
    Schema {
        /// The path.
        path: PathBuf,
        /// The schema version of the file.
        found: u32,
    },
}

impl RunError {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |error| Self::Io { action, path, error }
    }
}
