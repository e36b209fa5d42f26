//! The driver `copy`: a full copy of the tree for each step. Slow, but it works anywhere.

use super::{Driver, Prepared, SnapshotMode, clone_mount};
use crate::attributes::AttributeNames;
use crate::change::{Changes, DataLocation};
use crate::error::IoContext;
use crate::lower::Marks;
use crate::node::{Dir, Node, Ref};
use crate::path::{join, to_path};
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::{EntryKind, LayerStore, StorageError, unpack};
use buildscope_record::{DriverName, Phase, Probe, Quantity};
use rustix::fs::{AtFlags, FileType, Stat, StatxFlags};
use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Copy;

impl Driver for Copy {
    fn name(&self) -> DriverName {
        DriverName::Copy
    }

    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let dir = store.scratch().path("copy");
        fs::create_dir(&dir).context("create", &dir)?;
        let mut whole = Whole { dir, scratch: Arc::clone(store.scratch()), baseline: Baseline::default() };
        let span = probe.phase(Phase::Unpack);
        let unpacked = unpack::tree(tree, &whole.dir, mode.hard_links())?;
        span.quantity(Quantity::FilesWalked, unpacked.files).quantity(Quantity::BytesWritten, unpacked.bytes);
        span.end();
        store.warn_of_devices(tree.layers());
        whole.baseline = Baseline::of(&whole.dir, tree)?;
        Ok(Box::new(whole))
    }
}

struct Whole {
    dir: PathBuf,
    scratch: Arc<Scratch>,
    baseline: Baseline,
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.scratch.discard(std::mem::take(&mut self.dir));
    }
}

impl Prepared for Whole {
    fn mount(&self) -> Result<OwnedFd, StorageError> {
        clone_mount(&self.dir)
    }

    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        self.baseline.compare(&self.dir, changes)
    }
}

/// The state of a full copy before the step: the inodes of directories and hard-linked files, and the time.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    /// Inode numbers of directories by image path.
    directories: HashMap<Vec<u8>, u64>,
    /// Hard-linked files by inode number.
    linked: HashMap<u64, Ref>,
    /// The step did not touch files with an earlier change time (`st_ctime`): processes cannot set that time.
    before: (i64, i64),
    /// Whether the step does not see the device nodes of the tree.
    without_devices: bool,
}

/// The names of a hard-linked file after the step.
#[derive(Default)]
struct KeptNames {
    /// Whether it still has one of its old names.
    old: bool,
    /// A name that it did not have before.
    new: Option<Vec<u8>>,
}

impl Baseline {
    pub(crate) fn of(dir: &Path, tree: &Tree) -> Result<Self, StorageError> {
        let mut directories = HashMap::new();
        note(dir, Vec::new(), &mut directories)?;
        let without_devices = !Marks::here().with_devices();
        let mut linked = HashMap::new();
        for (entry, _) in tree.walk(Path::new("")) {
            let EntryKind::HardLink { target } = &entry.kind else { continue };
            if without_devices && tree.lookup(target).is_some_and(|file| file.kind.is_device()) {
                continue;
            }
            let host = dir.join(&entry.path);
            let stat = rustix::fs::lstat(&host).context("stat", &host)?;
            if let (true, Some(Node::Leaf(leaf))) = (stat.st_nlink > 1, tree.node(target)) {
                linked.insert(stat.st_ino, leaf);
            }
        }
        // The current time of the clock that the file system uses for timestamps.
        let mark = dir.with_extension("mark");
        fs::write(&mark, b"").context("write", &mark)?;
        let stat = rustix::fs::stat(&mark).context("stat", &mark)?;
        fs::remove_file(&mark).context("remove", &mark)?;
        Ok(Self { directories, linked, before: (stat.st_ctime, stat.st_ctime_nsec as i64), without_devices })
    }

    /// Compares the directory `dir` with the tree.
    pub(crate) fn compare(&self, dir: &Path, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let stat = rustix::fs::lstat(dir).context("stat", dir)?;
        changes.present(Vec::new(), dir, &stat, &AttributeNames::of(dir)?, DataLocation::Host)?;
        let root = Arc::clone(changes.tree().root());
        let mut comparison = Comparison { baseline: self, changes, kept: HashMap::new() };
        comparison.directory(dir, &[], Some(&root), true)?;
        // Under overlayfs, a name that is changed, moved or linked becomes a separate file, and the others keep the old one. In a copy
        // all names still share one file, so the name that the step used is unknown, unless a directory was moved with all names.
        match comparison.kept.into_values().find(|names: &KeptNames| names.old && names.new.is_some()) {
            Some(KeptNames { new: Some(path), .. }) => Err(StorageError::LinkChanged { path: to_path(&path) }),
            _ => Ok(()),
        }
    }

