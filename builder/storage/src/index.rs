//! The index of a layer: the metadata of each path, and the offset of its data in the tar.
//!
//! One file per layer: a header, records of fixed size in tree order, and a heap of names. It is read in one piece and used in
//! place: opening the index of 20,000 files costs one read, and no allocation per file.
//! The index can be rebuilt from the layer, so its format may change freely: raise [`VERSION`] then.

use super::path::{is_below, parent};
use super::row::RecordKind;
use super::{Content, Entry, EntryKind, Extent, Layer, Timestamp};
use buildscope_record::DiffId;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Version of the format, and of the rules by which layers are read. An index of another version is rebuilt from its layer.
pub(crate) const VERSION: u32 = 3;
pub(super) const MAGIC: [u8; 8] = *b"bsindex\0";
/// Bytes of the header: magic, version, number of records, size of the layer, digest of the layer.
pub(super) const HEADER: usize = 8 + 4 + 4 + 8 + 32;
/// Bytes of a record.
pub(super) const RECORD: usize = 80;
/// The value of a record's link field if it links to no record of its layer.
pub(super) const NO_RECORD: u32 = u32::MAX;

const KINDS: [RecordKind; 9] = {
    use RecordKind::*;
    [Whiteout, Opaque, Directory, File, Symlink, HardLink, Char, Block, Fifo]
};

/// The index of one layer.
#[derive(Debug)]
pub(crate) struct LayerIndex {
    layer: Layer,
    bytes: Vec<u8>,
}

/// A view of one record.
#[derive(Clone, Copy)]
pub(crate) struct IndexRecord<'a> {
    index: &'a LayerIndex,
    raw: &'a [u8],
}

impl LayerIndex {
    /// Reads an index file; `None` if it is damaged or of another version.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let count = u32_at(&bytes, 12)?;
        let size = u64_at(&bytes, 16)?;
        let digest = DiffId::from_bytes(bytes.get(24..HEADER)?.try_into().ok()?);
        let layer = Layer { diff_id: digest, size, files: count.into() };
        let index = Self { layer, bytes };
        let whole =
            index.bytes.len() >= index.heap_at() + 8 && u64_at(&index.bytes, index.bytes.len() - 8)? == index.sum();
        let known = index.bytes.starts_with(&MAGIC) && u32_at(&index.bytes, 8)? == VERSION && whole;
        (known && (0..count).all(|number| index.record(number).is_within(&index))).then_some(index)
    }

    /// Completes the bytes of an index by their checksum.
    pub(super) fn complete(layer: Layer, mut bytes: Vec<u8>) -> Self {
        bytes.extend_from_slice(&[0; 8]);
        let mut index = Self { layer, bytes };
        let (sum, end) = (index.sum(), index.bytes.len() - 8);
        index.bytes[end..].copy_from_slice(&sum.to_le_bytes());
        index
    }

    /// Replaces the last eight bytes by the checksum that makes the file valid. For fuzzing.
    pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let digest = bytes.get(24..HEADER).and_then(|digest| digest.try_into().ok());
        let (Some(digest), Some(at)) = (digest, bytes.len().checked_sub(8)) else { return bytes };
        let layer = Layer { diff_id: DiffId::from_bytes(digest), size: 0, files: 0 };
        let sum = Self { layer, bytes: bytes.clone() }.sum();
        bytes[at..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The bytes of the index file.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn layer(&self) -> Layer {
        self.layer
    }

    pub(crate) fn len(&self) -> u32 {
        // The number of records is a `u32` in the file.
        self.layer.files as u32
    }

    pub(crate) fn record(&self, number: u32) -> IndexRecord<'_> {
        let at = HEADER + number as usize * RECORD;
        IndexRecord { index: self, raw: &self.bytes[at..at + RECORD] }
    }

    /// Bytes of the heap. Records refer to names by their offset in it.
    pub(crate) fn heap(&self, offset: u32, length: u32) -> &[u8] {
        let at = self.heap_at() + offset as usize;
        &self.bytes[at..at + length as usize]
    }

    /// Whether the layer hides all lower layers: it removes the contents of the root directory.
    pub(crate) fn hides_all(&self) -> bool {
        let records = (0..self.len()).map(|number| self.record(number));
        records.take_while(|record| record.path().is_empty()).any(|record| record.kind() == RecordKind::Opaque)
    }

    /// Whether the layer looks the same on every stack: it contains all parent directories of its members, no hard link to a file of a
    /// lower layer, and no device node, which an ordinary user's steps do not see.
    pub(crate) fn is_self_contained(&self) -> bool {
        let mut directories: Vec<&[u8]> = Vec::new();
        (0..self.len()).map(|number| self.record(number)).all(|record| {
            let path = record.path();
            let parent = parent(path);
            // In tree order, the parents of a path are the last directories before it.
            while directories.last().is_some_and(|last| !is_below(path, last)) {
                directories.pop();
            }
            let known = parent.is_empty() || directories.last() == Some(&parent);
            if record.kind() == RecordKind::Directory {
                directories.push(path);
            }
            known && !record.kind().is_device() && (record.kind() != RecordKind::HardLink || record.link().is_some())
        })
    }

    fn heap_at(&self) -> usize {
        HEADER + self.len() as usize * RECORD
    }

    /// The checksum in the last eight bytes: the length XOR the words of the digest. It detects torn writes.
    fn sum(&self) -> u64 {
        let digest = self.layer.diff_id.as_bytes();
        self.bytes.len() as u64 ^ digest.chunks_exact(8).fold(0, |sum, word| sum ^ u64_at(word, 0).unwrap_or_default())
    }
}

