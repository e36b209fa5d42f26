//! Steps that run now: a step that is wanted again, in this build or in another one on the same store, waits for the one
//! that runs.
//!
//! A step holds at most one in-flight entry and one lock, and never waits for another while it does. So there is no
//! deadlock.

use super::outcome::LayerResult;
use buildscope_record::{LayerKey, Probe, StepId};
use buildscope_storage::StepLock;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The steps that this build runs or has run, by their layer keys.
#[derive(Default)]
pub(super) struct InFlightSteps(Mutex<HashMap<LayerKey, InFlight>>);

struct InFlight {
    by: StepId,
    result: Slot,
}

/// Locked while the step runs; holds the result once the step has finished.
type Slot = Arc<tokio::sync::Mutex<Option<LayerResult>>>;

/// The right to run a step.
pub(super) struct StepGuard {
    slot: OwnedMutexGuard<Option<LayerResult>>,
    /// The lock against other builds, held until the result is stored. `--no-cache` builds share nothing and take none.
    _lock: Option<StepLock>,
}

/// The answer to a request to run a step.
pub(super) enum Acquired {
    /// Another step or build has run it meanwhile.
    Finished(LayerResult),
    /// The caller runs it.
    Ours(StepGuard),
}

impl StepGuard {
    pub(super) fn new(slot: OwnedMutexGuard<Option<LayerResult>>, lock: Option<StepLock>) -> Self {
        Self { slot, _lock: lock }
    }

    /// Hands the result, which is stored, to all steps that wait for it.
    pub(super) fn complete(&mut self, result: LayerResult) {
        *self.slot = Some(result);
    }
}

impl InFlightSteps {
    /// Waits while another step of this build runs under the same key.
    pub(super) async fn wait(
        &self,
        step: StepId,
        layer_key: LayerKey,
        probe: &Probe,
    ) -> OwnedMutexGuard<Option<LayerResult>> {
        let (by, slot) = {
            // An entry is added whole: a panic leaves the map readable.
            let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match steps.entry(layer_key) {
                Entry::Occupied(other) => (other.get().by, Arc::clone(&other.get().result)),
                Entry::Vacant(entry) => {
                    let slot = Slot::default();
                    let ours = Arc::clone(&slot).try_lock_owned().expect("the slot is not shared yet");
                    entry.insert(InFlight { by: step, result: slot });
                    return ours;
                }
            }
        };
        let waiting = probe.wait_lock("the same step");
        waiting.on(by);
        slot.lock_owned().await
    }
}
