//! Names of the store's files, and the lock that prevents races between their use and their removal.
//!
//! The modification time of a blob's file is the time of its last use.

use super::StorageError;
use super::error::IoContext;
use buildscope_record::BlobDigest;
use rustix::fs::{AtFlags, FlockOperation, Timespec, Timestamps, UTIME_NOW, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// The directory of the blobs.
pub(crate) const BLOBS: &str = "blobs/sha256";
/// The directory of the layers' indexes.
pub(crate) const INDEXES: &str = "index";
/// The directories with blobs and files derived from them. The files have the name of the blob, or of a hash of several.
pub(crate) const KEPT: [&str; 4] = [BLOBS, INDEXES, "erofs", "lowers"];

/// The path of a blob, relative to the store.
pub(crate) fn blob_path(digest: impl Into<BlobDigest>) -> String {
    format!("{BLOBS}/{}", digest.into().hex())
}

/// Whether the file at a path relative to the store is a blob or derived from one.
pub(crate) fn is_kept(path: &str) -> bool {
    KEPT.iter().any(|kept| path.strip_prefix(kept).is_some_and(|rest| rest.starts_with('/')))
}

/// Whether the file at a path relative to the store is a directory with an unpacked layer.
pub(crate) fn is_unpacked(path: &str) -> bool {
    path.starts_with("lowers/")
}

/// The blob at a path relative to the store; `None` for other files.
pub(crate) fn blob_digest(path: &str) -> Option<BlobDigest> {
    format!("sha256:{}", path.strip_prefix(BLOBS)?.strip_prefix('/')?).parse().ok()
}

/// Whether a store can be written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Writable,
    /// On a read-only file system, or without the right to write: the store serves its content, and adds nothing.
    ReadOnly,
}

impl Access {
    /// The access to the store at `root`.
    pub(crate) fn of(root: &Path) -> Self {
        match rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Self::ReadOnly,
            _ => Self::Writable,
        }
    }
}

/// Marks a file of the store as used now. Returns false if it does not exist. A file that a process has touched is not pruned while
/// the process lives. In a read-only store nothing is pruned and nothing marked.
pub(crate) fn touch(root: &Path, path: &str) -> Result<bool, StorageError> {
    let _lock = shared(root)?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    let path = root.join(path);
    match rustix::fs::utimensat(rustix::fs::CWD, &path, &times, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok(path.exists()),
        Err(error) => Err(error).context("touch", path),
    }
}

/// Acquires the lock that several may hold, while nothing is removed from the store.
pub(crate) fn shared(root: &Path) -> Result<File, StorageError> {
    lock(root, FlockOperation::LockShared)
}

/// Acquires the lock that blocks [`touch`] and [`shared`] in all processes while it is held.
pub(crate) fn exclusive(root: &Path) -> Result<File, StorageError> {
    lock(root, FlockOperation::LockExclusive)
}

fn is_read_only(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ROFS | Errno::ACCESS | Errno::PERM))
}

fn lock(root: &Path, how: FlockOperation) -> Result<File, StorageError> {
    let path = root.join("lock");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = match opened {
        // A lock needs no right to write.
        Err(error) if is_read_only(&error) => File::open(&path),
        opened => opened,
    };
    let file = file.context("open", &path)?;
    flock(&file, how).context("lock", path)?;
    Ok(file)
}
