//! Steps that are being made: whoever wants the same one waits for it, in this build and in others on the same store.
//!
//! A step holds its flight and its claim only while it is made, and asks for no other meanwhile: nobody can wait in a circle.

use super::BuildError;
use super::outcome::Made;
use super::solve::Solver;
use buildscope_record::{LayerKey, Probe, StepId, StepKey};
use buildscope_storage::{Claim, StorageError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The steps that this build makes or has made, by their layer_keys in the cache.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<LayerKey, InTheAir>>);

struct InTheAir {
    by: StepId,
    made: Arc<tokio::sync::Mutex<Option<Made>>>,
}

/// The right to make a step.
pub(super) struct Flight {
    made: OwnedMutexGuard<Option<Made>>,
    /// Held against other builds until the step is remembered; a build that uses no results of others has none.
    _claim: Option<Claim>,
}

/// What came of asking for a step that is not in the cache.
pub(super) enum Claimed {
    /// Another made it meanwhile.
    Made(Made),
    /// It is ours to make.
    Ours(Flight),
}

impl Flight {
    /// The step is made, and remembered.
    pub(super) fn landed(&mut self, made: Made) {
        *self.made = Some(made);
    }
}

impl Solver {
    /// Waits until nobody else makes the step, and says whether anybody has. May be dropped at any time.
    pub(super) async fn claim(
        &self,
        step: StepId,
        layer_key: LayerKey,
        key: StepKey,
        probe: &Probe,
    ) -> Result<Claimed, BuildError> {
        let made = self.flight(step, layer_key, probe).await;
        if let Some(made) = *made {
            return Ok(Claimed::Made(made));
        }
        if self.no_cache {
            return Ok(Claimed::Ours(Flight { made, _claim: None }));
        }
        let store = &self.engine.store;
        let claim = match store.try_claim(&layer_key)? {
            Some(claim) => claim,
            None => {
                // On a thread of its own: it ends with the process, if the build is cancelled before the other is done.
                let (sender, claimed) = tokio::sync::oneshot::channel::<Result<Claim, StorageError>>();
                let (store, probe) = (store.clone(), probe.clone());
                std::thread::spawn(move || sender.send(store.claim(&layer_key, &probe)));
                claimed.await.map_err(|_| BuildError::Cancelled)??
            }
        };
        // Whoever had it may have let go of it just before we asked.
        Ok(match self.look_up(step, layer_key, key, probe)? {
            Some(made) => Claimed::Made(made),
            None => Claimed::Ours(Flight { made, _claim: Some(claim) }),
        })
    }

    async fn flight(&self, step: StepId, layer_key: LayerKey, probe: &Probe) -> OwnedMutexGuard<Option<Made>> {
        let (by, made) = {
            // An entry is added whole: a panic leaves the map readable.
            let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.entry(layer_key) {
                Entry::Occupied(flight) => (flight.get().by, Arc::clone(&flight.get().made)),
                Entry::Vacant(flight) => {
                    let made: Arc<tokio::sync::Mutex<_>> = Arc::default();
                    let ours = Arc::clone(&made).try_lock_owned().expect("nobody else has it yet");
                    flight.insert(InTheAir { by: step, made });
                    return ours;
                }
            }
        };
        let waiting = probe.wait_lock("the same step");
        waiting.on(by);
        made.lock_owned().await
    }
}
