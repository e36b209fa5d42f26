//! Drivers: each makes file systems for steps from stacks of layers, and finds the changes afterwards.

mod btrfs;
mod copy;
mod erofs;
mod fuse;
mod overlay;

use super::change::Changes;
use super::error::IoContext;
use super::memory::Memory;
use super::scratch::Scratch;
use super::tree::Tree;
use super::unpack::HardLinks;
use super::{DriverChoice, LayerStore, StorageError, StoreOptions};
use buildscope_record::{DriverName, Probe};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Makes file systems from layers.
pub(crate) trait Driver: Send + Sync {
    /// The name of the driver on the command line and in records.
    fn name(&self) -> DriverName;

    /// Prepares a writable file system with the contents of `tree`.
    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError>;

    /// The mounts of the visible layers of `tree`, if the steps of this process, and nothing else, read these layers through them.
    fn mounted(&self, _store: &LayerStore, _tree: &Tree) -> Option<Vec<Arc<OwnedFd>>> {
        None
    }
}

/// The preparation of a step's file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SnapshotMode {
    /// The changes are in memory, if there is a budget; otherwise on the disk.
    InMemory,
    /// The changes are on the disk.
    OnDisk,
    /// For a step that runs again: the changes are on the disk, and drivers that would change all names of a hard-linked file make
    /// each of them a separate file.
    Rerun,
}

impl SnapshotMode {
    /// The treatment of hard links under drivers that would change all names of a file.
    fn hard_links(self) -> HardLinks {
        if self == Self::Rerun { HardLinks::Split } else { HardLinks::Keep }
    }
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

/// Opens the driver of the options. `auto` takes the fastest that works: `erofs`, `overlay`, `fuse-overlayfs`, `copy`.
pub(crate) fn choose(
    root: &Path,
    options: &StoreOptions,
    scratch: &Arc<Scratch>,
) -> Result<Box<dyn Driver>, StorageError> {
    Ok(match options.driver {
        DriverChoice::Named(DriverName::Copy) => Box::new(copy::Copy),
        DriverChoice::Named(DriverName::Overlay) => Box::new(overlay::Overlay::probe(options.memory, scratch)?),
        DriverChoice::Named(DriverName::Erofs) => Box::new(erofs::Erofs::probe(root, options.memory, scratch)?),
        DriverChoice::Named(DriverName::FuseOverlayfs) => Box::new(fuse::Fuse::probe(scratch)?),
        DriverChoice::Named(DriverName::Btrfs) => Box::new(btrfs::Btrfs::probe(root, scratch)?),
        DriverChoice::Auto => {
            if let Ok(driver) = erofs::Erofs::probe(root, options.memory, scratch) {
                Box::new(driver)
            } else if let Ok(driver) = overlay::Overlay::probe(options.memory, scratch) {
                Box::new(driver)
            } else if let Ok(driver) = fuse::Fuse::probe(scratch) {
                Box::new(driver)
            } else {
                Box::new(copy::Copy)
            }
        }
    })
}

/// A command for a tool of a driver. It gets nothing of this process's environment but the path of programs, so that no
/// variable changes what it does.
fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// A detached mount of a directory.
pub(crate) fn clone_mount(path: &Path) -> Result<OwnedFd, StorageError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, path, flags).context("mount", path)
}

/// A detached mount of the directory or file at `path` of another one. The path must not contain symlinks.
pub(crate) fn part_of(whole: &OwnedFd, path: &Path) -> Result<OwnedFd, StorageError> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(whole, path, flags).context("mount", path)
}
