//! Snapshots and views: stacks of layers as mounted file systems.

use super::change::Changes;
use super::driver::{self, Prepared, SnapshotMode};
use super::memory::Memory;
use super::tree::Tree;
use super::{Layer, StorageError, Store};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A writable file system for one step. Dropping it removes everything.
pub struct Snapshot {
    store: Store,
    tree: Arc<Tree>,
    prepared: Box<dyn Prepared>,
}

/// A part of a stack of layers, mounted for a step. Writes to it are discarded.
pub struct View {
    prepared: Box<dyn Prepared>,
    path: PathBuf,
}

impl Store {
    /// Prepares a writable file system from a stack of layers, lowest first.
    pub fn snapshot(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, SnapshotMode::InMemory, probe)
    }

    /// Like [`snapshot`](Self::snapshot), with the changes always on the disk: for a step with a memory limit.
    pub fn snapshot_on_disk(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, SnapshotMode::OnDisk, probe)
    }

    /// Like [`snapshot`](Self::snapshot), for a step that has to run again, because it has [outgrown](Snapshot::is_outgrown) the memory
    /// budget or [modified a hard-linked file](StorageError::LinkChanged). The changes are on the disk, and hard-linked files of the
    /// layers become separate files.
    pub fn snapshot_again(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, SnapshotMode::Rerun, probe)
    }

    fn snapshot_in(&self, layers: &[DiffId], mode: SnapshotMode, probe: &Probe) -> Result<Snapshot, StorageError> {
        let span = probe.phase(Phase::SnapshotPrepare);
        let tree = self.tree(layers)?;
        span.quantity(Quantity::FilesWalked, layers.len() as u64);
        let prepared = self.driver()?.prepare(self, &tree, mode, &span.probe())?;
        Ok(Snapshot { store: self.clone(), tree, prepared })
    }

    /// Prepares the directory or file at `path` of a stack of layers. Symlinks are followed.
    pub fn view(&self, layers: &[DiffId], path: &Path, probe: &Probe) -> Result<View, StorageError> {
        let span = probe.phase(Phase::SnapshotPrepare);
        let tree = self.tree(layers)?;
        let resolved = tree.resolve(path)?;
        if resolved.entry.is_none() {
            return Err(StorageError::BadPath { path: path.to_owned(), reason: "it does not exist" });
        }
        let prepared = self.driver()?.prepare(self, &tree, SnapshotMode::OnDisk, &span.probe())?;
        Ok(View { prepared, path: resolved.path })
    }
}

impl Snapshot {
    /// The file system as a detached mount. Call it once.
    pub fn mount(&self, probe: &Probe) -> Result<OwnedFd, StorageError> {
        let span = probe.phase(Phase::Mount);
        if let Some(driver) = self.store.driver_name() {
            span.detail(driver.name());
        }
        self.prepared.mount()
    }

    /// Whether the changes are in memory.
    pub fn is_in_memory(&self) -> bool {
        self.prepared.memory().is_some()
    }

    /// Whether the changes exceed the memory budget. Poll it every few milliseconds while the step runs; if it returns true, stop the
    /// step and run it again [on the disk](Store::snapshot_on_disk).
    pub fn is_outgrown(&self) -> bool {
        self.prepared.memory().is_some_and(Memory::is_outgrown)
    }

    /// The tree before the step.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Writes the changes of the step to a layer. The file system must no longer be in use.
    ///
    /// # Errors
    /// After [`StorageError::LinkChanged`], run the step [again](Store::snapshot_again).
    pub fn commit(self, probe: &Probe) -> Result<Layer, StorageError> {
        let span = probe.phase(Phase::Diff);
        let mut changes = Changes::new(&self.tree);
        self.prepared.changes(&mut changes)?;
        let mut builder = self.store.layer_builder();
        let counts = changes.finish(&mut builder);
        span.quantity(Quantity::FilesWalked, counts.walked).quantity(Quantity::FilesChanged, counts.changed);
        span.end();
        builder.finish(probe)
    }
}

impl View {
    /// The directory or file as a detached mount. Call it once.
    pub fn mount(&self, probe: &Probe) -> Result<OwnedFd, StorageError> {
        let _span = probe.phase(Phase::Mount);
        let whole = self.prepared.mount()?;
        driver::part_of(&whole, &self.path)
    }
}
