//! The image that files are copied into: its tree, and the changes of the new layer.

use super::walk::{Stop, clean, follow};
use super::{CopyError, Owner};
use buildscope_storage::{Content, Entry, EntryKind, LayerBuilder, Store, Timestamp, Tree};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tree of layers, and changes that become one layer.
pub(crate) struct Target {
    tree: Arc<Tree>,
    /// The files of the layer, each with one or more names.
    inodes: Vec<(Entry, Content)>,
    names: HashMap<OsString, usize>,
    /// New directories of the layer: nothing of the tree is visible below them.
    fresh: HashSet<OsString>,
    /// The directories of the tree that the layer removes.
    gone: HashSet<PathBuf>,
    /// The modification time of directories of the tree in which a name is added, replaced or removed.
    now: Timestamp,
}

/// A file of a [`Target`]. It can get more names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InodeId(usize);

/// The metadata of a new directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewDirectory {
    /// The permission bits.
    pub(crate) mode: u32,
    /// The user and group.
    pub(crate) owner: Owner,
    /// The modification time.
    pub(crate) mtime: Timestamp,
}

/// The kind of entry that replaces what is at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replacement {
    Directory,
    Other,
}

impl Target {
    /// Starts without changes. `now` is the time of the step: directories of the tree get it when their entries change, as in a file
    /// system. Programs that keep an index of a directory compare that time (fontconfig, GTK's icon caches).
    pub(crate) fn new(tree: Arc<Tree>, now: Timestamp) -> Self {
        let (inodes, names, fresh, gone) = Default::default();
        Self { tree, inodes, names, fresh, gone, now }
    }

    /// The number of names in the layer so far.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The entry at `path`, without following a link at its end.
    pub(super) fn look(&self, path: &Path) -> Option<Entry> {
        if let Some(&id) = self.names.get(path.as_os_str()) {
            return Some(Entry { path: path.to_owned(), ..self.inodes[id].0.clone() });
        }
        if path.parent().is_some_and(|parent| self.fresh.contains(parent.as_os_str())) || self.hidden(path) {
            return None;
        }
        self.tree.lookup(path)
    }

    /// Whether the layer hides the tree's entry at `path`.
    fn hidden(&self, path: &Path) -> bool {
        path.ancestors().skip(1).any(|above| {
            self.gone.contains(above)
                || self.fresh.contains(above.as_os_str())
                || self.names.get(above.as_os_str()).is_some_and(|&id| self.inodes[id].0.kind != EntryKind::Directory)
        }) || self.gone.contains(path)
    }

    /// Resolves the symbolic links in `path` as if the directory `root` were the root of the file system.
    pub(super) fn follow(&self, root: &Path, path: &Path) -> Result<PathBuf, CopyError> {
        // Everything above a directory of the layer is a directory. Without this, a deep archive takes cubic time.
        let whole = join(root, path);
        let known = self.names.get(whole.as_os_str()).is_some_and(|&id| self.inodes[id].0.kind == EntryKind::Directory);
        if known {
            return Ok(whole);
        }
        let below = follow(path, |path| {
            Ok(match self.look(&join(root, path)).map(|entry| entry.kind) {
                None => Stop::Nothing,
                Some(EntryKind::Directory) => Stop::Directory,
                Some(EntryKind::Symlink { target }) => Stop::Link(target),
                Some(_) => Stop::Other,
            })
        })?;
        Ok(join(root, &below))
    }

    /// Creates the directory at `path` and its missing parents. Existing directories do not change.
    pub(crate) fn make_directories(&mut self, path: &Path, new: NewDirectory) -> Result<(), CopyError> {
        if matches!(self.look(path), Some(Entry { kind: EntryKind::Directory, .. })) {
            return Ok(());
        }
        // From the root: below the first directory that is missing, nothing has to be looked up.
        let mut missing: Vec<&Path> = path.ancestors().collect();
        while let Some(above) = missing.last() {
            match self.look(above) {
                Some(Entry { kind: EntryKind::Directory, .. }) => drop(missing.pop()),
                Some(entry) => {
                    return Err(CopyError::NotADirectory { path: above.to_path_buf(), found: called(&entry.kind) });
                }
                None => break,
            }
        }
        for path in missing.into_iter().rev() {
            let NewDirectory { mode, owner: Owner { uid, gid }, mtime } = new;
            self.put(Entry { mode, uid, gid, mtime, ..Entry::directory(path) }, Content::Bytes(Arc::default()))?;
        }
        Ok(())
    }

    /// Creates the directory at an absolute path as written in a Dockerfile. Symbolic links are followed.
    pub(crate) fn make_path(&mut self, path: &str, new: NewDirectory) -> Result<(), CopyError> {
        let path = self.follow(Path::new(""), &clean(Path::new(path)))?;
        self.make_directories(&path, new)
    }

    /// Puts an entry at its path and replaces an existing one. A directory over a directory changes its metadata and
    /// keeps its contents.
    pub(super) fn put(&mut self, entry: Entry, content: Content) -> Result<InodeId, CopyError> {
        let path = entry.path.clone();
        let new = if entry.kind == EntryKind::Directory { Replacement::Directory } else { Replacement::Other };
        self.clear(&path, new)?;
        let id = self.inodes.len();
        self.inodes.push((entry, content));
        self.names.insert(path.into_os_string(), id);
        Ok(InodeId(id))
    }

    /// Gives a file another name.
    pub(super) fn link(&mut self, path: &Path, to: InodeId) -> Result<(), CopyError> {
        self.clear(path, Replacement::Other)?;
        self.names.insert(path.as_os_str().to_owned(), to.0);
        Ok(())
    }

