//! Files of a context by number, so that they can be hashed together.

use super::node::{ContextNode, NodeKind};
use std::path::{Path, PathBuf};

/// Files of a context, numbered from 0.
pub trait FileList: Sync {
    /// The number of files, below 2^32.
    fn count(&self) -> usize;

    /// The node of a file.
    fn node(&self, number: usize) -> &ContextNode;

    /// The path of a file in the context.
    fn path(&self, number: usize) -> PathBuf;
}

/// All regular files below a directory. A file takes eight bytes.
pub(super) struct FilesBelow<'n> {
    directories: Vec<(PathBuf, &'n [ContextNode])>,
    /// The number of the directory, and the position in it.
    files: Vec<(u32, u32)>,
}

impl<'n> FilesBelow<'n> {
    /// The files below `node`, the directory at `path`. Directories that were not read count as empty.
    pub(super) fn new(node: &'n ContextNode, path: &Path) -> Self {
        let mut list = Self { directories: Vec::new(), files: Vec::new() };
        list.add(node, path.to_owned());
        list
    }

    fn add(&mut self, node: &'n ContextNode, path: PathBuf) {
        let children = node.children().unwrap_or_default();
        let directory = self.directories.len() as u32;
        let files = children.iter().enumerate().filter(|(_, child)| *child.kind() == NodeKind::File);
        self.files.extend(files.map(|(position, _)| (directory, position as u32)));
        let below: Vec<(&ContextNode, PathBuf)> =
            children.iter().filter(|child| child.is_dir()).map(|child| (child, path.join(child.name()))).collect();
        self.directories.push((path, children));
        below.into_iter().for_each(|(child, path)| self.add(child, path));
    }
}

impl FileList for FilesBelow<'_> {
    fn count(&self) -> usize {
        self.files.len()
    }

    fn node(&self, number: usize) -> &ContextNode {
        let (directory, position) = self.files[number];
        &self.directories[directory as usize].1[position as usize]
    }

    fn path(&self, number: usize) -> PathBuf {
        self.directories[self.files[number].0 as usize].0.join(self.node(number).name())
    }
}
