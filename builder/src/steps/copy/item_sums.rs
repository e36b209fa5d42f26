//! Sums over the items of a selection: its key, the digest of its times, and the number of its files.

use super::group::{Detail, FileGroup};
use crate::plan;
use buildscope_record::Digest;
use buildscope_storage::{EntryKind, ListedEntry, Timestamp};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// A number of files, and their total size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCount {
    /// The number of files.
    pub files: u64,
    /// The total size in bytes.
    pub bytes: u64,
}

/// Counts files by the top-level entry of the source tree.
pub(super) struct TopEntries {
    /// The entry that contains all of the group, unless the group is the whole tree.
    above: Option<String>,
    pub(super) counts: BTreeMap<String, FileCount>,
}

impl TopEntries {
    /// Counts the files of a group in addition to others.
    pub(super) fn continued(counts: BTreeMap<String, FileCount>, group: &FileGroup) -> Self {
        let above = first_name(Path::new(group.source.trim_end_matches('/')));
        Self { above: above.map(Cow::into_owned), counts }
    }

    pub(super) fn add(&mut self, entry: ListedEntry<'_>) {
        if entry.is_file()
            && let Some(top) = self.above.as_deref().map(Cow::from).or_else(|| first_name(entry.path()))
        {
            let count = match self.counts.get_mut(&*top) {
                Some(count) => count,
                None => self.counts.entry(top.into_owned()).or_default(),
            };
            count.files += 1;
            count.bytes += entry.size();
        }
    }
}

fn first_name(path: &Path) -> Option<Cow<'_, str>> {
    path.components().find_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy()),
        _ => None,
    })
}

/// Hashes a list of fields. Texts are preceded by their length, so that different lists never hash the same bytes.
pub(super) struct Key {
    hash: Sha256,
    /// Fields that are not hashed yet: an item has several short ones, and hashing many bytes at a time is cheaper.
    fields: Vec<u8>,
}

impl Key {
    /// The number of bytes that are hashed at a time.
    const AT_ONCE: usize = 4096;

    pub(super) fn new() -> Self {
        Self { hash: Sha256::new(), fields: Vec::with_capacity(Self::AT_ONCE) }
    }

    pub(super) fn finish(mut self) -> Digest {
        self.hash.update(&self.fields);
        Digest::from_bytes(self.hash.finalize().into())
    }

    /// Starts a group with that many items.
    pub(super) fn group(&mut self, group: &FileGroup, items: usize) {
        self.text(group.name.as_encoded_bytes());
        self.number(u64::from(group.directory) | u64::from(group.unpack) << 1 | u64::from(group.partial) << 2);
        self.number(items as u64);
    }

    /// Adds an item of a group, which may be that of a `directory`.
    pub(super) fn entry(&mut self, op: &plan::Copy, directory: bool, entry: ListedEntry<'_>, detail: &Detail) {
        self.text(entry.path_bytes());
        // Only the contents of a directory are copied, so the metadata of its root does not affect the layer.
        if !(directory && entry.path_bytes().is_empty()) {
            self.item(op, entry, detail);
            // These numbers start at 1, those of the key at 0.
            self.number(detail.inode.map_or(u64::MAX, |inode| u64::from(inode.get() - 1)));
        }
    }

    /// Adds the modification time of an item. With `latest` (seconds since 1970), later times count as that time.
    pub(super) fn time(&mut self, entry: ListedEntry<'_>, detail: &Detail, latest: Option<i64>) {
        if entry.is_directory() || detail.timeless {
            return;
        }
        let Timestamp { seconds, nanos } = match (entry.mtime(), latest) {
            (time, Some(latest)) if time.seconds >= latest => Timestamp { seconds: latest, nanos: 0 },
            (time, _) => time,
        };
        self.number(seconds as u64);
        self.number(nanos.into());
    }

    fn number(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    fn text(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.fields.len() + bytes.len() > Self::AT_ONCE {
            self.hash.update(&self.fields);
            self.fields.clear();
        }
        if bytes.len() > Self::AT_ONCE {
            self.hash.update(bytes);
        } else {
            self.fields.extend_from_slice(bytes);
        }
    }

    fn item(&mut self, op: &plan::Copy, entry: ListedEntry<'_>, detail: &Detail) {
        match entry.kind() {
            EntryKind::File { .. } => {
                self.number(1);
                // Every file has a digest by now.
                self.put(detail.digest.as_ref().map_or(&[0; 32], |digest| digest.as_bytes()));
            }
            EntryKind::Directory => self.number(2 | u64::from(detail.implied) << 8),
            EntryKind::Symlink { target } => {
                self.number(3);
                self.text(target.as_os_str().as_encoded_bytes());
            }
            EntryKind::HardLink { target } => {
                self.number(4);
                self.text(target.as_os_str().as_encoded_bytes());
            }
            EntryKind::CharDevice { major, minor } => self.number(5 | u64::from(major) << 40 | u64::from(minor) << 8),
            EntryKind::BlockDevice { major, minor } => self.number(6 | u64::from(major) << 40 | u64::from(minor) << 8),
            EntryKind::Fifo => self.number(7),
        }
        if op.chmod.is_none() {
            self.number(entry.mode().into());
        } else if op.chmod.as_deref().is_some_and(|mode| !mode.starts_with(|c: char| c.is_ascii_digit())) {
            // A symbolic mode depends on the existing mode.
            self.number(entry.mode().into());
        }
        if op.chown.is_none() {
            let (uid, gid) = entry.owner();
            self.number(u64::from(uid) << 32 | u64::from(gid));
        }
        self.number(entry.xattrs().len() as u64);
        for (name, value) in entry.xattrs() {
            self.text(name);
            self.text(value);
        }
    }
}