    /// Whether the step created the file. It may have the inode number of a file that the step removed.
    fn is_new(&self, host: &Path) -> bool {
        let made = rustix::fs::statx(rustix::fs::CWD, host, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME);
        let made = made.ok().filter(|stat| stat.stx_mask & StatxFlags::BTIME.bits() != 0);
        made.is_some_and(|stat| (stat.stx_btime.tv_sec, i64::from(stat.stx_btime.tv_nsec)) > self.before)
    }

    fn old(&self, stat: &Stat) -> bool {
        (stat.st_ctime, stat.st_ctime_nsec as i64) < self.before
    }
}

/// A comparison of a directory with the parent tree.
struct Comparison<'a, 'c> {
    baseline: &'a Baseline,
    changes: &'a mut Changes<'c>,
    /// The current names of hard-linked files, by inode number.
    kept: HashMap<u64, KeptNames>,
}

impl Comparison<'_, '_> {
    /// Compares one directory. `same_inode` says that it and all its parents existed before the step under the same paths: then the
    /// change times of its files show which of them the step touched.
    fn directory(
        &mut self,
        host: &Path,
        path: &[u8],
        before: Option<&Dir>,
        same_inode: bool,
    ) -> Result<(), StorageError> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in fs::read_dir(host).context("read", host)? {
            let name = entry.context("read", host)?.file_name();
            names.push(name.as_bytes().to_vec());
        }
        names.sort_unstable();
        let tree = self.changes.tree();
        // In a directory that was there before, a device node that the step did not see was not removed.
        let unseen = |node: &Node| match node {
            Node::Leaf(leaf) if same_inode && self.baseline.without_devices => tree.record(*leaf).kind().is_device(),
            _ => false,
        };
        for (name, node) in before.iter().flat_map(|dir| tree.entries(dir)) {
            if names.binary_search_by(|have| have.as_slice().cmp(name)).is_err() && !unseen(node) {
                self.changes.gone(join(path, name));
            }
        }
        for name in names {
            let inner = join(path, &name);
            let inner_host = host.join(std::ffi::OsStr::from_bytes(&name));
            let stat = rustix::fs::statat(rustix::fs::CWD, &inner_host, AtFlags::SYMLINK_NOFOLLOW)
                .context("stat", &inner_host)?;
            let untouched = same_inode && self.baseline.old(&stat);
            let data = if untouched { DataLocation::HostUntouched } else { DataLocation::Host };
            self.changes.present(inner.clone(), &inner_host, &stat, &AttributeNames::of(&inner_host)?, data)?;
            if !untouched || stat.st_nlink > 1 {
                self.name(&inner, &inner_host, &stat)?;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let old = match before.and_then(|dir| tree.child(dir, &name)) {
                    Some(Node::Dir(old)) => Some(old),
                    _ => None,
                };
                let same_inode = same_inode && self.baseline.directories.get(&inner) == Some(&stat.st_ino);
                self.directory(&inner_host, &inner, old.as_deref(), same_inode)?;
            }
        }
        Ok(())
    }

    /// Records a current name of a hard-linked file, and checks that the file is unchanged.
    fn name(&mut self, path: &[u8], host: &Path, stat: &Stat) -> Result<(), StorageError> {
        let Some(leaf) = self.baseline.linked.get(&stat.st_ino).filter(|_| !self.baseline.is_new(host)) else {
            return Ok(());
        };
        let known = self.kept.len();
        let kept = self.kept.entry(stat.st_ino).or_default();
        match self.changes.tree().node(&to_path(path)) {
            Some(Node::Leaf(here)) if here == *leaf => kept.old = true,
            _ => kept.new = Some(path.to_vec()),
        }
        if self.kept.len() > known && !self.baseline.old(stat) && !self.changes.is_still(*leaf, host, stat)? {
            return Err(StorageError::LinkChanged { path: to_path(path) });
        }
        Ok(())
    }
}

fn note(host: &Path, path: Vec<u8>, directories: &mut HashMap<Vec<u8>, u64>) -> Result<(), StorageError> {
    use std::os::unix::fs::DirEntryExt;
    for entry in fs::read_dir(host).context("read", host)? {
        let entry = entry.context("read", host)?;
        if entry.file_type().context("stat", entry.path())?.is_dir() {
            let inner = join(&path, entry.file_name().as_bytes());
            directories.insert(inner.clone(), entry.ino());
            note(&entry.path(), inner, directories)?;
        }
    }
    Ok(())
}
