//! Merges the records of a layer into the tree of the layers below.
//!
//! *Takes* a layer's index, whose records are in tree order, and the old root. *Gives* the new root, which shares unchanged
//! directories with the old one. *Must never know* files outside of the indexes.
//!
//! Open directories are kept in a list instead of on the stack: a layer of another tool may be thousands of directories deep.

use super::index::{IndexRecord, LayerIndex};
use super::node::{Child, Dir, Node, Ref};
use super::row::RecordKind;
use std::ops::Range;
use std::sync::Arc;

/// A hard link whose file is in a lower layer.
pub(super) struct LowerLink {
    pub(super) record: u32,
    pub(super) path: Vec<u8>,
}

/// Merges the records of `layers[layer]` into the directory `old`. Returns the new root, and the hard links to files of lower layers,
/// which still refer to themselves.
pub(super) fn merge(layers: &[Arc<LayerIndex>], layer: u32, old: &Dir) -> (Dir, Vec<LowerLink>) {
    let mut merge = Merge { layers, layer, links: Vec::new() };
    let (mut records, mut old) = (0..layers[layer as usize].len(), &old.children[..]);
    // Records of the root come first and have an empty path. A layer's metadata of the root is ignored, as in containerd: the
    // root of every image belongs to root and has mode 755.
    while !records.is_empty() && merge.record(records.start).path().is_empty() {
        if merge.record(records.start).kind() == RecordKind::Opaque {
            old = &[];
        }
        records.start += 1;
    }
    let root = merge.run(MergedLevel { name: None, meta: None, old, records, from: 0, children: Vec::new() });
    (root, merge.links)
}

struct Merge<'a> {
    layers: &'a [Arc<LayerIndex>],
    layer: u32,
    links: Vec<LowerLink>,
}

/// A directory that is being merged.
struct MergedLevel<'a> {
    /// The offset and length of its name in the heap of the layer; `None` for the root.
    name: Option<(u32, u32)>,
    meta: Option<Ref>,
    /// The children that it has in the lower layers and that are not merged yet.
    old: &'a [Child],
    /// The records below it that are not merged yet.
    records: Range<u32>,
    /// The offset of its children's names in the paths of the records.
    from: usize,
    children: Vec<Child>,
}

/// The result of merging one name.
enum Merged<'a> {
    /// The name is removed.
    Gone,
    Node(Node),
    /// A directory, whose contents are merged next.
    Directory {
        meta: Option<Ref>,
        old: &'a [Child],
        records: Range<u32>,
    },
}

