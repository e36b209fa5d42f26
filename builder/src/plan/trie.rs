//! A persistent map from names to values. Its copies share their common parts, such as the variables of a stage and of
//! the stages that are based on it.

use buildscope_dockerfile::Text;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The number of hash bits that select the child of a node. `Branch` stores a bit set of the 2^5 possible children in a
/// `u32`.
const BITS: u32 = 5;

/// A map from names to values (a hash array mapped trie, Bagwell 2001). A clone is a reference count. Setting a value
/// copies only the shared nodes on the path to it.
#[derive(Clone, Default, Debug)]
pub(super) struct Trie(Option<Arc<TrieNode>>);

#[derive(Clone, Debug)]
enum TrieNode {
    /// A hash, and the entries with this hash. There is nearly always one.
    Leaf(u64, Vec<(Text, Arc<str>)>),
    /// A bit set of the children that exist, and these children in the order of their bits.
    Branch(u32, Vec<Arc<TrieNode>>),
}

impl Trie {
    /// Returns the value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<str>> {
        let hash = hash(name);
        let mut node = self.0.as_deref()?;
        let mut level = 0;
        loop {
            match node {
                TrieNode::Leaf(_, entries) => {
                    return entries.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                }
                TrieNode::Branch(set, children) => {
                    let bit = bit(hash, level);
                    if set & bit == 0 {
                        return None;
                    }
                    node = &children[child_index(*set, bit)];
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
            empty => *empty = Some(Arc::new(TrieNode::Leaf(hash, vec![(name, value)]))),
        }
    }
}

fn insert(node: &mut Arc<TrieNode>, hash: u64, level: u32, name: Text, value: Arc<str>) {
    match Arc::make_mut(node) {
        TrieNode::Leaf(own, entries) if *own == hash => match entries.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => entries.push((name, value)),
        },
        TrieNode::Leaf(own, _) => {
            let bit = bit(*own, level);
            let leaf = Arc::clone(node);
            *node = Arc::new(TrieNode::Branch(bit, vec![leaf]));
            // Hashes with equal bits on every level are equal, so this recursion ends.
            insert(node, hash, level, name, value);
        }
        TrieNode::Branch(set, children) => {
            let bit = bit(hash, level);
            let child = child_index(*set, bit);
            if *set & bit != 0 {
                insert(&mut children[child], hash, level + 1, name, value);
            } else {
                *set |= bit;
                children.insert(child, Arc::new(TrieNode::Leaf(hash, vec![(name, value)])));
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

/// Returns the index of the child of `bit` in the list of children.
fn child_index(set: u32, bit: u32) -> usize {
    (set & (bit - 1)).count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::Trie;

    #[test]
    fn changes_of_a_clone_leave_the_original() {
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
