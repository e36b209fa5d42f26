//! The layer writer: entries to a deterministic tar, written once, directly to its blob.
//!
//! All headers and offsets are planned first. Pieces of the archive can then be read on all cores in any order, while they are
//! hashed in archive order.

use super::error::Context;
use super::index::IndexBuilder;
use super::path::MAX_LINKS;
use super::pieces::{Piece, Source, write_pieces};
use super::row::RecordKind;
use super::{Content, Entry, EntryKind, Extent, Layer, LayerStore, StorageError, tar};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use rustix::fs::SeekFrom;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Minimum size of files that are searched for holes, in bytes.
const SPARSE_FROM: u64 = 64 << 10;

/// Collects the entries of a layer.
pub struct LayerBuilder {
    store: LayerStore,
    items: Vec<Item>,
}

/// A member of the archive.
struct Item {
    /// The name in the archive, without the slash of a directory.
    name: Vec<u8>,
    entry: Entry,
    content: Content,
    mark: Option<RecordKind>,
}

impl LayerBuilder {
    pub(crate) fn new(store: LayerStore) -> Self {
        Self { store, items: Vec::new() }
    }

    /// Adds an entry. It replaces an earlier entry with the same path. `content` is used for regular files only, and must have the
    /// size given in the entry.
    pub fn push(&mut self, entry: Entry, content: Content) {
        self.items.push(Item { name: entry.path.as_os_str().as_bytes().to_vec(), entry, content, mark: None });
    }

    /// Adds a whiteout: removes `path` of lower layers.
    pub fn whiteout(&mut self, path: &Path) {
        let bytes = path.as_os_str().as_bytes();
        let base = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name = [&bytes[..base], b".wh.", &bytes[base..]].concat();
        self.mark(RecordKind::Whiteout, name, path);
    }

    /// Adds an opaque mark: removes what lower layers have in the directory `path`.
    pub fn opaque(&mut self, path: &Path) {
        let name = path.join(".wh..wh..opq").into_os_string().into_vec();
        self.mark(RecordKind::Opaque, name, path);
    }

    /// Whether the layer has no entries and no marks.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn mark(&mut self, kind: RecordKind, name: Vec<u8>, path: &Path) {
        let content = Content::Bytes(Arc::default());
        // The member is an empty file (OCI image specification, "Whiteouts"). The index records the path that it removes.
        let entry = Entry { kind: EntryKind::File { size: 0 }, mode: 0, ..Entry::directory(path) };
        self.items.push(Item { name, entry, content, mark: Some(kind) });
    }

    /// Writes the layer to the store.
    pub fn finish(mut self, probe: &Probe) -> Result<Layer, StorageError> {
        let span = probe.phase(Phase::Archive);
        self.sort();
        self.settle_links()?;
        let mut index = IndexBuilder::default();
        let (mut pieces, mut at, mut files, mut read) = (Vec::with_capacity(self.items.len()), 0u64, 0u64, 0u64);
        let mut headers = Vec::with_capacity(self.items.len() * tar::BLOCK as usize);
        for item in self.items {
            let Item { mut name, entry, content, mark } = item;
            if entry.kind == EntryKind::Directory {
                name.extend_from_slice(if name.is_empty() { b"./" } else { b"/" });
            }
            let from = headers.len();
            tar::encode(&entry, &name, &mut headers)?;
            at += (headers.len() - from) as u64;
            pieces.push(Piece::header(from, headers.len()));
            let mut extents = None;
            if let EntryKind::File { size } = entry.kind
                && size > 0
            {
                check_length(&entry.path, &content, size)?;
                extents = holes(&content, size, at)?;
                pieces.push(Piece::data(size, Source::from(content)));
                at += tar::padded(size);
                read += size;
            }
            match mark {
                Some(kind) => index.mark(kind, entry.path),
                None => {
                    let offset = at - if let EntryKind::File { size } = entry.kind { tar::padded(size) } else { 0 };
                    index.entry(entry, offset, extents);
                }
            }
            files += 1;
        }
        let from = headers.len();
        headers.extend_from_slice(&tar::END);
        pieces.push(Piece::header(from, headers.len()));
        at += tar::END.len() as u64;

        let mut writer = self.store.blobs().writer()?;
        let hash = write_pieces(self.store.blobs(), &headers, &pieces, &mut writer)?;
        let diff_id = DiffId::new(writer.finish_hashed(hash, at, None)?.digest());
        span.quantity(Quantity::FilesChanged, files).quantity(Quantity::BytesWritten, at);
        span.quantity(Quantity::BytesRead, read).quantity(Quantity::BytesHashed, at);
        span.end();
        let span = probe.phase(Phase::Commit);
        let index = index.finish(diff_id, at)?;
        span.quantity(Quantity::FilesChanged, files);
        span.quantity(Quantity::BytesWritten, index.as_bytes().len() as u64);
        let layer = self.store.publish_index(index)?;
        span.end();
        self.store.sync_layer(probe)?;
        Ok(layer)
    }

    /// Sorts the members by name, bytewise. Of equal names, the last is kept.
    fn sort(&mut self) {
        if !self.items.is_sorted_by(|a, b| a.name < b.name) {
            self.items.sort_by(|a, b| a.name.cmp(&b.name));
            // `dedup_by` passes (later, earlier) and removes the later one, so the two are swapped.
            self.items.dedup_by(|later, earlier| {
                let equal = later.name == earlier.name;
                if equal {
                    std::mem::swap(later, earlier);
                }
                equal
            });
        }
    }

    /// Gives the data of each hard-linked file to its first name: a streaming reader never finds a link before its target.
    fn settle_links(&mut self) -> Result<(), StorageError> {
        if !self.items.iter().any(|item| matches!(item.entry.kind, EntryKind::HardLink { .. })) {
            return Ok(());
        }
        let positions: HashMap<PathBuf, usize> =
            self.items.iter().enumerate().map(|(at, item)| (item.entry.path.clone(), at)).collect();
        let missing = |path: &Path| StorageError::BadEntry {
            path: path.to_owned(),
            reason: "the file it links to is not in the layer",
        };
        let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, item) in self.items.iter().enumerate() {
            let mut target = at;
            let mut steps = 0;
            while let EntryKind::HardLink { target: path } = &self.items[target].entry.kind {
                target = *positions.get(path).filter(|_| steps < MAX_LINKS).ok_or_else(|| missing(&item.entry.path))?;
                steps += 1;
            }
            if target != at {
                groups.entry(target).or_default().push(at);
            }
        }
        for (target, names) in groups {
            let first = names.iter().copied().min().filter(|&first| first < target).unwrap_or(target);
            let path = self.items[first].entry.path.clone();
            if first != target {
                let kind = self.items[target].entry.kind.clone();
                let content = std::mem::replace(&mut self.items[target].content, Content::Bytes(Arc::default()));
                (self.items[first].entry.kind, self.items[first].content) = (kind, content);
            }
            for at in names.into_iter().chain([target]).filter(|&at| at != first) {
                self.items[at].entry.kind = EntryKind::HardLink { target: path.clone() };
            }
        }
        Ok(())
    }
}

fn check_length(path: &Path, content: &Content, size: u64) -> Result<(), StorageError> {
    let length = match content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::Blob { length, .. } => *length,
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
