//! Pieces of an archive: read on all cores, hashed in order, and written.

use super::blob::BlobWriter;
use super::error::Context;
use super::sparse::write_sparsely;
use super::tree::read_range;
use super::{BlobStore, Content, Extent, PinnedFile, StorageError, pipeline};
use buildscope_record::BlobDigest;
use rustix::fs::{Advice, Mode, OFlags, fadvise, openat};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of archive that a worker reads at a time: large enough to make the hand-over cheap, small enough for the CPU cache.
const BATCH: u64 = 512 << 10;
/// Archives smaller than this many bytes are written on one thread: starting more costs more than it saves.
const PARALLEL_FROM: u64 = 256 << 10;

/// A part of an archive: headers, or a file's data with its padding.
pub(crate) struct Piece {
    length: u64,
    source: Source,
}

/// The source of a piece's bytes.
pub(crate) enum Source {
    /// A range of the prepared headers.
    Header(Range<usize>),
    Bytes(Arc<[u8]>),
    HostFile(PathBuf),
    Pinned(PinnedFile),
    Blob {
        blob: BlobDigest,
        offset: u64,
        sparse: Option<Arc<[Extent]>>,
    },
}

impl From<Content> for Source {
    fn from(content: Content) -> Self {
        match content {
            Content::Bytes(bytes) => Self::Bytes(bytes),
            Content::HostFile(path) => Self::HostFile(path),
            Content::Pinned(file) => Self::Pinned(file),
            Content::Blob { blob, offset, sparse, .. } => Self::Blob { blob, offset, sparse },
        }
    }
}

impl Piece {
    pub(crate) fn header(from: usize, to: usize) -> Self {
        Self { length: (to - from) as u64, source: Source::Header(from..to) }
    }

    pub(crate) fn data(length: u64, source: Source) -> Self {
        Self { length, source }
    }

    fn padded(&self) -> u64 {
        super::tar::padded(self.length)
    }
}

/// Several consecutive pieces, or a part of a large one.
struct Batch {
    pieces: Range<usize>,
    /// The byte range of the piece, if the batch is a part of one; otherwise empty.
    part: Range<u64>,
    size: u64,
}

/// Writes all pieces to the blob and returns the hash of the archive.
pub(crate) fn write_pieces(
    blobs: &BlobStore,
    headers: &[u8],
    pieces: &[Piece],
    writer: &mut BlobWriter,
) -> Result<Sha256, StorageError> {
    let batches = plan(pieces);
    let total: u64 = batches.iter().map(|batch| batch.size).sum();
    let threads = if total < PARALLEL_FROM { 1 } else { pipeline::processors().min(batches.len()) };
    let (file, synced, next) = (writer.file(), writer.is_synced(), AtomicUsize::new(0));
    let make = || {
        let mut sources = Sources::new(blobs, headers, pieces);
        let (batches, next) = (&batches, &next);
        move |buffer: &mut Vec<u8>| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(number) else { return Ok::<_, StorageError>(None) };
            buffer.clear();
            sources.fill(batch, buffer)?;
            Ok(Some(number))
        }
    };
    let mut archive = Archive::default();
    let store = |buffer: &Vec<u8>, position: Position| {
        write_sparsely(file, buffer, position.at).context("write", "a blob")?;
        if synced {
            position.start_write_back(file);
        }
        Ok(())
    };
    pipeline::run(threads, make, |buffer: &Vec<u8>| archive.take(buffer), store)?;
    Ok(archive.hash)
}

/// The state of an archive that is being hashed.
#[derive(Default)]
struct Archive {
    hash: Sha256,
    size: u64,
    /// The number of bytes whose write-back was started.
    write_back_started: u64,
}

/// The position of a batch in the archive.
struct Position {
    at: u64,
    /// The range whose write-back starts once the batch is written; mostly empty.
    write_back: Range<u64>,
}

impl Archive {
    /// Bytes per write-back request.
    const STRIDE: u64 = 16 << 20;

    fn take(&mut self, bytes: &[u8]) -> Position {
        self.hash.update(bytes);
        let at = self.size;
        self.size += bytes.len() as u64;
        let write_back = self.write_back_started..self.size;
        if write_back.end - write_back.start < Self::STRIDE {
            return Position { at, write_back: 0..0 };
        }
        self.write_back_started = self.size;
        Position { at, write_back }
    }
}

impl Position {
    /// Starts write-back while the rest of the archive is produced, so that the sync at the end of the build waits less. This is a
    /// hint: earlier batches that are still being written are left to the sync.
    fn start_write_back(&self, file: &File) {
        if let Some(length) = NonZeroU64::new(self.write_back.end - self.write_back.start) {
            // For dirty pages, the kernel starts write-back and keeps them in the page cache.
            let _ = fadvise(file, self.write_back.start, Some(length), Advice::DontNeed);
        }
    }
}

fn plan(pieces: &[Piece]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let (mut from, mut size) = (0, 0);
    let flush = |batches: &mut Vec<Batch>, pieces: Range<usize>, size: u64| {
        if size > 0 {
            batches.push(Batch { pieces, part: 0..0, size });
        }
    };
    for (number, piece) in pieces.iter().enumerate() {
        if piece.length >= 2 * BATCH {
            flush(&mut batches, from..number, std::mem::take(&mut size));
            let mut at = 0;
            while at < piece.length {
                let end = (at + BATCH).min(piece.length);
                let padding = if end == piece.length { piece.padded() - piece.length } else { 0 };
                batches.push(Batch { pieces: number..number + 1, part: at..end, size: end - at + padding });
                at = end;
            }
            from = number + 1;
            continue;
        }
        size += piece.padded();
        if size >= BATCH {
            flush(&mut batches, from..number + 1, std::mem::take(&mut size));
            from = number + 1;
        }
    }
    flush(&mut batches, from..pieces.len(), size);
    batches
}