    /// The file at `path`. A file of the tree is copied into the layer.
    pub(super) fn take(&mut self, path: &Path) -> Result<Option<InodeId>, CopyError> {
        if let Some(&id) = self.names.get(path.as_os_str()) {
            return Ok((self.inodes[id].0.kind != EntryKind::Directory).then_some(InodeId(id)));
        }
        let Some(entry) = self.look(path).filter(|entry| entry.kind != EntryKind::Directory) else { return Ok(None) };
        let content = self.tree.content(path).unwrap_or(Content::Bytes(Arc::default()));
        self.put(entry, content).map(Some)
    }

    /// Removes the existing entry at `path`, unless a directory is to be put over a directory.
    fn clear(&mut self, path: &Path, new: Replacement) -> Result<(), CopyError> {
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".wh.") {
            return Err(CopyError::WhiteoutName(path.to_owned()));
        }
        match self.look(path) {
            Some(Entry { kind: EntryKind::Directory, .. }) if new == Replacement::Directory => {}
            Some(Entry { kind: EntryKind::Directory, .. }) => {
                self.names.retain(|name, _| !Path::new(name).starts_with(path));
                self.fresh.retain(|name| !Path::new(name).starts_with(path));
                if !self.hidden(path) && self.tree.lookup(path).is_some() {
                    self.gone.insert(path.to_owned());
                }
            }
            _ if new == Replacement::Directory => drop(self.fresh.insert(path.as_os_str().to_owned())),
            _ => {}
        }
        Ok(())
    }

    /// Forgets what the tree has already: a file, link or directory with equal content, mode, owner and time does not change anything.
    ///
    /// # Errors
    /// If a file cannot be read to compare it.
    pub(crate) fn forget_unchanged(&mut self) -> Result<(), CopyError> {
        let mut count = vec![0_u32; self.inodes.len()];
        self.names.values().for_each(|id| count[*id] += 1);
        let mut unchanged = Vec::new();
        for (name, &id) in &self.names {
            let path = Path::new(name);
            let (entry, content) = &self.inodes[id];
            let entry = Entry { path: path.to_owned(), ..entry.clone() };
            if count[id] == 1 && !self.hidden(path) && self.tree.has(&entry, content)? {
                unchanged.push(name.clone());
            }
        }
        for name in unchanged {
            self.names.remove(&name);
        }
        Ok(())
    }

    /// The directories of the tree above the changes, with their metadata: the layer has them too. Those whose entries change have
    /// the time of the step.
    fn above(&self) -> BTreeMap<PathBuf, Entry> {
        let mut above: BTreeMap<PathBuf, Entry> = BTreeMap::new();
        for name in self.names.keys() {
            for directory in Path::new(name).ancestors().skip(1) {
                if directory.as_os_str().is_empty()
                    || self.names.contains_key(directory.as_os_str())
                    || above.contains_key(directory)
                {
                    break;
                }
                let entry = self.tree.lookup(directory).unwrap_or_else(|| Entry::directory(directory));
                above.insert(directory.to_owned(), entry);
            }
        }
        let changed = self.names.iter().filter(|(name, id)| !self.keeps_its_name(Path::new(name), **id));
        for directory in changed.filter_map(|(name, _)| Path::new(name).parent()) {
            above.entry(directory.to_owned()).and_modify(|entry| entry.mtime = self.now);
        }
        above
    }

    /// Whether a directory is put over one of the tree. That does not change the directory above.
    fn keeps_its_name(&self, path: &Path, id: usize) -> bool {
        self.inodes[id].0.kind == EntryKind::Directory && !self.fresh.contains(path.as_os_str())
    }

    /// Makes the layer: the changes and the directories above them.
    pub(crate) fn into_layer(mut self, store: &Store) -> LayerBuilder {
        let above = self.above();
        let mut layer = store.layer_builder();
        for (_, entry) in above {
            layer.push(entry, Content::Bytes(Arc::default()));
        }
        for path in &self.gone {
            let now = self.names.get(path.as_os_str()).map(|&id| &self.inodes[id].0.kind);
            match now {
                Some(EntryKind::Directory) => layer.opaque(path),
                Some(_) => {}
                None => layer.whiteout(path),
            }
        }
        let mut names: Vec<(OsString, usize)> = self.names.drain().collect();
        names.sort_unstable();
        let mut first: HashMap<usize, PathBuf> = HashMap::new();
        let mut count = vec![0_u32; self.inodes.len()];
        names.iter().for_each(|(_, id)| count[*id] += 1);
        for (name, id) in names {
            let path = PathBuf::from(name);
            let (entry, content) = &mut self.inodes[id];
            match first.get(&id) {
                Some(target) => {
                    let kind = EntryKind::HardLink { target: target.clone() };
                    layer.push(Entry { path, kind, ..entry.clone() }, Content::Bytes(Arc::default()));
                }
                None => {
                    if count[id] > 1 {
                        first.insert(id, path.clone());
                    }
                    let nothing = || Content::Bytes(Arc::default());
                    let content = std::mem::replace(content, nothing());
                    let entry = match count[id] {
                        1 => std::mem::replace(entry, Entry::directory("")),
                        _ => entry.clone(),
                    };
                    layer.push(Entry { path, ..entry }, content);
                }
            }
        }
        layer
    }
}

/// Joins two paths. An empty `path` does not add a slash.
pub(super) fn join(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) }
}

/// The name of a kind in messages, with its article.
pub(super) fn called(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File { .. } | EntryKind::HardLink { .. } => "a file",
        EntryKind::Directory => "a directory",
        EntryKind::Symlink { .. } => "a symbolic link",
        EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => "a device",
        EntryKind::Fifo => "a named pipe",
    }
}
