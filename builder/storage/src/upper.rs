//! Reads the changes of a step from an overlayfs upper directory, in one walk.
//!
//! The format is the kernel's (Documentation/filesystems/overlayfs.rst): whiteouts are devices 0:0 or have an attribute, `opaque`
//! directories hide the lower ones, `redirect` gives the origin of a renamed directory or file, and a file with `metacopy` has only
//! metadata.

use super::attributes::Names;
use super::change::{Changes, Data};
use super::error::Context;
use super::lower::Marks;
use super::path::{join, to_path};
use super::tree::{Dir, Node, Ref};
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
    prefix: &'static [u8],
    /// Whether copying up a file changes the modification time of its directory, as with fuse-overlayfs.
    dir_mtimes_change_on_copy_up: bool,
}

impl Upper {
    pub(crate) fn new(dir: PathBuf, marks: Marks) -> Self {
        let prefix: &[u8] = match marks {
            Marks::Trusted => b"trusted.overlay.",
            Marks::User => b"user.overlay.",
        };
        Self { dir, prefix, dir_mtimes_change_on_copy_up: false }
    }

    /// The upper directory of fuse-overlayfs. A directory in which nothing was created or removed counts with the time that it had
    /// before: copying up changed it, not the step.
    pub(crate) fn of_fuse(dir: PathBuf, marks: Marks) -> Self {
        Self { dir_mtimes_change_on_copy_up: true, ..Self::new(dir, marks) }
    }

    /// Adds all differences to `changes`.
    pub(crate) fn compare(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let stat = rustix::fs::lstat(&self.dir).context("stat", &self.dir)?;
        changes.present(Vec::new(), &self.dir, &stat, &Names::of(&self.dir)?, Data::Host)?;
        let root = Arc::clone(changes.tree().root());
        self.directory(&self.dir, &[], Some(&root), Some(&root), changes)
    }

    /// Compares one directory. `base` is the lower directory that overlayfs merges with it, `before` the directory of the parent tree
    /// at this path. They are the same unless a directory was moved.
    fn directory(
        &self,
        host: &Path,
        path: &[u8],
        base: Option<&Arc<Dir>>,
        before: Option<&Arc<Dir>>,
        changes: &mut Changes<'_>,
    ) -> Result<(), StorageError> {
        let tree = changes.tree();
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(host).context("read", host)? {
            names.insert(entry.context("read", host)?.file_name());
        }
        let in_place = match (base, before) {
            (Some(base), Some(before)) => Arc::ptr_eq(base, before),
            (None, None) => true,
            _ => false,
        };
        if !in_place {
            for (name, node) in base.iter().flat_map(|dir| tree.entries(dir)) {
                if !names.contains(OsStr::from_bytes(name)) {
                    changes.moved(join(path, name), node);
                }
            }
            for (name, _) in before.iter().flat_map(|dir| tree.entries(dir)) {
                let shown = base.is_some_and(|dir| tree.child(dir, name).is_some());
                if !shown && !names.contains(OsStr::from_bytes(name)) {
                    changes.gone(join(path, name));
                }
            }
        }
        // fuse-overlayfs also marks opaque directories with files, as aufs did.
        names.retain(|name| !name.as_bytes().starts_with(b".wh..wh."));
        for (name, status) in look_at_all(host, names)? {
            let Status { host: inner_host, stat, attributes } = status;
            let inner = join(path, name.as_bytes());
            let kind = FileType::from_raw_mode(stat.st_mode);
            let lower = base.and_then(|dir| tree.child(dir, name.as_bytes()));
            let old = match in_place {
                true => lower.clone(),
                false => before.and_then(|dir| tree.child(dir, name.as_bytes())),
            };
            if kind == FileType::CharacterDevice && stat.st_rdev == 0
                || kind == FileType::RegularFile && stat.st_size == 0 && attributes.has(&self.name("whiteout"))
            {
                if old.is_some() {
                    changes.gone(inner);
                }
                continue;
            }
            if kind == FileType::Directory {
                let mut stat = stat;
                if let (true, Some(node @ Node::Dir(before))) = (self.dir_mtimes_change_on_copy_up, &old)
                    && only_copied_up(&inner_host, before, changes)?
                {
                    let entry = tree.entry_of(node, to_path(&inner));
                    (stat.st_mtime, stat.st_mtime_nsec) = (entry.mtime.seconds, entry.mtime.nanos.into());
                }
                changes.present(inner.clone(), &inner_host, &stat, &attributes, Data::Host)?;
                let opaque = self.attribute(&inner_host, &attributes, "opaque")?.is_some_and(|value| value == b"y");
                let origin = match self.redirect(&inner_host, &attributes, base, changes)? {
                    _ if opaque => None,
                    Some(moved) => Some(moved),
                    None => lower,
                };
                let as_dir = |node: Option<Node>| match node {
                    Some(Node::Dir(dir)) => Some(dir),
                    _ => None,
                };
                self.directory(&inner_host, &inner, as_dir(origin).as_ref(), as_dir(old).as_ref(), changes)?;
                continue;
            }
            let mut data = Data::Host;
            if kind == FileType::RegularFile && attributes.has(&self.name("metacopy")) {
                let origin = self.redirect(&inner_host, &attributes, base, changes)?.or(lower);
                match origin {
                    Some(Node::Leaf(leaf)) => data = Data::Tree(leaf),
                    _ => {
                        let reason = "its data should be in a lower layer, but no such file exists there";
                        return Err(StorageError::BadEntry { path: to_path(&inner), reason });
                    }
                }
            }
            changes.present(inner.clone(), &inner_host, &stat, &attributes, data)?;
            if let Some(leaf) = self.touched_hard_link(&inner, &inner_host, &stat, changes)? {
                changes.touched_hard_link(&inner, leaf);
            }
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
        if !self.dir_mtimes_change_on_copy_up {
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
        names: &Names,
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

    fn name(&self, name: &str) -> Vec<u8> {
        [self.prefix, name.as_bytes()].concat()
    }

    fn attribute(&self, host: &Path, names: &Names, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let name = self.name(name);
        if names.has(&name) { attributes::get(host, &name) } else { Ok(None) }
    }
}

/// Status and attribute names of a file.
struct Status {
    host: PathBuf,
    stat: Stat,
    attributes: Names,
}

/// Reads the status of files of a directory, on all cores if there are many.
fn look_at_all(host: &Path, names: BTreeSet<OsString>) -> Result<Vec<(OsString, Status)>, StorageError> {
    /// The minimum number of files for more than one thread. Waking a thread takes as long as a few system calls.
    const MANY: usize = 32;
    // Relative to the directory, the kernel resolves one name per file instead of the whole path.
    let directory = openat(CWD, host, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let directory = directory.context("open", host)?;
    let look = |name: OsString| {
        let host = host.join(&name);
        let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).context("stat", &host)?;
        let attributes = Names::of(&host)?;
        Ok((name, Status { host, stat, attributes }))
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
