//! The nodes of a scanned context.

use super::content::ContentInfo;
use super::stat::{Identity, Status};
use buildscope_storage::Timestamp;
use rustix::fs::{FileType, Stat};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A file, directory or link of a context.
#[derive(Debug)]
pub struct Node {
    name: OsString,
    kind: NodeKind,
    pub(super) stat: Status,
    pub(super) children: OnceLock<Box<[Node]>>,
    pub(super) content: OnceLock<ContentInfo>,
}

/// The type of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its target as written.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Node {
    pub(super) fn new(name: OsString, kind: NodeKind, stat: Status) -> Self {
        Self { name, kind, stat, children: OnceLock::new(), content: OnceLock::new() }
    }

    /// The name in the parent directory. The root has an empty name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The type of the node.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// The permission, setuid, setgid and sticky bits.
    pub fn mode(&self) -> u32 {
        self.stat.mode
    }

    /// The time of the last modification.
    pub fn mtime(&self) -> Timestamp {
        self.stat.mtime
    }

    /// The size in bytes at the time of the scan.
    pub fn size(&self) -> u64 {
        self.stat.size
    }

    /// The major and minor number of a device.
    pub fn device(&self) -> (u32, u32) {
        (rustix::fs::major(self.stat.rdev), rustix::fs::minor(self.stat.rdev))
    }

    /// Device and inode number, equal for all hard links of a file. `None` if the file has only one name.
    pub fn inode(&self) -> Option<(u64, u64)> {
        (self.stat.links > 1 && self.kind != NodeKind::Directory).then_some((self.stat.dev, self.stat.ino))
    }

    /// Whether the node is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    /// Identifies the state of the file at the time of the scan.
    pub fn identity(&self) -> Identity {
        Identity::from(&self.stat)
    }

    /// The content, after [`Context::hash`](super::Context::hash) has read it.
    pub fn content(&self) -> Option<&ContentInfo> {
        self.content.get()
    }
}

impl NodeKind {
    /// Returns `None` for sockets, which a layer cannot hold, and for symbolic links, whose target is not in the `stat`.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            _ => return None,
        })
    }
}
