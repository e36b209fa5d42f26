//! Files of the host that were hashed before: the stored content must be the hashed content.
//!
//! Between hashing and storing, another process may replace a directory of the context by a symbolic link, or rewrite a file. So the
//! file is opened below the scanned directory without following links, and its `stat` is compared with the one from hashing: after
//! opening, and again after reading.

use super::error::IoContext;
use super::{StorageError, Timestamp};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Identifies a file's content without reading it. Every write changes at least one field, except writes within one tick of the
/// file system's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The device number of the file system.
    pub dev: u64,
    /// The inode number.
    pub ino: u64,
    /// The size in bytes.
    pub size: u64,
    /// The time of the last modification.
    pub mtime: Timestamp,
    /// The time of the last inode change.
    pub ctime: Timestamp,
}

impl From<&Stat> for Identity {
    #[expect(clippy::useless_conversion, reason = "the width of these fields depends on the architecture")]
    fn from(stat: &Stat) -> Self {
        let time = |seconds, nanos| Timestamp { seconds, nanos };
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            size: stat.st_size as u64,
            mtime: time(stat.st_mtime.into(), stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime.into(), stat.st_ctime_nsec as u32),
        }
    }
}

/// A directory of the host; files are opened below it.
#[derive(Debug)]
pub struct HostRoot {
    /// The open directory.
    pub fd: OwnedFd,
    /// The path at which it was opened.
    pub path: PathBuf,
}

/// A file below a directory of the host, in the state in which it was hashed.
#[derive(Clone, Debug)]
pub struct PinnedFile {
    root: Arc<HostRoot>,
    path: PathBuf,
    identity: Identity,
}

impl PinnedFile {
    /// The file at `path` below `root` whose `stat` was `identity` when it was hashed.
    pub fn new(root: Arc<HostRoot>, path: PathBuf, identity: Identity) -> Self {
        Self { root, path, identity }
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// The path, for messages.
    pub fn path(&self) -> PathBuf {
        self.root.path.join(&self.path)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`StorageError::ChangedWhileRead`] if it was replaced or changed.
    pub fn open(&self) -> Result<File, StorageError> {
        let open = |flags| open_below(self.root.fd.as_fd(), &self.path, flags);
        let opened = match open(OFlags::RDONLY | OFlags::NOATIME) {
            // O_NOATIME needs the owner. For other users the access time changes.
            Err(Errno::PERM) => open(OFlags::RDONLY),
            opened => opened,
        };
        match opened {
            // It was removed, or the path now contains a symbolic link.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {
                Err(StorageError::ChangedWhileRead(self.path()))
            }
            opened => {
                let file = File::from(opened.context("open", self.path())?);
                self.check(&file)?;
                Ok(file)
            }
        }
    }

    /// Compares the open file with the state that was hashed. Call it again after reading.
    ///
    /// # Errors
    /// [`StorageError::ChangedWhileRead`] if it has changed.
    pub fn check(&self, file: impl AsFd) -> Result<(), StorageError> {
        let stat = fstat(file).context("stat", self.path())?;
        if Identity::from(&stat) == self.identity { Ok(()) } else { Err(StorageError::ChangedWhileRead(self.path())) }
    }
}

/// Opens `path` below `root`. Symbolic links in it, and `..` that leads out of `root`, are errors.
pub fn open_below(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    open_resolved(root, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// The number of attempts of [`open_resolved`]. While another process renames files, one call of thousands fails.
const ATTEMPTS: usize = 100;

/// Opens `path` from `root` under the rules of openat2(2). The call fails with EAGAIN if a rename or mount anywhere on the machine
/// raced with a `..` in the path or in a link, so it is repeated.
///
/// # Errors
/// Those of openat2(2). EAGAIN means that another process has a lease on the file (fcntl(2)).
pub fn open_resolved(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let open = || openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
    let raced = |opened: &Result<OwnedFd, Errno>| matches!(opened, Err(Errno::AGAIN));
    std::iter::repeat_with(open).take(ATTEMPTS).find(|opened| !raced(opened)).unwrap_or(Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// About one of 5000 calls of openat2(2) races with the renames (measured on two processors).
    #[test]
    fn renames_elsewhere_do_not_disturb_a_path_with_a_parent() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        symlink("../sub", dir.path().join("sub/link")).unwrap();
        let root = File::open(dir.path()).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (one, other) = (elsewhere.path().join("one"), elsewhere.path().join("other"));
        fs::write(&one, "").unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(&one, &other).and_then(|()| fs::rename(&other, &one)).unwrap();
                }
            });
            let open = |_| open_resolved(&root, Path::new("sub/link"), OFlags::PATH, ResolveFlags::BENEATH);
            let failed = (0..50_000).map(open).find_map(Result::err);
            done.store(true, Ordering::Relaxed);
            assert!(failed.is_none(), "{failed:?}");
        });
    }
}
