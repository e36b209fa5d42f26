//! Claims: of several builds that want the same step, one makes it and the others join.
//!
//! A claim is a lock of the kernel's: it is gone when its process is, however that ended. Whoever holds one waits for no
//! other, so there is no circle of builds that wait for each other.

use super::error::Context;
use super::scratch::same_file;
use super::{StorageError, Store};
use buildscope_record::{LayerKey, Probe};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::PathBuf;

/// The right to make what a key stands for; others wait until it is dropped, or its process is dead.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Held, never read.
    _lock: File,
    joined: bool,
}

impl Store {
    /// Claims a key if no other build, of this process or another, has it claimed.
    pub fn try_claim(&self, key: &LayerKey) -> Result<Option<Claim>, StorageError> {
        self.claim_or(key, |_| Ok(false))
    }

    /// Claims a key. Blocks while another build, of this process or another, has it claimed; the probe records for how long.
    pub fn claim(&self, key: &LayerKey, probe: &Probe) -> Result<Claim, StorageError> {
        let wait = |lock: &File| {
            let _waiting = probe.wait_lock("another build of the same step");
            flock(lock, FlockOperation::LockExclusive).map(|()| true)
        };
        Ok(self.claim_or(key, wait)?.expect("whoever waits gets it"))
    }

    /// Claims a key. Where another has it, `held` locks the file it has (true), or does not (false: then there is no claim).
    fn claim_or(
        &self,
        key: &LayerKey,
        held: impl Fn(&File) -> rustix::io::Result<bool>,
    ) -> Result<Option<Claim>, StorageError> {
        let path = self.root().join("claims").join(key.hex());
        let mut joined = false;
        loop {
            let lock = File::options().create(true).truncate(false).write(true).open(&path).context("open", &path)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    joined = true;
                    if !held(&lock).context("lock", &path)? {
                        return Ok(None);
                    }
                }
                locked => locked.context("lock", &path)?,
            }
            // The holder before removed the file: then somebody may already hold another of that name.
            if same_file(&lock, &path) {
                return Ok(Some(Claim { path, _lock: lock, joined }));
            }
        }
    }
}

impl Claim {
    /// Whether another build had it: then look in the cache first, it is probably made.
    pub fn joined(&self) -> bool {
        self.joined
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is still locked: nobody can hold a file of that name that is not this one.
        let _ = fs::remove_file(&self.path);
    }
}
