//! Step locks: of several builds that need the same step, one runs it and the others wait for its result.
//!
//! The kernel releases a lock when its process ends, even by a crash. A build that holds a step lock never waits for another
//! one, so there is no deadlock.

use super::error::IoContext;
use super::scratch::same_file;
use super::{StorageError, Store};
use buildscope_record::{LayerKey, Probe};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// The length of a process id in a lock file, padded with blanks.
const WIDTH: usize = 10;

/// The lock of a step. Other builds of the same step wait until it is dropped or its process has ended.
#[derive(Debug)]
pub struct StepLock {
    path: PathBuf,
    /// Held, never read.
    _lock: File,
}

impl StepLock {
    /// Acquires the lock for `key`; `None` if another build, of this process or another, holds it.
    pub fn try_lock(store: &Store, key: &LayerKey) -> Result<Option<Self>, StorageError> {
        Self::acquire(store, key, |_| Ok(false))
    }

    /// Acquires the lock for `key`. Blocks while another build, of this process or another, holds it; the probe records how long.
    pub fn lock(store: &Store, key: &LayerKey, probe: &Probe) -> Result<Self, StorageError> {
        let wait = |lock: &File| {
            let _waiting = probe.wait_lock(&held_by(lock));
            flock(lock, FlockOperation::LockExclusive).map(|()| true)
        };
        Ok(Self::acquire(store, key, wait)?.expect("a blocking lock is always acquired"))
    }

    /// Acquires the lock for `key`. If another build holds it, calls `on_contended` with the lock file: it waits for the lock and
    /// returns true, or returns false to give up.
    fn acquire(
        store: &Store,
        key: &LayerKey,
        on_contended: impl Fn(&File) -> rustix::io::Result<bool>,
    ) -> Result<Option<Self>, StorageError> {
        // The directory has the name that earlier versions gave it: they may use the store at the same time.
        let path = store.root().join("claims").join(key.hex());
        loop {
            let lock = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .context("open", &path)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    if !on_contended(&lock).context("lock", &path)? {
                        return Ok(None);
                    }
                }
                locked => locked.context("lock", &path)?,
            }
            // The previous holder removed the file. Another build may already hold a new file of the same name.
            if same_file(&lock, &path) {
                // For the records of the builds that wait. The lock works without it.
                let _ = lock.write_at(format!("{:<WIDTH$}", std::process::id()).as_bytes(), 0);
                return Ok(Some(Self { path, _lock: lock }));
            }
        }
    }
}

/// The name of the wait for a step lock: it says which process has the lock, unless an earlier version of the builder wrote the file.
fn held_by(lock: &File) -> String {
    let mut text = [0; WIDTH];
    let read = lock.read_at(&mut text, 0).unwrap_or(0);
    let pid = std::str::from_utf8(&text[..read]).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    format!("the same step in another build{process}")
}

impl Drop for StepLock {
    fn drop(&mut self) {
        // Removed while still locked: until then, no other file of this name can be locked.
        let _ = fs::remove_file(&self.path);
    }
}