/// Files that a worker keeps open: neighbours in an archive are mostly in the same directory or blob.
struct Sources<'a> {
    blobs: &'a BlobStore,
    headers: &'a [u8],
    pieces: &'a [Piece],
    directory: Option<(PathBuf, OwnedFd)>,
    large: Option<(PathBuf, File)>,
    open: HashMap<BlobDigest, File>,
}

impl<'a> Sources<'a> {
    fn new(blobs: &'a BlobStore, headers: &'a [u8], pieces: &'a [Piece]) -> Self {
        Self { blobs, headers, pieces, directory: None, large: None, open: HashMap::new() }
    }

    fn fill(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Result<(), StorageError> {
        out.reserve(batch.size as usize);
        let pieces = &self.pieces[batch.pieces.clone()];
        if !batch.part.is_empty() {
            let piece = &pieces[0];
            self.part(piece, batch.part.clone(), out)?;
        } else {
            for piece in pieces {
                self.part(piece, 0..piece.length, out)?;
                out.resize(out.len().next_multiple_of(super::tar::BLOCK as usize), 0);
            }
        }
        out.resize(out.len().next_multiple_of(super::tar::BLOCK as usize), 0);
        Ok(())
    }

    fn part(&mut self, piece: &Piece, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), StorageError> {
        let start = out.len();
        let length = (range.end - range.start) as usize;
        match &piece.source {
            Source::Header(at) => out.extend_from_slice(&self.headers[at.clone()]),
            Source::Bytes(bytes) => out.extend_from_slice(&bytes[range.start as usize..range.end as usize]),
            Source::HostFile(path) if length as u64 == piece.length => {
                whole_file(&self.open_host(path)?, path, length, out)?;
            }
            Source::HostFile(path) => {
                out.resize(start + length, 0);
                if self.large.as_ref().is_none_or(|(open, _)| open != path) {
                    self.large = Some((path.clone(), self.open_host(path)?));
                }
                let file = &self.large.as_ref().expect("set just above").1;
                part_of_file(file, path, piece.length, range, &mut out[start..])?;
            }
            Source::Pinned(pinned) if length as u64 == piece.length => {
                let file = pinned.open()?;
                whole_file(&file, &pinned.path(), length, out)?;
                pinned.check(&file)?;
            }
            Source::Pinned(pinned) => {
                out.resize(start + length, 0);
                let path = pinned.path();
                if self.large.as_ref().is_none_or(|(open, _)| *open != path) {
                    self.large = Some((path.clone(), pinned.open()?));
                }
                let file = &self.large.as_ref().expect("set just above").1;
                part_of_file(file, &path, piece.length, range, &mut out[start..])?;
                pinned.check(file)?;
            }
            Source::Blob { blob, offset, sparse } => {
                out.resize(start + length, 0);
                let file = match self.open.entry(*blob) {
                    std::collections::hash_map::Entry::Occupied(file) => file.into_mut(),
                    std::collections::hash_map::Entry::Vacant(vacant) => vacant.insert(self.blobs.open(blob)?),
                };
                let range = read_range(file, *offset, sparse.as_deref(), range.start, &mut out[start..]);
                range.context("read", self.blobs.path(blob))?;
            }
        }
        Ok(())
    }

    /// Opens a file relative to its directory, which is kept open: the kernel resolves one name instead of the whole path.
    fn open_host(&mut self, path: &Path) -> Result<File, StorageError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return File::open(path).context("open", path);
        };
        if self.directory.as_ref().is_none_or(|(open, _)| open != parent) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(parent, flags, Mode::empty()).context("open", parent)?;
            self.directory = Some((parent.to_owned(), fd));
        }
        let directory = &self.directory.as_ref().expect("set just above").1;
        match openat(directory, name, flags | OFlags::NOATIME, Mode::empty()) {
            // O_NOATIME needs the owner. For other users the access time changes.
            Err(rustix::io::Errno::PERM) => openat(directory, name, flags, Mode::empty()),
            opened => opened,
        }
        .map(File::from)
        .context("open", path)
    }
}

/// Reads a whole file of `length` bytes. It asks for one byte more, to notice a file that has grown.
fn whole_file(file: &File, path: &Path, length: usize, out: &mut Vec<u8>) -> Result<(), StorageError> {
    let start = out.len();
    out.resize(start + length + 1, 0);
    let mut got = 0;
    while got < length {
        match file.read_at(&mut out[start + got..], got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("read", path),
        }
    }
    out.truncate(start + length);
    if got == length { Ok(()) } else { Err(StorageError::ChangedWhileRead(path.to_owned())) }
}

/// Reads a part of a file of `size` bytes. For the last part it checks that the file has not grown.
fn part_of_file(file: &File, path: &Path, size: u64, range: Range<u64>, out: &mut [u8]) -> Result<(), StorageError> {
    let changed = || StorageError::ChangedWhileRead(path.to_owned());
    match file.read_exact_at(out, range.start) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(changed()),
        read => read.context("read", path)?,
    }
    if range.end == size && file.read_at(&mut [0], size).context("read", path)? != 0 {
        return Err(changed());
    }
    Ok(())
}
