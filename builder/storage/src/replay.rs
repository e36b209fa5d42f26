//! Applies the members of a layer one after the other, as unpacking the archive would.
//!
//! *Takes* the rows of a layer in archive order, *gives* rows with distinct paths whose parents are all directories. *Must never
//! know* the layers below: paths are resolved in the layer alone, as containerd's and docker's overlay unpackers do.
//!
//! The rules are those of unpacking the archive in a directory that is also the root (path_resolution(7)): symbolic links of
//! parents are followed, `..` stops at the root, and a member replaces an earlier one at its path unless both are directories.
//! Whiteouts and opaque marks apply to lower layers only, wherever they are in the archive (OCI image specification, "Whiteouts").

use super::path::{MAX_LINKS, base_name, components, is_below, join, parent, to_path};
use super::row::{IndexRow, RecordKind};
use super::{EntryKind, StorageError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The total number of path components that the symbolic links of a layer may add. More takes seconds, and only malicious layers
/// have them.
const MAX_FOLLOWED: usize = 1 << 24;

/// The index of the layer's root in `Replay::directories`.
const ROOT: usize = 0;

#[derive(Default)]
struct Directory<'a> {
    /// The row that describes it; `None` for a directory that only exists as a parent.
    row: Option<usize>,
    opaque: bool,
    children: BTreeMap<&'a [u8], ReplayChild>,
    /// Names with a whiteout.
    gone: BTreeSet<&'a [u8]>,
}

/// The target of a name in a directory.
#[derive(Clone, Copy)]
enum ReplayChild {
    Directory(usize),
    /// A file, link or device: the row that created it. Equal rows are names of one file.
    Leaf(usize),
}

struct Replay<'a> {
    rows: &'a [IndexRow],
    directories: Vec<Directory<'a>>,
    /// Hard links to files of the layers below, with the path of the file.
    below: HashMap<usize, Vec<u8>>,
    /// The row that gives a file its owner, mode and times: its last hard link.
    looks: HashMap<usize, usize>,
    followed: usize,
}

/// A path, resolved in the layer.
struct ResolvedPath<'a> {
    /// The existing directories of the path, from the root, with their names.
    known: Vec<(&'a [u8], usize)>,
    /// The remaining names, which do not exist.
    missing: Vec<&'a [u8]>,
}

/// Applies the rows of a layer, which are in archive order.
pub(super) fn replay(rows: &[IndexRow]) -> Result<Vec<IndexRow>, StorageError> {
    let (below, looks) = (HashMap::new(), HashMap::new());
    let mut replay = Replay { rows, directories: vec![Directory::default()], below, looks, followed: 0 };
    for number in 0..rows.len() {
        replay.apply(number)?;
    }
    Ok(replay.settled())
}

impl<'a> Replay<'a> {
    fn apply(&mut self, number: usize) -> Result<(), StorageError> {
        let row = &self.rows[number];
        let path = row.path();
        if row.kind == RecordKind::Opaque {
            let directory = self.directory(path, row)?;
            self.directories[directory].opaque = true;
            return Ok(());
        }
        if path.is_empty() {
            self.directories[ROOT].row = Some(number);
            return Ok(());
        }
        let name = base_name(path);
        let directory = self.directory(parent(path), row)?;
        let child = match &row.entry.kind {
            _ if row.kind == RecordKind::Whiteout => {
                self.directories[directory].gone.insert(name);
                return Ok(());
            }
            EntryKind::Directory => match self.directories[directory].children.get(name) {
                Some(&ReplayChild::Directory(known)) => {
                    self.directories[known].row = Some(number);
                    return Ok(());
                }
                _ => ReplayChild::Directory(self.create(Some(number))),
            },
            EntryKind::HardLink { target } => {
                // All unpackers first remove the file at the path. A link to itself then has no target.
                self.directories[directory].children.remove(name);
                self.target(number, target.as_os_str().as_bytes())?
            }
            _ => ReplayChild::Leaf(number),
        };
        self.directories[directory].children.insert(name, child);
        Ok(())
    }

    /// The file of the hard link in row `number`.
    fn target(&mut self, number: usize, target: &'a [u8]) -> Result<ReplayChild, StorageError> {
        let row = &self.rows[number];
        let name = base_name(target);
        let resolved = self.walk(parent(target), row)?;
        let directory = resolved.known[resolved.known.len() - 1].1;
        let found = self.directories[directory].children.get(name).filter(|_| resolved.missing.is_empty());
        match found {
            Some(ReplayChild::Directory(_)) => Err(bad(row, "is a hard link to a directory")),
            Some(&ReplayChild::Leaf(file)) => {
                self.looks.insert(file, number);
                Ok(ReplayChild::Leaf(file))
            }
            None => {
                let path = resolved.names().chain([name]).collect::<Vec<_>>().join(&b'/');
                // The path of the link itself, and everything below it, has been removed.
                let own = self.walk(parent(row.path()), row)?;
                let base = base_name(row.path());
                let own = own.names().chain([base]).collect::<Vec<_>>().join(&b'/');
                if path == own || is_below(&path, &own) {
                    return Err(bad(row, "is a hard link to itself"));
                }
                self.below.insert(number, path);
                Ok(ReplayChild::Leaf(number))
            }
        }
    }

