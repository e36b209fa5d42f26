//! The archive of a layer: members are read on all cores, hashed in order, and written.
//!
//! Headers are made when they are needed: those of a million files take half a gigabyte.

use super::blob::BlobWriter;
use super::entry_list::{EntryList, ListedEntry};
use super::error::IoContext;
use super::sparse::write_sparsely;
use super::tree::read_range;
use super::{BlobStore, Content, StorageError, pipeline, tar};
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
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of archive that a worker reads at a time: large enough to make the hand-over cheap, small enough for the CPU cache.
const BATCH: u64 = 512 << 10;
/// Archives smaller than this many bytes are written on one thread: starting more costs more than it saves.
const PARALLEL_FROM: u64 = 256 << 10;

/// The members of an archive in their order.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    pub(crate) entries: &'a EntryList,
    /// The numbers of the entries.
    pub(crate) order: &'a [u32],
}

impl<'a> Members<'a> {
    pub(crate) fn get(&self, position: usize) -> ListedEntry<'a> {
        self.entries.get(self.order[position] as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ListedEntry<'a>> {
        let entries = self.entries;
        self.order.iter().map(move |number| entries.get(*number as usize))
    }
}

/// Appends the header of a member.
pub(crate) fn write_header(member: ListedEntry<'_>, out: &mut Vec<u8>) -> Result<(), StorageError> {
    let entry = member.entry();
    if !member.is_directory() {
        return tar::encode(&entry, member.name(), out);
    }
    let end: &[u8] = if member.name().is_empty() { b"./" } else { b"/" };
    tar::encode(&entry, &[member.name(), end].concat(), out)
}

/// Consecutive parts of an archive that are read at a time.
struct Batch {
    part: Part,
    size: u64,
}

#[derive(Clone)]
enum Part {
    /// Whole members.
    Members(Range<usize>),
    /// The header of a large file.
    Header(usize),
    /// A byte range of a large file, with the padding after its end.
    Data(usize, Range<u64>),
    /// The end of the archive.
    End,
}

/// The offsets of an archive's members.
pub(crate) struct Plan {
    batches: Vec<Batch>,
    /// The size of the archive in bytes.
    pub(crate) size: u64,
    /// The offset of each member's data, by the number of the entry.
    pub(crate) offsets: Vec<u64>,
}

impl Plan {
    /// Plans the archive of these members.
    pub(crate) fn of(members: Members<'_>) -> Result<Self, StorageError> {
        let mut plan = Self { batches: Vec::new(), size: 0, offsets: vec![0; members.entries.len()] };
        let (mut from, mut size, mut scratch) = (0, 0, Vec::new());
        for (position, member) in members.iter().enumerate() {
            let (header, data) = (header_size(member, &mut scratch)?, tar::padded(member.size()));
            plan.offsets[members.order[position] as usize] = plan.size + size + header;
            if member.size() >= 2 * BATCH {
                plan.add(Part::Members(from..position), size);
                plan.add(Part::Header(position), header);
                plan.add_large(position, member.size());
                (from, size) = (position + 1, 0);
                continue;
            }
            size += header + data;
            if size >= BATCH {
                plan.add(Part::Members(from..position + 1), size);
                (from, size) = (position + 1, 0);
            }
        }
        plan.add(Part::Members(from..members.order.len()), size);
        plan.add(Part::End, tar::END.len() as u64);
        Ok(plan)
    }

    fn add(&mut self, part: Part, size: u64) {
        if size > 0 {
            self.batches.push(Batch { part, size });
            self.size += size;
        }
    }

    fn add_large(&mut self, position: usize, length: u64) {
        let mut at = 0;
        while at < length {
            let end = (at + BATCH).min(length);
            let padding = if end == length { tar::padded(length) - length } else { 0 };
            self.add(Part::Data(position, at..end), end - at + padding);
            at = end;
        }
    }
}

