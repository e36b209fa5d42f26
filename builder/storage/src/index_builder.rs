//! Builds the index of a layer.
//!
//! *Takes* the members of an archive, *gives* the index. *Must never know* where the archive is stored.

use super::entry_list::{EntryList, ListedEntry};
use super::index::{HEADER, LayerIndex, MAGIC, NO_RECORD, RECORD, VERSION};
use super::limits::{Allowance, MAX_IMPLIED};
use super::path::{MAX_LINKS, compare, is_below};
use super::replay::replay;
use super::row::{IndexRow, RecordKind};
use super::{Content, Entry, Extent, Layer, StorageError};
use buildscope_record::DiffId;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Collects the members of a layer and builds its index.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    entries: EntryList,
    /// The numbers of the members that count; all if it is `None`.
    order: Option<Vec<u32>>,
    /// The offset of each member's data. They grow in the order of the archive.
    offsets: Vec<u64>,
    /// The pieces of sparse files, by number.
    extents: BTreeMap<u32, Vec<Extent>>,
    /// The hard links to files of lower layers.
    below: BTreeSet<u32>,
}

impl IndexBuilder {
    /// The members `order` of a list.
    pub(crate) fn of(
        entries: EntryList,
        order: Vec<u32>,
        offsets: Vec<u64>,
        extents: BTreeMap<u32, Vec<Extent>>,
    ) -> Self {
        Self { entries, order: Some(order), offsets, extents, below: BTreeSet::new() }
    }

    /// Adds an entry. If a path occurs twice, the last entry counts, as when an archive is unpacked.
    pub(crate) fn entry(&mut self, entry: &Entry, offset: u64, extents: Option<Vec<Extent>>) {
        self.extents.extend(extents.map(|extents| (self.offsets.len() as u32, extents)));
        self.entries.push(entry, Content::Bytes(Arc::default()));
        self.offsets.push(offset);
    }

    /// Adds a whiteout or an opaque mark, whose member has its data at `offset`.
    pub(crate) fn mark(&mut self, kind: RecordKind, path: &Path, offset: u64) {
        self.entries.push_mark(kind, path.as_os_str().as_encoded_bytes(), b"");
        self.offsets.push(offset);
    }

    /// Applies members to each other if their order matters, sorts them, and writes the index of a layer of `size` bytes.
    ///
    /// # Errors
    /// [`StorageError::BadLayer`] if its files have far more bytes than the layer (holes count), or its paths far more directories than it
    /// has members.
    pub(crate) fn finish(mut self, diff_id: DiffId, size: u64) -> Result<LayerIndex, StorageError> {
        let too_large = || StorageError::bad_layer(0, "it has more names than an index can hold");
        let count = u32::try_from(self.entries.len()).map_err(|_| too_large())?;
        let mut allowance = Allowance::of(size);
        for (number, file) in self.entries.iter().enumerate().filter(|(_, entry)| entry.is_file()) {
            let over = |error: std::io::Error| StorageError::bad_layer(self.offsets[number], error.to_string());
            allowance.take(file.size()).map_err(over)?;
        }
        // Layers that were written here have all parents.
        let imported = self.order.is_none();
        let mut order = self.order.take().unwrap_or_else(|| (0..count).collect());
        self.sort(&mut order);
        if imported && self.implied(&order) > MAX_IMPLIED {
            let reason = format!("it has more than {MAX_IMPLIED} directories without a member of their own");
            return Err(StorageError::bad_layer(0, reason));
        }
        if !self.is_settled(&order) {
            order.sort_unstable_by_key(|number| self.offsets[*number as usize]);
            let rows = replay(&order.iter().map(|number| self.row(*number)).collect::<Vec<_>>())?;
            self = Self::of_rows(rows);
            order = (0..u32::try_from(self.entries.len()).map_err(|_| too_large())?).collect();
            self.sort(&mut order);
        }
        // The last of several equal directories or marks counts.
        order.dedup_by(|later, earlier| {
            let equal = self.path(*later) == self.path(*earlier) && self.class(*later) == self.class(*earlier);
            if equal {
                *earlier = *later;
            }
            equal
        });
        self.write(&order, Layer { diff_id, size, files: order.len() as u64 }).ok_or_else(too_large)
    }

