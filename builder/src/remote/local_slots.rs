//! Steps that run on this machine although another one could run them (`--remote-local-jobs`): local slots come first, and what is left
//! over goes away, unless the way takes longer than the wait for a slot.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of this machine.
pub(crate) struct LocalSlots {
    most: usize,
    free: Arc<Semaphore>,
    ended: Mutex<Ended>,
}

/// The steps that have run in slots.
#[derive(Default)]
struct Ended {
    steps: u32,
    time: Duration,
}

/// A slot that a step has until this is dropped.
pub(crate) struct LocalSlot {
    slots: Arc<LocalSlots>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Where a step runs.
pub(crate) enum Placement {
    /// On this machine, for this reason.
    Here(LocalSlot, String),
    /// On another machine.
    Away,
}

impl LocalSlots {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, free: Arc::new(Semaphore::new(most)), ended: Mutex::default() })
    }

    /// Places a step. `transfer` is the time that its layers need to another machine, if it can be predicted.
    pub(crate) async fn place(self: &Arc<Self>, transfer: Option<Duration>) -> Placement {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Placement::Here(self.slot(permit), format!("a local slot was free (of {})", self.most));
        }
        match (transfer, self.expected_wait()) {
            (Some(transfer), Some(wait)) if transfer > wait => {
                let [transfer, wait] = [transfer, wait].map(|time| time.as_secs_f64());
                let why = format!("sending its layers takes longer ({transfer:.1} s) than a local slot ({wait:.1} s)");
                Placement::Here(self.acquire().await, why)
            }
            _ => Placement::Away,
        }
    }

    /// Waits for a slot, for a step that has to run here.
    pub(crate) async fn acquire(self: &Arc<Self>) -> LocalSlot {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        self.slot(permit.expect("the semaphore is never closed"))
    }

    fn slot(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> LocalSlot {
        LocalSlot { slots: Arc::clone(self), since: Instant::now(), _permit: permit }
    }

    /// The mean time until the next of the taken slots is free, if steps of the build have ended here. Steps end evenly spread over
    /// their mean time.
    fn expected_wait(&self) -> Option<Duration> {
        let ended = self.ended.lock();
        let mean = ended.time.checked_div(ended.steps)?;
        mean.checked_div(u32::try_from(self.most).ok()? + 1)
    }
}

impl Drop for LocalSlot {
    fn drop(&mut self) {
        let mut ended = self.slots.ended.lock();
        ended.steps += 1;
        ended.time += self.since.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(slots: &LocalSlots, steps: u32, each: Duration) {
        *slots.ended.lock() = Ended { steps, time: each * steps };
    }

    #[tokio::test]
    async fn slots_come_first_and_the_rest_goes_away() {
        let slots = LocalSlots::new(2);
        let first = slots.place(None).await;
        let second = slots.place(Some(Duration::ZERO)).await;
        assert!(matches!((&first, &second), (Placement::Here(..), Placement::Here(..))));
        assert!(matches!(slots.place(None).await, Placement::Away));
        drop(first);
        assert!(matches!(slots.place(None).await, Placement::Here(..)));
    }

    #[tokio::test]
    async fn a_step_waits_here_if_its_layers_take_longer() {
        let slots = LocalSlots::new(1);
        let taken = slots.acquire().await;
        // Nothing has ended, so the wait is unknown.
        assert!(matches!(slots.place(Some(Duration::from_secs(9))).await, Placement::Away));
        ended(&slots, 3, Duration::from_secs(10));
        // One slot is free after 5 s in the mean.
        assert!(matches!(slots.place(Some(Duration::from_secs(4))).await, Placement::Away));
        let (placed, ()) = tokio::join!(slots.place(Some(Duration::from_secs(6))), async { drop(taken) });
        let Placement::Here(_, why) = placed else { panic!("it went away") };
        assert!(why.contains("6.0 s") && why.contains("5.0 s"), "{why}");
    }
}
