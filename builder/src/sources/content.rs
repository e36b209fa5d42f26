//! The content of a file.

use super::stat::Identity;
use buildscope_record::{BlobDigest, Digest};
use std::sync::Arc;

/// The content of a file as it was read.
#[derive(Clone, Debug)]
pub struct ContentInfo {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The location of the bytes.
    pub(super) location: ContentLocation,
    pub(super) rare: Option<Box<RareContent>>,
}

/// Rare properties of files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RareContent {
    /// The value of `security.capability`, the only extended attribute that image layers carry.
    pub(super) capability: Option<Vec<u8>>,
    /// The state of the file when the bytes were read, if it is not the state of the scan.
    pub(super) identity: Option<Identity>,
    /// The number of bytes, if it is not the size at the time of the scan.
    pub(super) size: Option<u64>,
}

/// The location of the bytes of a file.
#[derive(Clone, Debug)]
pub(super) enum ContentLocation {
    /// In the file alone.
    File,
    Memory(Box<Arc<[u8]>>),
    /// At an offset of the context's spool.
    Spool(u64),
    /// At an offset of a blob in the list of the context.
    Stored {
        blob: u32,
        offset: u64,
    },
}

impl ContentInfo {
    /// The value of `security.capability`, the only extended attribute that image layers carry.
    pub fn capability(&self) -> Option<&[u8]> {
        self.rare.as_ref()?.capability.as_deref()
    }

    /// Whether the file has no attribute that layers carry, and the size of the scan.
    pub(crate) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    /// The number of bytes, if it is not the size at the time of the scan.
    pub(super) fn changed_size(&self) -> Option<u64> {
        self.rare.as_ref()?.size
    }

    /// The state of the file when the bytes were read, if it is not the state of the scan.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.rare.as_ref()?.identity
    }
}

/// A place in the store: an offset in a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredAt {
    /// The digest of the blob.
    pub(crate) blob: BlobDigest,
    /// The offset in the blob, in bytes.
    pub(crate) offset: u64,
}
