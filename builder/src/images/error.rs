//! Errors of images.

use buildscope_oci::{PlatformError, ReferenceError};
use buildscope_record::{BlobDigest, ByteSize, DiffId};
use buildscope_remote::RemoteError;
use std::io;
use std::path::PathBuf;

/// A failure to read, find, assemble or write an image.
///
/// `origin` is the name of the source in messages: a path, a reference, a flag. `reason` is the cause, as text for the user.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A reference is malformed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),

    /// A platform is malformed.
    #[error(transparent)]
    Platform(#[from] PlatformError),

    /// A server of the Remote Execution API failed.
    #[error(transparent)]
    Remote(Box<RemoteError>),

    /// An operation on a file failed.
    #[error("cannot {action} {}: {error}", .path.display())]
    File {
        /// The operation as an infinitive: `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },

    /// A blob, a stream or a connection cannot be read.
    #[error("cannot read {origin}: {error}")]
    Read {
        /// The source of the bytes.
        origin: String,
        /// The error of reading them.
        error: io::Error,
    },

    /// An archive, a document or an option cannot be used.
    #[error("{origin}: {reason}")]
    Malformed {
        /// The archive, document or option.
        origin: String,
        /// The cause.
        reason: String,
    },

    /// A document is not JSON of the expected form.
    #[error("{origin}: {what} is not valid: {error}")]
    Json {
        /// The source of the document.
        origin: String,
        /// The kind of the document: `index.json`.
        what: String,
        /// The error of parsing it.
        error: serde_json::Error,
    },

    /// A blob that a document refers to does not exist.
    #[error("{origin}: blob {wanted} is missing")]
    BlobMissing {
        /// The source of the blob.
        origin: String,
        /// The digest in the document.
        wanted: BlobDigest,
    },

    /// The content of a blob does not match its digest.
    #[error("{origin}: blob {wanted} is corrupt: its content has digest {found}")]
    BlobDigest {
        /// The source of the blob.
        origin: String,
        /// The digest in the document.
        wanted: BlobDigest,
        /// The digest of the content.
        found: BlobDigest,
    },

    /// A blob does not have the size in its descriptor.
    #[error("{origin}: blob {wanted} should have {expected} bytes, but has {}{found}", if *.more { "more than " } else { "" })]
    BlobSize {
        /// The source of the blob.
        origin: String,
        /// The digest of the blob.
        wanted: BlobDigest,
        /// The size in the descriptor, in bytes.
        expected: u64,
        /// The size that was read, in bytes.
        found: u64,
        /// Whether the blob is even longer. Reading stops at the expected size.
        more: bool,
    },

    /// An unpacked layer does not match its diff id.
    #[error("{origin}: layer {blob} unpacks to {found}, but the image's configuration says {wanted}")]
    DiffId {
        /// The source of the layer.
        origin: String,
        /// The digest of the compressed layer.
        blob: BlobDigest,
        /// The diff id in the configuration.
        wanted: DiffId,
        /// The digest of the unpacked layer.
        found: DiffId,
    },

    /// The work is not wanted any more: the build has failed or was cancelled.
    #[error("stopped")]
    Stopped,

    /// A layer unpacks to more than the limit.
    #[error("{origin}: layer {blob} ({compressed}) unpacks to more than {limit}, like a decompression bomb")]
    Bomb {
        /// The source of the layer.
        origin: String,
        /// The digest of the compressed layer.
        blob: BlobDigest,
        /// The size of the compressed layer.
        compressed: ByteSize,
        /// The limit for the unpacked layer.
        limit: ByteSize,
    },

    /// A layer cannot be decompressed.
    #[error("{origin}: cannot decompress layer {blob}: {error}")]
    Decompress {
        /// The source of the layer.
        origin: String,
        /// The digest of the compressed layer.
        blob: BlobDigest,
        /// The error of the decompressor.
        error: io::Error,
    },

    /// An image does not exist for the platform.
    #[error("{origin}: no image for {wanted}; available: {}", .found.join(", "))]
    NoPlatform {
        /// The source of the image.
        origin: String,
        /// The platform of the build.
        wanted: String,
        /// The platforms of the image.
        found: Vec<String>,
    },

    /// A layout or archive does not have an image with the name.
    #[error("{origin}: no image {wanted}; available: {}", .found.join(", "))]
    NoName {
        /// The layout or archive.
        origin: String,
        /// The digest, or a description with the tag.
        wanted: String,
        /// The names in the layout or archive.
        found: Vec<String>,
    },

    /// No source has the image.
    #[error(
        "image `{reference}` not found. Provide it with `--build-context {reference}=oci-layout://DIRECTORY`, or build \
         it with `-t {reference}`{hint}"
    )]
    NotFound {
        /// The reference as written.
        reference: String,
        /// Further sentences: similar images, and the error of the registry.
        hint: String,
    },

    /// The program of the embedded busybox image was not found.
    #[error(
        "the image `busybox` needs a static busybox: {reason}. Install one (Debian: `apt-get install busybox-static`)"
    )]
    NoBusybox {
        /// The causes for each source.
        reason: String,
    },

    /// A request to a registry failed.
    #[error("registry {registry}: {reason}")]
    Registry {
        /// The name of the registry or mirror.
        registry: String,
        /// The cause.
        reason: String,
    },

    /// An output cannot be written.
    #[error("cannot write {what}: {error}")]
    Write {
        /// The name of the output or a part of it.
        what: String,
        /// The error of writing it.
        error: io::Error,
    },

    /// The store failed.
    #[error(transparent)]
    Store(#[from] buildscope_storage::StorageError),
}

impl From<RemoteError> for ImageError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

impl ImageError {
    /// An error for a document or archive that cannot be used.
    pub(crate) fn malformed(origin: impl ToString, reason: impl Into<String>) -> Self {
        Self::Malformed { origin: origin.to_string(), reason: reason.into() }
    }

    /// Whether no source has an image of that name for that platform.
    pub(crate) fn is_missing_image(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::NoName { .. }
                | Self::NoPlatform { .. }
                | Self::Reference(_)
                | Self::Platform(_)
        )
    }

    /// Whether the source of an image or a cache is at fault, and not this machine.
    pub(crate) fn is_of_source(&self) -> bool {
        !matches!(self, Self::File { .. } | Self::Write { .. } | Self::Store(_) | Self::Stopped)
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { action, path, error }
    }
}
