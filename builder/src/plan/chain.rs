//! Lists that share common prefixes. Every step holds such a list, and with them a plan of 100,000 steps takes linear
//! memory.

use std::sync::Arc;

/// A list that grows at its end. Clones share their common prefix.
#[derive(Debug)]
pub struct Chain<T>(Option<Arc<ChainLink<T>>>);

#[derive(Debug)]
struct ChainLink<T> {
    item: T,
    before: Chain<T>,
}

impl<T> Chain<T> {
    /// Appends an item.
    pub fn push(&mut self, item: T) {
        self.0 = Some(Arc::new(ChainLink { item, before: Self(self.0.take()) }));
    }

    /// Returns the items, last one first.
    pub fn newest_first(&self) -> impl Iterator<Item = &T> {
        std::iter::successors(self.0.as_deref(), |link| link.before.0.as_deref()).map(|link| &link.item)
    }

    /// Returns the items in the order in which they were pushed.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = &T> {
        let items: Vec<&T> = self.newest_first().collect();
        items.into_iter().rev()
    }

    /// Returns whether the list has no items.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Clone for Chain<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> PartialEq for Chain<T> {
    fn eq(&self, other: &Self) -> bool {
        self.newest_first().eq(other.newest_first())
    }
}

impl<T> Drop for Chain<T> {
    /// Drops the links in a loop. The recursion that the compiler generates would overflow the stack for long lists.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.before.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;

    #[test]
    fn clones_of_long_lists_share_items_and_drop() {
        let mut base = Chain::default();
        (0..1_000_000).for_each(|i| base.push(i));
        let mut longer = base.clone();
        longer.push(-1);
        assert_eq!(longer.newest_first().take(2).collect::<Vec<_>>(), [&-1, &999_999]);
        assert_eq!(base.oldest_first().next(), Some(&0));
    }
}
