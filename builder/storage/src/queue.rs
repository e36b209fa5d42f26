//! Queues for cache mounts that only one step may use at a time.
//!
//! Of the waiting steps of this process, the first in the Dockerfile goes next, as in the scheduler. The order of arrival is
//! random and would make builds unrepeatable. Other processes are excluded by the directory's own file lock.

use buildscope_record::{Probe, StepId};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The queues of a store's cache mounts, by name.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Mutex<HashMap<String, Queue>>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    held: bool,
    /// Ordered by step, then by arrival.
    waiting: BTreeSet<(Option<StepId>, u64)>,
    came: u64,
}

/// A step's turn at a cache mount. Dropping it lets the next step in.
#[derive(Debug)]
pub(super) struct Turn {
    queues: Arc<Queues>,
    name: String,
}

impl Queues {
    /// Waits until it is the turn of the probe's step at the cache mount `name`.
    pub(super) fn turn(self: &Arc<Self>, name: &str, probe: &Probe) -> Turn {
        let mut queues = self.lock();
        let queue = queues.entry(name.to_owned()).or_default();
        if queue.held {
            let _waiting = probe.wait_lock(&format!("cache-mount:{name}"));
            queue.came += 1;
            let this = (probe.step(), queue.came);
            queue.waiting.insert(this);
            let waits = |queues: &mut HashMap<String, Queue>| {
                queues.get(name).is_some_and(|queue| queue.held || queue.waiting.first() != Some(&this))
            };
            self.freed.wait_while(&mut queues, waits);
            queues.entry(name.to_owned()).or_default().waiting.remove(&this);
        }
        queues.entry(name.to_owned()).or_default().held = true;
        Turn { queues: Arc::clone(self), name: name.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.queues.lock()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.queues.lock();
        match queues.get_mut(&self.name) {
            Some(queue) if queue.waiting.is_empty() => drop(queues.remove(&self.name)),
            Some(queue) => queue.held = false,
            None => {}
        }
        drop(queues);
        self.queues.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::Collector;

    #[test]
    fn the_first_in_the_file_goes_first() {
        let queues = Arc::new(Queues::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let probe = |step| Collector::start(std::time::Instant::now()).probe().at(StepId(step), None);
        let queued = |queues: &Queues| queues.lock()["c"].waiting.len();
        let held = queues.turn("c", &probe(9));
        assert!(queues.turn("another", &probe(9)).name == "another", "each directory has its own");
        let waiting: Vec<_> = [(1, 3), (2, 1), (3, 2)]
            .map(|(arrived, step)| {
                let (theirs, order, probe) = (Arc::clone(&queues), Arc::clone(&order), probe(step));
                let thread = std::thread::spawn(move || {
                    let _turn = theirs.turn("c", &probe);
                    order.lock().push(step);
                });
                // The steps arrive one after the other.
                while queued(&queues) < arrived {
                    std::thread::yield_now();
                }
                thread
            })
            .into();
        drop(held);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*order.lock(), [1, 2, 3]);
        assert!(queues.lock().is_empty(), "no queue is left");
    }
}
