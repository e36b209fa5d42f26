//! The scratch directory of one process: what is in it belongs to nobody once the process is dead.

use super::StorageError;
use super::error::Context;
use rustix::fs::{FlockOperation, IFlags, flock, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

/// How long the end of a process waits for what it discarded to be gone. The rest is left to the next process.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thread that lets go of what nobody uses any more.
#[derive(Debug)]
struct Reaper<T> {
    waste: mpsc::Sender<T>,
    done: mpsc::Receiver<()>,
}

impl<T: Send + 'static> Reaper<T> {
    fn start(remove: fn(T)) -> Self {
        let (waste, discarded) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        std::thread::spawn(move || {
            discarded.iter().for_each(remove);
            drop(finished);
        });
        Self { waste, done }
    }

    /// Waits until all of it is gone, within reason.
    fn finish(self) {
        drop(self.waste);
        // Ends when the thread lets go of the other half: nothing is ever sent.
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

/// A directory below the store's `tmp` that is locked as long as its process lives.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
    lock_path: PathBuf,
    next: AtomicU64,
    paths: Mutex<Option<Reaper<PathBuf>>>,
    /// A thread of their own: memory must not stay until a tree on the disk is removed.
    mounts: Mutex<Option<Reaper<Arc<OwnedFd>>>>,
    /// Held, never read: the kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Scratch {
    /// Makes one, and removes those of dead processes (in the background).
    pub(crate) fn create(tmp: &Path) -> Result<Self, StorageError> {
        let mut bytes = [0; 6];
        let (lock_path, lock) = loop {
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).context("name", tmp)?;
            let lock_path = tmp.join(format!("{}-{}.lock", std::process::id(), hex::encode(bytes)));
            let lock = File::options().write(true).create_new(true).open(&lock_path).context("create", &lock_path)?;
            flock(&lock, FlockOperation::LockExclusive).context("lock", &lock_path)?;
            if same_file(&lock, &lock_path) {
                break (lock_path, lock);
            } // else another process took the yet unlocked file for a dead one's
        };
        let dir = lock_path.with_extension("");
        fs::create_dir(&dir).context("create", &dir)?;
        [tmp, &dir].into_iter().for_each(spread);
        let scratch = Self {
            dir,
            lock_path,
            next: AtomicU64::new(0),
            paths: Mutex::default(),
            mounts: Mutex::default(),
            _lock: lock,
        };
        for dead in dead(tmp)? {
            scratch.discard(dead);
        }
        Ok(scratch)
    }

    /// A path in it that nothing else has.
    pub(crate) fn path(&self, kind: &str) -> PathBuf {
        self.dir.join(format!("{kind}-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Removes a file or tree, later: removing 20,000 files takes a tenth of a second that no step should wait for. Dropping the
    /// scratch directory waits for it, within reason; what a killed process leaves, the next one removes.
    pub(crate) fn discard(&self, path: PathBuf) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only where the thread is gone: then the next process removes it.
        let _ = paths.get_or_insert_with(|| Reaper::start(|path: PathBuf| remove(&path))).waste.send(path);
    }

    /// Lets go of a mount, later: of a file system in memory with 20,000 files it takes the kernel a twentieth of a second.
    pub(crate) fn discard_mount(&self, mount: Arc<OwnedFd>) {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only where the thread is gone: then it goes here.
        let _ = mounts.get_or_insert_with(|| Reaper::start(drop)).waste.send(mount);
    }
}

/// Asks that what is made in `dir` be far from what else is there (chattr(1), `T`). ext4 otherwise makes a step's files where those
/// of the last one were, and passes over each file that was removed there within the last minutes: 20,000 files took 3 s longer.
/// A hint: other file systems may refuse it.
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
        // Mounts first: what is removed may be below them.
        if let Some(mounts) = self.mounts.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            mounts.finish();
        }
        if let Some(paths) = self.paths.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            paths.finish();
        }
        // Succeeds where everything is already gone; else it is left to the next process.
        if fs::remove_dir(&self.dir).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// Whether the path still leads to the open file.
pub(crate) fn same_file(open: &File, path: &Path) -> bool {
    let ids = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    ids(open.metadata()).is_some_and(|open| Some(open) == ids(fs::metadata(path)))
}

/// When the longest living process that uses the store began to.
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

/// The directories whose process is gone, renamed so that only we remove them.
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

/// Removes whatever is there; what cannot be removed is tried again by the next process.
fn remove(path: &Path) {
    if fs::remove_file(path).is_err() {
        let _ = fs::remove_dir_all(path);
    }
}