    /// The directory at `path`. Missing directories are created, even those that a dangling link points to, as in BuildKit.
    fn directory(&mut self, path: &'a [u8], row: &IndexRow) -> Result<usize, StorageError> {
        let resolved = self.walk(path, row)?;
        let mut directory = resolved.known[resolved.known.len() - 1].1;
        for name in resolved.missing {
            let made = self.create(None);
            self.directories[directory].children.insert(name, ReplayChild::Directory(made));
            directory = made;
        }
        Ok(directory)
    }

    fn create(&mut self, row: Option<usize>) -> usize {
        self.directories.push(Directory { row, ..Directory::default() });
        self.directories.len() - 1
    }

    /// Resolves `path` from the root as far as it exists.
    fn walk(&mut self, path: &'a [u8], row: &IndexRow) -> Result<ResolvedPath<'a>, StorageError> {
        let mut resolved = ResolvedPath { known: vec![(b"", ROOT)], missing: Vec::new() };
        let mut todo: Vec<&'a [u8]> = components(path).rev().collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                if resolved.missing.pop().is_none() && resolved.known.len() > 1 {
                    resolved.known.pop();
                }
                continue;
            }
            let directory = resolved.known[resolved.known.len() - 1].1;
            match self.directories[directory].children.get(name) {
                Some(&ReplayChild::Directory(next)) if resolved.missing.is_empty() => resolved.known.push((name, next)),
                Some(&ReplayChild::Leaf(leaf)) if resolved.missing.is_empty() => {
                    let EntryKind::Symlink { target } = &self.rows[leaf].entry.kind else {
                        return Err(bad(row, "leads through a file that is not a directory"));
                    };
                    let target = target.as_os_str().as_bytes();
                    let before = todo.len();
                    todo.extend(components(target).rev());
                    links += 1;
                    self.followed += todo.len() - before;
                    if links > MAX_LINKS || self.followed > MAX_FOLLOWED {
                        return Err(bad(row, "leads through too many symbolic links"));
                    }
                    if target.starts_with(b"/") {
                        resolved.known.truncate(1);
                    }
                }
                _ => resolved.missing.push(name),
            }
        }
        Ok(resolved)
    }

    /// The resulting rows, parents first.
    fn settled(&self) -> Vec<IndexRow> {
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut first: HashMap<usize, Vec<u8>> = HashMap::new();
        let mut todo = vec![(Vec::new(), ReplayChild::Directory(ROOT))];
        while let Some((path, child)) = todo.pop() {
            match child {
                ReplayChild::Leaf(leaf) => {
                    let mut row = self.rows[leaf].renamed(&path);
                    if let Some(look) = self.looks.get(&leaf) {
                        row.look_like(&self.rows[*look]);
                    }
                    if let Some(target) = self.below.get(&leaf) {
                        (row.below, row.entry.kind) = (true, EntryKind::HardLink { target: to_path(target) });
                    } else if let Some(target) = first.get(&leaf).filter(|_| !row.is_device_zero()) {
                        row.kind = RecordKind::HardLink;
                        row.entry.kind = EntryKind::HardLink { target: to_path(target) };
                        row.extents = None;
                    } else {
                        first.insert(leaf, path);
                    }
                    rows.push(row);
                }
                ReplayChild::Directory(number) => {
                    let directory = &self.directories[number];
                    rows.extend(directory.row.map(|row| self.rows[row].renamed(&path)));
                    rows.extend(directory.opaque.then(|| IndexRow::mark(RecordKind::Opaque, to_path(&path))));
                    let inner = |name: &[u8]| to_path(&path).join(OsStr::from_bytes(name));
                    rows.extend(directory.gone.iter().map(|name| IndexRow::mark(RecordKind::Whiteout, inner(name))));
                    let children = directory.children.iter().rev();
                    todo.extend(children.map(|(name, &child)| (join(&path, name), child)));
                }
            }
        }
        rows
    }
}

impl<'a> ResolvedPath<'a> {
    /// The components of the path, without links.
    fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.known[1..].iter().map(|(name, _)| *name).chain(self.missing.iter().copied())
    }
}

fn bad(row: &IndexRow, reason: &str) -> StorageError {
    StorageError::bad_layer(row.offset, format!("`{}` {reason}", row.entry.path.display()))
}
