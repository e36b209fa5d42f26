//! The driver `btrfs`: a stack of layers is a subvolume, and a step works on a snapshot of it.

use super::copy::Baseline;
use super::{Driver, Prepared, SnapshotMode, clone_mount, tool};
use crate::change::Changes;
use crate::derived;
use crate::error::IoContext;
use crate::index::VERSION;
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::unpack::{self, HardLinks};
use crate::unpacked::UnpackedForm;
use crate::{LayerStore, StorageError};
use buildscope_record::{DiffId, Digest, DriverName, Phase, Probe, Quantity};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

const PROGRAM: &str = "btrfs";
/// BTRFS_SUPER_MAGIC (linux/magic.h).
const MAGIC: u64 = 0x9123_683E;

#[derive(Debug)]
pub(crate) struct Btrfs;

impl Btrfs {
    /// Checks that the store is on btrfs and that subvolumes can be created.
    pub(crate) fn probe(root: &Path, scratch: &Arc<Scratch>) -> Result<Self, StorageError> {
        let refuse = |reason: String| StorageError::Driver { driver: DriverName::Btrfs, reason };
        let on = rustix::fs::statfs(root).context("stat", root)?;
        if on.f_type as u64 != MAGIC {
            return Err(refuse(format!("{} is not on a btrfs file system", root.display())));
        }
        let dir = scratch.path("probe");
        subvolume(&["create"], &[&dir]).map_err(|error| refuse(error.to_string()))?;
        scratch.discard(dir);
        Ok(Self)
    }
}

impl Driver for Btrfs {
    fn name(&self) -> DriverName {
        DriverName::Btrfs
    }

    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let stack = tree.diff_ids();
        let base = base(store, &stack, mode.hard_links(), probe)?;
        let dir = store.scratch().path("snapshot");
        subvolume(&["snapshot"], &[&base, &dir])?;
        let mut snapshot = Snapshot { dir, scratch: Arc::clone(store.scratch()), baseline: Baseline::default() };
        snapshot.baseline = Baseline::of(&snapshot.dir, tree)?;
        Ok(Box::new(snapshot))
    }
}

/// The subvolume of a stack. If it is missing, it is made from a snapshot of the stack below.
fn base(store: &LayerStore, stack: &[DiffId], links: HardLinks, probe: &Probe) -> Result<PathBuf, StorageError> {
    let all = stack.iter().flat_map(|digest| *digest.as_bytes());
    let split = (links == HardLinks::Split).then_some(1);
    let key = Digest::of(all.chain(split).chain(VERSION.to_le_bytes()).collect::<Vec<u8>>());
    let name = format!("lowers/{}", key.hex());
    let path = store.root().join(&name);
    store.cache().used_file(name.clone());
    derived::ensure(store, stack, &path, |tree| {
        store.cache().note_unpacked(&name, stack, UnpackedForm::Tree)?;
        let aside = store.scratch().path("subvolume");
        match stack.split_last() {
            None => subvolume(&["create"], &[&aside])?,
            Some((_, below)) => {
                let below = base(store, below, links, probe)?;
                subvolume(&["snapshot"], &[&below, &aside])?;
                let span = probe.phase(Phase::Unpack);
                let unpacked = unpack::apply(tree, &aside, links)?;
                span.quantity(Quantity::FilesWalked, unpacked.files).quantity(Quantity::BytesWritten, unpacked.bytes);
            }
        }
        Ok(aside)
    })?;
    Ok(path)
}

struct Snapshot {
    dir: PathBuf,
    scratch: Arc<Scratch>,
    baseline: Baseline,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Deleting a subvolume is fast. If that is not allowed, its files are removed one by one.
        if subvolume(&["delete"], &[&self.dir]).is_err() {
            self.scratch.discard(std::mem::take(&mut self.dir));
        }
    }
}

impl Prepared for Snapshot {
    fn mount(&self) -> Result<OwnedFd, StorageError> {
        clone_mount(&self.dir)
    }

    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        self.baseline.compare(&self.dir, changes)
    }
}

/// Runs `btrfs subvolume`. Its ioctls need `unsafe`, which only the sandbox may use.
fn subvolume(what: &[&str], paths: &[&Path]) -> Result<(), StorageError> {
    let output =
        tool(PROGRAM).arg("subvolume").args(what).args(paths).stdin(Stdio::null()).output().context("run", PROGRAM)?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(StorageError::Driver { driver: DriverName::Btrfs, reason })
}
