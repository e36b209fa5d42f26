//! The content key of a COPY or ADD: a digest of everything selected that affects the layer.

use super::CopyError;
use super::group::Items;
use super::item_sums::{FileCount, Key, TopEntries};
use super::select::Selection;
use crate::plan;
use buildscope_record::{BlobDigest, Digest, Phase, Probe, Quantity};
use buildscope_storage::{BlobStore, Content, EntryKind, Extent, ListedEntry, PinnedFile, Spool};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::hash_map;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// The size of one read, in bytes.
const CHUNK: usize = 256 << 10;

impl Selection {
    /// The content key. Selections with equal keys give equal layers on equal parents, but for modification times.
    ///
    /// The key covers names, types, modes and owners (unless `--chmod` or `--chown` set them), capabilities, hard links
    /// and content. Files of stages and images are read for it, on all cores.
    ///
    /// # Errors
    /// If the store fails or a file cannot be read.
    pub fn digest(&mut self, op: &plan::Copy, blobs: &BlobStore, probe: &Probe) -> Result<Digest, CopyError> {
        let span = probe.phase(Phase::CacheKey);
        let read = self.read_blobs(blobs)?;
        span.quantity(Quantity::BytesRead, read).quantity(Quantity::BytesHashed, read);
        let mut key = Key::new();
        for group in &self.groups {
            key.group(group, group.items.len());
            group.items.iter().for_each(|(entry, detail)| key.entry(op, group.directory, entry, detail));
        }
        Ok(key.finish())
    }

    /// A digest of the modification times of everything that is copied, except for directories.
    ///
    /// Times are not part of [`digest`](Self::digest): a file that was only touched must not make later steps run again.
    /// But they are part of the layer, so a layer with other times is not the layer of this selection.
    ///
    /// With `latest` (seconds since 1970), later times count as that time, as `rewrite-timestamp` rewrites them.
    pub fn times(&self, latest: Option<i64>) -> Digest {
        let mut key = Key::new();
        let items = self.groups.iter().flat_map(|group| group.items.iter());
        items.for_each(|(entry, detail)| key.time(entry, detail, latest));
        key.finish()
    }

    /// The digest of each regular file, by its source and its path in the source. A record keeps them, so that a later
    /// build can report which file changed.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, Digest)> + '_ {
        self.groups.iter().flat_map(|group| {
            let base = PathBuf::from(group.source.trim_end_matches('/'));
            group.items.iter().filter_map(move |(entry, detail)| {
                let path = if group.directory { base.join(entry.path()) } else { base.clone() };
                Some((path, detail.digest?))
            })
        })
    }

    /// The properties of each entry besides its content, by its path as in [`files`](Self::files), unless they are those of most files
    /// (mode 0644, directories 0755, owned by root).
    pub fn properties(&self) -> impl Iterator<Item = (PathBuf, String)> + '_ {
        self.groups.iter().flat_map(|group| {
            let base = PathBuf::from(group.source.trim_end_matches('/'));
            group.items.iter().filter_map(move |(entry, _)| {
                let path = if group.directory { base.join(entry.path()) } else { base.clone() };
                Some((path, properties(entry)?))
            })
        })
    }

    /// The number and total size in bytes of the selected files below each top-level entry of the source tree, by the
    /// name of the entry.
    pub fn by_top(&self) -> BTreeMap<String, FileCount> {
        self.groups.iter().fold(BTreeMap::new(), |counts, group| {
            let mut tops = TopEntries::continued(counts, group);
            group.items.iter().for_each(|(entry, _)| tops.add(entry));
            tops.counts
        })
    }

    /// Computes the digests of files that have none (those of contexts have one). Returns the number of bytes read.
    fn read_blobs(&mut self, blobs: &BlobStore) -> Result<u64, CopyError> {
        self.groups.iter_mut().map(|group| read_group(&mut group.items, blobs)).sum()
    }
}

/// Computes the digests of a group's files that have none.
fn read_group(Items { entries, details, .. }: &mut Items, blobs: &BlobStore) -> Result<u64, CopyError> {
    details
        .par_iter_mut()
        .enumerate()
        .with_min_len(256)
        .map_init(
            || Hasher::new(blobs),
            |hasher, (number, detail)| {
                let entry = entries.get(number);
                if detail.digest.is_some() || !entry.is_file() {
                    return Ok(0);
                }
                let (digest, size) = hasher.hash(&entry.content())?;
                detail.digest = Some(digest);
                Ok(size)
            },
        )
        .sum()
}

