//! Cache mounts: directories that live from build to build (`RUN --mount=type=cache`).

use super::driver::clone_mount;
use super::error::Context;
use super::queue::Turn;
use super::unpack;
use super::{Entry, StorageError, Store};
use buildscope_record::{DiffId, Digest, Probe};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Who may use a cache directory at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheSharing {
    /// Any number of steps.
    #[default]
    Shared,
    /// One; a step that comes meanwhile gets a directory of its own, which later steps use again.
    Private,
    /// One; a step that comes meanwhile waits.
    Locked,
}

/// How a cache directory is to be.
#[derive(Clone, Debug)]
pub struct CacheMountOptions {
    /// Who may use it at a time.
    pub sharing: CacheSharing,
    /// Mode of a new one.
    pub mode: u32,
    /// Owner of a new one.
    pub uid: u32,
    /// Group of a new one.
    pub gid: u32,
    /// What a new one begins with: a directory in a stack of layers.
    pub seed: Option<(Vec<DiffId>, PathBuf)>,
}

impl Default for CacheMountOptions {
    fn default() -> Self {
        Self { sharing: CacheSharing::Shared, mode: 0o755, uid: 0, gid: 0, seed: None }
    }
}

/// A cache directory in use; it is let go of when this is dropped.
#[derive(Debug)]
pub struct CacheMount {
    dir: PathBuf,
    /// Held, never read: first the lock goes, then the turn.
    _lock: File,
    _turn: Option<Turn>,
}

impl Store {
    /// The cache directory of that name. Blocks while another step, of any process, has it locked: the probe records for
    /// how long. Of the steps of this process that wait for it, the first in the file has it next.
    pub fn cache_mount(
        &self,
        id: &str,
        options: &CacheMountOptions,
        probe: &Probe,
    ) -> Result<CacheMount, StorageError> {
        let base = self.root().join("mounts");
        let name = Digest::of(id).hex();
        let turn = (options.sharing == CacheSharing::Locked).then(|| self.queues().turn(id, probe));
        for number in 0u32.. {
            let dir = base.join(format!("{name}.{number}"));
            let lock_path = base.join(format!("{name}.{number}.lock"));
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&lock_path)
                .context("open", &lock_path)?;
            let (now, wait) = match options.sharing {
                CacheSharing::Shared => (FlockOperation::NonBlockingLockShared, FlockOperation::LockShared),
                _ => (FlockOperation::NonBlockingLockExclusive, FlockOperation::LockExclusive),
            };
            match flock(&lock, now) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) if options.sharing == CacheSharing::Private => continue,
                Err(Errno::WOULDBLOCK) => {
                    let _waiting = probe.wait_lock(&format!("cache-mount:{id}"));
                    flock(&lock, wait).context("lock", &lock_path)?;
                }
                Err(error) => return Err(error).context("lock", lock_path),
            }
            self.make_cache_directory(&dir, id, options)?;
            return Ok(CacheMount { dir, _lock: lock, _turn: turn });
        }
        unreachable!("more cache directories than numbers")
    }

    /// Makes a new one aside and renames it: two steps may do this at once, and one that is killed leaves none half filled.
    fn make_cache_directory(&self, dir: &Path, id: &str, options: &CacheMountOptions) -> Result<(), StorageError> {
        if dir.exists() {
            return Ok(());
        }
        let aside = self.scratch().path("mount");
        fs::create_dir(&aside).context("create", &aside)?;
        if let Some((layers, path)) = &options.seed {
            let tree = self.tree(layers)?;
            let path = tree.resolve(path, true)?.path;
            unpack::subtree(&tree, &path, &aside)?;
        }
        let (mode, uid, gid) = (options.mode, options.uid, options.gid);
        unpack::finish(&aside, &Entry { mode, uid, gid, ..Entry::directory("") })?;
        // For people who look at the store, and for `store du`.
        let label = dir.with_extension("name");
        fs::write(&label, id).context("write", label)?;
        self.put_cache_directory(aside, dir)
    }

    /// Puts it where it belongs, unless another step has put one there: that is in use, and rename(2) would replace it for as long
    /// as it is empty.
    fn put_cache_directory(&self, aside: PathBuf, dir: &Path) -> Result<(), StorageError> {
        let renamed = match rustix::fs::renameat_with(CWD, &aside, CWD, dir, RenameFlags::NOREPLACE) {
            // A file system that cannot promise that (rename(2): NFS) does it as it can.
            Err(Errno::INVAL) => rustix::fs::rename(&aside, dir),
            renamed => renamed,
        };
        match renamed {
            Ok(()) => Ok(()),
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                self.scratch().discard(aside);
                Ok(())
            }
            Err(error) => Err(error).context("rename to", dir),
        }
    }
}

impl CacheMount {
    /// The directory as a detached mount.
    pub fn mount(&self) -> Result<OwnedFd, StorageError> {
        clone_mount(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DriverChoice;
    use crate::tests::store;
    use std::os::unix::fs::MetadataExt;

    /// Two steps that find none make one each; the second to be done must not take the first one's away.
    #[test]
    fn a_new_cache_directory_replaces_none_that_is_in_use() {
        let fixture = store(DriverChoice::Copy);
        let probe = Probe::disabled();
        let cache = fixture.store.cache_mount("both", &CacheMountOptions::default(), &probe).unwrap();
        let inode = || fs::metadata(&cache.dir).unwrap().ino();
        let before = inode();
        let aside = fixture.store.scratch().path("mount");
        fs::create_dir(&aside).unwrap();
        fixture.store.put_cache_directory(aside, &cache.dir).unwrap();
        assert_eq!(inode(), before);
    }
}
