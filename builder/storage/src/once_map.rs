//! Work that only one step does while the others wait, by key: steps with the same cache key, layers of the same image,
//! exclusive cache mounts.
//!
//! Of the waiting steps, the first in the Dockerfile goes next, as in the scheduler. The order of arrival is random and
//! would make builds unrepeatable. The map covers one process; locks between processes are file locks.

use buildscope_record::{Probe, StepId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Results by key, each made once. Clones share the results.
pub struct OnceMap<K, V>(Arc<Mutex<HashMap<K, InFlight<V>>>>);

struct InFlight<V> {
    result: Option<V>,
    holder: Option<Holder>,
    /// The holder before.
    last: Option<Holder>,
    waiting: BTreeMap<Ticket, Waker>,
    arrivals: u64,
}

/// The step for which the work is done.
#[derive(Clone, Copy)]
struct Holder(Option<StepId>);

/// The position of a waiter: by step, then by arrival.
type Ticket = (Option<StepId>, u64);

/// The answer to a request for the result of a key.
#[derive(Debug)]
pub enum Acquired<K: Eq + Hash, V> {
    /// The work was done before.
    Finished(V),
    /// The caller does it.
    Ours(Turn<K, V>),
}

/// The right to do the work of one key. Dropping it lets the next waiter in, which does the work if there is no result.
pub struct Turn<K: Eq + Hash, V> {
    map: OnceMap<K, V>,
    key: K,
}

impl<K: Eq + Hash + Clone, V: Clone> OnceMap<K, V> {
    /// Returns the result of `key`, or the right to make it for the step `holder`. While another step makes it, `asker` waits
    /// and reports a wait for `lock`. The future may be dropped at any time.
    pub async fn acquire(&self, key: &K, holder: Option<StepId>, asker: &Probe, lock: &str) -> Acquired<K, V> {
        let ticket = {
            let mut entries = self.0.lock();
            let entry = entries.entry(key.clone()).or_default();
            if let Some(result) = &entry.result {
                return Acquired::Finished(result.clone());
            }
            if entry.holder.is_none() && entry.waiting.is_empty() {
                entry.holder = Some(Holder(holder));
                return Acquired::Ours(self.turn(key));
            }
            entry.arrivals += 1;
            let ticket = (asker.step(), entry.arrivals);
            entry.waiting.insert(ticket, Waker::noop().clone());
            ticket
        };
        let waiter = Waiter { map: self, key, ticket };
        let wait = asker.wait_lock(lock);
        let (acquired, last) = poll_fn(|context| waiter.poll(holder, context)).await;
        // Others may have had their turns since the wait started: the last of them ended it.
        if let Some(step) = last.and_then(|last| last.0).filter(|step| Some(*step) != asker.step()) {
            wait.on(step);
        }
        acquired
    }

    /// Like [`acquire`](Self::acquire), but blocks the thread.
    pub fn acquire_blocking(&self, key: &K, holder: Option<StepId>, asker: &Probe, lock: &str) -> Acquired<K, V> {
        let mut acquired = pin!(self.acquire(key, holder, asker, lock));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match acquired.as_mut().poll(&mut context) {
                Poll::Ready(acquired) => return acquired,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    /// Forgets all results: each is made again when it is next requested.
    pub fn forget(&self) {
        self.0.lock().retain(|_, entry| {
            entry.result = None;
            entry.in_use()
        });
    }

    fn turn(&self, key: &K) -> Turn<K, V> {
        Turn { map: self.clone(), key: key.clone() }
    }
}

impl<K: Eq + Hash, V> OnceMap<K, V> {
    /// Changes an entry, wakes the waiters that can go on, and removes the entry if it has become useless.
    fn update(&self, key: &K, change: impl FnOnce(&mut InFlight<V>)) {
        let mut entries = self.0.lock();
        let Some(entry) = entries.get_mut(key) else { return };
        change(entry);
        if entry.result.is_some() {
            entry.waiting.values().for_each(Waker::wake_by_ref);
        } else if entry.holder.is_none()
            && let Some(first) = entry.waiting.values().next()
        {
            first.wake_by_ref();
        }
        if entry.result.is_none() && !entry.in_use() {
            entries.remove(key);
        }
    }
}

impl<V> InFlight<V> {
    fn in_use(&self) -> bool {
        self.holder.is_some() || !self.waiting.is_empty()
    }
}

/// A place in the queue, which is left when the waiter is dropped.
struct Waiter<'a, K: Eq + Hash, V> {
    map: &'a OnceMap<K, V>,
    key: &'a K,
    ticket: Ticket,
}

impl<K: Eq + Hash + Clone, V: Clone> Waiter<'_, K, V> {
    fn poll(&self, holder: Option<StepId>, context: &mut Context<'_>) -> Poll<(Acquired<K, V>, Option<Holder>)> {
        let mut entries = self.map.0.lock();
        // The entry exists while a waiter is in it.
        let entry = entries.entry(self.key.clone()).or_default();
        if let Some(result) = &entry.result {
            return Poll::Ready((Acquired::Finished(result.clone()), entry.holder.or(entry.last)));
        }
        let first = entry.waiting.keys().next() == Some(&self.ticket);
        if first && entry.holder.is_none() {
            entry.holder = Some(Holder(holder));
            return Poll::Ready((Acquired::Ours(self.map.turn(self.key)), entry.last));
        }
        entry.waiting.insert(self.ticket, context.waker().clone());
        Poll::Pending
    }
}

impl<K: Eq + Hash, V> Drop for Waiter<'_, K, V> {
    fn drop(&mut self) {
        self.map.update(self.key, |entry| drop(entry.waiting.remove(&self.ticket)));
    }
}

