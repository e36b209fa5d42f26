//! The scratch directory of one process. Other processes remove it once the process has ended.

use super::StorageError;
use super::error::IoContext;
use super::removal::remove_tree;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, IFlags, flock, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

/// The time that a process waits at its end until discarded files are removed. The next process removes the rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// The scratch directories of this process.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the scratch directories of a process that is about to end without dropping its stores. The next process removes what takes
/// longer than `patience`.
pub fn abandon_scratch(patience: Duration) {
    abandon(std::mem::take(&mut *LIVE.lock()), patience);
}

fn abandon(dirs: Vec<PathBuf>, patience: Duration) {
    let (finished, done) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        for dir in dirs {
            // Other threads still work here, and must not move a half removed tree to the store: after this, its path leads nowhere.
            let dead = dir.with_extension("dead");
            if fs::rename(&dir, &dead).is_ok() {
                let _ = fs::remove_file(dir.with_extension("lock"));
                let _ = remove_tree(&dead);
            }
        }
        drop(finished);
    });
    // Ends when the thread drops the sender. Nothing is ever sent.
    let _ = done.recv_timeout(patience);
}

/// A thread that removes or drops discarded objects in the background.
#[derive(Debug)]
struct BackgroundDrop<T> {
    waste: mpsc::Sender<T>,
    done: mpsc::Receiver<()>,
}

impl<T: Send + 'static> BackgroundDrop<T> {
    fn start(remove: fn(T)) -> Self {
        let (waste, discarded) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        std::thread::spawn(move || {
            discarded.iter().for_each(remove);
            drop(finished);
        });
        Self { waste, done }
    }

    /// Waits until everything is removed, for at most [`PATIENCE`]. Returns whether it is.
    fn finish(self) -> bool {
        drop(self.waste);
        // Ends when the thread drops the sender. Nothing is ever sent.
        matches!(self.done.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected))
    }
}

/// A directory below the store's `tmp`, with a lock that is held while its process lives.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
    lock_path: PathBuf,
    next: AtomicU64,
    paths: Mutex<Option<BackgroundDrop<PathBuf>>>,
    /// A separate thread: freeing memory must not wait until a tree on the disk is removed.
    mounts: Mutex<Option<BackgroundDrop<Arc<OwnedFd>>>>,
    /// The parent directory, if it is removed as well.
    own: Option<PathBuf>,
    /// Held, never read. The kernel releases it when the process ends, even by a crash.
    _lock: File,
}

impl Scratch {
    /// Creates a scratch directory, and removes those of dead processes in the background.
    pub(crate) fn create(tmp: &Path) -> Result<Self, StorageError> {
        let mut bytes = [0; 6];
        let (lock_path, lock) = loop {
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).context("name", tmp)?;
            let lock_path = tmp.join(format!("{}-{}.lock", std::process::id(), hex::encode(bytes)));
            let lock = File::options().write(true).create_new(true).open(&lock_path).context("create", &lock_path)?;
            flock(&lock, FlockOperation::LockExclusive).context("lock", &lock_path)?;
            if same_file(&lock, &lock_path) {
                break (lock_path, lock);
            } // otherwise another process removed the file before it was locked
        };
        let dir = lock_path.with_extension("");
        fs::create_dir(&dir).context("create", &dir)?;
        [tmp, &dir].into_iter().for_each(spread);
        LIVE.lock().push(dir.clone());
        let scratch = Self {
            dir,
            lock_path,
            next: AtomicU64::new(0),
            paths: Mutex::default(),
            mounts: Mutex::default(),
            own: None,
            _lock: lock,
        };
        for dead in dead(tmp)? {
            scratch.discard(dead);
        }
        Ok(scratch)
    }

    /// A scratch directory in the system's directory for temporary files: for a store that cannot be written to.
    pub(crate) fn elsewhere() -> Result<Self, StorageError> {
        let mut bytes = [0; 8];
        let parent = std::env::temp_dir();
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).context("name", &parent)?;
        let own = parent.join(format!("buildscope-{}", hex::encode(bytes)));
        fs::DirBuilder::new().mode(0o700).create(&own).context("create", &own)?;
        let mut scratch = Self::create(&own)?;
        scratch.own = Some(own);
        Ok(scratch)
    }

    /// A new, unique path in the directory.
    pub(crate) fn path(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{kind}-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Removes a file or tree in the background: removing 20,000 files takes a tenth of a second, and no step should wait for it.
    /// Dropping the scratch directory waits for it, for at most [`PATIENCE`]. The next process removes what a killed one leaves.
    pub(crate) fn discard(&self, path: PathBuf) {
        let mut paths = self.paths.lock();
        // Fails only if the thread has ended. The next process then removes the path.
        let _ = paths.get_or_insert_with(|| BackgroundDrop::start(remove)).waste.send(path);
    }

    /// Drops a mount in the background: freeing a tmpfs with 20,000 files takes the kernel a twentieth of a second.
    pub(crate) fn discard_mount(&self, mount: Arc<OwnedFd>) {
        let mut mounts = self.mounts.lock();
        // Fails only if the thread has ended. The mount is then dropped here.
        let _ = mounts.get_or_insert_with(|| BackgroundDrop::start(drop)).waste.send(mount);
    }
}

