//! The layer writer: entries to a deterministic tar, written once, directly to its blob.
//!
//! The offsets of all members are planned first. They can then be read on all cores in any order, while they are hashed in archive
//! order.

use super::entry_list::EntryList;
use super::error::IoContext;
use super::index_builder::IndexBuilder;
use super::path::{MAX_LINKS, base_name};
use super::pieces::{Members, Plan, write_archive};
use super::row::RecordKind;
use super::tar::BLOCK;
use super::{Content, Entry, EntryKind, Extent, Layer, LayerStore, StorageError};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use rustix::fs::SeekFrom;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

/// Minimum size of files that are searched for holes, in bytes.
const SPARSE_FROM: u64 = 64 << 10;

/// An archive without members: two blocks of zeros (POSIX.1-2024, pax, "ustar Interchange Format"). All steps without changes have this layer,
/// and it is written once.
const EMPTY: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// Collects the entries of a layer.
pub struct LayerBuilder {
    store: LayerStore,
    entries: EntryList,
    /// The numbers of entries that are not part of the layer.
    left_out: HashSet<u32>,
}

/// The offsets of a layer's files in its archive.
#[derive(Debug)]
pub struct ContentOffsets {
    offsets: Vec<u64>,
    sparse: BTreeMap<u32, Vec<Extent>>,
}

impl ContentOffsets {
    /// The offset in bytes of the data of the entry with this number in the layer's list; `None` for a sparse file, and for one that is
    /// not in the layer.
    pub fn of(&self, number: u32) -> Option<u64> {
        let offset = self.offsets.get(number as usize).copied().filter(|offset| *offset > 0);
        offset.filter(|_| !self.sparse.contains_key(&number))
    }
}

impl LayerBuilder {
    pub(crate) fn new(store: LayerStore, entries: EntryList, left_out: HashSet<u32>) -> Self {
        Self { store, entries, left_out }
    }

    /// Adds an entry. It replaces an earlier entry with the same path. `content` is used for regular files only, and must have the
    /// size given in the entry.
    pub fn push(&mut self, entry: Entry, content: Content) {
        self.entries.push(&entry, content);
    }

    /// Adds a whiteout: removes `path` of lower layers.
    pub fn whiteout(&mut self, path: &Path) {
        let bytes = path.as_os_str().as_bytes();
        let base = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name = [&bytes[..base], b".wh.", &bytes[base..]].concat();
        self.entries.push_mark(RecordKind::Whiteout, bytes, &name);
    }

    /// Adds an opaque mark: removes what lower layers have in the directory `path`.
    pub fn opaque(&mut self, path: &Path) {
        let name = path.join(".wh..wh..opq").into_os_string().into_vec();
        self.entries.push_mark(RecordKind::Opaque, path.as_os_str().as_bytes(), &name);
    }

