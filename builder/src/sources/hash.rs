//! Digests of files: each file is read once, and several are read in parallel.

use super::SourceError;
use super::content::ContentInfo;
use super::stat::{Identity, Status, is_racy};
use super::stat_cache::Record;
use buildscope_record::Digest;
use buildscope_storage::{CAPABILITY, open_below};
use rustix::fs::{OFlags, fgetxattr, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The largest file that is kept in memory after hashing, in bytes. Copying it then needs no second open and read,
/// which for 20,000 small files cost more than writing the layer.
const KEPT_FILE: u64 = 64 << 10;
/// The limit for all files that are kept in memory, in bytes.
const KEPT_ALL: u64 = 128 << 20;
/// How often a file is read before it is reported as changing all the time.
const ATTEMPTS: u32 = 4;

/// Reads files below one root.
pub(super) struct Hasher<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) root_path: &'a Path,
    /// The total size of the files kept in memory so far, in bytes.
    pub(super) kept: &'a AtomicU64,
}

impl Hasher<'_> {
    /// Reads the file at `path`, which had this `stat` when it was scanned. Returns a record for the cache if the `stat`
    /// is enough to distinguish the content from any later content.
    pub(super) fn read(&self, path: &Path, scanned: &Status) -> Result<(ContentInfo, Option<Record>), SourceError> {
        let fail = |source| SourceError::io("read", self.root_path.join(path), source);
        let small = scanned.size <= KEPT_FILE;
        let kept = small && self.kept.fetch_add(scanned.size, Ordering::Relaxed) + scanned.size <= KEPT_ALL;
        for _ in 0..ATTEMPTS {
            let read_at = SystemTime::now();
            let fd = open_below(self.root, path, OFlags::RDONLY).map_err(|error| fail(error.into()))?;
            if kept {
                // The bytes in memory are the bytes that were hashed, so a concurrent change does no harm. The record
                // is only made if this is still the file that was scanned: another one may be at its path by now.
                let bytes = whole(&fd, scanned.size).map_err(fail)?;
                let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
                let capability = capability(&fd).map_err(|error| fail(error.into()))?;
                let identity = Identity::from(&fstat(&fd).map_err(|error| fail(error.into()))?);
                let known = capability.is_none()
                    && size == scanned.size
                    && identity == Identity::from(scanned)
                    && !is_racy(scanned.ctime, read_at);
                let record = known.then(|| Record::new(scanned, digest));
                let kept = Some(bytes.into());
                return Ok((ContentInfo { digest, size, capability, kept, identity, stored_at: None }, record));
            }
            let before = Status::from(&fstat(&fd).map_err(|error| fail(error.into()))?);
            let capability = capability(&fd).map_err(|error| fail(error.into()))?;
            let mut file = File::from(fd);
            let (digest, size) = stream(&mut file, before.size).map_err(fail)?;
            let after = Status::from(&fstat(&file).map_err(|error| fail(error.into()))?);
            // The file is read again when it is copied, so it must not change meanwhile.
            if size == before.size && Identity::from(&after) == Identity::from(&before) {
                let known = capability.is_none() && !is_racy(before.ctime, read_at);
                let record = known.then(|| Record::new(&before, digest));
                let identity = Identity::from(&before);
                let content = ContentInfo { digest, size, capability, kept: None, identity, stored_at: None };
                return Ok((content, record));
            }
        }
        Err(SourceError::Unsteady(self.root_path.join(path)))
    }
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
fn stream(file: &mut File, expected: u64) -> io::Result<(Digest, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    // Clearing a large buffer would take longer than reading a small file.
    let mut buffer = vec![0; expected.saturating_add(1).min(256 << 10) as usize];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((Digest::from_bytes(hash.finalize().into()), size)),
            n => {
                hash.update(&buffer[..n]);
                size += n as u64;
            }
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
