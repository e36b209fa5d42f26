//! Errors of a corpus.

use std::path::{Path, PathBuf};

/// An error of the corpus or of writing a context.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// There is no corpus at the path.
    #[error("no corpus of workloads at {}: give one with --corpus, or run inside the source tree", .0.display())]
    NoCorpus(PathBuf),
    /// The name of the workload is unknown.
    #[error("unknown workload `{name}`; the corpus has: {}", .known.join(", "))]
    Unknown {
        /// The requested name.
        name: String,
        /// The names of all workloads.
        known: Vec<String>,
    },
    /// A manifest cannot be parsed.
    #[error("{}: {error}", .path.display())]
    Manifest {
        /// The `workload.toml`.
        path: PathBuf,
        /// The message of the parser with its position.
        error: Box<toml::de::Error>,
    },
    /// A manifest is invalid.
    #[error("workload `{workload}`: {message}")]
    Invalid {
        /// The workload.
        workload: String,
        /// The reason.
        message: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
}

impl WorkloadError {
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        |error| Self::Io { path, error }
    }
}
