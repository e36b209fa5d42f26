//! The items of a selection, in groups.

use super::origin::{Data, Found, Inode};
use super::walk::base_name;
use crate::sources::Identity;
use buildscope_record::Digest;
use buildscope_storage::{CAPABILITY, Content, Entry};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one source, or of one match of its pattern.
#[derive(Debug)]
pub(super) struct Group {
    /// The path of the file or directory in its tree; the URL of a download; `<<NAME` for a heredoc.
    pub(super) source: String,
    /// The name of the file if the destination is a directory.
    pub(super) name: OsString,
    /// Whether the source is a directory, whose contents are copied to the destination.
    pub(super) directory: bool,
    /// Whether an archive is unpacked.
    pub(super) unpack: bool,
    /// Whether existing directories keep their metadata (`--parents`).
    pub(super) partial: bool,
    /// The items in order of their paths. The first one is the file or directory itself.
    pub(super) items: Vec<Item>,
}

/// A file, directory or link of a group.
#[derive(Debug)]
pub(super) struct Item {
    /// The metadata. The path is relative to the group.
    pub(super) entry: Entry,
    pub(super) inode: Option<Inode>,
    pub(super) content: Content,
    /// The digest of the content, if it is known without reading it.
    pub(super) digest: Option<Digest>,
    /// Whether this is a directory that does not match itself and is only the parent of selected items.
    pub(super) implied: bool,
    /// Whether the modification time is that of the build: the file is in the Dockerfile.
    pub(super) timeless: bool,
    /// Whether this is a file of a context whose content is read after all items are found.
    pub(super) unread: bool,
    /// The state of a context's file when it was hashed.
    pub(super) identity: Option<Identity>,
}

impl Group {
    /// An empty group for the directory at a path.
    pub(super) fn directory(path: &Path) -> Self {
        let (source, name) = (path.to_string_lossy().into_owned(), base_name(path).to_owned());
        Self { source, name, directory: true, unpack: false, partial: false, items: Vec::new() }
    }

    /// A group of one file, which is not unpacked.
    pub(super) fn file(source: String, name: OsString, item: Item) -> Self {
        Self { source, name, directory: false, unpack: false, partial: false, items: vec![item] }
    }
}

impl Item {
    /// An item that was selected itself.
    pub(super) fn new(found: Found<'_>, below: PathBuf) -> Self {
        let unread = found.node().is_some();
        let Found { mut entry, inode, data } = found;
        entry.path = below;
        // Image layers carry no other extended attribute: BuildKit and docker do not write others.
        entry.xattrs.retain(|name, _| name == CAPABILITY.as_bytes());
        let content = match data {
            Data::Known(content) => content,
            Data::None | Data::Node(_) => Content::Bytes(Arc::default()),
        };
        Self { entry, inode, content, digest: None, implied: false, timeless: false, unread, identity: None }
    }
}
