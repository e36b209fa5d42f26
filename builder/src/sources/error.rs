//! What can go wrong with what comes in.

use std::io;
use std::path::PathBuf;

/// A failure to read a context.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: an infinitive.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the context is written to faster than it can be read.
    #[error("`{}` keeps changing while it is read; add it to .dockerignore or stop what writes to it", .0.display())]
    Unsteady(PathBuf),
    /// Something of the network that did not come.
    #[error("cannot fetch `{url}`: {reason}")]
    Fetch {
        /// Its address.
        url: String,
        /// Why not.
        reason: String,
    },
}

impl SourceError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.into(), source: source.into() }
    }

    pub(crate) fn fetch(url: &str, reason: impl ToString) -> Self {
        Self::Fetch { url: url.to_owned(), reason: reason.to_string() }
    }
}
