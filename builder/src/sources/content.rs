//! The content of a file.

use super::stat::Identity;
use buildscope_record::{BlobDigest, Digest};
use std::sync::Arc;

/// The content of a file as it was read.
#[derive(Clone, Debug)]
pub struct ContentInfo {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// The value of `security.capability`, the only extended attribute that image layers carry.
    pub capability: Option<Vec<u8>>,
    /// The bytes, if they are kept in memory.
    pub(super) kept: Option<Arc<[u8]>>,
    /// The state of the file when the bytes were read.
    pub(super) identity: Identity,
    /// The place in the store with the bytes.
    pub(super) stored_at: Option<StoredAt>,
}

/// A place in the store: an offset in a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredAt {
    /// The digest of the blob.
    pub(crate) blob: BlobDigest,
    /// The offset in the blob, in bytes.
    pub(crate) offset: u64,
}