/// `file 0755 0:0`, `directory 0700 0:0` or `link TARGET`; `None` for the usual mode and owner.
fn properties(entry: ListedEntry<'_>) -> Option<String> {
    let (mode, (uid, gid)) = (entry.mode(), entry.owner());
    let (kind, usual) = match entry.kind() {
        EntryKind::File { .. } => ("file", 0o644),
        EntryKind::Directory => ("directory", 0o755),
        EntryKind::Symlink { target } => return Some(format!("link {}", target.display())),
        EntryKind::HardLink { .. } => return None,
        EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => ("device", 0o000),
        EntryKind::Fifo => ("fifo", 0o000),
    };
    (mode != usual || (uid, gid) != (0, 0)).then(|| format!("{kind} {mode:04o} {uid}:{gid}"))
}

/// Hashes many files on one thread. Most are small and in few blobs, so the blobs stay open and the buffer is allocated once.
struct Hasher<'a> {
    blobs: &'a BlobStore,
    open: HashMap<BlobDigest, File>,
    buffer: Vec<u8>,
}

impl<'a> Hasher<'a> {
    fn new(blobs: &'a BlobStore) -> Self {
        Self { blobs, open: HashMap::new(), buffer: vec![0; CHUNK] }
    }

    /// Computes the digest and the size of some content.
    fn hash(&mut self, content: &Content) -> Result<(Digest, u64), CopyError> {
        if let Content::Blob { blob, offset, length, sparse: None } = content
            && let Some(small) = usize::try_from(*length).ok().filter(|length| *length <= CHUNK)
        {
            let file = match self.open.entry(*blob) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(new) => new.insert(self.blobs.open(blob)?),
            };
            let bytes = &mut self.buffer[..small];
            file.read_exact_at(bytes, *offset).map_err(|error| CopyError::Read { error })?;
            return Ok((Digest::of(bytes), *length));
        }
        let (mut hash, mut size) = (Sha256::new(), 0);
        read(self.blobs, content, |bytes| {
            hash.update(bytes);
            size += bytes.len() as u64;
            Ok(())
        })?;
        Ok((Digest::from_bytes(hash.finalize().into()), size))
    }
}

/// Reads some content from beginning to end.
pub(super) fn read(
    blobs: &BlobStore,
    content: &Content,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), CopyError> {
    let mut reader = open(blobs, content)?;
    let fail = |error| CopyError::Read { error };
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer).map_err(fail)? {
            0 => return Ok(()),
            n => each(&buffer[..n]).map_err(fail)?,
        }
    }
}

/// Opens some content for reading.
pub(super) fn open(blobs: &BlobStore, content: &Content) -> Result<Box<dyn Read + Send>, CopyError> {
    Ok(match content {
        Content::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        Content::Spooled { spool, offset, length } => {
            Box::new(SpoolReader { spool: Arc::clone(spool), at: *offset, left: *length })
        }
        Content::HostFile(path) => Box::new(File::open(path).map_err(|error| CopyError::Read { error })?),
        Content::Pinned(pinned) => Box::new(Pinned { file: pinned.open()?, pinned: pinned.clone() }),
        Content::Blob { blob, offset, length, sparse } => {
            let file = blobs.open(blob)?;
            let whole = || [Extent { offset: 0, blob_offset: *offset, length: *length }].into();
            let extents = sparse.clone().unwrap_or_else(whole);
            Box::new(Extents { file, extents, at: 0, length: *length, next: 0 })
        }
    })
}

/// Reads bytes of a temporary file.
struct SpoolReader {
    spool: Arc<Spool>,
    at: u64,
    left: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        self.spool.read(self.at, &mut buffer[..length])?;
        (self.at, self.left) = (self.at + length as u64, self.left - length as u64);
        Ok(length)
    }
}

/// Reads a file that was hashed, and fails at its end if the file has changed since then.
struct Pinned {
    file: File,
    pinned: PinnedFile,
}

impl Read for Pinned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        if got == 0 && !buffer.is_empty() {
            self.pinned.check(&self.file).map_err(io::Error::other)?;
        }
        Ok(got)
    }
}

/// Reads a sparse file from pieces of a blob. The holes between the pieces are read as zeros.
struct Extents {
    file: File,
    /// The pieces, in the order of the file.
    extents: Arc<[Extent]>,
    at: u64,
    length: u64,
    /// The index of the first piece that ends after `at`.
    next: usize,
}

impl Read for Extents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.extents.get(self.next).is_some_and(|extent| extent.offset + extent.length <= self.at) {
            self.next += 1;
        }
        let left = self.length.saturating_sub(self.at);
        let limit = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(buffer.len());
        let got = match self.extents.get(self.next).copied() {
            Some(Extent { offset, blob_offset, length }) if offset <= self.at => {
                let (into, want) = (self.at - offset, limit(left.min(offset + length - self.at)));
                let got = self.file.read_at(&mut buffer[..want], blob_offset + into)?;
                if got == 0 && want > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                got
            }
            after => {
                let until = after.map_or(left, |extent| left.min(extent.offset - self.at));
                let zeros = limit(until);
                buffer[..zeros].fill(0);
                zeros
            }
        };
        self.at += got as u64;
        Ok(got)
    }
}
