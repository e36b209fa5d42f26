//! The driver `overlay`: each layer unpacked once, stacked by overlayfs.

use super::{Driver, Prepared, SnapshotMode, clone_mount};
use crate::change::Changes;
use crate::derived;
use crate::error::IoContext;
use crate::index::VERSION;
use crate::lower::Marks;
use crate::memory::{Budget, Memory};
use crate::node::Node;
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::unpack::{self, HardLinks};
use crate::unpacked::UnpackedForm;
use crate::upper::Upper;
use crate::{LayerStore, StorageError};
use buildscope_record::{DiffId, Digest, DriverName, Phase, Probe, Quantity};
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The driver `overlay`: how overlayfs is used on this host.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    pub(crate) marks: Marks,
    /// The memory budget for the changes of steps; `None` keeps them on the disk.
    pub(crate) budget: Option<Arc<Budget>>,
}

impl Overlay {
    /// Checks that overlayfs works by mounting one.
    pub(crate) fn probe(memory: Option<u64>, scratch: &Arc<Scratch>) -> Result<Self, StorageError> {
        let dir = scratch.path("probe");
        let lower = dir.join("lower");
        fs::create_dir_all(&lower).context("create", &lower)?;
        let budget = memory.and_then(|bytes| Budget::new(bytes, &dir, scratch));
        let overlay = Self { marks: Marks::here(), budget };
        let tried = Stack::prepare(overlay.clone(), dir.clone(), vec![Lower::Directory(lower)], Arc::clone(scratch))
            .and_then(|stack| stack.mount());
        match tried {
            Ok(mount) => {
                scratch.discard_mount(Arc::new(mount));
                Ok(overlay)
            }
            Err(error) => Err(StorageError::Driver { driver: DriverName::Overlay, reason: error.to_string() }),
        }
    }

    /// The driver for a step in this mode.
    pub(crate) fn with(&self, mode: SnapshotMode) -> Self {
        let budget = self.budget.clone().filter(|_| mode == SnapshotMode::InMemory);
        Self { marks: self.marks, budget }
    }
}

impl Driver for Overlay {
    fn name(&self) -> DriverName {
        DriverName::Overlay
    }

    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let stack = tree.diff_ids();
        let mut lowers = Vec::with_capacity(stack.len());
        for depth in tree.visible_depths() {
            lowers.push(Lower::Directory(lower(store, &stack[..depth], self.marks, HardLinks::Keep, probe)?));
        }
        Ok(Box::new(Stack::over(self.with(mode), tree, lowers, store.scratch())?))
    }
}

/// The key of the unpacked top layer of a stack; `None` for an empty stack.
///
/// If a layer does not contain all parent directories of its members, their metadata comes from the layers below. The unpacked
/// layer then depends on the stack, and so does its key.
pub(crate) fn key(tree: &Tree) -> Option<Digest> {
    let index = tree.layers().last()?;
    if index.is_self_contained() {
        return Some(index.layer().diff_id.digest());
    }
    let stack = tree.layers().iter().flat_map(|index| *index.layer().diff_id.as_bytes());
    Some(Digest::of(stack.chain(VERSION.to_le_bytes()).collect::<Vec<u8>>()))
}

/// The directory with the unpacked top layer of a stack. It is created if it is missing.
pub(crate) fn lower(
    store: &LayerStore,
    stack: &[DiffId],
    marks: Marks,
    links: HardLinks,
    probe: &Probe,
) -> Result<PathBuf, StorageError> {
    let tree = store.tree(stack)?;
    let (Some(mut key), Some(index)) = (key(&tree), tree.layers().last()) else { return Ok(PathBuf::new()) };
    // A layer that looks the same on every stack is known even if the layers below are removed.
    let origin = if index.is_self_contained() { &stack[stack.len() - 1..] } else { stack };
    if links == HardLinks::Split {
        key = Digest::of([key.as_bytes(), &b"apart"[..], &VERSION.to_le_bytes()].concat());
    }
    let name = format!("lowers/{}", key.hex());
    let path = store.root().join(&name);
    store.cache().used_file(name.clone());
    derived::ensure(store, stack, &path, |tree| {
        store.cache().note_unpacked(&name, origin, UnpackedForm::Layer(marks, links))?;
        let span = probe.phase(Phase::Unpack);
        let dir = store.scratch().path("unpack");
        fs::create_dir(&dir).context("create", &dir)?;
        let unpacked = unpack::layer(tree, &dir, marks, links)?;
        store.warn_of_devices(&tree.layers()[tree.depth() - 1..]);
        span.quantity(Quantity::FilesWalked, unpacked.files).quantity(Quantity::BytesWritten, unpacked.bytes);
        Ok(dir)
    })?;
    Ok(path)
}

/// A lower layer of overlayfs.
#[derive(Clone, Debug)]
pub(crate) enum Lower {
    Directory(PathBuf),
    /// The root of a detached mount.
    Mount(Arc<OwnedFd>),
}

