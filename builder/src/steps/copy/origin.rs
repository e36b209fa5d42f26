//! The origin of copied files: one interface to contexts and to the layers of a stage or an image.

use super::CopyError;
use super::walk::{Stop, bytes, follow};
use crate::sources::{Context, ContextNode, NodeKind};
use buildscope_storage::{Content, Entry, EntryKind, Timestamp, Tree};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The origin of the files of a COPY or ADD.
#[derive(Clone, Debug)]
pub enum CopyOrigin<'a> {
    /// The build context, or a named context that is a directory. All its files belong to root.
    Context(&'a Context),
    /// The file system of a stage or an image.
    Layers(Arc<Tree>),
    /// No tree: the files are in the Dockerfile itself (heredocs) or come from URLs.
    Nothing,
}

/// A file, directory or link of an origin.
#[derive(Clone, Debug)]
pub(super) struct OriginEntry<'a> {
    /// The metadata, without the path. The kind is never a hard link; `inode` identifies the names of one file.
    pub(super) entry: Entry,
    /// The identity of the file, equal for all its hard links.
    pub(super) inode: Option<Inode>,
    /// The source of the content.
    pub(super) data: OriginData<'a>,
}

/// The identity of a file with several names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Inode {
    /// Device and inode number of a file in a context.
    Host(u64, u64),
    /// The first name of a file in a tree of layers, in the order of a walk.
    First(PathBuf),
}

#[derive(Clone, Debug)]
pub(super) enum OriginData<'a> {
    None,
    Node(&'a ContextNode),
    Known(Content),
}

impl<'a> CopyOrigin<'a> {
    /// The entry at `path`, without following a link at its end.
    pub(super) fn look(&self, path: &Path) -> Result<Option<OriginEntry<'a>>, CopyError> {
        Ok(match self {
            Self::Context(context) => context.node(path)?.map(of_node),
            Self::Layers(tree) => tree.lookup(path).map(|entry| {
                let content = tree.content(path);
                OriginEntry { entry, inode: None, data: content.map_or(OriginData::None, OriginData::Known) }
            }),
            Self::Nothing => None,
        })
    }

    /// Resolves the symbolic links in `path`.
    pub(super) fn follow(&self, path: &Path) -> Result<PathBuf, CopyError> {
        follow(path, |path| {
            Ok(match self.look(path)? {
                None => Stop::Nothing,
                Some(OriginEntry { entry, .. }) => match entry.kind {
                    EntryKind::Directory => Stop::Directory,
                    EntryKind::Symlink { target } => Stop::Link(target),
                    _ => Stop::Other,
                },
            })
        })
    }

    /// The name of the origin in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Context(_) => "the build context".into(),
            Self::Layers(_) => "the stage or image that it is copied from".into(),
            Self::Nothing => "nothing".into(),
        }
    }

    /// Calls `each` for `path` and everything below it, sorted by name, directories before their contents. `each`
    /// returns whether to enter a directory.
    pub(super) fn walk(
        &self,
        path: &Path,
        each: &mut dyn FnMut(&Path, OriginEntry<'a>) -> Result<bool, CopyError>,
    ) -> Result<(), CopyError> {
        match self {
            Self::Context(context) => match context.node(path)? {
                Some(node) => walk_context(context, node, &mut bytes(path).to_vec(), each),
                None => Ok(()),
            },
            Self::Layers(tree) => walk_tree(tree, path, each),
            Self::Nothing => Ok(()),
        }
    }

    /// The paths of the entries in the directory at `path`.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<PathBuf>, CopyError> {
        Ok(match self {
            Self::Context(context) => match context.node(path)? {
                Some(node) if node.is_dir() => {
                    context.children(node, path)?.iter().map(|child| path.join(child.name())).collect()
                }
                _ => Vec::new(),
            },
            Self::Layers(tree) => tree.children(path).map(|entry| entry.path).collect(),
            Self::Nothing => Vec::new(),
        })
    }
}

