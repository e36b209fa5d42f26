//! Trees: the merged view of a stack of layers, as a container sees it, without any mount.
//!
//! A tree shares all directories that its top layer does not change with the tree of the stack below it
//! (path copying: Driscoll, Sarnak, Sleator, Tarjan, "Making data structures persistent", 1989).

use super::error::IoContext;
use super::index::{IndexRecord, LayerIndex};
use super::merge::{self, LowerLink};
use super::node::{Dir, Node, Ref, find, relink};
use super::path::{MAX_LINKS, base_name, components, parent, to_path};
use super::row::RecordKind;
use super::{BlobStore, Content, Entry, EntryKind, ImagePath, StorageError};
use buildscope_record::DiffId;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A merged view of layers.
#[derive(Debug)]
pub struct Tree {
    blobs: BlobStore,
    layers: Vec<Arc<LayerIndex>>,
    root: Arc<Dir>,
    /// Whether a layer has a hard link to a file of a lower layer. Layers written by this crate never have one.
    links_below: bool,
}

/// The result of resolving a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The path without symlinks. Components that do not exist are kept at its end.
    pub path: ImagePath,
    /// The entry at that path; `None` if it does not exist.
    pub entry: Option<Entry>,
}

impl Tree {
    pub(crate) fn empty(blobs: BlobStore) -> Self {
        Self { blobs, layers: Vec::new(), root: Arc::default(), links_below: false }
    }

    /// This tree with one more layer on top.
    ///
    /// # Errors
    /// [`StorageError::BadLayer`] if the layer has a hard link to a file that neither it nor a lower layer contains.
    pub(crate) fn with(&self, index: Arc<LayerIndex>) -> Result<Self, StorageError> {
        let (mut tree, links) = self.merged(index);
        let index = tree.layers.last().expect("`merged` pushed it");
        for LowerLink { record, path } in links {
            // The file of the lower layers: an entry of the layer itself at that path came after the link.
            let target = index.record(record).target();
            let directory = self.resolve(&to_path(parent(target)))?.path;
            let name = base_name(target);
            let Some(Node::Leaf(file)) = self.node(&directory.join(OsStr::from_bytes(name))) else {
                let shown = [&path, target].map(to_path);
                let reason = format!(
                    "`{}` is a hard link to `{}`, which does not exist",
                    shown[0].display(),
                    shown[1].display()
                );
                return Err(StorageError::bad_layer(index.record(record).offset(), reason));
            };
            relink(&mut tree.root, &tree.layers, &path, Some(file));
        }
        Ok(tree)
    }

    /// The tree of one layer alone. Hard links to files of lower layers are omitted.
    pub(crate) fn only(blobs: BlobStore, index: Arc<LayerIndex>) -> Self {
        let (mut tree, links) = Self::empty(blobs).merged(index);
        for LowerLink { path, .. } in links {
            relink(&mut tree.root, &tree.layers, &path, None);
        }
        tree
    }

    /// This tree with one more layer on top, and the layer's hard links to files of lower layers. In the tree these still refer to
    /// themselves.
    fn merged(&self, index: Arc<LayerIndex>) -> (Self, Vec<LowerLink>) {
        let mut layers = self.layers.clone();
        let layer = layers.len() as u32;
        layers.push(index);
        let (root, links) = merge::merge(&layers, layer, &self.root);
        let root = Arc::new(root);
        let links_below = self.links_below || !links.is_empty();
        (Self { blobs: self.blobs.clone(), root, layers, links_below }, links)
    }

    /// The entry at `path`. Symlinks are not followed.
    pub fn lookup(&self, path: &Path) -> Option<Entry> {
        let node = self.node(path)?;
        Some(self.entry_of(&node, path.to_owned()))
    }

