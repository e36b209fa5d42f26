//! What can stop a run.

use buildscope_workloads::WorkloadError;
use std::path::{Path, PathBuf};

/// Why there is no run, or no build of a case.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The corpus.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A file or folder of the run.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A builder that cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// An untimed build that brings a case into its cache state failed: no number of that case would mean anything.
    #[error("an untimed build for {case} failed (exit code {code:?}):\n{said}")]
    Prepare {
        /// What was to be measured.
        case: String,
        /// The exit code, if it was no signal.
        code: Option<i32>,
        /// The end of what it said.
        said: String,
    },
    /// A `run.json` that is none.
    #[error("{} is no run of this version: {source}", .path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A run written by a later version.
    #[error("{} has schema {found}; this version reads up to {RUN_SCHEMA}", .path.display(), RUN_SCHEMA = super::RUN_SCHEMA)]
    Schema {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl RunError {
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        |source| Self::Io { path, source }
    }
}