fn walk_context<'a>(
    context: &'a Context,
    node: &'a ContextNode,
    path: &mut Vec<u8>,
    each: &mut dyn FnMut(&Path, OriginEntry<'a>) -> Result<bool, CopyError>,
) -> Result<(), CopyError> {
    let enter = each(to_path(path), of_node(node))?;
    if enter && node.is_dir() {
        let length = path.len();
        for child in context.children(node, to_path(path))? {
            if path.last().is_some_and(|last| *last != b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(child.name().as_bytes());
            walk_context(context, child, path, each)?;
            path.truncate(length);
        }
    }
    Ok(())
}

fn to_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn walk_tree<'a>(
    tree: &Tree,
    path: &Path,
    each: &mut dyn FnMut(&Path, OriginEntry<'a>) -> Result<bool, CopyError>,
) -> Result<(), CopyError> {
    let mut left_out: Option<PathBuf> = None;
    for (mut entry, content, shared) in tree.walk_names(path) {
        if left_out.as_ref().is_some_and(|out| entry.path.starts_with(out)) {
            continue;
        }
        let path = entry.path.clone();
        let (inode, data) = match &entry.kind {
            EntryKind::File { .. } => (shared.then(|| Inode::First(path.clone())), OriginData::Known(content)),
            EntryKind::HardLink { target } => {
                let inode = Inode::First(target.clone());
                let content = tree.content(&path);
                // The kind is that of the file behind the link.
                entry.kind = match &content {
                    Some(Content::Blob { length, .. }) => EntryKind::File { size: *length },
                    _ => tree.lookup(&path).map_or(EntryKind::File { size: 0 }, |entry| entry.kind),
                };
                (Some(inode), content.map_or(OriginData::None, OriginData::Known))
            }
            _ => (None, OriginData::None),
        };
        let directory = entry.kind == EntryKind::Directory;
        if !each(&path, OriginEntry { entry, inode, data })? && directory {
            left_out = Some(path);
        }
    }
    Ok(())
}

fn of_node(node: &ContextNode) -> OriginEntry<'_> {
    let (major, minor) = node.device();
    let kind = match node.kind() {
        NodeKind::File => EntryKind::File { size: node.size() },
        NodeKind::Directory => EntryKind::Directory,
        NodeKind::Symlink(target) => EntryKind::Symlink { target: target.to_path_buf() },
        NodeKind::Fifo => EntryKind::Fifo,
        NodeKind::CharDevice => EntryKind::CharDevice { major, minor },
        NodeKind::BlockDevice => EntryKind::BlockDevice { major, minor },
    };
    let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { node.mode() };
    // The owner of a file on this machine has no meaning in the image: files of contexts belong to root.
    let path = PathBuf::new();
    let entry = Entry { path, kind, mode, uid: 0, gid: 0, mtime: node.mtime(), xattrs: BTreeMap::new() };
    let data = if node.kind() == &NodeKind::File { OriginData::Node(node) } else { OriginData::None };
    OriginEntry { entry, inode: node.inode().map(|(dev, ino)| Inode::Host(dev, ino)), data }
}

impl<'a> OriginEntry<'a> {
    /// The node, for a regular file of a context.
    pub(super) fn node(&self) -> Option<&'a ContextNode> {
        match self.data {
            OriginData::Node(node) => Some(node),
            _ => None,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.entry.kind == EntryKind::Directory
    }

    /// A regular file that is not part of an origin's tree.
    pub(super) fn file(name: &str, mode: u32, mtime: Timestamp, content: Content, size: u64) -> Self {
        let entry = Entry { kind: EntryKind::File { size }, mode, mtime, ..Entry::directory(name) };
        Self { entry, inode: None, data: OriginData::Known(content) }
    }
}

/// The path relative to `base`, which must be a prefix of it.
pub(super) fn relative<'a>(path: &'a Path, base: &Path) -> &'a Path {
    debug_assert!(path.starts_with(base) && bytes(path).starts_with(bytes(base)));
    // Both are written in the same way, so that the bytes can be compared instead of the parts, which takes longer.
    match bytes(path).strip_prefix(bytes(base)) {
        Some(below) if !base.as_os_str().is_empty() => to_path(below.strip_prefix(b"/").unwrap_or(below)),
        _ => path,
    }
}
