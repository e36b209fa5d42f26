//! The image that files are copied into: its tree, and the changes of the new layer.

use super::names::PathNumbers;
use super::walk::{MAX_PATH, Stop, clean, follow};
use super::{CopyError, Owner};
use buildscope_storage::{Content, Entry, EntryKind, EntryList, LayerBuilder, Store, Timestamp, Tree};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tree of layers, and changes that become one layer.
pub(crate) struct ChangedTree {
    tree: Arc<Tree>,
    /// The entries of the layer, each with its name. Some names are replaced or removed by later ones.
    entries: EntryList,
    /// For each entry, the first one that is a name of the same file.
    files: Vec<u32>,
    /// The entries that count.
    names: PathNumbers,
    /// New directories of the layer: nothing of the tree is visible below them.
    fresh: HashSet<OsString>,
    /// The directories of the tree that the layer removes.
    gone: HashSet<PathBuf>,
    /// The modification time of directories of the tree in which a name is added, replaced or removed.
    now: Timestamp,
}

/// A file of a [`ChangedTree`]. It can get more names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::steps) struct InodeId(u32);

impl InodeId {
    /// The number in the list of the layer's entries.
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

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

impl ChangedTree {
    /// Starts without changes. `now` is the time of the step: directories of the tree get it when their entries change, as in a file
    /// system. Programs that keep an index of a directory compare that time (fontconfig, GTK's icon caches).
    pub(crate) fn new(tree: Arc<Tree>, now: Timestamp) -> Self {
        let (entries, files, names) = Default::default();
        Self { tree, entries, files, names, fresh: HashSet::new(), gone: HashSet::new(), now }
    }

    /// The number of names in the layer so far.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The entry at `path`, without following a link at its end.
    pub(in crate::steps) fn look(&self, path: &Path) -> Option<Entry> {
        if let Some(number) = self.names.get(&self.entries, path) {
            return Some(self.entries.get(number as usize).entry());
        }
        if path.parent().is_some_and(|parent| self.fresh.contains(parent.as_os_str())) || self.hidden(path) {
            return None;
        }
        self.tree.lookup(path)
    }

    /// The kind of the entry at `path`, without following a link at its end.
    pub(super) fn kind(&self, path: &Path) -> Option<EntryKind> {
        match self.names.get(&self.entries, path) {
            Some(number) => Some(self.entries.get(number as usize).kind()),
            None => self.look(path).map(|entry| entry.kind),
        }
    }

    /// Whether the layer hides the tree's entry at `path`.
    fn hidden(&self, path: &Path) -> bool {
        self.gone.contains(path) || path.parent().is_some_and(|directory| self.hides_contents(directory))
    }

    /// Whether the layer hides what the tree has in `directory`.
    fn hides_contents(&self, directory: &Path) -> bool {
        // Without changes, a deep path is looked up without its parents: 300 nested WORKDIRs took seconds.
        if self.entries.is_empty() {
            return false;
        }
        directory.ancestors().any(|above| {
            self.gone.contains(above)
                || self.fresh.contains(above.as_os_str())
                || self.names.get(&self.entries, above).is_some_and(|number| !self.is_directory(number))
        })
    }

    /// Whether what is above `path` is a directory, without links on the way to it.
    fn is_in_directory(&self, path: &Path) -> bool {
        path.parent().is_some_and(|above| self.kind(above) == Some(EntryKind::Directory))
    }

    fn is_directory(&self, number: u32) -> bool {
        self.entries.get(number as usize).is_directory()
    }

