//! The members of a layer, applied one after the other.
//!
//! *Takes* the rows of a layer in the order of its archive, *gives* rows of which each has a path of its own that leads through
//! directories only. *Must never know* the layers below: what a path leads through is looked for in the layer alone, as
//! containerd's and docker's overlay unpackers do.
//!
//! The rules are those of a directory that the archive is unpacked to with that directory as the root (path_resolution(7)):
//! symbolic links of parents are followed, `..` stops at the root, and a member replaces what was at its path, unless
//! both are directories. Marks of removal concern the layers below only, wherever they stand in the archive (OCI image
//! specification, "Whiteouts").

use super::index::{RecordKind, Row, to_path};
use super::tree::{MAX_LINKS, components, parent, within};
use super::{EntryKind, StorageError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// How many names the symbolic links of a layer may be resolved to in all: more takes seconds, and only a malicious layer has them.
const MAX_FOLLOWED: usize = 1 << 24;

/// The layer's own root among the directories.
const ROOT: usize = 0;

#[derive(Default)]
struct Directory<'a> {
    /// The row that describes it; none for one that is only on the way to a member.
    row: Option<usize>,
    opaque: bool,
    children: BTreeMap<&'a [u8], Place>,
    /// Names that the layers below do not have any more.
    gone: BTreeSet<&'a [u8]>,
}

#[derive(Clone, Copy)]
enum Place {
    Directory(usize),
    /// A file, link or device: the row that brought it. Equal rows are names of one file.
    Leaf(usize),
}

struct Replay<'a> {
    rows: &'a [Row],
    directories: Vec<Directory<'a>>,
    /// Hard links to files of the layers below, with the path of the file.
    below: HashMap<usize, Vec<u8>>,
    /// The row whose owner, mode and times a file has: its last hard link's.
    looks: HashMap<usize, usize>,
    followed: usize,
}

/// Where a path leads.
struct Way<'a> {
    /// The directories that are there, from the root on, by name.
    known: Vec<(&'a [u8], usize)>,
    /// The names after them, where nothing is.
    missing: Vec<&'a [u8]>,
}

/// Applies the rows of a layer in the order of its archive.
pub(super) fn replay(rows: &[Row]) -> Result<Vec<Row>, StorageError> {
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
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let directory = self.directory(parent(path), row)?;
        let place = match &row.entry.kind {
            _ if row.kind == RecordKind::Whiteout => {
                self.directories[directory].gone.insert(name);
                return Ok(());
            }
            EntryKind::Directory => match self.directories[directory].children.get(name) {
                Some(&Place::Directory(known)) => {
                    self.directories[known].row = Some(number);
                    return Ok(());
                }
                _ => Place::Directory(self.create(Some(number))),
            },
            EntryKind::HardLink { target } => {
                // What is at the path goes first, as under every unpacker: a link to itself has no target then.
                self.directories[directory].children.remove(name);
                self.target(number, target.as_os_str().as_bytes())?
            }
            _ => Place::Leaf(number),
        };
        self.directories[directory].children.insert(name, place);
        Ok(())
    }

    /// The file that the hard link in row `number` is another name of.
    fn target(&mut self, number: usize, target: &'a [u8]) -> Result<Place, StorageError> {
        let row = &self.rows[number];
        let name = target.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let way = self.walk(parent(target), row)?;
        let directory = way.known[way.known.len() - 1].1;
        let found = self.directories[directory].children.get(name).filter(|_| way.missing.is_empty());
        match found {
            Some(Place::Directory(_)) => Err(bad(row, "is a hard link to a directory")),
            Some(&Place::Leaf(file)) => {
                self.looks.insert(file, number);
                Ok(Place::Leaf(file))
            }
            None => {
                let path = way.names().chain([name]).collect::<Vec<_>>().join(&b'/');
                // Its own path, and what was below it, are no longer there.
                let own = self.walk(parent(row.path()), row)?;
                let base = row.path().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                let own = own.names().chain([base]).collect::<Vec<_>>().join(&b'/');
                if path == own || within(&path, &own) {
                    return Err(bad(row, "is a hard link to itself"));
                }
                self.below.insert(number, path);
                Ok(Place::Leaf(number))
            }
        }
    }

    /// The directory that `path` leads to. What is missing of it is made: so does BuildKit also where a link points to nothing.
    fn directory(&mut self, path: &'a [u8], row: &Row) -> Result<usize, StorageError> {
        let way = self.walk(path, row)?;
        let mut directory = way.known[way.known.len() - 1].1;
        for name in way.missing {
            let made = self.create(None);
            self.directories[directory].children.insert(name, Place::Directory(made));
            directory = made;
        }
        Ok(directory)
    }

    fn create(&mut self, row: Option<usize>) -> usize {
        self.directories.push(Directory { row, ..Directory::default() });
        self.directories.len() - 1
    }

    /// Follows `path` from the root as far as it goes.
    fn walk(&mut self, path: &'a [u8], row: &Row) -> Result<Way<'a>, StorageError> {
        let mut way = Way { known: vec![(b"", ROOT)], missing: Vec::new() };
        let mut todo: Vec<&'a [u8]> = components(path).rev().collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                if way.missing.pop().is_none() && way.known.len() > 1 {
                    way.known.pop();
                }
                continue;
            }
            let directory = way.known[way.known.len() - 1].1;
            match self.directories[directory].children.get(name) {
                Some(&Place::Directory(next)) if way.missing.is_empty() => way.known.push((name, next)),
                Some(&Place::Leaf(leaf)) if way.missing.is_empty() => {
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
                        way.known.truncate(1);
                    }
                }
                _ => way.missing.push(name),
            }
        }
        Ok(way)
    }

    /// All that is there in the end, parents first.
    fn settled(&self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut first: HashMap<usize, Vec<u8>> = HashMap::new();
        let mut todo = vec![(Vec::new(), Place::Directory(ROOT))];
        while let Some((path, place)) = todo.pop() {
            match place {
                Place::Leaf(leaf) => {
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
                Place::Directory(number) => {
                    let directory = &self.directories[number];
                    rows.extend(directory.row.map(|row| self.rows[row].renamed(&path)));
                    rows.extend(directory.opaque.then(|| Row::mark(RecordKind::Opaque, to_path(&path))));
                    let inner = |name: &[u8]| to_path(&path).join(OsStr::from_bytes(name));
                    rows.extend(directory.gone.iter().map(|name| Row::mark(RecordKind::Whiteout, inner(name))));
                    let children = directory.children.iter().rev();
                    todo.extend(children.map(|(name, &place)| (super::change::below(&path, name), place)));
                }
            }
        }
        rows
    }
}

impl<'a> Way<'a> {
    /// The names of the path without links.
    fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        self.known[1..].iter().map(|(name, _)| *name).chain(self.missing.iter().copied())
    }
}

fn bad(row: &Row, reason: &str) -> StorageError {
    StorageError::bad_layer(row.offset, format!("`{}` {reason}", row.entry.path.display()))
}
