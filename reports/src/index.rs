//! Lists whose indices have a type, so that the index of a step is not taken for that of a link.

use buildscope_record::StepId;
use std::marker::PhantomData;
use std::ops;

/// The index of an item in one kind of list.
pub(crate) trait Index: Copy {
    /// The index with that number.
    fn from_index(index: usize) -> Self;

    /// The number.
    fn index(self) -> usize;
}

impl Index for StepId {
    /// A step's number has 32 bits. A record of more steps would need hundreds of gigabytes.
    fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("a record has fewer than 2^32 steps"))
    }

    fn index(self) -> usize {
        self.index()
    }
}

/// One value for each index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Indexed<I, T> {
    items: Vec<T>,
    index: PhantomData<fn(I)>,
}

impl<I, T> Default for Indexed<I, T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: PhantomData }
    }
}

impl<I: Index, T> Indexed<I, T> {
    /// The same value for the first `count` indices.
    pub(crate) fn filled(value: T, count: usize) -> Self
    where
        T: Clone,
    {
        vec![value; count].into()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::from_index(self.items.len() - 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    /// All indices, in order.
    pub(crate) fn indices(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone + use<I, T> {
        (0..self.items.len()).map(I::from_index)
    }

    /// Each item with its index.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + Clone {
        self.indices().zip(&self.items)
    }

    pub(crate) fn get_mut(&mut self, index: I) -> Option<&mut T> {
        self.items.get_mut(index.index())
    }
}

impl<I, T> From<Vec<T>> for Indexed<I, T> {
    fn from(items: Vec<T>) -> Self {
        Self { items, index: PhantomData }
    }
}

impl<I, T> FromIterator<T> for Indexed<I, T> {
    fn from_iter<Items: IntoIterator<Item = T>>(items: Items) -> Self {
        items.into_iter().collect::<Vec<T>>().into()
    }
}

impl<I, T> IntoIterator for Indexed<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<I: Index, T> ops::Index<I> for Indexed<I, T> {
    type Output = T;

    fn index(&self, index: I) -> &T {
        &self.items[index.index()]
    }
}

impl<I: Index, T> ops::IndexMut<I> for Indexed<I, T> {
    fn index_mut(&mut self, index: I) -> &mut T {
        &mut self.items[index.index()]
    }
}

/// Lists by key, stored one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Grouped<K, T> {
    offsets: Vec<usize>,
    items: Vec<T>,
    key: PhantomData<fn(K)>,
}

impl<K: Index, T: Copy> Grouped<K, T> {
    /// Groups the items of the first `keys` keys, each group in the order of the items. Items of other keys are left out.
    pub(crate) fn new(keys: usize, items: impl Iterator<Item = (K, T)> + Clone) -> Self {
        let mut offsets = vec![0; keys + 1];
        let known = items.filter(|(key, _)| key.index() < keys);
        for (key, _) in known.clone() {
            offsets[key.index() + 1] += 1;
        }
        for key in 0..keys {
            offsets[key + 1] += offsets[key];
        }
        let mut next = offsets.clone();
        let mut order = vec![None; offsets[keys]];
        for (key, item) in known {
            order[next[key.index()]] = Some(item);
            next[key.index()] += 1;
        }
        Self { offsets, items: order.into_iter().flatten().collect(), key: PhantomData }
    }

    /// The items of a key.
    pub(crate) fn of(&self, key: K) -> &[T] {
        match (self.offsets.get(key.index()), self.offsets.get(key.index() + 1)) {
            (Some(&from), Some(&to)) => &self.items[from..to],
            _ => &[],
        }
    }
}
