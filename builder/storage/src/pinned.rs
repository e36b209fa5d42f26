//! Files of the host whose content is known already: what is stored must be what was hashed.
//!
//! Between hashing and storing, somebody may replace a directory of the context by a symbolic link, or rewrite a file.
//! So the file is opened below the directory that was scanned, through no link, and its `stat` is compared with the
//! one that belongs to the hash, when it is opened and again when it was read.

use super::error::Context;
use super::{StorageError, Timestamp};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What tells a file in one state from every other: nobody changes it without changing this, but for changes within a tick
/// of the clock of file times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Last modification.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
}

impl From<&Stat> for Identity {
    // The width of some of these differs between architectures.
    #[expect(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the width of these fields depends on the architecture"
    )]
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

/// A directory of the host that files are opened below.
#[derive(Debug)]
pub struct HostRoot {
    /// The open directory.
    pub fd: OwnedFd,
    /// Where it was when it was opened.
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

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.identity.size
    }

    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        self.root.path.join(&self.path)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`StorageError::ChangedWhileRead`] if another file, or the file in another state, is there.
    pub fn open(&self) -> Result<File, StorageError> {
        let open = |flags| open_below(self.root.fd.as_fd(), &self.path, flags);
        let opened = match open(OFlags::RDONLY | OFlags::NOATIME) {
            // Not ours: then its access time changes.
            Err(Errno::PERM) => open(OFlags::RDONLY),
            opened => opened,
        };
        match opened {
            // It is gone, or there is a link on the way to it or in its place.
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

    /// Compares the open file with what was hashed. To be asked again once it was read.
    ///
    /// # Errors
    /// [`StorageError::ChangedWhileRead`] if it is not in that state.
    pub fn check(&self, file: impl AsFd) -> Result<(), StorageError> {
        let stat = fstat(file).context("stat", self.path())?;
        if Identity::from(&stat) == self.identity { Ok(()) } else { Err(StorageError::ChangedWhileRead(self.path())) }
    }
}

/// Opens what is at `path` below `root`: no symbolic link on the way or at the end, no `..` out of it.
pub fn open_below(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}