    /// The members after they were applied to each other.
    fn of_rows(rows: Vec<IndexRow>) -> Self {
        let mut builder = Self::default();
        for IndexRow { kind, below, entry, offset, extents, .. } in rows {
            if below {
                builder.below.insert(builder.offsets.len() as u32);
            }
            match kind {
                RecordKind::Whiteout | RecordKind::Opaque => builder.mark(kind, &entry.path, offset),
                _ => builder.entry(&entry, offset, extents),
            }
        }
        builder
    }

    fn row(&self, number: u32) -> IndexRow {
        let (listed, offset) = (self.get(number), self.offsets[number as usize]);
        let kind = listed.record_kind();
        if listed.is_mark() {
            return IndexRow { offset, ..IndexRow::mark(kind, listed.path().to_owned()) };
        }
        IndexRow { kind, below: false, entry: listed.entry(), offset, extents: self.extents.get(&number).cloned() }
    }

    fn get(&self, number: u32) -> ListedEntry<'_> {
        self.entries.get(number as usize)
    }

    fn path(&self, number: u32) -> &[u8] {
        self.get(number).path_bytes()
    }

    /// The kind of the record. overlayfs treats a device 0:0 as a whiteout.
    fn kind(&self, number: u32) -> RecordKind {
        let listed = self.get(number);
        if listed.is_device_zero() { RecordKind::Whiteout } else { listed.record_kind() }
    }

    /// A path has at most one record of each class: a whiteout, an opaque mark, or an entry.
    fn class(&self, number: u32) -> RecordKind {
        self.kind(number).min(RecordKind::Directory)
    }

    /// Sorts members in tree order. Of those with one path, marks come before entries, then they are in archive order.
    fn sort(&self, order: &mut [u32]) {
        let class = |number: u32| self.get(number).record_kind().min(RecordKind::Directory);
        let compare = |a: &u32, b: &u32| -> Ordering {
            compare(self.path(*a), self.path(*b))
                .then_with(|| class(*a).cmp(&class(*b)))
                .then_with(|| self.offsets[*a as usize].cmp(&self.offsets[*b as usize]))
        };
        if !order.is_sorted_by(|a, b| compare(a, b).is_le()) {
            order.sort_unstable_by(compare);
        }
    }

    /// The number of directories that only occur in the paths of members, which are in tree order.
    fn implied(&self, order: &[u32]) -> usize {
        let (mut before, mut implied): (&[u8], usize) = (b"", 0);
        for path in order.iter().map(|number| self.path(*number)) {
            let common = before.iter().zip(path).take_while(|(a, b)| a == b).count();
            let known = match path[..common].iter().rposition(|&byte| byte == b'/') {
                _ if common == before.len() && path.get(common) == Some(&b'/') => common + 1,
                Some(slash) => slash + 1,
                None => 0,
            };
            implied += path[known..].iter().filter(|&&byte| byte == b'/').count();
            before = path;
        }
        implied
    }

    /// Whether the result of these members, given in tree order, does not depend on archive order: no path occurs twice or leads
    /// through a link or file, and each hard link follows its file and has the same metadata. Nearly all layers are like this, and
    /// need not be [replayed](super::replay).
    fn is_settled(&self, order: &[u32]) -> bool {
        let class = |entry: &ListedEntry<'_>| entry.record_kind().min(RecordKind::Directory);
        let is_leaf = |entry: &ListedEntry<'_>| entry.record_kind() > RecordKind::Directory;
        let mut last_leaf: Option<&[u8]> = None;
        let mut before: Option<ListedEntry<'_>> = None;
        for number in order {
            let entry = self.get(*number);
            if last_leaf.is_some_and(|leaf| is_below(entry.path_bytes(), leaf)) {
                return false;
            }
            if let Some(before) = before.filter(|before| before.path_bytes() == entry.path_bytes()) {
                let twice = class(&before) == class(&entry) && (is_leaf(&before) || is_leaf(&entry));
                if twice || is_leaf(&entry) && before.record_kind() == RecordKind::Opaque {
                    return false;
                }
            }
            if entry.record_kind() == RecordKind::HardLink {
                let Some(file) = self.target_of(*number, order).map(|position| order[position]) else { return false };
                let follows = self.offsets[file as usize] < self.offsets[*number as usize];
                if !follows || self.get(file).is_device_zero() || !looks_like(entry, self.get(file)) {
                    return false;
                }
            }
            before = Some(entry);
            if is_leaf(&entry) {
                last_leaf = Some(entry.path_bytes());
            }
        }
        true
    }

    /// The position of the member with the data of a hard link; links to links are followed. `None` if it is not among the members,
    /// which are in tree order.
    fn file_of(&self, number: u32, order: &[u32]) -> Option<usize> {
        let mut position = self.target_of(number, order)?;
        for _ in 0..MAX_LINKS {
            if self.get(order[position]).record_kind() != RecordKind::HardLink {
                return Some(position);
            }
            position = self.target_of(order[position], order)?;
        }
        None
    }

    /// The position of the member that a hard link refers to; `None` if that is a directory or not among the members.
    fn target_of(&self, number: u32, order: &[u32]) -> Option<usize> {
        let link = self.get(number);
        let target = link.target().filter(|_| link.record_kind() == RecordKind::HardLink)?;
        let by_path = |other: &u32| {
            let class = self.get(*other).record_kind().min(RecordKind::Directory);
            compare(self.path(*other), target).then_with(|| class.cmp(&RecordKind::Directory))
        };
        let position = order.binary_search_by(by_path).ok().filter(|_| !self.below.contains(&number))?;
        (self.get(order[position]).record_kind() != RecordKind::Directory).then_some(position)
    }

    /// Writes the records, which are in tree order, and the heap. `None` if the heap is larger than 4 GiB.
    fn write(&self, order: &[u32], layer: Layer) -> Option<LayerIndex> {
        let links: BTreeMap<u32, usize> =
            order.iter().filter_map(|number| Some((*number, self.file_of(*number, order)?))).collect();
        let mut names: BTreeMap<usize, u32> = BTreeMap::new();
        links.values().for_each(|file| *names.entry(*file).or_insert(1) += 1);
        let paths: usize = order.iter().map(|number| self.path(*number).len()).sum();
        let mut bytes = Vec::with_capacity(HEADER + order.len() * RECORD + paths + 8);
        bytes.extend_from_slice(&MAGIC);
        for value in [VERSION, order.len() as u32] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&layer.size.to_le_bytes());
        bytes.extend_from_slice(layer.diff_id.as_bytes());
        let mut heap = Vec::with_capacity(paths);
        for (position, number) in order.iter().enumerate() {
            let link = links.get(number).map_or(NO_RECORD, |file| *file as u32);
            self.pack(*number, link, names.get(&position).copied().unwrap_or(1), &mut bytes, &mut heap);
        }
        u32::try_from(heap.len()).ok()?;
        bytes.append(&mut heap);
        Some(LayerIndex::complete(layer, bytes))
    }

    /// Appends the record of a member.
    fn pack(&self, number: u32, link: u32, names: u32, out: &mut Vec<u8>, heap: &mut Vec<u8>) {
        let (kind, mark) = (self.kind(number), Entry::directory(""));
        let listed = self.get(number);
        let mut keep = |bytes: &[u8]| {
            let at = heap.len() as u32;
            heap.extend_from_slice(bytes);
            [at, bytes.len() as u32]
        };
        let name = keep(listed.path_bytes());
        // A mark has no metadata.
        let is_mark = kind < RecordKind::Directory;
        let (mode, (uid, gid), mtime, offset) = if is_mark {
            (mark.mode, (mark.uid, mark.gid), mark.mtime, 0)
        } else {
            (listed.mode(), listed.owner(), listed.mtime(), self.offsets[number as usize])
        };
        let size = if is_mark { 0 } else { listed.size_or_device() };
        let target = listed.target().filter(|_| !is_mark).map_or([0, 0], &mut keep);
        let mut xattrs = Vec::new();
        for piece in listed.xattrs().iter().filter(|_| !is_mark).flat_map(|(key, value)| [key, value]) {
            xattrs.extend_from_slice(&(piece.len() as u32).to_le_bytes());
            xattrs.extend_from_slice(piece);
        }
        let xattrs = keep(&xattrs);
        let sparse = self.extents.get(&number).filter(|_| !is_mark);
        let pieces = sparse.into_iter().flatten().flat_map(|e| [e.offset, e.blob_offset, e.length]);
        let extents = keep(&pieces.flat_map(u64::to_le_bytes).collect::<Vec<_>>());
        let words =
            |out: &mut Vec<u8>, words: &[u32]| words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        words(out, &name);
        out.extend_from_slice(&[kind as u8, sparse.is_some().into()]);
        out.extend_from_slice(&(mode as u16).to_le_bytes());
        words(out, &[uid, gid, mtime.nanos]);
        for word in [mtime.seconds as u64, size, offset] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        words(out, &[target, xattrs, extents, [link, names]].concat());
    }
}

