//! Lists of entries in a compact form.
//!
//! *Takes* and *gives* entries with the sources of their contents. An [`Entry`] and its [`Content`] take about 300 bytes and two
//! allocations, and a layer may have a million. In a list, each takes 64 bytes and its path. *Must never know* layers or trees.

use super::path::to_path;
use super::row::RecordKind;
use super::{Content, Entry, EntryKind, Spool, Timestamp};
use buildscope_record::BlobDigest;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Extended attributes by full name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

static NO_XATTRS: Xattrs = BTreeMap::new();
/// The value of `Slot::rare` for entries that are files or directories without attributes.
const NOT_RARE: u32 = u32::MAX;

/// A list of entries, each with its content.
#[derive(Debug, Default)]
pub struct EntryList {
    slots: Vec<Slot>,
    /// The paths, one after the other.
    paths: Vec<u8>,
    rare: Vec<Rare>,
    blobs: Vec<BlobDigest>,
    spools: Vec<Arc<Spool>>,
}

#[derive(Clone, Debug)]
struct Slot {
    path_at: usize,
    path_len: u32,
    kind: RecordKind,
    mode: u16,
    uid: u32,
    gid: u32,
    nanos: u32,
    seconds: i64,
    /// The size of a file; the major and minor number of a device.
    size: u64,
    rare: u32,
    content: Stored,
}

// A layer may have a million entries (docs/design/storage.md).
const _: () = assert!(size_of::<Slot>() <= 64);

/// Rare properties of entries.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// The target of a link; the name of a mark in the archive.
    text: PathBuf,
    xattrs: Xattrs,
}

/// A content without what the list has once.
#[derive(Clone, Debug)]
enum Stored {
    Nothing,
    Bytes(Box<Arc<[u8]>>),
    Blob { blob: u32, offset: u64 },
    Spool { spool: u32, offset: u64 },
    Other(Box<Content>),
}

/// An entry of a list.
#[derive(Clone, Copy, Debug)]
pub struct ListedEntry<'a> {
    list: &'a EntryList,
    slot: &'a Slot,
}

impl EntryList {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the list has no entries.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Prepares for this number of entries.
    pub fn reserve(&mut self, count: usize) {
        self.slots.reserve_exact(count);
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: &Entry, content: Content) {
        self.push_at(&entry.path, entry, content);
    }

    /// Adds an entry at the end, with this path instead of its own.
    pub fn push_at(&mut self, path: &Path, entry: &Entry, content: Content) {
        let (kind, size, text) = match &entry.kind {
            EntryKind::File { size } => (RecordKind::File, *size, None),
            EntryKind::Directory => (RecordKind::Directory, 0, None),
            EntryKind::Symlink { target } => (RecordKind::Symlink, 0, Some(target)),
            EntryKind::HardLink { target } => (RecordKind::HardLink, 0, Some(target)),
            EntryKind::CharDevice { major, minor } => (RecordKind::Char, device(*major, *minor), None),
            EntryKind::BlockDevice { major, minor } => (RecordKind::Block, device(*major, *minor), None),
            EntryKind::Fifo => (RecordKind::Fifo, 0, None),
        };
        let rare = if text.is_some() || !entry.xattrs.is_empty() {
            self.rare(Rare { text: text.cloned().unwrap_or_default(), xattrs: entry.xattrs.clone() })
        } else {
            NOT_RARE
        };
        let (path_at, path_len) = self.path(path.as_os_str().as_bytes());
        let content = self.stored(content, size);
        let Timestamp { seconds, nanos } = entry.mtime;
        let (mode, uid, gid) = (entry.mode as u16, entry.uid, entry.gid);
        self.slots.push(Slot { path_at, path_len, kind, mode, uid, gid, nanos, seconds, size, rare, content });
    }

    /// Adds a mark at the end: the removal of `path`, whose member in the archive is the empty file `name`.
    pub(crate) fn push_mark(&mut self, kind: RecordKind, path: &[u8], name: &[u8]) {
        self.push(&Entry { mode: 0, ..Entry::directory(to_path(path)) }, Content::Bytes(Arc::default()));
        let rare = self.rare(Rare { text: to_path(name), xattrs: Xattrs::new() });
        let slot = self.slots.last_mut().expect("an entry was just added");
        (slot.kind, slot.rare) = (kind, rare);
    }

