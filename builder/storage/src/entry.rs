//! Entries: the files, directories and links of a layer.

use super::{PinnedFile, Spool, Timestamp};
use buildscope_record::{BlobDigest, DiffId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A path in an image. It has no leading, trailing or doubled slash, and no `.` or `..`. The empty path is the root.
pub type ImagePath = PathBuf;

/// One file, directory or link with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path in the image.
    pub path: ImagePath,
    /// The type of the entry.
    pub kind: EntryKind,
    /// Permission, setuid, setgid and sticky bits: the low twelve bits of `st_mode`.
    pub mode: u32,
    /// The user id of the owner.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The modification time.
    pub mtime: Timestamp,
    /// Extended attributes by full name (`security.capability`, `user.x`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// The apparent size in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The target, as it is stored in the link.
        target: PathBuf,
    },
    /// Another name for the file at `target`.
    HardLink {
        /// The path of the file, in the same layer.
        target: ImagePath,
    },
    /// A character device.
    CharDevice {
        /// The major device number.
        major: u32,
        /// The minor device number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The major device number.
        major: u32,
        /// The minor device number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl EntryKind {
    /// Whether it is a device node.
    pub(crate) fn is_device(&self) -> bool {
        matches!(self, Self::CharDevice { .. } | Self::BlockDevice { .. })
    }
}

/// The source of a regular file's bytes.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A file of the host that no longer changes. It is opened when the layer is written.
    HostFile(PathBuf),
    /// A file of the host that was hashed, and must be unchanged when it is read.
    Pinned(PinnedFile),
    /// Bytes of a temporary file.
    Spooled {
        /// The temporary file.
        spool: Arc<Spool>,
        /// The offset of the bytes in it.
        offset: u64,
        /// The number of bytes.
        length: u64,
    },
    /// Part of a blob of the store.
    Blob {
        /// The blob.
        blob: BlobDigest,
        /// The offset of the data in the blob, if the file is not sparse.
        offset: u64,
        /// The file's apparent size in bytes.
        length: u64,
        /// The data pieces of a sparse file, in order; bytes between them are zero. `None` if the file is not sparse.
        sparse: Option<Arc<[Extent]>>,
    },
}

/// A piece of a sparse file's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The offset in the file.
    pub offset: u64,
    /// The offset in the blob.
    pub blob_offset: u64,
    /// The length in bytes.
    pub length: u64,
}

impl Entry {
    /// A directory with owner root, mode 755 and mtime 0: the default for directories that no layer describes.
    pub fn directory(path: impl Into<ImagePath>) -> Self {
        let (kind, mtime, xattrs) = (EntryKind::Directory, Timestamp::default(), BTreeMap::new());
        Self { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs }
    }
}

/// A finished layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    /// The digest of the uncompressed tar, which identifies the layer.
    pub diff_id: DiffId,
    /// The size of the uncompressed tar in bytes.
    pub size: u64,
    /// The number of entries.
    pub files: u64,
}
