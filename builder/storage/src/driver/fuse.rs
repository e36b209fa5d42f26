//! The driver `fuse-overlayfs`: unpacked layers, merged by a process instead of the kernel. For hosts on which the kernel's
//! overlayfs cannot be used.

use super::overlay::{Lower, Overlay, Stack, lower};
use super::{Driver, Prepared, SnapshotMode, clone_mount, tool};
use crate::change::Changes;
use crate::error::IoContext;
use crate::lower::Marks;
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::unpack::HardLinks;
use crate::upper::Upper;
use crate::{LayerStore, StorageError};
use buildscope_record::{DriverName, Probe};
use parking_lot::Mutex;
use rustix::mount::{UnmountFlags, unmount};
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;

const PROGRAM: &str = "fuse-overlayfs";

#[derive(Debug)]
pub(crate) struct Fuse {
    marks: Marks,
}

impl Fuse {
    /// Checks that `fuse-overlayfs` works by mounting one.
    pub(crate) fn probe(scratch: &Arc<Scratch>) -> Result<Self, StorageError> {
        let fuse = Self { marks: Marks::here() };
        let dir = scratch.path("probe");
        let lower = dir.join("lower");
        fs::create_dir_all(&lower).context("create", &lower)?;
        let stack = Stack::prepare(fuse.overlay(), dir, vec![Lower::Directory(lower)], Arc::clone(scratch))?;
        let mounted = Mounted { stack, marks: fuse.marks, mount: Mutex::default() };
        let refuse =
            |error: StorageError| StorageError::Driver { driver: DriverName::FuseOverlayfs, reason: error.to_string() };
        mounted.mount().map_err(refuse)?;
        Ok(fuse)
    }

    fn overlay(&self) -> Overlay {
        Overlay { marks: self.marks, budget: None }
    }
}

impl Driver for Fuse {
    fn name(&self) -> DriverName {
        DriverName::FuseOverlayfs
    }

    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        _mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let stack = tree.diff_ids();
        // Version 1.10 may change another name of a hard-linked lower file than the one that is written.
        let lower =
            |depth: usize| lower(store, &stack[..depth], self.marks, HardLinks::Split, probe).map(Lower::Directory);
        let lowers = tree.visible_depths().map(lower);
        let stack = Stack::over(self.overlay(), tree, lowers.collect::<Result<_, _>>()?, store.scratch())?;
        Ok(Box::new(Mounted { stack, marks: self.marks, mount: Mutex::default() }))
    }
}

struct Mounted {
    stack: Stack,
    marks: Marks,
    /// Kept to flush writes that the kernel has not passed to the process yet.
    mount: Mutex<Option<OwnedFd>>,
}

impl Prepared for Mounted {
    fn mount(&self) -> Result<OwnedFd, StorageError> {
        let at = self.stack.dir().join("merged");
        fs::create_dir(&at).context("create", &at)?;
        let mut lowers = OsString::new();
        for lower in self.stack.lowers().iter().rev() {
            let Lower::Directory(path) = lower else { continue };
            if !lowers.is_empty() {
                lowers.push(":");
            }
            lowers.push(path);
        }
        let mut options = OsString::from("lowerdir=");
        options.push(lowers);
        for (name, path) in [(",upperdir=", self.stack.upper()), (",workdir=", self.stack.work())] {
            options.push(name);
            options.push(path);
        }
        // The process goes into the background once the file system is mounted, and ends when it is unmounted.
        let output = tool(PROGRAM)
            .arg("-o")
            .arg(options)
            .arg(&at)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("run", PROGRAM)?;
        if !output.success() {
            return Err(StorageError::Driver {
                driver: DriverName::FuseOverlayfs,
                reason: format!("it ended with {output}"),
            });
        }
        let mount = clone_mount(&at);
        unmount(&at, UnmountFlags::DETACH).context("unmount", &at)?;
        let mount = mount?;
        *self.mount.lock() = Some(mount.try_clone().context("keep", &at)?);
        Ok(mount)
    }

    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        if let Some(mount) = self.mount.lock().take() {
            let root = rustix::fs::openat(&mount, ".", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
            rustix::fs::syncfs(root.context("open", self.stack.dir())?).context("sync", self.stack.dir())?;
        }
        Upper::of_fuse(self.stack.upper(), self.marks).compare(changes)
    }
}