    /// The entry with this number.
    ///
    /// # Panics
    /// If the list has no such entry.
    pub fn get(&self, number: usize) -> ListedEntry<'_> {
        ListedEntry { list: self, slot: &self.slots[number] }
    }

    /// The entries in the order in which they were added.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ListedEntry<'_>> + ExactSizeIterator {
        self.slots.iter().map(|slot| ListedEntry { list: self, slot })
    }

    /// Changes an entry. Its path must stay the same.
    pub fn update(&mut self, number: usize, change: impl FnOnce(&mut Entry, &mut Content)) {
        let listed = self.get(number);
        let (mut entry, mut content) = (Entry { path: PathBuf::new(), ..listed.entry() }, listed.content());
        change(&mut entry, &mut content);
        self.push(&entry, content);
        let changed = self.slots.pop().expect("an entry was just added");
        let slot = &mut self.slots[number];
        *slot = Slot { path_at: slot.path_at, path_len: slot.path_len, ..changed };
    }

    /// Sets the size and the content of a regular file.
    pub fn set_file(&mut self, number: usize, size: u64, content: Content) {
        let content = self.stored(content, size);
        let slot = &mut self.slots[number];
        (slot.size, slot.content) = (size, content);
    }

    /// Keeps the entries for whose numbers `keep` is true. The memory of the others' paths is not freed.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut number = 0;
        self.slots.retain(|_| {
            number += 1;
            keep(number - 1)
        });
    }

    fn path(&mut self, path: &[u8]) -> (usize, u32) {
        let at = self.paths.len();
        self.paths.extend_from_slice(path);
        (at, u32::try_from(path.len()).expect("a path is shorter than 4 GiB"))
    }

    fn rare(&mut self, rare: Rare) -> u32 {
        self.rare.push(rare);
        u32::try_from(self.rare.len() - 1).expect("fewer than 4 billion entries fit into memory")
    }

    fn stored(&mut self, content: Content, size: u64) -> Stored {
        match content {
            Content::Bytes(bytes) if bytes.is_empty() => Stored::Nothing,
            Content::Bytes(bytes) => Stored::Bytes(Box::new(bytes)),
            Content::Blob { blob, offset, length, sparse: None } if length == size => {
                Stored::Blob { blob: number_of(&mut self.blobs, |known| *known == blob, blob), offset }
            }
            Content::Spooled { spool, offset, length } if length == size => Stored::Spool {
                spool: number_of(&mut self.spools, |known| Arc::ptr_eq(known, &spool), Arc::clone(&spool)),
                offset,
            },
            other => Stored::Other(Box::new(other)),
        }
    }
}

impl<'a> ListedEntry<'a> {
    /// The path in the image.
    pub fn path(&self) -> &'a Path {
        Path::new(OsStr::from_bytes(self.path_bytes()))
    }

    /// The bytes of the path.
    pub fn path_bytes(&self) -> &'a [u8] {
        &self.list.paths[self.slot.path_at..self.slot.path_at + self.slot.path_len as usize]
    }

    /// The type of the entry.
    pub fn kind(&self) -> EntryKind {
        let device = || ((self.slot.size >> 32) as u32, self.slot.size as u32);
        match self.slot.kind {
            RecordKind::File | RecordKind::Whiteout | RecordKind::Opaque => EntryKind::File { size: self.slot.size },
            RecordKind::Directory => EntryKind::Directory,
            RecordKind::Symlink => EntryKind::Symlink { target: self.text().to_owned() },
            RecordKind::HardLink => EntryKind::HardLink { target: self.text().to_owned() },
            RecordKind::Char => EntryKind::CharDevice { major: device().0, minor: device().1 },
            RecordKind::Block => EntryKind::BlockDevice { major: device().0, minor: device().1 },
            RecordKind::Fifo => EntryKind::Fifo,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.slot.kind == RecordKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.slot.kind == RecordKind::File
    }

    /// The size of a regular file in bytes; 0 for everything else.
    pub fn size(&self) -> u64 {
        if matches!(self.slot.kind, RecordKind::Char | RecordKind::Block) { 0 } else { self.slot.size }
    }

    /// The low twelve bits of `st_mode`.
    pub fn mode(&self) -> u32 {
        self.slot.mode.into()
    }

    /// The ids of the user and the group.
    pub fn owner(&self) -> (u32, u32) {
        (self.slot.uid, self.slot.gid)
    }

    /// The modification time.
    pub fn mtime(&self) -> Timestamp {
        Timestamp { seconds: self.slot.seconds, nanos: self.slot.nanos }
    }

    /// The extended attributes.
    pub fn xattrs(&self) -> &'a Xattrs {
        self.rare().map_or(&NO_XATTRS, |rare| &rare.xattrs)
    }

    /// The entry. That of a mark is the empty file in the archive, at the path that it removes.
    pub fn entry(&self) -> Entry {
        let (uid, gid) = self.owner();
        let (kind, xattrs) = (self.kind(), self.xattrs().clone());
        Entry { path: self.path().to_owned(), kind, mode: self.mode(), uid, gid, mtime: self.mtime(), xattrs }
    }

    /// The source of the bytes.
    pub fn content(&self) -> Content {
        let length = self.slot.size;
        match &self.slot.content {
            Stored::Nothing => Content::Bytes(Arc::default()),
            Stored::Bytes(bytes) => Content::Bytes(Arc::clone(bytes)),
            Stored::Blob { blob, offset } => {
                Content::Blob { blob: self.list.blobs[*blob as usize], offset: *offset, length, sparse: None }
            }
            Stored::Spool { spool, offset } => {
                Content::Spooled { spool: Arc::clone(&self.list.spools[*spool as usize]), offset: *offset, length }
            }
            Stored::Other(content) => (**content).clone(),
        }
    }

    pub(crate) fn record_kind(&self) -> RecordKind {
        self.slot.kind
    }

    /// The size field of an index record.
    pub(crate) fn size_or_device(&self) -> u64 {
        self.slot.size
    }

    /// Whether it is a mark of a removal instead of an entry.
    pub(crate) fn is_mark(&self) -> bool {
        matches!(self.slot.kind, RecordKind::Whiteout | RecordKind::Opaque)
    }

    /// The name of its member in the archive, without the slash of a directory.
    pub(crate) fn name(&self) -> &'a [u8] {
        if self.is_mark() { self.text().as_os_str().as_bytes() } else { self.path_bytes() }
    }

    /// The target of a link.
    pub(crate) fn target(&self) -> Option<&'a [u8]> {
        let link = matches!(self.slot.kind, RecordKind::Symlink | RecordKind::HardLink);
        link.then(|| self.text().as_os_str().as_bytes())
    }

    /// Whether the header of its member may need more than one block.
    pub(crate) fn is_plain(&self) -> bool {
        self.slot.rare == NOT_RARE
    }

    pub(crate) fn is_device_zero(&self) -> bool {
        self.slot.kind == RecordKind::Char && self.slot.size == 0
    }

    fn rare(&self) -> Option<&'a Rare> {
        self.list.rare.get(self.slot.rare as usize)
    }

    fn text(&self) -> &'a Path {
        self.rare().map_or(Path::new(""), |rare| &rare.text)
    }
}

