//! Errors of reading contexts and fetching sources.

use buildscope_record::redacted;
use std::io;
use std::path::PathBuf;

/// A failure to read a context or to fetch a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An operation on a file failed.
    #[error("cannot {action} `{}`: {error}", path.display())]
    Io {
        /// The operation as an infinitive: `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A file of the context changed during each attempt to read it.
    #[error("`{}` keeps changing while it is read; add it to .dockerignore or stop what writes to it", .0.display())]
    Unsteady(PathBuf),
    /// A download or a checkout failed.
    #[error("cannot fetch `{url}`: {reason}")]
    Fetch {
        /// The address.
        url: String,
        /// The cause, as text for the user.
        reason: String,
    },
}

impl SourceError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, error: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.into(), error: error.into() }
    }

    /// Credentials in the address, and in a reason that repeats it, are left out.
    pub(crate) fn fetch(url: &str, reason: impl ToString) -> Self {
        Self::Fetch { url: redacted(url).into_owned(), reason: redacted(&reason.to_string()).into_owned() }
    }
}