impl<'a> Merge<'a> {
    fn record(&self, number: u32) -> IndexRecord<'a> {
        self.layers[self.layer as usize].record(number)
    }

    fn run(&mut self, root: MergedLevel<'a>) -> Dir {
        let mut open = vec![root];
        loop {
            let level = open.last_mut().expect("the root is returned before the list is empty");
            if let Some(inner) = self.advance(level) {
                open.push(inner);
                continue;
            }
            let (name, dir) = (level.name, Dir { meta: level.meta, children: std::mem::take(&mut level.children) });
            open.pop();
            match (open.last_mut(), name) {
                (Some(above), Some(name)) => above.children.push(self.named(name, Node::Dir(Arc::new(dir)))),
                _ => return dir,
            }
        }
    }

    fn named(&self, (name_at, name_len): (u32, u32), node: Node) -> Child {
        Child { layer: self.layer, name_at, name_len, node }
    }

    /// Merges the names of a directory up to the next one that is itself a directory. Returns that one; `None` at the end.
    fn advance(&mut self, level: &mut MergedLevel<'a>) -> Option<MergedLevel<'a>> {
        while !level.records.is_empty() {
            let first = self.record(level.records.start);
            let (path, from) = (first.path(), level.from);
            let end = path[from..].iter().position(|&byte| byte == b'/').map_or(path.len(), |slash| from + slash);
            let name = &path[from..end];
            // Old children that sort before this one are unchanged.
            let before = level.old.iter().take_while(|child| child.name(self.layers) < name).count();
            let (unchanged, mut rest) = level.old.split_at(before);
            level.children.extend_from_slice(unchanged);
            let mut existing = None;
            if let Some((child, after)) = rest.split_first()
                && child.name(self.layers) == name
            {
                (existing, rest) = (Some(&child.node), after);
            }
            level.old = rest;
            let (merged, after) = self.child(existing, level.records.clone(), end);
            level.records.start = after;
            let name = (first.path_at() + from as u32, (end - from) as u32);
            match merged {
                Merged::Gone => {}
                Merged::Node(node) => level.children.push(self.named(name, node)),
                Merged::Directory { meta, old, records } => {
                    let children = Vec::with_capacity(old.len().max(records.len().min(8)));
                    return Some(MergedLevel { name: Some(name), meta, old, records, from: end + 1, children });
                }
            }
        }
        level.children.extend_from_slice(std::mem::take(&mut level.old));
        None
    }

    /// Merges the child whose path ends at byte `end` of the path of the first of `records`. Returns it, and the number of the next
    /// child's first record.
    fn child(&mut self, existing: Option<&'a Node>, records: Range<u32>, end: usize) -> (Merged<'a>, u32) {
        let path = &self.record(records.start).path()[..end];
        let (mut whiteout, mut opaque, mut entry) = (false, false, None);
        let mut own = records.start;
        while own < records.end && self.record(own).path() == path {
            match self.record(own).kind() {
                RecordKind::Whiteout => whiteout = true,
                RecordKind::Opaque => opaque = true,
                _ => entry = Some(own),
            }
            own += 1;
        }
        let below = own..self.end_of(path, own..records.end);
        let after = below.end;
        let existing = existing.filter(|_| !whiteout);
        let old = match existing {
            Some(Node::Dir(dir)) => Some(&**dir),
            _ => None,
        };
        let inside = old.filter(|_| !opaque).map_or(&[][..], |dir| &dir.children);
        let layer = self.layer;
        let merged = match entry.map(|number| (number, self.record(number).kind())) {
            Some((record, RecordKind::Directory)) => {
                Merged::Directory { meta: Some(Ref { layer, record }), old: inside, records: below }
            }
            // Records below a path that is not a directory cannot be reached.
            Some((record, RecordKind::HardLink)) => {
                let link = self.record(record).link();
                if link.is_none() {
                    self.links.push(LowerLink { record, path: path.to_vec() });
                }
                Merged::Node(Node::Leaf(Ref { layer, record: link.unwrap_or(record) }))
            }
            Some((record, _)) => Merged::Node(Node::Leaf(Ref { layer, record })),
            None if below.is_empty() && !opaque => existing.cloned().map_or(Merged::Gone, Merged::Node),
            // Missing parents of members and marks are directories, as docker and BuildKit unpack them.
            None => Merged::Directory { meta: old.and_then(|dir| dir.meta), old: inside, records: below },
        };
        (merged, after)
    }

    /// The end of those of `records` that are below `path`: they come first, because records are in tree order. The distance is doubled
    /// until it is too far, then halved, so that a deep directory does not compare all paths below it.
    fn end_of(&self, path: &[u8], records: Range<u32>) -> u32 {
        let is_below = |number: u32| {
            let other = self.record(number).path();
            other.get(path.len()) == Some(&b'/') && other.starts_with(path)
        };
        let (mut low, mut step) = (records.start, 1);
        while low < records.end && is_below(low) {
            let next = low.saturating_add(step).min(records.end);
            if next == records.end || !is_below(next) {
                // The end is after `low`, and not after `next`.
                let (mut from, mut to) = (low + 1, next);
                while from < to {
                    let middle = from + (to - from) / 2;
                    if is_below(middle) { from = middle + 1 } else { to = middle }
                }
                return from;
            }
            (low, step) = (next, step * 2);
        }
        low
    }
}
