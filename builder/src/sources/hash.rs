//! Digests of files: each file is read once, and several are read in parallel.

use super::SourceError;
use super::content::{ContentInfo, ContentLocation, RareContent};
use super::node::ContextNode;
use super::stat::{FileStatus, Identity, is_racy};
use buildscope_record::Digest;
use buildscope_storage::{CAPABILITY, Spool, open_below};
use rustix::fs::{OFlags, fgetxattr, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The largest file whose bytes are kept after hashing, in bytes. Copying it then needs no second open and close, which for 20,000 small
/// files cost more than writing the layer.
const KEPT_FILE: u64 = 64 << 10;
/// The limit for all bytes that are kept in memory. Further ones are kept in a temporary file.
const KEPT_IN_MEMORY: u64 = 8 << 20;
/// The number of times that a file is read before it is reported as changing all the time.
const ATTEMPTS: u32 = 4;

/// Reads files below one root.
pub(super) struct Hasher<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) root_path: &'a Path,
    /// The total number of bytes kept in memory so far.
    pub(super) kept: &'a AtomicU64,
    pub(super) spool: Option<&'a Spool>,
}

/// A file that was read.
struct ReadFile {
    content: ContentInfo,
    /// The bytes of a small file.
    bytes: Option<Vec<u8>>,
    /// Whether the `stat` is enough to distinguish the content from any later content.
    lasting: bool,
}

impl Hasher<'_> {
    /// Reads files, and returns their contents, and whether the `stat` of each distinguishes its content from any later one. Small files
    /// are kept together.
    pub(super) fn read_all(&self, files: &[(&ContextNode, PathBuf)]) -> Result<Vec<(ContentInfo, bool)>, SourceError> {
        let mut read = Vec::with_capacity(files.len());
        for (node, path) in files {
            let small = node.size() <= KEPT_FILE;
            read.push(if small { self.small(path, &node.stat)? } else { self.large(path, &node.stat)? });
        }
        let total = read.iter().filter_map(|file| file.bytes.as_ref()).map(|bytes| bytes.len() as u64).sum::<u64>();
        let in_memory = self.kept.fetch_add(total, Ordering::Relaxed) + total <= KEPT_IN_MEMORY;
        let spooled = if in_memory { None } else { self.keep_in_spool(&read) };
        let mut at = spooled;
        let mut contents = Vec::with_capacity(read.len());
        for (mut file, (node, path)) in read.into_iter().zip(files) {
            match (file.bytes.take(), &mut at) {
                (None, _) => {}
                (Some(bytes), _) if in_memory => {
                    file.content.location = ContentLocation::Memory(Box::new(bytes.into()))
                }
                (Some(bytes), Some(at)) => {
                    file.content.location = ContentLocation::Spool(*at);
                    *at += bytes.len() as u64;
                }
                // It is read again when it is copied, so it must be one that did not change while it was read.
                (Some(_), None) => file = self.large(path, &node.stat)?,
            }
            contents.push((file.content, file.lasting));
        }
        Ok(contents)
    }

    /// Appends the bytes of the small files to the spool, and returns the offset of the first.
    fn keep_in_spool(&self, read: &[ReadFile]) -> Option<u64> {
        let bytes: Vec<&[u8]> = read.iter().filter_map(|file| file.bytes.as_deref()).collect();
        self.spool?.append(&bytes.concat())
    }

    /// Reads a small file in one piece. The bytes that are kept are the bytes that were hashed, so a concurrent change does no harm. It is
    /// only lasting if this is still the file that was scanned: another one may be at its path by now.
    fn small(&self, path: &Path, scanned: &FileStatus) -> Result<ReadFile, SourceError> {
        let fail = |source| SourceError::io("read", self.root_path.join(path), source);
        let read_at = SystemTime::now();
        let fd = open_below(self.root, path, OFlags::RDONLY).map_err(|error| fail(error.into()))?;
        let bytes = whole(&fd, scanned.size).map_err(fail)?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let capability = capability(&fd).map_err(|error| fail(error.into()))?;
        let identity = Identity::from(&fstat(&fd).map_err(|error| fail(error.into()))?);
        let same = identity == Identity::from(scanned);
        let lasting = capability.is_none() && size == scanned.size && same && !is_racy(scanned.ctime(), read_at);
        let changed = (size != scanned.size).then_some(size);
        let content = content(digest, RareContent { capability, identity: (!same).then_some(identity), size: changed });
        Ok(ReadFile { content, bytes: Some(bytes), lasting })
    }

    /// Reads a file that is read again when it is copied: it must not change meanwhile.
    fn large(&self, path: &Path, scanned: &FileStatus) -> Result<ReadFile, SourceError> {
        let fail = |source| SourceError::io("read", self.root_path.join(path), source);
        for _ in 0..ATTEMPTS {
            let read_at = SystemTime::now();
            let fd = open_below(self.root, path, OFlags::RDONLY).map_err(|error| fail(error.into()))?;
            let before = FileStatus::from(&fstat(&fd).map_err(|error| fail(error.into()))?);
            let capability = capability(&fd).map_err(|error| fail(error.into()))?;
            let mut file = File::from(fd);
            let (digest, size) = stream(&mut file, before.size).map_err(fail)?;
            let after = FileStatus::from(&fstat(&file).map_err(|error| fail(error.into()))?);
            if size == before.size && Identity::from(&after) == Identity::from(&before) {
                let lasting = capability.is_none() && !is_racy(before.ctime(), read_at);
                let identity = Identity::from(&before);
                let changed = (identity != Identity::from(scanned)).then_some(identity);
                let size = (size != scanned.size).then_some(size);
                let content = content(digest, RareContent { capability, identity: changed, size });
                return Ok(ReadFile { content, bytes: None, lasting });
            }
        }
        Err(SourceError::Unsteady(self.root_path.join(path)))
    }
}

fn content(digest: Digest, rare: RareContent) -> ContentInfo {
    let rare = (rare != RareContent::default()).then(|| Box::new(rare));
    ContentInfo { digest, location: ContentLocation::File, rare }
}

/// Reads a small file: in one call if it still has the size `size`.
fn whole(fd: &OwnedFd, size: u64) -> io::Result<Vec<u8>> {
    // One byte more than expected: a read that returns less than asked for is at the end of a regular file.
    let mut bytes = vec![0; size as usize + 1];
    let mut filled = 0;
    loop {
        match rustix::io::read(fd, &mut bytes[filled..]) {
            Ok(0) => break,
            Ok(got) if filled + got < bytes.len() => {
                filled += got;
                if filled as u64 == size {
                    break;
                }
            }
            Ok(got) => {
                filled += got;
                bytes.resize(bytes.len() * 2, 0);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Reads a file that probably has `expected` bytes.
pub(super) fn stream(file: &mut File, expected: u64) -> io::Result<(Digest, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    // Clearing a large buffer would take longer than reading a small file.
    let mut buffer = vec![0; expected.saturating_add(1).min(256 << 10) as usize];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((Digest::from_bytes(hash.finalize().into()), size)),
            Ok(n) => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn capability(file: impl AsFd) -> Result<Option<Vec<u8>>, Errno> {
    // The kernel's struct vfs_ns_cap_data has 24 bytes.
    let mut value = [0; 64];
    match fgetxattr(file, CAPABILITY, &mut value[..]) {
        Ok(n) => Ok(Some(value[..n].to_vec())),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error),
    }
}
