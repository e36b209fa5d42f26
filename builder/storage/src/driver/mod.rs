//! Drivers: how a stack of layers becomes a file system for a step, and what it is read from afterwards.

mod btrfs;
mod copy;
mod erofs;
mod fuse;
mod overlay;

use super::change::Changes;
use super::error::Context;
use super::memory::Memory;
use super::scratch::Scratch;
use super::tree::Tree;
use super::{DriverChoice, StorageError, Store, StoreOptions};
use buildscope_record::{DriverName, Probe};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// A way of making file systems out of layers.
pub(crate) trait Driver: Send + Sync {
    /// Its name on the command line and in records.
    fn name(&self) -> DriverName;

    /// Makes ready a writable file system that looks like `tree`.
    fn prepare(
        &self,
        store: &Store,
        tree: &Arc<Tree>,
        place: Place,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError>;

    /// Forgets what it keeps of layers from step to step: a file of the store was replaced.
    fn forget(&self) {}
}

/// Where a step's changes may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In memory, if there is a budget for that; else on the disk.
    Memory,
    Disk,
    /// On the disk, and each name of a file of the layers below is a file of its own, where the driver would not tear them apart.
    Apart,
}

/// A file system for one step.
pub(crate) trait Prepared: Send + Sync {
    /// Mounts it, attached nowhere. Called once.
    fn mount(&self) -> Result<OwnedFd, StorageError>;

    /// Finds what is different from the tree that it was made from.
    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError>;

    /// The memory that the changes are in, if they are not on the disk.
    fn memory(&self) -> Option<&Memory> {
        None
    }
}

/// The driver to use, and why that one.
pub(crate) fn choose(
    root: &Path,
    options: &StoreOptions,
    scratch: &Arc<Scratch>,
) -> Result<(Box<dyn Driver>, String), StorageError> {
    let asked = || "it was asked for".to_owned();
    let erofs = || erofs::Erofs::probe(root, options.memory, scratch);
    let overlay =
        || Ok::<_, StorageError>(Box::new(overlay::Overlay::probe(options.memory, scratch)?) as Box<dyn Driver>);
    match options.driver {
        DriverChoice::Copy => Ok((Box::new(copy::Copy), asked())),
        DriverChoice::Overlay => Ok((overlay()?, asked())),
        DriverChoice::Erofs => Ok((Box::new(erofs()?), asked())),
        DriverChoice::FuseOverlayfs => Ok((Box::new(fuse::Fuse::probe(scratch)?), asked())),
        DriverChoice::Btrfs => Ok((Box::new(btrfs::Btrfs::probe(root, scratch)?), asked())),
        DriverChoice::Auto => {
            let erofs = match erofs() {
                Ok(driver) => {
                    let reason = driver.reason();
                    return Ok((Box::new(driver), reason));
                }
                Err(error) => error,
            };
            let overlay = match overlay() {
                Ok(driver) => return Ok((driver, format!("overlayfs works here; not the better erofs: {erofs}"))),
                Err(error) => error,
            };
            match fuse::Fuse::probe(scratch) {
                Ok(driver) => Ok((Box::new(driver), format!("it works here; not the faster overlayfs: {overlay}"))),
                Err(fuse) => {
                    Ok((Box::new(copy::Copy), format!("full copies work anywhere; nothing better: {overlay}; {fuse}")))
                }
            }
        }
    }
}

/// A mount of a directory, attached nowhere.
pub(crate) fn clone_mount(path: &Path) -> Result<OwnedFd, StorageError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, path, flags).context("mount", path)
}

/// The directory or file at `path` of a detached mount as a detached mount of its own. It has no symlinks in it.
pub(crate) fn part_of(whole: &OwnedFd, path: &Path, _writable: bool) -> Result<OwnedFd, StorageError> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(whole, path, flags).context("mount", path)
}
