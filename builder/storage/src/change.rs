//! The differ: one rule, by which all drivers give the same layer for the changes of a step.
//!
//! A layer contains each path whose metadata, content or hard-link structure differs from the parent tree, whiteouts for removed
//! paths, and all parent directories of these with their current metadata. A directory whose modification time was set, or moved
//! because a file in it was created and removed again, is part of the layer, as with BuildKit and docker.

use super::attributes::AttributeNames;
use super::equal::same_metadata;
use super::error::IoContext;
use super::layer::LayerBuilder;
use super::node::{Dir, Node, Ref};
use super::path::{join, parent, to_path};
use super::tree::Tree;
use super::{Content, Entry, EntryKind, StorageError, Timestamp, attributes};
use rustix::fs::{FileType, Stat};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Collects the differences between a step's file system and the parent tree.
pub(crate) struct Changes<'a> {
    tree: &'a Tree,
    /// Candidates for the layer, by image path.
    found: BTreeMap<Vec<u8>, Candidate>,
    gone: BTreeSet<Vec<u8>>,
    walked: u64,
}

struct Candidate {
    entry: Entry,
    content: Content,
    /// Identifies the file, if it may have more names.
    file: Option<FileId>,
    changed: bool,
    /// Whether it is a directory of the parent tree with another modification time: the step set it, or created a file in it and
    /// removed that again. BuildKit and docker put such directories in the layer.
    touched: bool,
}

/// Identifies a file, to find its other names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum FileId {
    /// A file of the host.
    Host { device: u64, inode: u64 },
    /// A file of the parent tree, in a directory that was moved.
    Tree(Ref),
}

/// The number of compared paths, and of those in the layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) walked: u64,
    pub(crate) changed: u64,
}

/// The location of a regular file's data.
pub(crate) enum DataLocation {
    /// In the host's file, which may have changed.
    Host,
    /// In the host's file, which the step did not write.
    HostUntouched,
    /// In this file of the parent tree: the host's file has only the metadata.
    Tree(Ref),
}