/// Whether the header of a hard link has the metadata of its file.
fn looks_like(link: ListedEntry<'_>, file: ListedEntry<'_>) -> bool {
    let xattrs = link.xattrs().iter().all(|(name, value)| file.xattrs().get(name) == Some(value));
    (link.mode(), link.owner(), link.mtime()) == (file.mode(), file.owner(), file.mtime()) && xattrs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKind;

    #[test]
    fn an_index_with_a_record_outside_of_it_is_not_read() {
        let mut builder = IndexBuilder::default();
        builder.entry(&Entry { kind: EntryKind::File { size: 1 }, ..Entry::directory("file") }, 512, None);
        let index = builder.finish(DiffId::of("layer"), 2048).unwrap();
        assert!(LayerIndex::parse(index.as_bytes().to_vec()).is_some());
        let far = 240_u32.to_le_bytes();
        // The kind; offset and length of the name, of the target, of the attributes, of the pieces; the linked record.
        for (at, width) in [(8, 1), (0, 4), (4, 4), (48, 4), (52, 4), (56, 4), (60, 4), (64, 4), (68, 4), (72, 4)] {
            let mut bytes = index.as_bytes().to_vec();
            bytes[HEADER + at..HEADER + at + width].copy_from_slice(&far[..width]);
            assert!(LayerIndex::parse(LayerIndex::sealed(bytes)).is_none(), "byte {at}");
        }
    }

    #[test]
    fn directories_that_only_occur_in_paths_are_counted() {
        let count = |paths: &[&str]| {
            let mut builder = IndexBuilder::default();
            paths.iter().for_each(|path| builder.entry(&Entry::directory(path), 0, None));
            let mut order: Vec<u32> = (0..paths.len() as u32).collect();
            builder.sort(&mut order);
            builder.implied(&order)
        };
        for (paths, expected) in [
            (&["a", "a/b", "a/b/c", "d"][..], 0),
            (&["a/b/c"], 2),
            (&["a/b/c", "a/bb/c", "a/b/d"], 3),
            (&["a", "a/b/c/d", "a/b/c/e", "ab/c"], 3),
            (&["a-b", "a/b"], 1),
        ] {
            assert_eq!(count(paths), expected, "{paths:?}");
        }
        let mut builder = IndexBuilder::default();
        for number in 0..=MAX_IMPLIED / 5000 {
            let path = format!("{number}/{}f", "d/".repeat(5000));
            builder.entry(&Entry { kind: EntryKind::File { size: 0 }, ..Entry::directory(path) }, 0, None);
        }
        let error = builder.finish(DiffId::of("layer"), 0).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 directories"), "{error}");
    }
}