impl Lower {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => one == other,
            (Self::Mount(one), Self::Mount(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// An overlay: lower directories, lowest first, and an upper directory.
pub(crate) struct Stack {
    overlay: Overlay,
    dir: PathBuf,
    lowers: Vec<Lower>,
    scratch: Arc<Scratch>,
    /// The memory that holds the upper directory, if it is not on the disk.
    memory: Option<Memory>,
}

impl Stack {
    /// A stack with the contents of `tree`, whose layers are `lowers`.
    pub(crate) fn over(
        overlay: Overlay,
        tree: &Tree,
        mut lowers: Vec<Lower>,
        scratch: &Arc<Scratch>,
    ) -> Result<Self, StorageError> {
        let dir = scratch.path("upper");
        // overlayfs does not accept a directory twice, and all steps without changes have the same layer. The highest of equal layers
        // contains everything that the others contain, whatever is between them.
        let recurs = |at: usize, lower: &Lower| lowers[at + 1..].iter().any(|higher| higher.is(lower));
        let repeated: Vec<bool> = lowers.iter().enumerate().map(|(at, lower)| recurs(at, lower)).collect();
        let mut repeated = repeated.into_iter();
        lowers.retain(|_| !repeated.next().unwrap_or_default());
        if lowers.is_empty() {
            // overlayfs needs at least one lower directory.
            let empty = dir.join("empty");
            fs::create_dir_all(&empty).context("create", &empty)?;
            lowers.push(Lower::Directory(empty));
        }
        let stack = Self::prepare(overlay, dir, lowers, Arc::clone(scratch))?;
        // The step sees the root of the upper directory as its root.
        let root = tree.entry_of(&Node::Dir(Arc::clone(tree.root())), PathBuf::new());
        unpack::finish(&stack.upper(), &root)?;
        Ok(stack)
    }

    /// Prepares a stack in `dir`, which must not contain `upper` or `work`. It is created if the changes are on the disk, and removed
    /// with the stack.
    pub(crate) fn prepare(
        overlay: Overlay,
        dir: PathBuf,
        lowers: Vec<Lower>,
        scratch: Arc<Scratch>,
    ) -> Result<Self, StorageError> {
        // Its parent, the scratch directory, is on the same file system.
        let like = dir.parent().unwrap_or(&dir);
        let memory = overlay.budget.as_ref().map(|budget| budget.take(like)).transpose()?;
        if memory.is_none() {
            fs::create_dir_all(&dir).context("create", &dir)?;
        }
        let stack = Self { overlay, dir, lowers, scratch, memory };
        for path in [stack.upper(), stack.work()] {
            fs::create_dir(&path).context("create", path)?;
        }
        Ok(stack)
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.changes_dir().join("upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.changes_dir().join("work")
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn lowers(&self) -> &[Lower] {
        &self.lowers
    }

    /// The directory with `upper` and `work`, in memory or on the disk.
    fn changes_dir(&self) -> PathBuf {
        self.memory.as_ref().map_or_else(|| self.dir.clone(), Memory::root)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.scratch.discard(std::mem::take(&mut self.dir));
        if let Some(memory) = self.memory.take() {
            self.scratch.discard_mount(memory.leave());
        }
    }
}

/// The flags to open a directory as part of an overlay.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn open(path: &Path) -> Result<OwnedFd, StorageError> {
    rustix::fs::open(path, DIRECTORY, Mode::empty()).context("open", path)
}

impl Prepared for Stack {
    fn mount(&self) -> Result<OwnedFd, StorageError> {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).context("open", "overlayfs")?;
        let set_fd = |key: &str, fd: &OwnedFd, path: &Path| {
            match fsconfig_set_fd(&fs, key, fd) {
                // Linux before 6.13 accepts paths only, of at most 255 bytes.
                Err(rustix::io::Errno::INVAL) if !path.as_os_str().is_empty() => fsconfig_set_string(&fs, key, path),
                set => set,
            }
            .context("put into an overlay", path)
        };
        // The mount's options show the path of a directory from the root of its mount. With a detached mount of the directory, a
        // step does not see where the store is.
        // These mounts end with their descriptors, which overlayfs needs until it is created.
        let mut detached = Vec::new();
        // One option per layer: a single string with all layers is limited to 255 bytes.
        for lower in self.lowers.iter().rev() {
            match lower {
                Lower::Directory(path) => {
                    let mount = clone_mount(path)?;
                    set_fd("lowerdir+", &mount, path)?;
                    detached.push(mount);
                }
                Lower::Mount(mount) => set_fd("lowerdir+", mount, Path::new(""))?,
            }
        }
        let changes = match &self.memory {
            // This file system is mounted nowhere.
            Some(_) => open(&self.changes_dir())?,
            None => clone_mount(&self.changes_dir())?,
        };
        for (key, path) in [("upperdir", self.upper()), ("workdir", self.work())] {
            let name = path.file_name().unwrap_or_default();
            set_fd(key, &openat(&changes, name, DIRECTORY, Mode::empty()).context("open", &path)?, &path)?;
        }
        let option = |key: &str, value: &str| fsconfig_set_string(&fs, key, value).context("configure overlayfs", key);
        option("source", "buildscope")?;
        match self.overlay.marks {
            Marks::Trusted => {
                // Renamed directories and files with a new owner are not copied up. Only this program reads the upper directory.
                option("redirect_dir", "on")?;
                option("metacopy", "on")?;
            }
            Marks::User => fsconfig_set_flag(&fs, "userxattr").context("configure overlayfs", "userxattr")?,
        }
        // The upper directory is removed after a crash, so overlayfs need not sync it.
        fsconfig_set_flag(&fs, "volatile").context("configure overlayfs", "volatile")?;
        fsconfig_create(&fs).context("mount", &self.dir)?;
        // Closing a detached mount takes a grace period of the kernel (RCU), for which the step must not wait.
        if self.memory.is_none() {
            detached.push(changes);
        }
        detached.into_iter().for_each(|mount| self.scratch.discard_mount(Arc::new(mount)));
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).context("mount", &self.dir)
    }

    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        Upper::new(self.upper(), self.overlay.marks).compare(changes)
    }

    fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }
}
