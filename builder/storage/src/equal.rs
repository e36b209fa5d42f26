//! Whether a file of a tree equals a new one: in metadata, and in content.

use super::error::IoContext;
use super::node::{Node, Ref};
use super::tree::{Tree, read_content};
use super::{Content, Entry, EntryKind, StorageError, attributes};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The number of bytes that are compared at once.
const PIECE: usize = 64 << 10;

impl Tree {
    /// Whether the tree has this file, link or directory at its path, with the same metadata, times included, and the same
    /// content.
    ///
    /// # Errors
    /// If one of two files with the same metadata cannot be read.
    pub fn has(&self, entry: &Entry, content: &Content) -> Result<bool, StorageError> {
        let Some(node) = self.node(&entry.path) else { return Ok(false) };
        let before = self.entry_of(&node, entry.path.clone());
        if before.mtime != entry.mtime || !same_metadata(&before, entry) {
            return Ok(false);
        }
        match node {
            Node::Leaf(leaf) if matches!(entry.kind, EntryKind::File { .. }) => self.has_content(leaf, content),
            _ => Ok(true),
        }
    }

    /// Whether a file of the tree has this content. The sizes must be equal.
    pub(crate) fn has_content(&self, leaf: Ref, content: &Content) -> Result<bool, StorageError> {
        let (size, ours) = (self.record(leaf).size(), self.record(leaf).content());
        if let (
            Content::Blob { blob, offset, sparse: None, .. },
            Content::Blob { blob: other, offset: at, sparse: None, .. },
        ) = (&ours, content)
            && (blob, offset) == (other, at)
        {
            return Ok(true);
        }
        let file = match content {
            Content::HostFile(path) => Some(File::open(path).context("open", path)?),
            Content::Pinned(file) => Some(file.open()?),
            Content::Bytes(_) | Content::Spooled { .. } | Content::Blob { .. } => None,
        };
        let (mut before, mut after) = (vec![0; PIECE], vec![0; PIECE]);
        let mut at = 0;
        while at < size {
            let length = (size - at).min(PIECE as u64) as usize;
            let (before, after) = (&mut before[..length], &mut after[..length]);
            read_content(self.blobs(), &ours, at, before)?;
            match (content, &file) {
                (Content::Bytes(bytes), _) => after.copy_from_slice(&bytes[at as usize..at as usize + length]),
                (Content::Spooled { spool, offset, .. }, _) => {
                    spool.read(offset + at, after).context("read", "a temporary file")?;
                }
                (Content::HostFile(path), Some(file)) => file.read_exact_at(after, at).context("read", path)?,
                (Content::Pinned(pinned), Some(file)) => {
                    file.read_exact_at(after, at).context("read", pinned.path())?;
                    pinned.check(file)?;
                }
                _ => read_content(self.blobs(), content, at, after)?,
            }
            if before != after {
                return Ok(false);
            }
            at += length as u64;
        }
        Ok(true)
    }
}

/// Whether two entries have the same metadata. Times of directories and hard links are compared elsewhere.
pub(crate) fn same_metadata(a: &Entry, b: &Entry) -> bool {
    let times = a.kind == EntryKind::Directory || a.mtime == b.mtime;
    let mode = matches!(a.kind, EntryKind::Symlink { .. }) || a.mode == b.mode;
    let own = |entry: &'_ Entry| -> Vec<(Vec<u8>, Vec<u8>)> {
        let own = entry.xattrs.iter().filter(|(name, _)| attributes::belongs(name));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    a.kind == b.kind && mode && times && (a.uid, a.gid) == (b.uid, b.gid) && own(a) == own(b)
}