impl<'a> Changes<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, found: BTreeMap::new(), gone: BTreeSet::new(), walked: 0 }
    }

    pub(crate) fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// Adds a path that exists, as the host's file `host` with the status `stat` and the attribute names `names`.
    pub(crate) fn present(
        &mut self,
        path: Vec<u8>,
        host: &Path,
        stat: &Stat,
        names: &AttributeNames,
        data: DataLocation,
    ) -> Result<(), StorageError> {
        self.walked += 1;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => match data {
                DataLocation::Tree(leaf) => EntryKind::File { size: self.tree.record(leaf).size() },
                _ => EntryKind::File { size: stat.st_size as u64 },
            },
            FileType::Symlink => {
                let target = rustix::fs::readlink(host, Vec::new()).context("read the link", host)?;
                EntryKind::Symlink { target: to_path(target.as_bytes()) }
            }
            FileType::CharacterDevice => {
                EntryKind::CharDevice { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) }
            }
            FileType::BlockDevice => EntryKind::BlockDevice {
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            },
            FileType::Fifo => EntryKind::Fifo,
            // Image formats have no sockets; all builders omit them.
            _ => return Ok(()),
        };
        let xattrs = names.read(host, attributes::belongs)?;
        let mtime = Timestamp { seconds: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        let directory = kind == EntryKind::Directory;
        let entry = Entry {
            path: to_path(&path),
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime,
            xattrs,
        };
        let before = self.tree.node(&entry.path);
        let mut changed = match &before {
            Some(node) => !same_metadata(&self.tree.entry_of(node, entry.path.clone()), &entry),
            None => true,
        };
        let regular = matches!(entry.kind, EntryKind::File { .. });
        if let (false, true, Some(Node::Leaf(leaf))) = (changed, regular, &before) {
            changed = match data {
                DataLocation::Host => !self.tree.has_content(*leaf, &Content::HostFile(host.to_owned()))?,
                DataLocation::HostUntouched => false,
                DataLocation::Tree(data) => data != *leaf,
            };
        }
        let content = match data {
            _ if !regular => Content::Bytes(Arc::default()),
            DataLocation::Tree(leaf) => self.tree.record(leaf).content(),
            _ => Content::HostFile(host.to_owned()),
        };
        let file =
            (!directory && stat.st_nlink > 1).then_some(FileId::Host { device: stat.st_dev, inode: stat.st_ino });
        let touched = directory && before.is_some_and(|node| self.tree.entry_of(&node, PathBuf::new()).mtime != mtime);
        if changed || directory || file.is_some() {
            self.found.insert(path, Candidate { entry, content, file, changed, touched });
        }
        Ok(())
    }

    /// Adds a file or directory of the parent tree, with everything below it, that was moved (or linked) to `path`.
    pub(crate) fn moved(&mut self, path: Vec<u8>, node: &Node) {
        // A list instead of recursion: a tree may be thousands of directories deep.
        let mut open = vec![(path, node.clone())];
        while let Some((path, node)) = open.pop() {
            self.walked += 1;
            let entry = self.tree.entry_of(&node, to_path(&path));
            let before = self.tree.node(&entry.path);
            match node {
                Node::Dir(dir) => self.moved_directory(path, entry, &dir, before, &mut open),
                Node::Leaf(leaf) => self.moved_file(path, entry, leaf, before),
            }
        }
    }

    fn moved_directory(
        &mut self,
        path: Vec<u8>,
        entry: Entry,
        dir: &Arc<Dir>,
        before: Option<Node>,
        open: &mut Vec<(Vec<u8>, Node)>,
    ) {
        let old = match &before {
            Some(Node::Dir(old)) => Some(Arc::clone(old)),
            _ => None,
        };
        let same = old.as_ref().is_some_and(|old| Arc::ptr_eq(old, dir));
        let changed = before.is_none_or(|node| !same_metadata(&self.tree.entry_of(&node, entry.path.clone()), &entry));
        let content = Content::Bytes(Arc::default());
        self.found.insert(path.clone(), Candidate { entry, content, file: None, changed, touched: false });
        if same {
            return;
        }
        let tree = self.tree;
        open.extend(tree.entries(dir).map(|(name, child)| (join(&path, name), child.clone())));
        for (name, _) in old.iter().flat_map(|old| tree.entries(old)) {
            if tree.child(dir, name).is_none() {
                self.gone(join(&path, name));
            }
        }
    }

    fn moved_file(&mut self, path: Vec<u8>, entry: Entry, leaf: Ref, before: Option<Node>) {
        if matches!(before, Some(Node::Leaf(old)) if old == leaf) {
            return;
        }
        let content = match entry.kind {
            EntryKind::File { .. } => self.tree.record(leaf).content(),
            _ => Content::Bytes(Arc::default()),
        };
        let file = self.tree.linked(leaf).then_some(FileId::Tree(leaf));
        self.found.insert(path, Candidate { entry, content, file, changed: true, touched: false });
    }

    /// The file that is [present](Self::present) at `path` is this hard-linked file of the parent tree, moved with its directory.
    pub(crate) fn touched_hard_link(&mut self, path: &[u8], leaf: Ref) {
        if let Some(found) = self.found.get_mut(path) {
            found.file = Some(FileId::Tree(leaf));
        }
    }

    /// Adds a path of the parent tree that was removed.
    pub(crate) fn gone(&mut self, path: Vec<u8>) {
        self.walked += 1;
        self.gone.insert(path);
    }

    /// Writes the changes to a layer.
    pub(crate) fn finish(mut self, layer: &mut LayerBuilder) -> Counts {
        // A change of a file is a change of all its names. A new name of an old file brings the old names into the layer, too.
        let touched: HashSet<FileId> = self.found.values().filter(|f| f.changed).filter_map(|f| f.file).collect();
        let mut wanted: BTreeSet<Vec<u8>> = BTreeSet::new();
        for (path, found) in &self.found {
            // No layer contains the root: changes of its metadata have no effect in later steps.
            if path.is_empty() {
                continue;
            }
            let touched = found.touched || found.file.is_some_and(|file| touched.contains(&file));
            if found.changed || touched {
                wanted.insert(path.clone());
            }
        }
        let mut parents = BTreeSet::new();
        for path in wanted.iter().chain(&self.gone) {
            let mut up = parent(path);
            while !up.is_empty() && parents.insert(up.to_vec()) {
                up = parent(up);
            }
        }
        wanted.extend(parents);
        let changed = (wanted.len() + self.gone.len()) as u64;
        for path in &self.gone {
            layer.whiteout(&to_path(path));
        }
        let mut first: HashMap<FileId, PathBuf> = HashMap::new();
        for path in wanted {
            // A parent that was not found among the candidates is an unchanged directory of the parent tree.
            let found = self.found.remove(&path).or_else(|| {
                let path = to_path(&path);
                let entry = self.tree.lookup(&path)?;
                Some(Candidate {
                    entry,
                    content: Content::Bytes(Arc::default()),
                    file: None,
                    changed: false,
                    touched: false,
                })
            });
            let Some(mut found) = found else { continue };
            if let Some(file) = found.file {
                match first.get(&file) {
                    Some(target) => found.entry.kind = EntryKind::HardLink { target: target.clone() },
                    None => drop(first.insert(file, found.entry.path.clone())),
                }
            }
            layer.push(found.entry, found.content);
        }
        Counts { walked: self.walked, changed }
    }

    /// Whether a host's file has the same metadata and content as this file of the tree. Names are not compared.
    pub(crate) fn is_still(&self, leaf: Ref, host: &Path, stat: &Stat) -> Result<bool, StorageError> {
        let before = self.tree.entry_of(&Node::Leaf(leaf), PathBuf::new());
        let EntryKind::File { size } = before.kind else { return Ok(true) };
        let xattrs = AttributeNames::of(host)?.read(host, attributes::belongs)?;
        let mtime = Timestamp { seconds: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        let (kind, mode) = (EntryKind::File { size: stat.st_size as u64 }, stat.st_mode & 0o7777);
        let (uid, gid) = (stat.st_uid, stat.st_gid);
        let now = Entry { path: PathBuf::new(), kind, mode, uid, gid, mtime, xattrs };
        Ok(same_metadata(&before, &now)
            && size == stat.st_size as u64
            && self.tree.has_content(leaf, &Content::HostFile(host.to_owned()))?)
    }
}