    /// Whether the layer has no entries and no marks.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == self.left_out.len()
    }

    /// Writes the layer to the store.
    pub fn finish(self, probe: &Probe) -> Result<Layer, StorageError> {
        Ok(self.finish_with_offsets(probe)?.0)
    }

    /// Writes the layer to the store, and returns where its files are.
    pub fn finish_with_offsets(mut self, probe: &Probe) -> Result<(Layer, ContentOffsets), StorageError> {
        let span = probe.phase(Phase::Archive);
        let order = self.order()?;
        if order.is_empty()
            && let Some(layer) = self.store.layer(&DiffId::of(EMPTY))?
        {
            return Ok((layer, ContentOffsets { offsets: Vec::new(), sparse: BTreeMap::new() }));
        }
        self.settle_links(&order)?;
        let members = Members { entries: &self.entries, order: &order };
        let plan = Plan::of(members)?;
        let (mut extents, mut read) = (BTreeMap::new(), 0);
        for (number, member) in order.iter().zip(members.iter()).filter(|(_, member)| member.size() > 0) {
            let content = member.content();
            check_length(member.path(), &content, member.size())?;
            if let Some(holes) = holes(&content, member.size(), plan.offsets[*number as usize])? {
                extents.insert(*number, holes);
            }
            read += member.size();
        }
        let mut writer = self.store.blobs().writer()?;
        let hash = write_archive(self.store.blobs(), members, &plan, &mut writer)?;
        let Plan { size, offsets, .. } = plan;
        let diff_id = DiffId::new(writer.finish_hashed(hash, size, None)?.digest());
        let files = order.len() as u64;
        span.quantity(Quantity::FilesChanged, files).quantity(Quantity::BytesWritten, size);
        span.quantity(Quantity::BytesRead, read).quantity(Quantity::BytesHashed, size);
        span.end();
        let span = probe.phase(Phase::Commit);
        let content_offsets = ContentOffsets { offsets: offsets.clone(), sparse: extents.clone() };
        let index = IndexBuilder::of(self.entries, order, offsets, extents).finish(diff_id, size)?;
        span.quantity(Quantity::FilesChanged, files);
        span.quantity(Quantity::BytesWritten, index.as_bytes().len() as u64);
        let layer = self.store.publish_index(index)?;
        span.end();
        self.store.sync_layer(probe)?;
        Ok((layer, content_offsets))
    }

    /// The numbers of the entries, sorted by the names of their members, bytewise. Of equal names, the last is kept.
    fn order(&self) -> Result<Vec<u32>, StorageError> {
        let count = u32::try_from(self.entries.len())
            .map_err(|_| StorageError::bad_layer(0, "it has more names than an index can hold"))?;
        let mut order: Vec<u32> = (0..count).filter(|number| !self.left_out.contains(number)).collect();
        let name = |number: &u32| self.entries.get(*number as usize).name();
        if !order.is_sorted_by(|a, b| name(a) < name(b)) {
            order.sort_by(|a, b| name(a).cmp(name(b)));
            order.dedup_by(|later, earlier| {
                let equal = name(later) == name(earlier);
                if equal {
                    *earlier = *later;
                }
                equal
            });
        }
        let mut paths = order.iter().map(|number| self.entries.get(*number as usize).path());
        // In a layer, such a name would be a mark.
        match paths.find(|path| base_name(path.as_os_str().as_bytes()).starts_with(b".wh.")) {
            None => Ok(order),
            Some(path) => Err(StorageError::BadEntry {
                path: path.to_owned(),
                reason: "names that start with `.wh.` mark removed files in a layer (whiteouts)",
            }),
        }
    }

    /// Gives the data of each hard-linked file to its first name: a streaming reader never finds a link before its target.
    fn settle_links(&mut self, order: &[u32]) -> Result<(), StorageError> {
        let members = Members { entries: &self.entries, order };
        let is_link = |member: super::ListedEntry<'_>| member.record_kind() == RecordKind::HardLink;
        if !members.iter().any(is_link) {
            return Ok(());
        }
        let positions: HashMap<&[u8], usize> =
            members.iter().enumerate().map(|(at, member)| (member.path_bytes(), at)).collect();
        let missing = |path: &Path| StorageError::BadEntry {
            path: path.to_owned(),
            reason: "the file it links to is not in the layer",
        };
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, member) in members.iter().enumerate() {
            let mut target = at;
            let mut steps = 0;
            while let (true, Some(path)) = (is_link(members.get(target)), members.get(target).target()) {
                target = *positions.get(path).filter(|_| steps < MAX_LINKS).ok_or_else(|| missing(member.path()))?;
                steps += 1;
            }
            if target != at {
                groups.entry(target).or_default().push(at);
            }
        }
        let entries = &mut self.entries;
        for (target, names) in groups {
            let first = names.iter().copied().min().filter(|&first| first < target).unwrap_or(target);
            let path = entries.get(order[first] as usize).path().to_owned();
            if first != target {
                let file = entries.get(order[target] as usize);
                let (kind, content) = (file.kind(), file.content());
                entries.update(order[first] as usize, |entry, old| (entry.kind, *old) = (kind, content));
            }
            for at in names.into_iter().chain([target]).filter(|&at| at != first) {
                entries.update(order[at] as usize, |entry, content| {
                    entry.kind = EntryKind::HardLink { target: path.clone() };
                    *content = Content::Bytes(Arc::default());
                });
            }
        }
        Ok(())
    }
}

fn check_length(path: &Path, content: &Content, size: u64) -> Result<(), StorageError> {
    let length = match content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::Blob { length, .. } | Content::Spooled { length, .. } => *length,
        Content::HostFile(_) => size,
        Content::Pinned(file) if file.size() != size => return Err(StorageError::ChangedWhileRead(file.path())),
        Content::Pinned(_) => size,
    };
    if length == size {
        return Ok(());
    }
    Err(StorageError::BadEntry {
        path: path.to_owned(),
        reason: "the size of its content differs from the size in its entry",
    })
}

/// The data extents of a file whose data starts at `at` in the archive; `None` if it has no holes worth recording.
fn holes(content: &Content, size: u64, at: u64) -> Result<Option<Vec<Extent>>, StorageError> {
    let extent = |offset, length| Extent { offset, blob_offset: at + offset, length };
    match content {
        Content::Blob { sparse: Some(extents), .. } => {
            Ok(Some(extents.iter().map(|e| extent(e.offset, e.length)).collect()))
        }
        Content::HostFile(path) if size >= SPARSE_FROM => {
            holes_of(&File::open(path).context("open", path)?, path, size, extent)
        }
        Content::Pinned(file) if size >= SPARSE_FROM => holes_of(&file.open()?, &file.path(), size, extent),
        _ => Ok(None),
    }
}

/// The data extents of an open file, converted by `extent` from (offset, length); `None` if it has no holes.
fn holes_of(
    file: &File,
    path: &Path,
    size: u64,
    extent: impl Fn(u64, u64) -> Extent,
) -> Result<Option<Vec<Extent>>, StorageError> {
    let mut extents = Vec::new();
    let mut from = 0;
    while from < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
            Ok(start) => start.min(size),
            Err(rustix::io::Errno::NXIO) => size,
            // The file system does not support holes.
            Err(_) => return Ok(None),
        };
        if start >= size {
            break;
        }
        let end = rustix::fs::seek(file, SeekFrom::Hole(start)).context("seek in", path)?.min(size);
        extents.push(extent(start, end - start));
        from = end;
    }
    let whole = matches!(extents.as_slice(), [Extent { offset: 0, length, .. }] if *length == size);
    Ok((!whole).then_some(extents))
}
