//! Entries: what a layer consists of.

use super::PinnedFile;
use buildscope_record::{BlobDigest, DiffId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A path in an image: bytes without a leading, trailing or doubled slash, without `.` and `..`; empty is the root.
pub type ImagePath = PathBuf;

/// One file, directory or link with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: ImagePath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission, setuid, setgid and sticky bits: the low twelve.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Timestamp,
    /// Extended attributes by full name (`security.capability`, `user.x`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of that many bytes.
    File {
        /// Its apparent size.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link: the bytes it holds.
    Symlink {
        /// Where it points, unresolved.
        target: PathBuf,
    },
    /// Another name for the file at `target`.
    HardLink {
        /// A path in the same layer.
        target: ImagePath,
    },
    /// A character device.
    CharDevice {
        /// Driver.
        major: u32,
        /// Instance.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Driver.
        major: u32,
        /// Instance.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// Where a regular file's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file of the host that nobody changes any more, opened when the layer is written.
    HostFile(PathBuf),
    /// A file of the host that was hashed, and must be the same when it is read.
    Pinned(PinnedFile),
    /// Part of a blob of the store.
    Blob {
        /// Which blob.
        blob: BlobDigest,
        /// Where the data begins in it, if the file is not sparse.
        offset: u64,
        /// The file's size.
        length: u64,
        /// For a sparse file: its pieces of data in order, what is between them is zero. None is not sparse.
        sparse: Option<Arc<[Extent]>>,
    },
}

/// A piece of a sparse file's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where in the file.
    pub offset: u64,
    /// Where in the blob.
    pub blob_offset: u64,
    /// Bytes of it.
    pub length: u64,
}

impl Timestamp {
    /// From a file's `mtime`.
    pub fn of(metadata: &impl std::os::unix::fs::MetadataExt) -> Self {
        // The kernel gives 0 to 999,999,999.
        Self { seconds: metadata.mtime(), nanos: metadata.mtime_nsec() as u32 }
    }
}

impl Entry {
    /// A directory of root's with mode 755 and mtime 0: what an image has where nothing says more.
    pub fn directory(path: impl Into<ImagePath>) -> Self {
        let (kind, mtime, xattrs) = (EntryKind::Directory, Timestamp::default(), BTreeMap::new());
        Self { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs }
    }
}

/// A finished layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    /// Digest of the uncompressed tar: its identity.
    pub diff_id: DiffId,
    /// Bytes of the uncompressed tar.
    pub size: u64,
    /// Entries in it.
    pub files: u64,
}
