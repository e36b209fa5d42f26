//! Rows: the members of a layer before they are written to its index.

use super::path::to_path;
use super::{Entry, EntryKind, Extent};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The type of a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum RecordKind {
    /// A whiteout: the path is removed from the lower layers.
    Whiteout,
    /// An opaque directory: what lower layers have in it is removed.
    Opaque,
    Directory,
    File,
    Symlink,
    /// Another name of a file. The file is in this layer if its record has a `link`, otherwise in a lower one.
    HardLink,
    Char,
    Block,
    Fifo,
}

impl RecordKind {
    /// Whether it is a device node.
    pub(crate) fn is_device(self) -> bool {
        matches!(self, Self::Char | Self::Block)
    }
}

/// A member of a layer before it is written to the index.
#[derive(Debug)]
pub(crate) struct IndexRow {
    pub(crate) kind: RecordKind,
    /// Whether it is a hard link to a file of a lower layer.
    pub(crate) below: bool,
    pub(crate) entry: Entry,
    pub(crate) offset: u64,
    pub(crate) extents: Option<Vec<Extent>>,
}

impl IndexRow {
    pub(crate) fn mark(kind: RecordKind, path: PathBuf) -> Self {
        Self { kind, below: false, entry: Entry::directory(path), offset: 0, extents: None }
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.entry.path.as_os_str().as_bytes()
    }

    /// A copy of the row with another path.
    pub(crate) fn renamed(&self, path: &[u8]) -> Self {
        let entry = Entry { path: to_path(path), ..self.entry.clone() };
        Self { entry, extents: self.extents.clone(), ..*self }
    }

    /// Takes over the metadata in a hard link's header, as docker and BuildKit do.
    pub(crate) fn look_like(&mut self, link: &Self) {
        let Entry { mode, uid, gid, mtime, xattrs, .. } = &link.entry;
        (self.entry.uid, self.entry.gid, self.entry.mtime) = (*uid, *gid, *mtime);
        // The mode of a symbolic link is always the same.
        if self.kind != RecordKind::Symlink {
            self.entry.mode = *mode;
        }
        self.entry.xattrs.extend(xattrs.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    pub(crate) fn is_device_zero(&self) -> bool {
        self.entry.kind == EntryKind::CharDevice { major: 0, minor: 0 }
    }
}
