//! Snapshots and views: a stack of layers as a mounted file system.

use super::change::Changes;
use super::driver::{self, Place, Prepared};
use super::memory::Memory;
use super::tree::{Node, Tree};
use super::{Layer, StorageError, Store};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A writable file system for one step. Dropped, it leaves nothing behind.
pub struct Snapshot {
    store: Store,
    tree: Arc<Tree>,
    prepared: Box<dyn Prepared>,
}

/// A part of a stack of layers for a step to look at. What is written to it is thrown away with it.
pub struct View {
    prepared: Box<dyn Prepared>,
    path: PathBuf,
    writable: bool,
}

impl Store {
    /// Makes ready a writable file system over a stack of layers, lowest first.
    pub fn snapshot(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, Place::Memory, probe)
    }

    /// The same, with the changes on the disk whatever memory there is: for a step whose own memory is limited.
    pub fn snapshot_on_disk(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, Place::Disk, probe)
    }

    /// The same for a step that has to be done again: with the changes on the disk whatever memory there is, since it has
    /// [outgrown](Snapshot::is_outgrown) it, and with files torn apart that a step [changed under one name](StorageError::LinkChanged).
    pub fn snapshot_again(&self, layers: &[DiffId], probe: &Probe) -> Result<Snapshot, StorageError> {
        self.snapshot_in(layers, Place::Apart, probe)
    }

    fn snapshot_in(&self, layers: &[DiffId], place: Place, probe: &Probe) -> Result<Snapshot, StorageError> {
        let span = probe.phase(Phase::SnapshotPrepare);
        let tree = self.tree(layers)?;
        span.quantity(Quantity::FilesWalked, layers.len() as u64);
        let prepared = self.driver().prepare(self, &tree, place, &span.probe())?;
        Ok(Snapshot { store: self.clone(), tree, prepared })
    }

    /// Makes ready the directory or file at `path` of a stack of layers; symlinks on the way are followed.
    pub fn view(&self, layers: &[DiffId], path: &Path, writable: bool, probe: &Probe) -> Result<View, StorageError> {
        let span = probe.phase(Phase::SnapshotPrepare);
        let tree = self.tree(layers)?;
        let resolved = tree.resolve(path, true)?;
        if resolved.entry.is_none() {
            return Err(StorageError::BadPath { path: path.to_owned(), reason: "there is nothing" });
        }
        let prepared = self.driver().prepare(self, &tree, Place::Disk, &span.probe())?;
        Ok(View { prepared, path: resolved.path, writable })
    }
}

impl Snapshot {
    /// The file system as a detached mount. Call it once.
    pub fn mount(&self, probe: &Probe) -> Result<OwnedFd, StorageError> {
        let span = probe.phase(Phase::Mount);
        span.detail(self.store.driver_name().name());
        self.prepared.mount()
    }

    /// Whether the changes are in memory.
    pub fn is_in_memory(&self) -> bool {
        self.prepared.memory().is_some()
    }

    /// Whether the changes take more memory than there is for them. To be asked every few milliseconds while the step runs; the
    /// step is then stopped and run again [on the disk](Store::snapshot_on_disk).
    pub fn is_outgrown(&self) -> bool {
        self.prepared.memory().is_some_and(Memory::is_outgrown)
    }

    /// What the file system looked like before the step.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Makes a layer of what the step changed. [`StorageError::LinkChanged`] asks for the step to be done
    /// [again](Store::snapshot_again). `created_mountpoints` are the image paths that the sandbox made to mount over: those that the
    /// step left as they were made are not part of the layer. The mount must be gone, or at least unused.
    pub fn commit(self, created_mountpoints: &[PathBuf], probe: &Probe) -> Result<Layer, StorageError> {
        let span = probe.phase(Phase::Diff);
        let mut changes = Changes::new(&self.tree);
        self.prepared.changes(&mut changes)?;
        let mut builder = self.store.layer_builder();
        let (walked, changed) = changes.finish(created_mountpoints, &mut builder);
        span.quantity(Quantity::FilesWalked, walked).quantity(Quantity::FilesChanged, changed);
        span.end();
        builder.finish(probe)
    }
}

impl View {
    /// The part as a detached mount. Call it once.
    pub fn mount(&self, probe: &Probe) -> Result<OwnedFd, StorageError> {
        let _span = probe.phase(Phase::Mount);
        let whole = self.prepared.mount()?;
        driver::part_of(&whole, &self.path, self.writable)
    }
}

impl Tree {
    /// Whether there is a directory at `path`.
    pub fn is_directory(&self, path: &Path) -> bool {
        matches!(self.node(path), Some(Node::Dir(_)))
    }
}
