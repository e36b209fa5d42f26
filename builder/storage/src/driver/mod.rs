//! Drivers: each makes file systems for steps from stacks of layers, and finds the changes afterwards.

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

/// Makes file systems from layers.
pub(crate) trait Driver: Send + Sync {
    /// The name of the driver on the command line and in records.
    fn name(&self) -> DriverName;

    /// Prepares a writable file system with the contents of `tree`.
    fn prepare(
        &self,
        store: &Store,
        tree: &Arc<Tree>,
        place: Place,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError>;

    /// Drops what the driver caches between steps: a file of the store was removed.
    fn forget(&self) {}
}

/// Where a step's changes are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In memory, if there is a budget; otherwise on the disk.
    Memory,
    Disk,
    /// On the disk. Hard-linked files of lower layers become separate files under drivers that would not break the links.
    Apart,
}

/// A file system for one step.
pub(crate) trait Prepared: Send + Sync {
    /// The file system as a detached mount. Called once.
    fn mount(&self) -> Result<OwnedFd, StorageError>;

    /// Adds all differences from the original tree to `changes`.
    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError>;

    /// The memory that holds the changes, if they are not on the disk.
    fn memory(&self) -> Option<&Memory> {
        None
    }
}

/// The driver to use, and the reason for the choice.
pub(crate) fn choose(
    root: &Path,
    options: &StoreOptions,
    scratch: &Arc<Scratch>,
) -> Result<(Box<dyn Driver>, String), StorageError> {
    let asked = || "it was requested".to_owned();
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
                Ok(driver) => return Ok((driver, format!("erofs does not work here: {erofs}"))),
                Err(error) => error,
            };
            match fuse::Fuse::probe(scratch) {
                Ok(driver) => Ok((Box::new(driver), format!("overlayfs does not work here: {overlay}"))),
                Err(fuse) => Ok((
                    Box::new(copy::Copy),
                    format!("full copies work anywhere, and nothing faster works here: {overlay}; {fuse}"),
                )),
            }
        }
    }
}

/// A detached mount of a directory.
pub(crate) fn clone_mount(path: &Path) -> Result<OwnedFd, StorageError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, path, flags).context("mount", path)
}

/// A detached mount of the directory or file at `path` of another one. The path must not contain symlinks.
pub(crate) fn part_of(whole: &OwnedFd, path: &Path, _writable: bool) -> Result<OwnedFd, StorageError> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(whole, path, flags).context("mount", path)
}
