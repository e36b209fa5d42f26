//! Cache mounts: directories that are kept between builds (`RUN --mount=type=cache`).

use super::driver::clone_mount;
use super::error::IoContext;
use super::once_map::{Acquired, Turn};
use super::unpack;
use super::{Entry, StorageError, Store};
use buildscope_record::{DiffId, Digest, Probe};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock};
use rustix::io::Errno;
use std::convert::Infallible;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The rule for steps that use a cache mount at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheSharing {
    /// Any number of steps.
    #[default]
    Shared,
    /// One. A further step gets a separate directory, which later steps reuse.
    Private,
    /// One. A further step waits.
    Locked,
}

/// A file or directory in a stack of layers.
#[derive(Clone, Debug)]
pub struct LayerPath {
    /// The layers, lowest first.
    pub layers: Vec<DiffId>,
    /// The path from the root of their merged tree.
    pub path: PathBuf,
}

/// Options of a cache mount.
#[derive(Clone, Debug)]
pub struct CacheMountOptions {
    /// The rule for steps that use it at the same time.
    pub sharing: CacheSharing,
    /// The mode of a new directory.
    pub mode: u32,
    /// The user id of a new directory's owner.
    pub uid: u32,
    /// The group id of a new directory.
    pub gid: u32,
    /// The initial contents of a new directory.
    pub seed: Option<LayerPath>,
}

impl Default for CacheMountOptions {
    fn default() -> Self {
        Self { sharing: CacheSharing::Shared, mode: 0o755, uid: 0, gid: 0, seed: None }
    }
}

/// A cache mount in use. Dropping it releases its lock.
#[derive(Debug)]
pub struct CacheMount {
    dir: PathBuf,
    /// Held, never read. The lock must be released before the turn, so this field comes first.
    _lock: File,
    _turn: Option<Turn<String, Infallible>>,
}

impl Store {
    /// Opens the cache mount `id`. Blocks while a step of any process holds it exclusively; the probe records for how long. Of the
    /// waiting steps of this process, the first in the Dockerfile goes next.
    pub fn cache_mount(
        &self,
        id: &str,
        options: &CacheMountOptions,
        probe: &Probe,
    ) -> Result<CacheMount, StorageError> {
        let base = self.root().join("mounts");
        let name = Digest::of(id).hex();
        let lock_name = format!("cache-mount:{id}");
        let turn = (options.sharing == CacheSharing::Locked).then(|| {
            let Acquired::Ours(turn) =
                self.exclusive_mounts().acquire_blocking(&id.to_owned(), probe.step(), probe, &lock_name);
            turn
        });
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
                    let _waiting = probe.wait_lock(&lock_name);
                    flock(&lock, wait).context("lock", &lock_path)?;
                }
                Err(error) => return Err(error).context("lock", lock_path),
            }
            self.make_cache_directory(&dir, id, options)?;
            return Ok(CacheMount { dir, _lock: lock, _turn: turn });
        }
        unreachable!("fewer than 2^32 private cache mounts")
    }

    /// Creates the directory under a temporary name and renames it: two steps may do this at the same time, and a killed process must
    /// not leave a half-filled directory.
    fn make_cache_directory(&self, dir: &Path, id: &str, options: &CacheMountOptions) -> Result<(), StorageError> {
        if dir.exists() {
            return Ok(());
        }
        let aside = self.scratch().path("mount");
        fs::create_dir(&aside).context("create", &aside)?;
        if let Some(LayerPath { layers, path }) = &options.seed {
            let tree = self.tree(layers)?;
            let path = tree.resolve(path)?.path;
            unpack::subtree(&tree, &path, &aside)?;
        }
        let (mode, uid, gid) = (options.mode, options.uid, options.gid);
        unpack::finish(&aside, &Entry { mode, uid, gid, ..Entry::directory("") })?;
        // For `store du`, and for people who inspect the store.
        let label = dir.with_extension("name");
        fs::write(&label, id).context("write", label)?;
        self.put_cache_directory(aside, dir)
    }

    /// Renames a new directory to its final name. A directory that another step has created meanwhile is kept: it may be in use, and a
    /// plain rename(2) would replace it while it is empty.
    fn put_cache_directory(&self, aside: PathBuf, dir: &Path) -> Result<(), StorageError> {
        let renamed = match rustix::fs::renameat_with(CWD, &aside, CWD, dir, RenameFlags::NOREPLACE) {
            // The file system does not support RENAME_NOREPLACE (rename(2): NFS).
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
    use crate::tests::store;
    use crate::{DriverChoice, DriverName};
    use std::os::unix::fs::MetadataExt;

    /// Two steps that find no directory create one each. The second must not replace the first.
    #[test]
    fn a_cache_directory_in_use_is_not_replaced() {
        let fixture = store(DriverChoice::Named(DriverName::Copy));
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
