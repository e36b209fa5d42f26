//! Reads what a step left in an overlayfs upper directory, once.
//!
//! The format is the kernel's (Documentation/filesystems/overlayfs.rst): whiteouts are devices 0:0 or marked by an
//! attribute, `opaque` directories hide what is below them, `redirect` says where a renamed directory or file comes
//! from, `metacopy` that only the metadata is here.

use super::attributes::Names;
use super::change::{Changes, Data, below};
use super::error::Context;
use super::index::to_path;
use super::lower::Marks;
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
    /// Whether the time of a directory moves when something is copied up into it: so it is with fuse-overlayfs.
    restless: bool,
}

impl Upper {
    pub(crate) fn new(dir: PathBuf, marks: Marks) -> Self {
        let prefix: &[u8] = match marks {
            Marks::Trusted => b"trusted.overlay.",
            Marks::User => b"user.overlay.",
        };
        Self { dir, prefix, restless: false }
    }

    /// The upper of fuse-overlayfs. A directory in which nothing was made or removed keeps the time that it had: the process
    /// that copied something up into it changed it, no step.
    pub(crate) fn of_fuse(dir: PathBuf, marks: Marks) -> Self {
        Self { restless: true, ..Self::new(dir, marks) }
    }

    /// Tells `changes` what is different.
    pub(crate) fn compare(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let stat = rustix::fs::lstat(&self.dir).context("stat", &self.dir)?;
        changes.present(Vec::new(), &self.dir, &stat, &Names::of(&self.dir)?, Data::Host)?;
        let root = Arc::clone(changes.tree().root());
        self.directory(&self.dir, &[], Some(&root), Some(&root), changes)
    }

    /// `base` is what overlayfs shows below this directory, `before` what the parent tree has at this path: mostly the same.
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
                    changes.moved(below(path, name), node);
                }
            }
            for (name, _) in before.iter().flat_map(|dir| tree.entries(dir)) {
                let shown = base.is_some_and(|dir| tree.child(dir, name).is_some());
                if !shown && !names.contains(OsStr::from_bytes(name)) {
                    changes.gone(below(path, name));
                }
            }
        }
        // fuse-overlayfs marks opaque directories with files, too, where aufs did.
        names.retain(|name| !name.as_bytes().starts_with(b".wh..wh."));
        for (name, status) in look_at_all(host, names)? {
            let Status { host: inner_host, stat, attributes } = status;
            let inner = below(path, name.as_bytes());
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
                if let (true, Some(node @ Node::Dir(before))) = (self.restless, &old)
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
                        let reason = "its data is in a lower layer that has no such file";
                        return Err(StorageError::BadEntry { path: to_path(&inner), reason });
                    }
                }
            }
            changes.present(inner.clone(), &inner_host, &stat, &attributes, data)?;
            if let Some(leaf) = self.went_along(&inner, &inner_host, &stat, changes)? {
                changes.went_along(&inner, leaf);
            }
        }
        Ok(())
    }

    /// The file with several names that a name in a directory which fuse-overlayfs moved is one of: it copies each for itself, and
    /// says where it was.
    fn went_along(
        &self,
        path: &[u8],
        host: &Path,
        stat: &Stat,
        changes: &Changes<'_>,
    ) -> Result<Option<Ref>, StorageError> {
        if !self.restless {
            return Ok(None);
        }
        let Some(origin) = attributes::get(host, b"user.fuseoverlayfs.origin")? else { return Ok(None) };
        // With the zero that ends it, as a C string.
        let (origin, path) = (to_path(origin.strip_suffix(b"\0").unwrap_or(&origin)), to_path(path));
        let tree = changes.tree();
        match tree.node(&origin) {
            Some(Node::Leaf(leaf)) if tree.linked(leaf) && origin != path && origin.file_name() == path.file_name() => {
                Ok(changes.is_still(leaf, host, stat)?.then_some(leaf))
            }
            _ => Ok(None),
        }
    }

    /// What a `redirect` points to: from the root, or, without a slash, in the lower directory.
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

/// What the kernel says of a file.
struct Status {
    host: PathBuf,
    stat: Stat,
    attributes: Names,
}

/// What the kernel says of these files of a directory, asked on all cores where they are many.
fn look_at_all(host: &Path, names: BTreeSet<OsString>) -> Result<Vec<(OsString, Status)>, StorageError> {
    /// Waking another thread takes as long as asking for some files.
    const MANY: usize = 32;
    // By its own name in its directory: the kernel need not go the whole way for each.
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

/// Whether an upper directory has something in it, and all of that was there before: directories that are still directories, and
/// files that say that they were copied up.
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
