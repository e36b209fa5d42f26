//! What can go wrong in the store.

use buildscope_record::BlobDigest;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: an infinitive.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something needs a blob that is not there.
    #[error("the store has no blob {0}")]
    MissingBlob(BlobDigest),
    /// A blob of the store has changed on the disk. It is removed by now.
    #[error(
        "blob {blob} of the store was damaged (its content has the digest {found}) and is removed: build again, what needs it is made again"
    )]
    DamagedBlob {
        /// Which blob.
        blob: BlobDigest,
        /// The digest of what it held.
        found: BlobDigest,
    },
    /// Content is not what its digest says.
    #[error("content has digest {found} where {expected} was expected")]
    DigestMismatch {
        /// What it should have been.
        expected: BlobDigest,
        /// What it is.
        found: BlobDigest,
    },
    /// A layer's bytes are no tar stream that an image may hold.
    #[error("not a valid layer: {reason} (byte {offset})")]
    BadLayer {
        /// Where in the uncompressed stream.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A step changed a file of the layers below that has several names, and with this driver it cannot be told under which: done
    /// [again](super::Store::snapshot_again), it can.
    #[error("`{}` was changed, which is one of several names of a file of the layers below", path.display())]
    LinkChanged {
        /// Its path.
        path: PathBuf,
    },
    /// An entry that no layer can hold.
    #[error("`{}` cannot be put in a layer: {reason}", path.display())]
    BadEntry {
        /// Its path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A file changed while it was copied into a layer.
    #[error("`{}` changed while it was read", .0.display())]
    ChangedWhileRead(PathBuf),
    /// A path that cannot be resolved in an image.
    #[error("cannot resolve `{}` in the image: {reason}", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// More bytes than the caller wants to hold.
    #[error("`{}` has {size} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The chosen storage driver does not work here.
    #[error("the storage driver `{driver}` does not work here: {reason}")]
    Driver {
        /// Its name.
        driver: &'static str,
        /// Why not.
        reason: String,
    },
    /// The cache index failed.
    #[error("the cache index failed: {0}")]
    Cache(#[from] rusqlite::Error),
}

impl StorageError {
    pub(crate) fn bad_layer(offset: u64, reason: impl Into<String>) -> Self {
        Self::BadLayer { offset, reason: reason.into() }
    }
}

/// Gives an operating system's error its context.
pub(crate) trait Context<T> {
    /// Says what was tried, and with what.
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError> {
        self.map_err(|error| StorageError::Io { action, path: path.as_ref().to_owned(), source: error.into() })
    }
}