/// The size of a member's header in bytes.
fn header_size(member: ListedEntry<'_>, scratch: &mut Vec<u8>) -> Result<u64, StorageError> {
    /// Names up to this length, and numbers up to these, fit into the fields of one block.
    const NAME: usize = 99;
    const ID: u32 = 1 << 20;
    const NUMBER: u64 = 1 << 32;
    let (name, (uid, gid)) = (member.name(), member.owner());
    let time = u64::try_from(member.mtime().seconds).is_ok_and(|seconds| seconds <= NUMBER);
    let short = name.len() <= NAME && !name.contains(&0);
    if member.is_plain() && short && time && uid <= ID && gid <= ID && member.size_or_device() <= NUMBER {
        return Ok(tar::BLOCK);
    }
    scratch.clear();
    write_header(member, scratch)?;
    Ok(scratch.len() as u64)
}

/// Writes an archive to the blob and returns its hash.
pub(crate) fn write_archive(
    blobs: &BlobStore,
    members: Members<'_>,
    plan: &Plan,
    writer: &mut BlobWriter,
) -> Result<Sha256, StorageError> {
    let batches = &plan.batches;
    let threads = if plan.size < PARALLEL_FROM { 1 } else { pipeline::processors().min(batches.len()) };
    let (file, synced, next) = (writer.file(), writer.is_synced(), AtomicUsize::new(0));
    let make = || {
        let mut sources = OpenSources::new(blobs, members);
        let next = &next;
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
    debug_assert_eq!(archive.size, plan.size, "headers have the planned sizes");
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

/// Files that a worker keeps open: neighbours in an archive are mostly in the same directory or blob.
struct OpenSources<'a> {
    blobs: &'a BlobStore,
    members: Members<'a>,
    directory: Option<(PathBuf, OwnedFd)>,
    large: Option<(PathBuf, File)>,
    open: HashMap<BlobDigest, File>,
}

impl<'a> OpenSources<'a> {
    fn new(blobs: &'a BlobStore, members: Members<'a>) -> Self {
        Self { blobs, members, directory: None, large: None, open: HashMap::new() }
    }

    fn fill(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Result<(), StorageError> {
        out.reserve(batch.size as usize);
        match batch.part.clone() {
            Part::Members(positions) => {
                for position in positions {
                    let member = self.members.get(position);
                    write_header(member, out)?;
                    if member.size() > 0 {
                        self.data(&member.content(), member.size(), 0..member.size(), out)?;
                    }
                    pad(out);
                }
            }
            Part::Header(position) => write_header(self.members.get(position), out)?,
            Part::Data(position, range) => {
                let member = self.members.get(position);
                self.data(&member.content(), member.size(), range, out)?;
            }
            Part::End => out.extend_from_slice(&tar::END),
        }
        pad(out);
        Ok(())
    }

    /// Appends a range of a file of `size` bytes.
    fn data(&mut self, content: &Content, size: u64, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), StorageError> {
        let start = out.len();
        let length = (range.end - range.start) as usize;
        let whole = length as u64 == size;
        match content {
            Content::Bytes(bytes) => out.extend_from_slice(&bytes[range.start as usize..range.end as usize]),
            Content::Spooled { spool, offset, .. } => {
                out.resize(start + length, 0);
                spool.read(offset + range.start, &mut out[start..]).context("read", "a temporary file")?;
            }
            Content::HostFile(path) if whole => whole_file(&self.open_host(path)?, path, length, out)?,
            Content::HostFile(path) => {
                out.resize(start + length, 0);
                if self.large.as_ref().is_none_or(|(open, _)| open != path) {
                    self.large = Some((path.clone(), self.open_host(path)?));
                }
                let file = &self.large.as_ref().expect("set just above").1;
                part_of_file(file, path, size, range, &mut out[start..])?;
            }
            Content::Pinned(pinned) if whole => {
                let file = pinned.open()?;
                whole_file(&file, &pinned.path(), length, out)?;
                pinned.check(&file)?;
            }
            Content::Pinned(pinned) => {
                out.resize(start + length, 0);
                let path = pinned.path();
                if self.large.as_ref().is_none_or(|(open, _)| *open != path) {
                    self.large = Some((path.clone(), pinned.open()?));
                }
                let file = &self.large.as_ref().expect("set just above").1;
                part_of_file(file, &path, size, range, &mut out[start..])?;
                pinned.check(file)?;
            }
            Content::Blob { blob, offset, sparse, .. } => {
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

/// Fills the last block with zeros.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(tar::BLOCK as usize), 0);
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
