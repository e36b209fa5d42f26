//! Reads the changes of a step from an overlayfs upper directory, in one walk.
//!
//! The format is the kernel's (Documentation/filesystems/overlayfs.rst): whiteouts are devices 0:0 or have an attribute, `opaque`
//! directories hide the lower ones, `redirect` gives the origin of a renamed directory or file, and a file with `metacopy` has only
//! metadata.

use super::attributes::AttributeNames;
use super::change::{Changes, DataLocation};
use super::error::IoContext;
use super::lower::Marks;
use super::node::{Dir, Node, Ref};
use super::path::{join, to_path};
use super::{StorageError, attributes};
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, statat};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An upper directory.
pub(crate) struct Upper {
    dir: PathBuf,
    marks: Marks,
    /// Whether fuse-overlayfs wrote it: copying up a file changes the modification time of its directory, and names are marks, too.
    of_fuse: bool,
}

impl Upper {
    pub(crate) fn new(dir: PathBuf, marks: Marks) -> Self {
        Self { dir, marks, of_fuse: false }
    }

    /// The upper directory of fuse-overlayfs. A directory in which nothing was created or removed counts with the time that it had
    /// before: copying up changed it, not the step.
    pub(crate) fn of_fuse(dir: PathBuf, marks: Marks) -> Self {
        Self { of_fuse: true, ..Self::new(dir, marks) }
    }

    /// Adds all differences to `changes`.
    pub(crate) fn compare(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let stat = rustix::fs::lstat(&self.dir).context("stat", &self.dir)?;
        changes.present(Vec::new(), &self.dir, &stat, &AttributeNames::of(&self.dir)?, DataLocation::Host)?;
        let root = Arc::clone(changes.tree().root());
        self.directory(&UpperLevel { host: &self.dir, path: &[], base: Some(&root), before: Some(&root) }, changes)
    }