/// Asks the file system to place new directories in `dir` far from existing files (chattr(1), `T`). Otherwise ext4 puts a step's
/// files next to those of the previous step, and skips each inode that was freed there in the last minutes: 20,000 files took 3 s
/// longer. This is a hint, and other file systems may reject it.
fn spread(dir: &Path) {
    let set = || {
        let dir = File::open(dir)?;
        ioctl_setflags(&dir, ioctl_getflags(&dir)? | IFlags::TOPDIR)?;
        io::Result::Ok(())
    };
    let _ = set();
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Mounts first: the removed paths may be below them.
        let unmounted = self.mounts.get_mut().take().is_none_or(BackgroundDrop::finish);
        let removed = self.paths.get_mut().take().is_none_or(BackgroundDrop::finish);
        // Work that failed, on a full disk for example, leaves unfinished files. If they cannot be removed, the next process does it.
        if unmounted && removed && remove_tree(&self.dir).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
        LIVE.lock().retain(|dir| *dir != self.dir);
        if let Some(own) = &self.own {
            let _ = remove_tree(own);
        }
    }
}

/// Whether the path still leads to the open file.
pub(crate) fn same_file(open: &File, path: &Path) -> bool {
    let ids = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    ids(open.metadata()).is_some_and(|open| Some(open) == ids(fs::metadata(path)))
}

/// The start time of the oldest living process that uses the store.
pub(crate) fn oldest_living(tmp: &Path) -> Result<Option<SystemTime>, StorageError> {
    let mut oldest = None;
    for entry in fs::read_dir(tmp).context("read", tmp)? {
        let path = entry.context("read", tmp)?.path();
        let Some(lock) = path.extension().filter(|extension| *extension == "lock").and_then(|_| File::open(&path).ok())
        else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockShared).is_err() {
            let started = lock.metadata().and_then(|metadata| metadata.modified()).context("stat", path)?;
            oldest = Some(oldest.map_or(started, |oldest: SystemTime| oldest.min(started)));
        }
    }
    Ok(oldest)
}

/// Removes a file or tree. The next process retries what cannot be removed.
fn remove(path: PathBuf) {
    let _ = remove_tree(&path);
}

/// The directories of dead processes, renamed so that no other process removes them at the same time.
fn dead(tmp: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let mut dead = Vec::new();
    for entry in fs::read_dir(tmp).context("read", tmp)? {
        let lock_path = entry.context("read", tmp)?.path();
        match lock_path.extension() {
            Some(extension) if extension == "dead" => dead.push(lock_path),
            Some(extension) if extension == "lock" => {
                let Ok(lock) = File::open(&lock_path) else { continue };
                if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && same_file(&lock, &lock_path) {
                    let (dir, renamed) = (lock_path.with_extension(""), lock_path.with_extension("dead"));
                    if fs::rename(&dir, &renamed).is_ok() {
                        dead.push(renamed);
                    }
                    let _ = fs::remove_file(&lock_path);
                }
            }
            _ => {}
        }
    }
    Ok(dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_directory_is_removed_and_takes_no_more_files() {
        let tmp = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(tmp.path()).unwrap();
        let tree = scratch.path("unpack");
        fs::create_dir_all(tree.join("usr/bin")).unwrap();
        // Other tests of this process have directories of their own.
        abandon(vec![scratch.dir.clone()], Duration::from_secs(60));
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0);
        assert!(fs::create_dir(&tree).is_err() && fs::rename(&tree, tmp.path().join("snapshot")).is_err());
    }

    #[test]
    fn unfinished_files_are_removed_at_the_end() {
        let tmp = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(tmp.path()).unwrap();
        let (unpacked, discarded) = (scratch.path("unpack"), scratch.path("copy"));
        fs::create_dir_all(unpacked.join("usr/bin")).unwrap();
        fs::write(&discarded, "x").unwrap();
        scratch.discard(discarded);
        drop(scratch);
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0);
    }
}