    /// Resolves the symbolic links in `path` as if the directory `root` were the root of the file system.
    pub(super) fn follow(&self, root: &Path, path: &Path) -> Result<PathBuf, CopyError> {
        // Everything above a directory is a directory. Without this, a deep archive and nested WORKDIRs take cubic time.
        let whole = join(root, path);
        match self.kind(&whole) {
            Some(EntryKind::Directory) => return Ok(whole),
            None if self.is_in_directory(&whole) => return Ok(whole),
            _ => {}
        }
        let below = follow(path, |path| {
            Ok(match self.kind(&join(root, path)) {
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
        if self.kind(path) == Some(EntryKind::Directory) {
            return Ok(());
        }
        if path.as_os_str().len() > MAX_PATH {
            let start = path.to_string_lossy().chars().take(60).chain(['…']).collect::<String>();
            return Err(CopyError::BadPath { path: start.into(), reason: "a path has at most 4095 bytes" });
        }
        // From the root: below the first directory that is missing, nothing has to be looked up. Often it is only the last one.
        let mut missing: Vec<&Path> = path.ancestors().collect();
        if self.is_in_directory(path) {
            missing.truncate(1);
        }
        while let Some(above) = missing.last() {
            match self.kind(above) {
                Some(EntryKind::Directory) => drop(missing.pop()),
                Some(kind) => {
                    return Err(CopyError::NotADirectory { path: above.to_path_buf(), found: called(&kind) });
                }
                None => break,
            }
        }
        for path in missing.into_iter().rev() {
            let NewDirectory { mode, owner: Owner { uid, gid }, mtime } = new;
            self.put(&Entry { mode, uid, gid, mtime, ..Entry::directory(path) }, Content::Bytes(Arc::default()))?;
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
    pub(in crate::steps) fn put(&mut self, entry: &Entry, content: Content) -> Result<InodeId, CopyError> {
        let new = if entry.kind == EntryKind::Directory { Replacement::Directory } else { Replacement::Other };
        self.clear(&entry.path, new)?;
        let number = self.next();
        self.add(entry, content, number);
        Ok(InodeId(number))
    }

    /// Gives a file another name.
    pub(super) fn link(&mut self, path: &Path, to: InodeId) -> Result<(), CopyError> {
        self.clear(path, Replacement::Other)?;
        let file = self.entries.get(to.0 as usize);
        let (entry, content) = (Entry { path: path.to_owned(), ..file.entry() }, file.content());
        self.add(&entry, content, to.0);
        Ok(())
    }

    fn next(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("fewer than 4 billion entries fit into memory")
    }

    /// Adds a name of the file `file`.
    fn add(&mut self, entry: &Entry, content: Content, file: u32) {
        let number = self.next();
        self.entries.push(entry, content);
        self.files.push(file);
        self.names.insert(&self.entries, number);
    }

    /// The file at `path`. A file of the tree is copied into the layer.
    pub(super) fn take(&mut self, path: &Path) -> Result<Option<InodeId>, CopyError> {
        if let Some(number) = self.names.get(&self.entries, path) {
            return Ok((!self.is_directory(number)).then_some(InodeId(self.files[number as usize])));
        }
        let Some(entry) = self.look(path).filter(|entry| entry.kind != EntryKind::Directory) else { return Ok(None) };
        let content = self.tree.content(path).unwrap_or(Content::Bytes(Arc::default()));
        self.put(&entry, content).map(Some)
    }

    /// Removes the existing entry at `path`, unless a directory is to be put over a directory.
    fn clear(&mut self, path: &Path, new: Replacement) -> Result<(), CopyError> {
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".wh.") {
            return Err(CopyError::WhiteoutName(path.to_owned()));
        }
        match self.kind(path) {
            Some(EntryKind::Directory) if new == Replacement::Directory => {}
            Some(EntryKind::Directory) => {
                // `fresh` keeps its directories below the path: nothing of the tree will be visible there again.
                self.names.remove_below(&self.entries, path);
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
        let count = self.names_by_file();
        let mut unchanged = Vec::new();
        for directory in self.names.directories().filter(|directory| !self.hides_contents(directory)) {
            for number in self.names.inside(&self.entries, directory) {
                let listed = self.entries.get(number as usize);
                let alone = count[self.files[number as usize] as usize] == 1;
                if alone && !self.gone.contains(listed.path()) && self.tree.has(&listed.entry(), &listed.content())? {
                    unchanged.push(number);
                }
            }
        }
        for number in unchanged {
            self.names.remove(&self.entries, number);
        }
        Ok(())
    }

    /// The number of names of each file.
    fn names_by_file(&self) -> Vec<u32> {
        let mut count = vec![0; self.entries.len()];
        self.names.iter().for_each(|number| count[self.files[number as usize] as usize] += 1);
        count
    }

    /// The directories of the tree above the changes, with their metadata: the layer has them too. Those whose entries change have
    /// the time of the step.
    fn above(&self) -> BTreeMap<PathBuf, Entry> {
        let mut above: BTreeMap<PathBuf, Entry> = BTreeMap::new();
        for directory in self.names.directories() {
            let mut inside = self.names.inside(&self.entries, directory).peekable();
            if inside.peek().is_none() {
                continue;
            }
            for directory in directory.ancestors() {
                if directory.as_os_str().is_empty()
                    || self.names.get(&self.entries, directory).is_some()
                    || above.contains_key(directory)
                {
                    break;
                }
                let entry = self.tree.lookup(directory).unwrap_or_else(|| Entry::directory(directory));
                above.insert(directory.to_owned(), entry);
            }
            if inside.any(|number| !self.keeps_its_name(number)) {
                above.entry(directory.to_owned()).and_modify(|entry| entry.mtime = self.now);
            }
        }
        above
    }

    /// Whether a directory is put over one of the tree. That does not change the directory above.
    fn keeps_its_name(&self, number: u32) -> bool {
        let listed = self.entries.get(number as usize);
        listed.is_directory() && !self.fresh.contains(listed.path().as_os_str())
    }

    /// Makes the layer: the changes and the directories above them. The entries keep their numbers.
    pub(crate) fn into_layer(mut self, store: &Store) -> LayerBuilder {
        let above = self.above();
        self.settle_names();
        let mut left_out: HashSet<u32> = HashSet::new();
        if self.names.len() < self.entries.len() {
            let counts: HashSet<u32> = self.names.iter().collect();
            left_out.extend((0..self.next()).filter(|number| !counts.contains(number)));
        }
        let removed: Vec<(PathBuf, Option<bool>)> = self
            .gone
            .iter()
            .map(|path| (path.clone(), self.names.get(&self.entries, path).map(|number| self.is_directory(number))))
            .collect();
        let mut layer = store.layer_of(self.entries, left_out);
        for (_, entry) in above {
            layer.push(entry, Content::Bytes(Arc::default()));
        }
        for (path, directory_now) in removed {
            match directory_now {
                Some(true) => layer.opaque(&path),
                Some(false) => {}
                None => layer.whiteout(&path),
            }
        }
        layer
    }

    /// Makes all names of a file but the first hard links to that.
    fn settle_names(&mut self) {
        let count = self.names_by_file();
        let mut shared: HashMap<u32, Vec<u32>> = HashMap::new();
        for number in self.names.iter() {
            let file = self.files[number as usize];
            if count[file as usize] > 1 {
                shared.entry(file).or_default().push(number);
            }
        }
        for mut names in shared.into_values() {
            names.sort_unstable_by_key(|number| self.entries.get(*number as usize).path_bytes());
            let first = self.entries.get(names[0] as usize).path().to_owned();
            for number in &names[1..] {
                self.entries.update(*number as usize, |entry, content| {
                    entry.kind = EntryKind::HardLink { target: first.clone() };
                    *content = Content::Bytes(Arc::default());
                });
            }
        }
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
