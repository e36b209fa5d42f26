//! Steps that run on this machine although another one could run them (`--remote-local-jobs`): local slots come first, and other steps go
//! to another machine, unless they would start there later than in the next local slot.

use buildscope_record::{Candidate, Mean};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of this machine.
pub(crate) struct LocalSlots {
    most: usize,
    free: Arc<Semaphore>,
    /// The steps that wait for a slot.
    waiting: AtomicUsize,
    /// The mean length of the steps that ran here, in nanoseconds.
    mean: Mutex<Mean>,
}

/// A slot that a step has until this is dropped.
pub(crate) struct LocalSlot {
    slots: Arc<LocalSlots>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

/// The machine that runs a step.
pub(crate) enum Placement {
    /// On this machine, for this reason.
    Here(LocalSlot, String),
    /// On another machine.
    Away,
}

/// A step that waits for a slot.
struct Waiting<'s>(&'s AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LocalSlots {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let (waiting, mean) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { most, free: Arc::new(Semaphore::new(most)), waiting, mean })
    }

    /// The number of slots.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Decides where a step runs, and takes a slot if it runs here. `away` is the time after which it would start on another machine.
    pub(crate) async fn slot_or_away(self: &Arc<Self>, away: Duration) -> Placement {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Placement::Here(self.slot(permit), format!("a local slot was free (of {})", self.most));
        }
        let wait = self.expected_wait();
        if away.as_nanos() as f64 <= wait {
            return Placement::Away;
        }
        let (away, wait) = (away.as_secs_f64(), wait / 1e9);
        let why = format!("it would start later on another machine ({away:.1} s) than in a local slot ({wait:.1} s)");
        Placement::Here(self.acquire().await, why)
    }

    /// Waits for a slot, for a step that has to run here.
    pub(crate) async fn acquire(self: &Arc<Self>) -> LocalSlot {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let permit = Arc::clone(&self.free).acquire_owned().await;
        drop(waiting);
        self.slot(permit.expect("the semaphore is never closed"))
    }

    fn slot(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> LocalSlot {
        LocalSlot { slots: Arc::clone(self), since: Instant::now(), _permit: permit }
    }

    /// The time until a slot is expected to be free for one more step, in nanoseconds. It is infinite until a step has ended here.
    fn expected_wait(&self) -> f64 {
        let steps = self.most + self.waiting.load(Ordering::Relaxed);
        Candidate { steps, slots: Some(self.most), ..Candidate::default() }.wait(self.mean.lock().get())
    }
}

impl Drop for LocalSlot {
    fn drop(&mut self) {
        self.slots.mean.lock().add(self.since.elapsed().as_nanos() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn slots_come_first_and_the_rest_goes_away() {
        let slots = LocalSlots::new(2);
        let first = slots.slot_or_away(Duration::ZERO).await;
        let second = slots.slot_or_away(SECOND).await;
        assert!(matches!((&first, &second), (Placement::Here(..), Placement::Here(..))));
        assert!(matches!(slots.slot_or_away(Duration::ZERO).await, Placement::Away));
        drop(first);
        assert!(matches!(slots.slot_or_away(Duration::ZERO).await, Placement::Here(..)));
    }

    #[tokio::test]
    async fn a_step_waits_here_if_it_would_start_later_elsewhere() {
        let slots = LocalSlots::new(1);
        let taken = slots.acquire().await;
        // Nothing has ended, so the wait is unknown.
        assert!(matches!(slots.slot_or_away(9 * SECOND).await, Placement::Away));
        (0..3).for_each(|_| slots.mean.lock().add(10.0 * SECOND.as_nanos() as f64));
        // One slot is free after 5 s in the mean.
        assert!(matches!(slots.slot_or_away(4 * SECOND).await, Placement::Away));
        let (placed, ()) = tokio::join!(slots.slot_or_away(6 * SECOND), async { drop(taken) });
        let Placement::Here(_, why) = placed else { panic!("it went away") };
        assert!(why.contains("6.0 s") && why.contains("5.0 s"), "{why}");
    }

    /// Waiting steps come first.
    #[tokio::test]
    async fn the_wait_grows_with_the_steps_that_wait() {
        let slots = LocalSlots::new(1);
        let taken = slots.acquire().await;
        slots.mean.lock().add(10.0 * SECOND.as_nanos() as f64);
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { drop(slots.slot_or_away(6 * SECOND).await) }
        });
        while slots.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // The second in the queue waits 10 s.
        assert!(matches!(slots.slot_or_away(6 * SECOND).await, Placement::Away));
        drop(taken);
        waiting.await.unwrap();
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}
