//! The nodes of a scanned context.

use super::hash::Facts;
use super::stat_cache::Identity;
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
    pub(super) facts: OnceLock<Facts>,
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

/// The fields of `stat` that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Status {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) rdev: u64,
    pub(super) links: u64,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
}

impl Node {
    pub(super) fn new(name: OsString, kind: NodeKind, stat: Status) -> Self {
        Self { name, kind, stat, children: OnceLock::new(), facts: OnceLock::new() }
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
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.get()
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

impl From<&Stat> for Status {
    #[expect(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the width of these fields depends on the architecture"
    )]
    fn from(stat: &Stat) -> Self {
        let time = |seconds, nanos| Timestamp { seconds, nanos };
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            rdev: stat.st_rdev.into(),
            links: stat.st_nlink as u64,
            mode: stat.st_mode & 0o7777,
            size: stat.st_size as u64,
            mtime: time(stat.st_mtime.into(), stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime.into(), stat.st_ctime_nsec as u32),
        }
    }
}