    fn directory(&self, level: &UpperLevel<'_>, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(level.host).context("read", level.host)? {
            names.insert(entry.context("read", level.host)?.file_name());
        }
        if !level.is_in_place() {
            level.add_moved(&names, changes);
        }
        if self.of_fuse {
            // It also marks opaque directories with files, as aufs did.
            names.retain(|name| !name.as_bytes().starts_with(b".wh..wh."));
        }
        for (name, status) in look_at_all(level.host, names)? {
            self.child(level, name.as_bytes(), status, changes)?;
        }
        Ok(())
    }

    fn child(
        &self,
        level: &UpperLevel<'_>,
        name: &[u8],
        status: UpperStatus,
        changes: &mut Changes<'_>,
    ) -> Result<(), StorageError> {
        let tree = changes.tree();
        // Where fuse-overlayfs cannot make devices, it marks removed files by name.
        let removed = name.strip_prefix(b".wh.").filter(|_| self.of_fuse);
        let name = removed.unwrap_or(name);
        let path = join(level.path, name);
        let lower = level.base.and_then(|dir| tree.child(dir, name));
        let old = if level.is_in_place() { lower.clone() } else { level.before.and_then(|dir| tree.child(dir, name)) };
        if removed.is_some() || self.is_whiteout(&status) {
            if old.is_some() {
                changes.gone(path);
            }
            return Ok(());
        }
        match FileType::from_raw_mode(status.stat.st_mode) {
            FileType::Directory => self.child_directory(level, UpperChild { path, status, lower }, old, changes),
            _ => self.child_file(level, UpperChild { path, status, lower }, changes),
        }
    }

    fn is_whiteout(&self, status: &UpperStatus) -> bool {
        match FileType::from_raw_mode(status.stat.st_mode) {
            FileType::CharacterDevice => status.stat.st_rdev == 0,
            FileType::RegularFile => {
                status.stat.st_size == 0 && status.attributes.has(&self.marks.attribute("whiteout"))
            }
            _ => false,
        }
    }

    fn child_directory(
        &self,
        level: &UpperLevel<'_>,
        child: UpperChild,
        old: Option<Node>,
        changes: &mut Changes<'_>,
    ) -> Result<(), StorageError> {
        let UpperChild { path, status: UpperStatus { host, mut stat, attributes }, lower } = child;
        if let (true, Some(node @ Node::Dir(before))) = (self.of_fuse, &old)
            && only_copied_up(&host, before, changes)?
        {
            let entry = changes.tree().entry_of(node, to_path(&path));
            (stat.st_mtime, stat.st_mtime_nsec) = (entry.mtime.seconds, entry.mtime.nanos.into());
        }
        changes.present(path.clone(), &host, &stat, &attributes, DataLocation::Host)?;
        let is_opaque = self.attribute(&host, &attributes, "opaque")?.is_some_and(|value| value == b"y");
        let origin = match self.redirect(&host, &attributes, level.base, changes)? {
            _ if is_opaque => None,
            Some(moved) => Some(moved),
            None => lower,
        };
        let as_dir = |node: Option<Node>| match node {
            Some(Node::Dir(dir)) => Some(dir),
            _ => None,
        };
        let (base, before) = (as_dir(origin), as_dir(old));
        self.directory(&UpperLevel { host: &host, path: &path, base: base.as_ref(), before: before.as_ref() }, changes)
    }

    fn child_file(
        &self,
        level: &UpperLevel<'_>,
        child: UpperChild,
        changes: &mut Changes<'_>,
    ) -> Result<(), StorageError> {
        let UpperChild { path, status: UpperStatus { host, stat, attributes }, lower } = child;
        let mut data = DataLocation::Host;
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && attributes.has(&self.marks.attribute("metacopy"))
        {
            match self.redirect(&host, &attributes, level.base, changes)?.or(lower) {
                Some(Node::Leaf(leaf)) => data = DataLocation::Tree(leaf),
                _ => {
                    let reason = "its data should be in a lower layer, but no such file exists there";
                    return Err(StorageError::BadEntry { path: to_path(&path), reason });
                }
            }
        }
        changes.present(path.clone(), &host, &stat, &attributes, data)?;
        if let Some(leaf) = self.touched_hard_link(&path, &host, &stat, changes)? {
            changes.touched_hard_link(&path, leaf);
        }
        Ok(())
    }

    /// The hard-linked file of the parent tree that a file in a directory moved by fuse-overlayfs is a copy of. fuse-overlayfs copies
    /// each name separately and records its old path.
    fn touched_hard_link(
        &self,
        path: &[u8],
        host: &Path,
        stat: &Stat,
        changes: &Changes<'_>,
    ) -> Result<Option<Ref>, StorageError> {
        if !self.of_fuse {
            return Ok(None);
        }
        let Some(origin) = attributes::get(host, b"user.fuseoverlayfs.origin")? else { return Ok(None) };
        // The value is a C string with its terminating zero.
        let (origin, path) = (to_path(origin.strip_suffix(b"\0").unwrap_or(&origin)), to_path(path));
        let tree = changes.tree();
        match tree.node(&origin) {
            Some(Node::Leaf(leaf)) if tree.linked(leaf) && origin != path && origin.file_name() == path.file_name() => {
                Ok(changes.is_still(leaf, host, stat)?.then_some(leaf))
            }
            _ => Ok(None),
        }
    }

    /// The target of a `redirect`: a path from the root, or without a leading slash, a name in the lower directory.
    fn redirect(
        &self,
        host: &Path,
        names: &AttributeNames,
        base: Option<&Arc<Dir>>,
        changes: &Changes<'_>,
    ) -> Result<Option<Node>, StorageError> {
        let Some(target) = self.attribute(host, names, "redirect")? else { return Ok(None) };
        let tree = changes.tree();
        Ok(match target.strip_prefix(b"/") {
            Some(absolute) => tree.node(Path::new(OsStr::from_bytes(absolute))),
            None => base.and_then(|dir| tree.child(dir, &target)),
        })
    }

    fn attribute(&self, host: &Path, names: &AttributeNames, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let name = self.marks.attribute(name);
        if names.has(&name) { attributes::get(host, &name) } else { Ok(None) }
    }
}

