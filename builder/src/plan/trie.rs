//! A map that shares what its copies have in common: the variables of stages that begin from each other.

use buildscope_dockerfile::Text;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Bits of the hash that one level of the trie looks at.
const BITS: u32 = 5;

/// Names and values. Cloning costs nothing; setting a value copies the few nodes above it, if they are shared.
#[derive(Clone, Default, Debug)]
pub(super) struct Trie(Option<Arc<Node>>);

#[derive(Clone, Debug)]
enum Node {
    /// All names of one hash: nearly always one.
    Leaf(u64, Vec<(Text, Arc<str>)>),
    /// The children whose bits are set, in order.
    Branch(u32, Vec<Arc<Node>>),
}

impl Trie {
    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<str>> {
        let hash = hash(name);
        let mut node = self.0.as_deref()?;
        let mut level = 0;
        loop {
            match node {
                Node::Leaf(_, entries) => {
                    return entries.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                }
                Node::Branch(set, children) => {
                    let bit = bit(hash, level);
                    if set & bit == 0 {
                        return None;
                    }
                    node = &children[place(*set, bit)];
                    level += 1;
                }
            }
        }
    }

    /// Sets a value.
    pub(super) fn insert(&mut self, name: Text, value: Arc<str>) {
        let hash = hash(&name);
        match &mut self.0 {
            Some(root) => insert(root, hash, 0, name, value),
            empty => *empty = Some(Arc::new(Node::Leaf(hash, vec![(name, value)]))),
        }
    }
}

fn insert(node: &mut Arc<Node>, hash: u64, level: u32, name: Text, value: Arc<str>) {
    match Arc::make_mut(node) {
        Node::Leaf(own, entries) if *own == hash => match entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => entries.push((name, value)),
        },
        Node::Leaf(own, _) => {
            let bit = bit(*own, level);
            let leaf = Arc::clone(node);
            *node = Arc::new(Node::Branch(bit, vec![leaf]));
            // Equal bits on every level mean equal hashes, so this ends.
            insert(node, hash, level, name, value);
        }
        Node::Branch(set, children) => {
            let bit = bit(hash, level);
            let place = place(*set, bit);
            if *set & bit != 0 {
                insert(&mut children[place], hash, level + 1, name, value);
            } else {
                *set |= bit;
                children.insert(place, Arc::new(Node::Leaf(hash, vec![(name, value)])));
            }
        }
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn bit(hash: u64, level: u32) -> u32 {
    1 << (hash >> (BITS * level) & 31)
}

fn place(set: u32, bit: u32) -> usize {
    (set & (bit - 1)).count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::Trie;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut one = Trie::default();
        for n in 0..10_000 {
            one.insert(format!("N{n}").into(), n.to_string().into());
        }
        let mut other = one.clone();
        other.insert("N5".into(), "changed".into());
        other.insert("new".into(), "x".into());
        for n in 0..10_000 {
            assert_eq!(one.get(&format!("N{n}")).map(|value| &**value), Some(&*n.to_string()));
        }
        assert_eq!((one.get("new"), other.get("N5").map(|value| &**value)), (None, Some("changed")));
    }
}
