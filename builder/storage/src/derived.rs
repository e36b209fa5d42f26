//! Files and directories that are made from layers, such as unpacked ones. A blob may turn out to be damaged while another thread or
//! process makes something from it. That is not kept then: a later step would read the damage from it.

use super::error::IoContext;
use super::layout::shared;
use super::tree::Tree;
use super::{BlobStore, LayerStore, StorageError};
use buildscope_record::{BlobDigest, DiffId};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Makes the file or directory `name` of the store from the layers of a stack, if it is missing. `make` returns the path of a finished one
/// in the scratch directory. Returns whether it was made here.
///
/// # Errors
/// [`StorageError::MissingBlob`], errors of `make` and of renaming.
pub(crate) fn ensure(
    store: &LayerStore,
    stack: &[DiffId],
    name: &Path,
    make: impl Fn(&Tree) -> Result<PathBuf, StorageError>,
) -> Result<bool, StorageError> {
    while !name.exists() {
        let tree = store.tree(stack)?;
        let origins = Origins::of(&tree)?;
        if origins.keep(store, &make(&tree)?, name)? == Kept::Yes {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The blobs from which something is made.
pub(crate) struct Origins(Vec<(BlobDigest, Identity)>);

/// A file, whatever its name is: the device and the inode number. An inode of a removed blob is not used again while this process
/// has the blob in its scratch directory or open.
type Identity = (u64, u64);

/// The outcome of [`Origins::keep`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// It has its name now, or another thread or process had made it before.
    Yes,
    /// A blob was removed meanwhile, so it may contain damage. It has been discarded and must be made again.
    No,
}

impl Origins {
    /// The layers of a stack as they are now.
    ///
    /// # Errors
    /// [`StorageError::MissingBlob`].
    pub(crate) fn of(tree: &Tree) -> Result<Self, StorageError> {
        let blobs = tree.diff_ids().into_iter().map(BlobDigest::from);
        blobs.map(|blob| Ok((blob, identity(tree.blobs(), blob)?))).collect::<Result<_, _>>().map(Self)
    }

    /// Gives a finished file or directory its name in the store.
    ///
    /// # Errors
    /// Errors of renaming.
    pub(crate) fn keep(self, store: &LayerStore, made: &Path, name: &Path) -> Result<Kept, StorageError> {
        // A damaged blob is removed under the exclusive lock, together with what was made from it.
        let _lock = shared(store.root())?;
        let is_same =
            |(blob, before): &(BlobDigest, Identity)| identity(store.blobs(), *blob).is_ok_and(|now| now == *before);
        if !self.0.iter().all(is_same) {
            store.scratch().discard(made.to_owned());
            return Ok(Kept::No);
        }
        match rustix::fs::rename(made, name) {
            Ok(()) => Ok(Kept::Yes),
            // Another step or process has created it meanwhile.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                store.scratch().discard(made.to_owned());
                Ok(Kept::Yes)
            }
            Err(error) => Err(error).context("rename to", name),
        }
    }
}

fn identity(blobs: &BlobStore, blob: BlobDigest) -> Result<Identity, StorageError> {
    let path = blobs.path(blob);
    match fs::metadata(&path) {
        Ok(found) => Ok((found.dev(), found.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StorageError::MissingBlob(blob)),
        Err(error) => Err(error).context("stat", path),
    }
}