/// A directory of the upper, and the directories that it is compared with.
struct UpperLevel<'a> {
    host: &'a Path,
    /// The image path.
    path: &'a [u8],
    /// The lower directory that overlayfs merges with it.
    base: Option<&'a Arc<Dir>>,
    /// The directory of the parent tree at this path. It is the same as `base` unless a directory was moved.
    before: Option<&'a Arc<Dir>>,
}

impl UpperLevel<'_> {
    /// Whether the directory was not moved.
    fn is_in_place(&self) -> bool {
        match (self.base, self.before) {
            (Some(base), Some(before)) => Arc::ptr_eq(base, before),
            (None, None) => true,
            _ => false,
        }
    }

    /// Adds what moved here with the directory, and what the directory replaced, except paths that are among `names`.
    fn add_moved(&self, names: &BTreeSet<OsString>, changes: &mut Changes<'_>) {
        let tree = changes.tree();
        for (name, node) in self.base.iter().flat_map(|dir| tree.entries(dir)) {
            if !names.contains(OsStr::from_bytes(name)) {
                changes.moved(join(self.path, name), node);
            }
        }
        for (name, _) in self.before.iter().flat_map(|dir| tree.entries(dir)) {
            let shown = self.base.is_some_and(|dir| tree.child(dir, name).is_some());
            if !shown && !names.contains(OsStr::from_bytes(name)) {
                changes.gone(join(self.path, name));
            }
        }
    }
}

/// An entry of the upper directory.
struct UpperChild {
    /// The path from the root.
    path: Vec<u8>,
    status: UpperStatus,
    /// The node of the lower directory at the path.
    lower: Option<Node>,
}

/// Status and attribute names of a file.
struct UpperStatus {
    host: PathBuf,
    stat: Stat,
    attributes: AttributeNames,
}

/// Reads the status of files of a directory, on all cores if there are many.
fn look_at_all(host: &Path, names: BTreeSet<OsString>) -> Result<Vec<(OsString, UpperStatus)>, StorageError> {
    /// The minimum number of files for more than one thread. Waking a thread takes as long as a few system calls.
    const MANY: usize = 32;
    // Relative to the directory, the kernel resolves one name per file instead of the whole path.
    let directory = openat(CWD, host, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let directory = directory.context("open", host)?;
    let look = |name: OsString| {
        let host = host.join(&name);
        let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).context("stat", &host)?;
        let attributes = AttributeNames::of(&host)?;
        Ok((name, UpperStatus { host, stat, attributes }))
    };
    if names.len() < MANY {
        return names.into_iter().map(look).collect();
    }
    let names: Vec<_> = names.into_iter().collect();
    names.into_par_iter().with_min_len(MANY / 2).map(look).collect()
}

/// Whether an upper directory is not empty, and everything in it existed before: directories that are still directories, and files
/// with an attribute that says that they were copied up.
fn only_copied_up(host: &Path, before: &Dir, changes: &Changes<'_>) -> Result<bool, StorageError> {
    const ORIGINS: [&[u8]; 2] = [b"user.fuseoverlayfs.origin", b"trusted.overlay.origin"];
    let mut any = false;
    for entry in fs::read_dir(host).context("read", host)? {
        let entry = entry.context("read", host)?;
        let old = changes.tree().child(before, entry.file_name().as_bytes());
        let same = match old {
            Some(Node::Dir(_)) => entry.file_type().context("stat", entry.path())?.is_dir(),
            Some(Node::Leaf(_)) => {
                let has = |name: &&[u8]| attributes::get(&entry.path(), name).map(|value| value.is_some());
                has(&ORIGINS[0])? || has(&ORIGINS[1])?
            }
            None => false,
        };
        if !same {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}
