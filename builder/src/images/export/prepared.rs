//! Blobs that a build has prepared for its outputs and caches.

use super::super::registry::OpenUploads;
use super::Compressed;
use buildscope_storage::Store;

/// The blobs that were compressed and sent so far. The outputs and caches of a build share it, so that each layer is compressed once for
/// each compression, and sent once to each repository.
pub struct PreparedBlobs {
    pub(crate) compressed: Compressed,
    pub(crate) uploads: OpenUploads,
}

impl PreparedBlobs {
    /// Empty: no blob is prepared.
    pub fn of(store: &Store) -> Self {
        Self { compressed: Compressed::of(store), uploads: OpenUploads::default() }
    }

    /// Cancels started uploads that are not part of a pushed image. It sends a request for each.
    pub(crate) fn cancel_uploads(&self) {
        self.uploads.cancel();
    }
}

impl std::fmt::Debug for PreparedBlobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedBlobs").field("uploads", &self.uploads).finish_non_exhaustive()
    }
}
