//! The directories and files of a tree, as references to the records of its layers.

use super::index::LayerIndex;
use super::path::components;
use std::sync::Arc;

/// A reference to a record of a layer of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Ref {
    pub(crate) layer: u32,
    pub(crate) record: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Dir(Arc<Dir>),
    /// Equal references are hard links to each other.
    Leaf(Ref),
}

/// A directory: its record, if any layer has one, and its children sorted by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dir {
    pub(super) meta: Option<Ref>,
    pub(super) children: Vec<Child>,
}

/// A child of a directory. Its name is in the heap of the layer that added it.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) layer: u32,
    pub(super) name_at: u32,
    pub(super) name_len: u32,
    pub(super) node: Node,
}

impl Dir {
    pub(super) fn child(&self, layers: &[Arc<LayerIndex>], name: &[u8]) -> Option<&Child> {
        Some(&self.children[self.position(layers, name).ok()?])
    }

    /// The index of the child `name`, or the index at which it would be.
    pub(super) fn position(&self, layers: &[Arc<LayerIndex>], name: &[u8]) -> Result<usize, usize> {
        self.children.binary_search_by(|child| child.name(layers).cmp(name))
    }
}

impl Drop for Dir {
    /// Drops the directories below one after the other. The compiler's recursion would overflow the stack: a layer of another tool may
    /// be thousands of directories deep.
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.children);
        while let Some(child) = open.pop() {
            if let Node::Dir(dir) = child.node
                && let Some(mut dir) = Arc::into_inner(dir)
            {
                open.append(&mut dir.children);
            }
        }
    }
}

impl Child {
    pub(super) fn name<'a>(&self, layers: &'a [Arc<LayerIndex>]) -> &'a [u8] {
        layers[self.layer as usize].heap(self.name_at, self.name_len)
    }
}

/// The node at `path`.
pub(super) fn find<'a>(root: &'a Dir, layers: &[Arc<LayerIndex>], path: &[u8]) -> Option<&'a Node> {
    let mut dir = root;
    let mut names = components(path).peekable();
    loop {
        let child = dir.child(layers, names.next()?)?;
        match (&child.node, names.peek()) {
            (node, None) => return Some(node),
            (Node::Dir(below), Some(_)) => dir = below,
            (Node::Leaf(_), Some(_)) => return None,
        }
    }
}

/// Sets the leaf at `path`, or removes it if `leaf` is `None`.
pub(super) fn relink(root: &mut Arc<Dir>, layers: &[Arc<LayerIndex>], path: &[u8], leaf: Option<Ref>) {
    let mut dir = Arc::make_mut(root);
    let mut names = components(path).peekable();
    while let Some(name) = names.next() {
        let Ok(at) = dir.position(layers, name) else { return };
        if names.peek().is_none() {
            match leaf {
                Some(leaf) => dir.children[at].node = Node::Leaf(leaf),
                None => drop(dir.children.remove(at)),
            }
            return;
        }
        let Node::Dir(below) = &mut dir.children[at].node else { return };
        dir = Arc::make_mut(below);
    }
}
