//! What can go wrong with a corpus.

use std::path::{Path, PathBuf};

/// A fault of the corpus or of the disk that a context is written to.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// No corpus where one was looked for.
    #[error("no corpus of workloads at {}: name one with --corpus, or run inside the source tree", .0.display())]
    NoCorpus(PathBuf),
    /// A name that no workload has.
    #[error("no workload `{name}`; there are: {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A manifest that cannot be read.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// The `workload.toml`.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A manifest that says something impossible.
    #[error("workload `{workload}`: {message}")]
    Invalid {
        /// Whose manifest.
        workload: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl WorkloadError {
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        |source| Self::Io { path, source }
    }
}