fn device(major: u32, minor: u32) -> u64 {
    u64::from(major) << 32 | u64::from(minor)
}

/// The number of a value in a short list, to which it is added if it is new. The last values are tried first: neighbours are mostly in
/// the same blob.
fn number_of<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, value: T) -> u32 {
    let number = list.iter().rposition(is_it).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    });
    u32::try_from(number).expect("fewer than 4 billion blobs exist")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extent;

    #[test]
    fn an_entry_list_returns_the_entries_that_were_added() {
        let entry = |path: &str, kind| Entry {
            kind,
            mode: 0o4751,
            uid: 7,
            gid: 8,
            mtime: Timestamp { seconds: -9, nanos: 10 },
            ..Entry::directory(path)
        };
        let blob =
            |name: &str, length, sparse| Content::Blob { blob: BlobDigest::of(name), offset: 512, length, sparse };
        let extents = [Extent { offset: 1, blob_offset: 2, length: 3 }];
        let given = [
            (entry("", EntryKind::Directory), Content::Bytes(Arc::default())),
            (entry("bytes", EntryKind::File { size: 2 }), Content::Bytes(Arc::from(&b"ab"[..]))),
            (entry("a/blob", EntryKind::File { size: 5 }), blob("1", 5, None)),
            (entry("a/other", EntryKind::File { size: 5 }), blob("2", 5, None)),
            (entry("a/odd length", EntryKind::File { size: 5 }), blob("1", 6, None)),
            (entry("sparse", EntryKind::File { size: 9 }), blob("1", 9, Some(extents.into()))),
            (entry("host", EntryKind::File { size: 9 }), Content::HostFile("/host".into())),
            (entry("link", EntryKind::Symlink { target: "../x".into() }), Content::Bytes(Arc::default())),
            (entry("hard", EntryKind::HardLink { target: "a/blob".into() }), Content::Bytes(Arc::default())),
            (entry("char", EntryKind::CharDevice { major: 1, minor: 3 }), Content::Bytes(Arc::default())),
            (entry("block", EntryKind::BlockDevice { major: 8, minor: 1 }), Content::Bytes(Arc::default())),
            (entry("fifo", EntryKind::Fifo), Content::Bytes(Arc::default())),
        ];
        let mut list = EntryList::default();
        for (entry, content) in &given {
            list.push(entry, content.clone());
        }
        for ((entry, content), listed) in given.iter().zip(list.iter()) {
            assert_eq!((&listed.entry(), format!("{:?}", listed.content())), (entry, format!("{content:?}")));
        }
        list.update(1, |entry, content| {
            (entry.mode, entry.kind) = (0o600, EntryKind::File { size: 3 });
            entry.xattrs.insert(b"user.x".to_vec(), b"1".to_vec());
            *content = Content::Bytes(Arc::from(&b"new"[..]));
        });
        list.retain(|number| number < 2);
        let changed = list.get(1);
        assert_eq!((list.len(), changed.path(), changed.size(), changed.mode()), (2, Path::new("bytes"), 3, 0o600));
        assert_eq!((changed.xattrs().len(), list.get(0).xattrs().len()), (1, 0));
        assert!(matches!(changed.content(), Content::Bytes(bytes) if *bytes == *b"new"));
    }

    #[test]
    fn an_entry_takes_sixty_four_bytes() {
        assert_eq!(size_of::<Slot>(), 64);
    }
}