impl<K: Eq + Hash, V> Turn<K, V> {
    /// Hands the result to all that wait for it, and to all that ask later.
    pub fn complete(&mut self, result: V) {
        self.map.update(&self.key, |entry| entry.result = Some(result));
    }
}

impl<K: Eq + Hash, V> Drop for Turn<K, V> {
    fn drop(&mut self) {
        self.map.update(&self.key, |entry| entry.last = entry.holder.take());
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<K, V> Clone for OnceMap<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<V> Default for InFlight<V> {
    fn default() -> Self {
        Self { result: None, holder: None, last: None, waiting: BTreeMap::new(), arrivals: 0 }
    }
}

impl<K, V> fmt::Debug for OnceMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceMap").field("keys", &self.0.lock().len()).finish()
    }
}

impl<K: Eq + Hash + fmt::Debug, V> fmt::Debug for Turn<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn probe(step: u32) -> Probe {
        Probe::disabled().at(StepId(step), None)
    }

    fn turn<V: Clone>(map: &OnceMap<&'static str, V>, step: u32) -> Turn<&'static str, V> {
        match map.acquire_blocking(&"c", Some(StepId(step)), &probe(step), "lock") {
            Acquired::Ours(turn) => turn,
            Acquired::Finished(_) => panic!("a result exists"),
        }
    }

    /// Blocks until this number of steps waits for the key `c`.
    fn until_waiting<V>(map: &OnceMap<&'static str, V>, count: usize) {
        while map.0.lock()["c"].waiting.len() < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_first_in_the_file_goes_first() {
        let map = OnceMap::<_, Infallible>::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = turn(&map, 9);
        let waiting: Vec<_> = [(1, 3), (2, 1), (3, 2)]
            .map(|(arrived, step)| {
                let (theirs, order) = (map.clone(), Arc::clone(&order));
                let thread = std::thread::spawn(move || {
                    let _turn = turn(&theirs, step);
                    order.lock().push(step);
                });
                until_waiting(&map, arrived);
                thread
            })
            .into();
        drop(held);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*order.lock(), [1, 2, 3]);
        assert!(map.0.lock().is_empty(), "no entry is left");
    }

    #[test]
    fn the_work_is_done_once() {
        let map = OnceMap::default();
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for step in 0..8 {
                let (map, done) = (&map, &done);
                scope.spawn(move || match map.acquire_blocking(&"c", None, &probe(step), "lock") {
                    Acquired::Finished(result) => assert_eq!(result, 7),
                    Acquired::Ours(mut turn) => {
                        done.fetch_add(1, Ordering::Relaxed);
                        turn.complete(7);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 1);
        map.forget();
        drop(turn(&map, 1));
    }

    #[test]
    fn a_waiter_does_the_work_that_failed() {
        let map = OnceMap::<_, u32>::default();
        let failed = turn(&map, 1);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| turn(&map, 2));
            until_waiting(&map, 1);
            drop(failed);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_dropped_waiter_holds_up_no_other() {
        let map = OnceMap::<_, u32>::default();
        let held = turn(&map, 1);
        let early = probe(2);
        let mut dropped = Box::pin(map.acquire(&"c", None, &early, "lock"));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        std::thread::scope(|scope| {
            let late = scope.spawn(|| turn(&map, 3));
            until_waiting(&map, 2);
            // The dropped waiter is first in line and was woken.
            drop(held);
            drop(dropped);
            late.join().unwrap();
        });
    }

    #[test]
    fn different_keys_do_not_wait() {
        let map = OnceMap::<_, u32>::default();
        let _held = turn(&map, 1);
        assert!(matches!(map.acquire_blocking(&"d", None, &probe(2), "lock"), Acquired::Ours(_)));
    }
}
