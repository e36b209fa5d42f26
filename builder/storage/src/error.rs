//! Errors of the store.

use super::limits::MAX_LAYERS;
use buildscope_record::{BlobDigest, DriverName};
use std::io;
use std::path::{Path, PathBuf};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A system call failed.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// The operation, as an infinitive: it follows "cannot".
        action: &'static str,
        /// The file, directory or object of the operation.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// A blob is needed and not in the store.
    #[error("the store has no blob {0}")]
    MissingBlob(BlobDigest),
    /// A blob of the store has changed on the disk. It has been removed.
    #[error(
        "blob {blob} of the store was damaged (its content has the digest {found}) and has been removed: build again to recreate it"
    )]
    DamagedBlob {
        /// The blob, named by the digest that it should have.
        blob: BlobDigest,
        /// The digest of its content.
        found: BlobDigest,
    },
    /// Content does not have the expected digest.
    #[error("content has digest {found} where {expected} was expected")]
    DigestMismatch {
        /// The expected digest.
        expected: BlobDigest,
        /// The digest of the content.
        found: BlobDigest,
    },
    /// A layer's bytes are not a tar stream that an image may contain.
    #[error("not a valid layer: {reason} (byte {offset})")]
    BadLayer {
        /// Byte offset in the uncompressed stream.
        offset: u64,
        /// The problem at that offset.
        reason: String,
    },
    /// A step modified a hard-linked file of a lower layer, and this driver cannot tell under which of its names. Run
    /// [again](super::Store::snapshot_again), the step gets a separate file for each name.
    #[error("`{}` was modified, but it is one of several hard links to a file in a lower layer", path.display())]
    LinkChanged {
        /// One of the names of the file.
        path: PathBuf,
    },
    /// An entry cannot be stored in a layer.
    #[error("`{}` cannot be put in a layer: {reason}", path.display())]
    BadEntry {
        /// The path of the entry in the image.
        path: PathBuf,
        /// The reason why it cannot be stored.
        reason: &'static str,
    },
    /// A file changed while it was copied into a layer.
    #[error("`{}` changed while it was read", .0.display())]
    ChangedWhileRead(PathBuf),
    /// A path cannot be resolved in an image.
    #[error("cannot resolve `{}` in the image: {reason}", path.display())]
    BadPath {
        /// The path as it was given.
        path: PathBuf,
        /// The reason why it cannot be resolved.
        reason: &'static str,
    },
    /// Something new should be stored in a read-only store.
    #[error("the store `{}` is read-only: it serves what it has, but nothing new can be added", .0.display())]
    ReadOnly(PathBuf),
    /// A stack of more layers than a file system can be made of.
    #[error(
        "the image has {0} layers, more than the limit of {MAX_LAYERS}; combine instructions, or start from an image with fewer layers"
    )]
    TooManyLayers(usize),
    /// A file is larger than the caller's limit.
    #[error("`{}` has {size} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// The path of the file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The chosen storage driver does not work on this host.
    #[error("the storage driver `{driver}` does not work here: {reason}")]
    Driver {
        /// The driver.
        driver: DriverName,
        /// The reason why it does not work.
        reason: String,
    },
    /// The cache index failed.
    #[error("the cache index failed: {0}")]
    Cache(rusqlite::Error),
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Cache(error)
    }
}

impl StorageError {
    pub(crate) fn bad_layer(offset: u64, reason: impl Into<String>) -> Self {
        Self::BadLayer { offset, reason: reason.into() }
    }
}

/// Adds the operation and the path to an error of the operating system.
pub(crate) trait IoContext<T> {
    /// Adds `action`, an infinitive, and the path that it was applied to.
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn context(self, action: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError> {
        self.map_err(|error| StorageError::Io { action, path: path.as_ref().to_owned(), error: error.into() })
    }
}