    /// Resolves `path` from the root. Symlinks are followed, and `..` stops at the root.
    ///
    /// If a part of the path does not exist, the rest is appended unchanged.
    ///
    /// # Errors
    /// [`StorageError::BadPath`] for more than 40 symlinks, or a parent that is not a directory.
    pub fn resolve(&self, path: &Path) -> Result<Resolved, StorageError> {
        let bad = |reason| StorageError::BadPath { path: path.to_owned(), reason };
        let mut done: Vec<Vec<u8>> = Vec::new();
        let mut todo: Vec<Vec<u8>> = components(path.as_os_str().as_bytes()).rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                done.pop();
                continue;
            }
            done.push(name);
            let here = to_path(&done.join(&b'/'));
            let Some(Node::Leaf(leaf)) = self.node(&here) else { continue };
            let record = self.record(leaf);
            if record.kind() == RecordKind::Symlink {
                links += 1;
                if links > MAX_LINKS {
                    return Err(bad("too many levels of symbolic links"));
                }
                let target = record.target();
                if target.starts_with(b"/") {
                    done.clear();
                } else {
                    done.pop();
                }
                todo.extend(components(target).rev().map(<[u8]>::to_vec));
            } else if !todo.is_empty() {
                return Err(bad("a part of it is not a directory"));
            }
        }
        let path = to_path(&done.join(&b'/'));
        Ok(Resolved { entry: self.lookup(&path), path })
    }

    /// The entries of the directory at `path`, sorted by name. Empty if it is not a directory.
    pub fn children<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = Entry> + 'a {
        let dir = match self.node(path) {
            Some(Node::Dir(dir)) => dir,
            _ => Arc::default(),
        };
        (0..dir.children.len()).map(move |number| {
            let child = &dir.children[number];
            self.entry_of(&child.node, path.join(OsStr::from_bytes(child.name(&self.layers))))
        })
    }

    /// The location of the data of the regular file at `path`; `None` for anything else.
    pub fn content(&self, path: &Path) -> Option<Content> {
        match self.node(path)? {
            Node::Leaf(leaf) if self.record(leaf).kind() == RecordKind::File => Some(self.record(leaf).content()),
            _ => None,
        }
    }

    /// The bytes of the regular file at `path`; `None` if it is not a regular file.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] if it has more than `limit` bytes.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(content) = self.content(path) else { return Ok(None) };
        let Content::Blob { length: size, .. } = content else { return Ok(None) };
        if size > limit {
            return Err(StorageError::TooLarge { path: path.to_owned(), size, limit });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        read_content(&self.blobs, &content, 0, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// `path` and everything below it: directories before their contents, sorted by name. The first name of a file has its content,
    /// further names are hard links to it.
    pub fn walk<'a>(&'a self, path: &Path) -> impl Iterator<Item = (Entry, Content)> + 'a {
        self.walk_names(path).map(|(entry, content, _)| (entry, content))
    }

    /// Like [`walk`](Self::walk), with whether the file may have more names in the tree.
    pub fn walk_names<'a>(&'a self, path: &Path) -> impl Iterator<Item = (Entry, Content, bool)> + 'a {
        let mut stack: Vec<(PathBuf, Node)> = self.node(path).map(|node| (path.to_owned(), node)).into_iter().collect();
        let mut seen: HashMap<Ref, PathBuf> = HashMap::new();
        std::iter::from_fn(move || {
            let (path, node) = stack.pop()?;
            let mut entry = self.entry_of(&node, path);
            let (mut content, mut shared) = (Content::Bytes(Arc::default()), false);
            match node {
                Node::Dir(dir) => {
                    for child in dir.children.iter().rev() {
                        let name = OsStr::from_bytes(child.name(&self.layers));
                        stack.push((entry.path.join(name), child.node.clone()));
                    }
                }
                Node::Leaf(leaf) => {
                    shared = self.linked(leaf);
                    if shared {
                        match seen.get(&leaf) {
                            Some(first) => entry.kind = EntryKind::HardLink { target: first.clone() },
                            None => drop(seen.insert(leaf, entry.path.clone())),
                        }
                    }
                    if matches!(entry.kind, EntryKind::File { .. }) {
                        content = self.record(leaf).content();
                    }
                }
            }
            Some((entry, content, shared))
        })
    }

    /// The number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    pub(crate) fn layers(&self) -> &[Arc<LayerIndex>] {
        &self.layers
    }

    /// The lengths of the stacks whose top layer is visible. overlayfs ignores a mark that removes the contents of the root directory,
    /// so the drivers omit the layers below it.
    pub(crate) fn visible_depths(&self) -> RangeInclusive<usize> {
        let first = self.layers.iter().rposition(|index| index.hides_all()).unwrap_or(0);
        first + 1..=self.layers.len()
    }

    /// The diff ids of the layers, lowest first.
    pub(crate) fn diff_ids(&self) -> Vec<DiffId> {
        self.layers.iter().map(|index| index.layer().diff_id).collect()
    }

    pub(crate) fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    pub(crate) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    pub(crate) fn node(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() {
            return Some(Node::Dir(Arc::clone(&self.root)));
        }
        find(&self.root, &self.layers, path.as_os_str().as_bytes()).cloned()
    }

    pub(crate) fn record(&self, leaf: Ref) -> IndexRecord<'_> {
        self.layers[leaf.layer as usize].record(leaf.record)
    }

    /// The child `name` of a directory.
    pub(crate) fn child(&self, dir: &Dir, name: &[u8]) -> Option<Node> {
        dir.child(&self.layers, name).map(|child| child.node.clone())
    }

    /// The names and nodes of a directory, sorted by name.
    pub(crate) fn entries<'a>(&'a self, dir: &'a Dir) -> impl Iterator<Item = (&'a [u8], &'a Node)> {
        dir.children.iter().map(|child| (child.name(&self.layers), &child.node))
    }

    /// The entry of a node, ignoring other names of the same file.
    pub(crate) fn entry_of(&self, node: &Node, path: PathBuf) -> Entry {
        let reference = match node {
            Node::Dir(dir) => dir.meta,
            Node::Leaf(leaf) => Some(*leaf),
        };
        match reference.and_then(|reference| self.record(reference).entry(path.clone())) {
            Some(entry) => entry,
            None => Entry::directory(path),
        }
    }

    /// Whether a file may have more than one name.
    pub(crate) fn linked(&self, leaf: Ref) -> bool {
        self.links_below || self.record(leaf).names() > 1
    }
}

/// Fills `out` with the bytes of a file, starting at byte `from`. It must not reach beyond the end of the file.
pub(crate) fn read_content(
    blobs: &BlobStore,
    content: &Content,
    from: u64,
    out: &mut [u8],
) -> Result<(), StorageError> {
    let Content::Blob { blob, offset, sparse, .. } = content else { return Ok(()) };
    let file = blobs.open(blob)?;
    read_range(&file, *offset, sparse.as_deref(), from, out).context("read", blobs.path(blob))
}

/// Like [`read_content`], from a blob that is already open.
pub(crate) fn read_range(
    file: &std::fs::File,
    offset: u64,
    sparse: Option<&[super::Extent]>,
    from: u64,
    out: &mut [u8],
) -> std::io::Result<()> {
    let Some(extents) = sparse else { return file.read_exact_at(out, offset + from) };
    out.fill(0);
    let end = from + out.len() as u64;
    for extent in extents.iter().filter(|e| e.offset < end && e.offset + e.length > from) {
        let (start, stop) = (extent.offset.max(from), (extent.offset + extent.length).min(end));
        let piece = &mut out[(start - from) as usize..(stop - from) as usize];
        file.read_exact_at(piece, extent.blob_offset + (start - extent.offset))?;
    }
    Ok(())
}
