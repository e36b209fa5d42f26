//! The nodes of a scanned context.

use super::content::ContentInfo;
use super::name::Name;
use super::stat::{FileStatus, Identity};
use buildscope_storage::Timestamp;
use rustix::fs::{FileType, Stat};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A file, directory or link of a context. A context may have a million: the fields are as small as possible.
#[derive(Debug)]
pub struct ContextNode {
    name: Name,
    kind: NodeKind,
    pub(super) stat: FileStatus,
    inside: OnceLock<Inside>,
}

/// The parts that are read when they are first needed.
#[derive(Debug)]
enum Inside {
    /// The entries of a directory.
    Children(Box<[ContextNode]>),
    /// The content of a file.
    Content(ContentInfo),
}

/// The type of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its target as written.
    Symlink(Box<PathBuf>),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl ContextNode {
    pub(super) fn new(name: &OsStr, kind: NodeKind, stat: FileStatus) -> Self {
        Self { name: name.into(), kind, stat, inside: OnceLock::new() }
    }

    /// The name in the parent directory. The root has an empty name.
    pub fn name(&self) -> &OsStr {
        self.name.as_os_str()
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
        self.stat.mtime()
    }

    /// The size in bytes at the time of the scan.
    pub fn size(&self) -> u64 {
        self.stat.size
    }

    /// The major and minor number of a device.
    pub fn device(&self) -> (u32, u32) {
        (rustix::fs::major(self.stat.size), rustix::fs::minor(self.stat.size))
    }

    /// Device and inode number, equal for all hard links of a file. `None` if the file has only one name.
    pub fn inode(&self) -> Option<(u64, u64)> {
        (self.stat.links > 1 && self.kind != NodeKind::Directory).then_some((self.stat.dev, self.stat.ino))
    }

    /// Device and inode number.
    pub fn host(&self) -> (u64, u64) {
        (self.stat.dev, self.stat.ino)
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
        match self.inside.get()? {
            Inside::Content(content) => Some(content),
            Inside::Children(_) => None,
        }
    }

    /// The number of bytes of the content, if it was read, else the size at the time of the scan.
    pub(crate) fn content_size(&self) -> u64 {
        self.content().and_then(ContentInfo::changed_size).unwrap_or(self.stat.size)
    }

    /// Keeps the content of a file. A file may be read twice; the first result counts.
    pub(super) fn set_content(&self, content: ContentInfo) {
        let _ = self.inside.set(Inside::Content(content));
    }

    /// The entries of a directory, if they were read.
    pub(super) fn children(&self) -> Option<&[Self]> {
        match self.inside.get()? {
            Inside::Children(children) => Some(children),
            Inside::Content(_) => None,
        }
    }

    /// Keeps the entries of a directory, and returns them. If two threads read the same one, the first result is kept.
    pub(super) fn set_children(&self, children: Box<[Self]>) -> &[Self] {
        let _ = self.inside.set(Inside::Children(children));
        self.children().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert!(size_of::<ContextNode>() <= 160, "{} bytes", size_of::<ContextNode>());
    }
}
