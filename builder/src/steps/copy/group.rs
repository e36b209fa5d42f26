//! The items of a selection, in groups.

use super::origin::{Inode, OriginData, OriginEntry};
use super::walk::base_name;
use crate::sources::ContextNode;
use buildscope_record::Digest;
use buildscope_storage::{CAPABILITY, Content, Entry, EntryList, ListedEntry};
use std::collections::HashMap;
use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::sync::Arc;

/// The files of one source, or of one match of its pattern.
#[derive(Debug)]
pub(super) struct FileGroup {
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
    pub(super) items: Items,
}

/// The items of a group: their entries, with paths relative to the group, and what else is known of them.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) entries: EntryList,
    pub(super) details: Vec<Detail>,
    /// The devices of a context's files.
    devices: Vec<u64>,
}

/// The properties of an item besides its entry and content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail {
    /// Equal for the names of one file; `None` for a file with one name.
    pub(super) inode: Option<NonZeroU32>,
    /// The digest of the content, if it is known without reading it.
    pub(super) digest: Option<Digest>,
    /// The inode number of a context's file.
    pub(super) host: Option<NonZeroU64>,
    /// The number of its device in the items' list.
    pub(super) device: u32,
    /// Whether this is a directory that does not match itself and is only the parent of selected items.
    pub(super) implied: bool,
    /// Whether the modification time is that of the build: the file is in the Dockerfile.
    pub(super) timeless: bool,
    /// Whether this is a file of a context whose content is read after all items are found.
    pub(super) unread: bool,
}

/// The numbers of the files with several names, from 1, in the order of their first names.
#[derive(Debug, Default)]
pub(super) struct InodeNumbers(HashMap<Inode, NonZeroU32>);

impl InodeNumbers {
    /// The number of a file.
    pub(super) fn number(&mut self, inode: Inode) -> NonZeroU32 {
        let next = u32::try_from(self.0.len() + 1).ok().and_then(NonZeroU32::new);
        *self.0.entry(inode).or_insert(next.expect("fewer than 4 billion files fit into memory"))
    }
}

impl Items {
    /// Adds a file, directory or link of an origin. Its path in the group is `below`.
    pub(super) fn push(&mut self, found: OriginEntry<'_>, below: &Path, detail: Detail) {
        let unread = found.node().is_some();
        let OriginEntry { mut entry, data, .. } = found;
        // Image layers carry no other extended attribute: BuildKit and docker do not write others.
        entry.xattrs.retain(|name, _| name == CAPABILITY.as_bytes());
        let content = match data {
            OriginData::Known(content) => content,
            OriginData::None | OriginData::Node(_) => Content::Bytes(Arc::default()),
        };
        self.entries.push_at(below, &entry, content);
        self.details.push(Detail { unread, ..detail });
    }

    /// No items yet, with room for this number.
    pub(super) fn with_capacity(count: usize) -> Self {
        let mut items = Self::default();
        items.reserve(count);
        items
    }

    /// Prepares for this number of items.
    pub(super) fn reserve(&mut self, count: usize) {
        self.entries.reserve(count);
        self.details.reserve_exact(count);
    }

    /// Notes the device and the inode number of an item's file in the context. Inode 0, which no file system uses, is left out.
    pub(super) fn set_host(&mut self, item: usize, (device, inode): (u64, u64)) {
        let known = self.devices.iter().position(|known| *known == device).unwrap_or_else(|| {
            self.devices.push(device);
            self.devices.len() - 1
        });
        let detail = &mut self.details[item];
        detail.host = u32::try_from(known).ok().and(NonZeroU64::new(inode));
        detail.device = known as u32;
    }

    /// Sets the size, the content and the capability of an item, whose file in the context was read.
    pub(super) fn set_content(&mut self, item: usize, file: &ContextNode, content: Content) {
        self.entries.set_file(item, file.content_size(), content);
        if let Some(value) = file.content().and_then(|content| content.capability()) {
            self.entries.update(item, |entry, _| entry.xattrs = [(CAPABILITY.into(), value.to_vec())].into());
        }
    }

    /// The device and the inode number of an item's file in the context.
    pub(super) fn host(&self, detail: &Detail) -> Option<(u64, u64)> {
        Some((*self.devices.get(detail.device as usize)?, detail.host?.get()))
    }

    pub(super) fn len(&self) -> usize {
        self.details.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (ListedEntry<'_>, &Detail)> + ExactSizeIterator {
        self.entries.iter().zip(&self.details)
    }

    /// The first item: the file or directory itself.
    pub(super) fn first(&self) -> Option<(ListedEntry<'_>, &Detail)> {
        self.iter().next()
    }

    /// Changes the entry of each item.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&mut Entry, &mut Detail)) {
        for (number, detail) in self.details.iter_mut().enumerate() {
            self.entries.update(number, |entry, _| change(entry, detail));
        }
    }

    /// Removes implied directories without contents. Items must be in the order of a walk: contents after their directory.
    pub(super) fn drop_hollow(&mut self) {
        let mut after: Option<&Path> = None;
        let mut keep: Vec<bool> = self
            .iter()
            .rev()
            .map(|(entry, detail)| {
                let keep = !detail.implied || after.is_some_and(|after| after.starts_with(entry.path()));
                after = if keep { Some(entry.path()) } else { after };
                keep
            })
            .collect();
        keep.reverse();
        self.entries.retain(|number| keep[number]);
        let mut kept = keep.into_iter();
        self.details.retain(|_| kept.next().unwrap_or(true));
    }
}

impl FileGroup {
    /// An empty group for the directory at a path.
    pub(super) fn directory(path: &Path) -> Self {
        let (source, name) = (path.to_string_lossy().into_owned(), base_name(path).to_owned());
        Self { source, name, directory: true, unpack: false, partial: false, items: Items::default() }
    }

    /// A group of one file, which is not unpacked.
    pub(super) fn file(source: String, name: OsString, found: OriginEntry<'_>, detail: Detail) -> Self {
        let mut items = Items::default();
        items.push(found, Path::new(""), detail);
        Self { source, name, directory: false, unpack: false, partial: false, items }
    }
}
