//! Runs a few transfers in parallel, on their own threads: transfers block on networks and disks, and must not block
//! rayon's threads.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Works on all items, at most `streams` at a time. Returns the results in the order of the items, or the first error
/// in that order. After an error, items in progress are finished, but no others are started.
pub(crate) fn in_parallel<T, R, E>(
    items: &[T],
    streams: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    R: Send,
    E: Send,
{
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let run = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return };
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.lock().push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..streams.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut done = done.into_inner();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_until_a_failure() {
        let items: Vec<u32> = (0..50).collect();
        let doubled = in_parallel(&items, 4, |item| Ok::<_, ()>(item * 2)).unwrap();
        assert_eq!(doubled, (0..50).map(|item| item * 2).collect::<Vec<_>>());
        let started = AtomicUsize::new(0);
        let failed = in_parallel(&items, 1, |item| {
            started.fetch_add(1, Ordering::Relaxed);
            if *item == 3 { Err(*item) } else { Ok(()) }
        });
        assert_eq!((failed, started.into_inner()), (Err(3), 4));
        assert_eq!(in_parallel(&[] as &[u32], 4, |_| Ok::<(), ()>(())), Ok(Vec::new()));
    }
}
