//! Errors of images.

use buildscope_oci::{PlatformError, ReferenceError};
use buildscope_record::{BlobDigest, ByteSize, DiffId};
use std::io;
use std::path::PathBuf;

/// A failure of reading, finding, assembling or writing an image.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what its fields are")]
pub enum ImageError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),

    #[error(transparent)]
    Platform(#[from] PlatformError),

    #[error("cannot {action} {}: {source}", .path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },

    #[error("{origin}: cannot read it: {source}")]
    Read { origin: String, source: io::Error },

    #[error("{origin}: {fault}")]
    Malformed { origin: String, fault: String },

    #[error("{origin}: {what} is not valid: {source}")]
    Json { origin: String, what: String, source: serde_json::Error },

    #[error("{origin}: blob {wanted} is missing")]
    BlobMissing { origin: String, wanted: BlobDigest },

    #[error("{origin}: blob {wanted} is corrupt: its content has digest {found}")]
    BlobDigest { origin: String, wanted: BlobDigest, found: BlobDigest },

    #[error("{origin}: blob {wanted} should have {expected} bytes, but has {}{found}", if *.more { "more than " } else { "" })]
    BlobSize { origin: String, wanted: BlobDigest, expected: u64, found: u64, more: bool },

    #[error("{origin}: layer {blob} unpacks to {found}, but the image's configuration says {wanted}")]
    DiffId { origin: String, blob: BlobDigest, wanted: DiffId, found: DiffId },

    #[error("{origin}: layer {blob} ({}) unpacks to more than {}, like a decompression bomb", .compressed, .limit)]
    Bomb { origin: String, blob: BlobDigest, compressed: ByteSize, limit: ByteSize },

    #[error("{origin}: cannot decompress layer {blob}: {source}")]
    Decompress { origin: String, blob: BlobDigest, source: io::Error },

    #[error("{origin}: no image for {wanted}; available: {}", .found.join(", "))]
    NoPlatform { origin: String, wanted: String, found: Vec<String> },

    #[error("{origin}: no image {wanted}; available: {}", .found.join(", "))]
    NoName { origin: String, wanted: String, found: Vec<String> },

    #[error(
        "image `{reference}` not found. Provide it with `--build-context {reference}=oci-layout://DIRECTORY`, or build \
         it with `-t {reference}`{hint}"
    )]
    NotFound { reference: String, hint: String },

    #[error(
        "the image `busybox` needs a static busybox: {fault}. Install one (Debian: `apt-get install busybox-static`)"
    )]
    NoBusybox { fault: String },

    #[error("registry {registry}: {fault}")]
    Registry { registry: String, fault: String },

    #[error("cannot write {what}: {source}")]
    Write { what: String, source: io::Error },

    #[error(transparent)]
    Store(#[from] buildscope_storage::StorageError),
}

impl ImageError {
    /// An error for a document or archive that cannot be used.
    pub(crate) fn malformed(origin: impl ToString, fault: impl Into<String>) -> Self {
        Self::Malformed { origin: origin.to_string(), fault: fault.into() }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
