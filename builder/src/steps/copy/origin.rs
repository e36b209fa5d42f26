//! Where files come from: a context or the layers of a stage or an image, seen alike.

use super::CopyError;
use super::walk::{Stop, bytes, follow};
use crate::sources::{Context, Node, NodeKind};
use buildscope_storage::{Content, Entry, EntryKind, Timestamp, Tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a COPY or ADD takes its files from.
#[derive(Clone, Debug)]
pub enum Origin<'a> {
    /// The build context, or a named context that is a directory. All files belong to root.
    Context(&'a Context),
    /// The file system of a stage or an image.
    Layers(Arc<Tree>),
    /// Nowhere: what is copied stands in the Dockerfile, or comes from a URL.
    Nothing,
}

/// A file, directory or link of an origin.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    /// Its metadata. A hard link is a file here: what it is linked to says `inode`.
    pub(super) entry: Entry,
    /// Equal for all names of a file.
    pub(super) inode: Option<Inode>,
    /// Where its data is.
    pub(super) data: Data<'a>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Inode {
    Host(u64, u64),
    /// The first name that a walk met.
    First(PathBuf),
}

#[derive(Clone, Debug)]
pub(super) enum Data<'a> {
    None,
    Node(&'a Node),
    Known(Content),
}

impl<'a> Origin<'a> {
    /// What is at `path` itself.
    pub(super) fn look(&self, path: &Path) -> Result<Option<Found<'a>>, CopyError> {
        Ok(match self {
            Self::Context(context) => context.node(path)?.map(|node| of_node(node, path.to_owned())),
            Self::Layers(tree) => tree.lookup(path).map(|entry| {
                let content = tree.content(path);
                Found { entry, inode: None, data: content.map_or(Data::None, Data::Known) }
            }),
            Self::Nothing => None,
        })
    }

    /// Where `path` leads.
    pub(super) fn follow(&self, path: &Path) -> Result<PathBuf, CopyError> {
        follow(path, true, |path| {
            Ok(match self.look(path)? {
                None => Stop::Nothing,
                Some(Found { entry, .. }) => match entry.kind {
                    EntryKind::Directory => Stop::Directory,
                    EntryKind::Symlink { target } => Stop::Link(target),
                    _ => Stop::Other,
                },
            })
        })
    }

    /// What to call it in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Context(_) => "the build context".into(),
            Self::Layers(_) => "the stage or image that it is copied from".into(),
            Self::Nothing => "nothing".into(),
        }
    }

    /// Calls `each` with `path` and all below it: directories before what is in them, by name. It says whether to enter a directory.
    pub(super) fn walk(
        &self,
        path: &Path,
        each: &mut dyn FnMut(&Path, Found<'a>) -> Result<bool, CopyError>,
    ) -> Result<(), CopyError> {
        match self {
            Self::Context(context) => match context.node(path)? {
                Some(node) => walk_context(context, node, path, each),
                None => Ok(()),
            },
            Self::Layers(tree) => walk_tree(tree, path, each),
            Self::Nothing => Ok(()),
        }
    }

    /// The names in the directory at `path`.
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
    node: &'a Node,
    path: &Path,
    each: &mut dyn FnMut(&Path, Found<'a>) -> Result<bool, CopyError>,
) -> Result<(), CopyError> {
    let enter = each(path, of_node(node, path.to_owned()))?;
    if enter && node.is_dir() {
        for child in context.children(node, path)? {
            walk_context(context, child, &path.join(child.name()), each)?;
        }
    }
    Ok(())
}

fn walk_tree<'a>(
    tree: &Tree,
    path: &Path,
    each: &mut dyn FnMut(&Path, Found<'a>) -> Result<bool, CopyError>,
) -> Result<(), CopyError> {
    let mut left_out: Option<PathBuf> = None;
    for (mut entry, content) in tree.walk(path) {
        if left_out.as_ref().is_some_and(|out| entry.path.starts_with(out)) {
            continue;
        }
        let path = entry.path.clone();
        let (inode, data) = match &entry.kind {
            EntryKind::File { .. } => (Some(Inode::First(path.clone())), Data::Known(content)),
            EntryKind::HardLink { target } => {
                let inode = Inode::First(target.clone());
                let content = tree.content(&path);
                // Another name of the same file says what the file is.
                entry.kind = match &content {
                    Some(Content::Blob { length, .. }) => EntryKind::File { size: *length },
                    _ => tree.lookup(&path).map_or(EntryKind::File { size: 0 }, |entry| entry.kind),
                };
                (Some(inode), content.map_or(Data::None, Data::Known))
            }
            _ => (None, Data::None),
        };
        let directory = entry.kind == EntryKind::Directory;
        if !each(&path, Found { entry, inode, data })? && directory {
            left_out = Some(path);
        }
    }
    Ok(())
}

fn of_node(node: &Node, path: PathBuf) -> Found<'_> {
    let (major, minor) = node.device();
    let kind = match node.kind() {
        NodeKind::File => EntryKind::File { size: node.size() },
        NodeKind::Directory => EntryKind::Directory,
        NodeKind::Symlink(target) => EntryKind::Symlink { target: target.clone() },
        NodeKind::Fifo => EntryKind::Fifo,
        NodeKind::CharDevice => EntryKind::CharDevice { major, minor },
        NodeKind::BlockDevice => EntryKind::BlockDevice { major, minor },
    };
    let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { node.mode() };
    // Who owns a file on the machine that builds says nothing about the image: contexts belong to root.
    let entry = Entry { path, kind, mode, uid: 0, gid: 0, mtime: node.mtime(), xattrs: BTreeMap::new() };
    let data = if node.kind() == &NodeKind::File { Data::Node(node) } else { Data::None };
    Found { entry, inode: node.inode().map(|(dev, ino)| Inode::Host(dev, ino)), data }
}

impl<'a> Found<'a> {
    /// The node of a context's regular file.
    pub(super) fn node(&self) -> Option<&'a Node> {
        match self.data {
            Data::Node(node) => Some(node),
            _ => None,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.entry.kind == EntryKind::Directory
    }

    /// A regular file that stands in no tree.
    pub(super) fn file(name: &str, mode: u32, mtime: Timestamp, content: Content, size: u64) -> Self {
        let entry = Entry { kind: EntryKind::File { size }, mode, mtime, ..Entry::directory(name) };
        Self { entry, inode: None, data: Data::Known(content) }
    }
}

/// `path` below `base`; what is not below it stays as it is.
pub(super) fn relative(path: &Path, base: &Path) -> PathBuf {
    debug_assert!(bytes(path).starts_with(bytes(base)));
    path.strip_prefix(base).unwrap_or(path).to_owned()
}