impl<'a> IndexRecord<'a> {
    /// Whether everything that the record refers to is in the index. A damaged file is made again; it must not panic.
    fn is_within(&self, index: &LayerIndex) -> bool {
        let heap = (index.bytes.len() - 8 - index.heap_at()) as u64;
        let pieces = [0, 48, 56, 64].map(|at| u64::from(self.u32(at)) + u64::from(self.u32(at + 4)));
        pieces.iter().all(|end| *end <= heap)
            && usize::from(self.raw[8]) < KINDS.len()
            && self.link().is_none_or(|record| record < index.len())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.raw[at..at + 4].try_into().expect("four bytes"))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.raw[at..at + 8].try_into().expect("eight bytes"))
    }

    pub(crate) fn kind(&self) -> RecordKind {
        KINDS[usize::from(self.raw[8]).min(KINDS.len() - 1)]
    }

    pub(crate) fn path(&self) -> &'a [u8] {
        self.index.heap(self.u32(0), self.u32(4))
    }

    /// The offset of the path in the heap.
    pub(crate) fn path_at(&self) -> u32 {
        self.u32(0)
    }

    pub(crate) fn mode(&self) -> u32 {
        u16::from_le_bytes([self.raw[10], self.raw[11]]).into()
    }

    pub(crate) fn uid(&self) -> u32 {
        self.u32(12)
    }

    pub(crate) fn gid(&self) -> u32 {
        self.u32(16)
    }

    pub(crate) fn mtime(&self) -> Timestamp {
        Timestamp { seconds: self.u64(24) as i64, nanos: self.u32(20) }
    }

    /// A file's apparent size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.u64(32)
    }

    /// The offset of a file's data in the tar.
    pub(crate) fn offset(&self) -> u64 {
        self.u64(40)
    }

    /// A symlink's or hard link's target.
    pub(crate) fn target(&self) -> &'a [u8] {
        self.index.heap(self.u32(48), self.u32(52))
    }

    /// The record of a hard link's file, if the file is in this layer.
    pub(crate) fn link(&self) -> Option<u32> {
        Some(self.u32(72)).filter(|&record| record != NO_RECORD)
    }

    /// The number of names that this file has in its layer.
    pub(crate) fn names(&self) -> u32 {
        self.u32(76)
    }

    pub(crate) fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut bytes = self.index.heap(self.u32(56), self.u32(60));
        let mut take = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (piece, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            bytes = rest;
            Some(piece.to_vec())
        };
        std::iter::from_fn(|| Some((take()?, take()?))).collect()
    }

    /// The pieces of a sparse file; `None` if it is not sparse.
    pub(crate) fn extents(&self) -> Option<Vec<Extent>> {
        if self.raw[9] == 0 {
            return None;
        }
        let bytes = self.index.heap(self.u32(64), self.u32(68));
        let word = |piece: &[u8], at| u64_at(piece, at).unwrap_or_default();
        Some(
            bytes
                .chunks_exact(24)
                .map(|p| Extent { offset: word(p, 0), blob_offset: word(p, 8), length: word(p, 16) })
                .collect(),
        )
    }

    /// The location of a file's data.
    pub(crate) fn content(&self) -> Content {
        let blob = self.index.layer.diff_id.into();
        Content::Blob { blob, offset: self.offset(), length: self.size(), sparse: self.extents().map(Into::into) }
    }

    /// The record as an entry with the name `path`; `None` for whiteouts and opaque marks.
    pub(crate) fn entry(&self, path: PathBuf) -> Option<Entry> {
        let target = || PathBuf::from(OsStr::from_bytes(self.target()));
        let device = || ((self.size() >> 32) as u32, self.size() as u32);
        let kind = match self.kind() {
            RecordKind::Whiteout | RecordKind::Opaque => return None,
            RecordKind::Directory => EntryKind::Directory,
            RecordKind::File => EntryKind::File { size: self.size() },
            RecordKind::Symlink => EntryKind::Symlink { target: target() },
            RecordKind::HardLink => EntryKind::HardLink { target: target() },
            RecordKind::Char => EntryKind::CharDevice { major: device().0, minor: device().1 },
            RecordKind::Block => EntryKind::BlockDevice { major: device().0, minor: device().1 },
            RecordKind::Fifo => EntryKind::Fifo,
        };
        let (mode, uid, gid, mtime) = (self.mode(), self.uid(), self.gid(), self.mtime());
        Some(Entry { path, kind, mode, uid, gid, mtime, xattrs: self.xattrs() })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
