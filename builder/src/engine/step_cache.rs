//! The cache, as the steps of one build see it: lookups, the right to run a step, storing results.

use super::outcome::LayerResult;
use super::{BuildError, cache_import};
use crate::images::ImportedCache;
use buildscope_record::{LayerKey, Phase, Probe, StepId, StepKey};
use buildscope_storage::{Acquired, CacheEntry, OnceMap, Removed, StepLock, StorageError, Store, Turn};
use std::collections::BTreeSet;
use std::sync::Arc;

/// This store's cache index, the imported caches, and the steps that run now.
pub(super) struct StepCache {
    pub(super) store: Store,
    pub(super) imported: Arc<ImportedCache>,
    /// `--no-cache`: results are stored, never used.
    pub(super) no_cache: bool,
    /// The steps that this build runs or has run. A step that is wanted again, here or in another build on the same store,
    /// waits for the one that runs.
    in_flight: OnceMap<LayerKey, LayerResult>,
    /// Steps whose results in this store are not used: they depend on a damaged layer.
    distrusted: BTreeSet<StepId>,
    /// Steps for which nothing is looked up (`--no-cache-filter`).
    ignored: BTreeSet<StepId>,
}

/// The right to run a step.
///
/// A step holds at most one turn and one lock, and never waits for another while it does. So there is no deadlock.
pub(super) struct StepGuard {
    /// The lock against other builds, held until the result is stored. `--no-cache` builds share nothing and take none. It must
    /// be released before the turn, so this field comes first.
    _lock: Option<StepLock>,
    turn: Turn<LayerKey, LayerResult>,
}

impl StepGuard {
    /// Hands the result, which is stored, to all steps that wait for it.
    pub(super) fn complete(&mut self, result: LayerResult) {
        self.turn.complete(result);
    }
}

/// The answer to a request to run a step.
pub(super) enum Admission {
    /// Another step or build has run it meanwhile.
    Finished(LayerResult),
    /// The caller runs it.
    Ours(StepGuard),
}

impl StepCache {
    pub(super) fn new(store: Store, imported: Arc<ImportedCache>, no_cache: bool) -> Self {
        Self {
            store,
            imported,
            no_cache,
            in_flight: OnceMap::default(),
            distrusted: BTreeSet::new(),
            ignored: BTreeSet::new(),
        }
    }

    /// Whether the results of some or all steps are not looked up.
    pub(super) fn ignores_results(&self) -> bool {
        self.no_cache || !self.ignored.is_empty()
    }

    /// Forgets which steps ran, and stops using stored results of `steps`.
    pub(super) fn distrust(&mut self, steps: impl IntoIterator<Item = StepId>) {
        self.distrusted.extend(steps);
        self.in_flight.forget();
    }

    /// Looks nothing up for these steps. Their results are still stored.
    pub(super) fn ignore(mut self, steps: impl IntoIterator<Item = StepId>) -> Self {
        self.ignored.extend(steps);
        self
    }

    /// Looks in this store's cache index, then in the imported caches. Files from another machine have other times anyway,
    /// so for imported caches the step key alone decides, as in BuildKit.
    pub(super) fn look_up(
        &self,
        step: StepId,
        layer_key: LayerKey,
        key: StepKey,
        probe: &Probe,
    ) -> Result<Option<LayerResult>, BuildError> {
        if self.no_cache || self.ignored.contains(&step) {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        let hit = if self.distrusted.contains(&step) { None } else { self.store.cache().get(&layer_key)? };
        // A value that another version wrote in another form is a miss.
        let stored = hit.and_then(|hit| serde_json::from_slice(&hit.entry.value).ok());
        Ok(stored.or_else(|| cache_import::look_up(&self.imported, &key)))
    }

    /// Waits until no other step or build runs this step, and returns its result if it has one now; else the right to run
    /// it. The future may be dropped at any time.
    pub(super) async fn acquire(
        &self,
        step: StepId,
        layer_key: LayerKey,
        key: StepKey,
        probe: &Probe,
    ) -> Result<Admission, BuildError> {
        let turn = match self.in_flight.acquire(&layer_key, Some(step), probe, "the same step").await {
            Acquired::Finished(result) => return Ok(Admission::Finished(result)),
            Acquired::Ours(turn) => turn,
        };
        if self.no_cache {
            return Ok(Admission::Ours(StepGuard { _lock: None, turn }));
        }
        let lock = match StepLock::try_lock(&self.store, &layer_key)? {
            Some(lock) => lock,
            None => self.lock(layer_key, probe).await?,
        };
        // The build that held the lock may have finished just before we asked.
        Ok(match self.look_up(step, layer_key, key, probe)? {
            Some(result) => Admission::Finished(result),
            None => Admission::Ours(StepGuard { _lock: Some(lock), turn }),
        })
    }

    /// Waits for another build's lock of a step, on a thread of its own. If the future is dropped first, the thread ends
    /// with the process.
    async fn lock(&self, layer_key: LayerKey, probe: &Probe) -> Result<StepLock, BuildError> {
        let (sender, lock) = tokio::sync::oneshot::channel::<Result<StepLock, StorageError>>();
        let (store, probe) = (self.store.clone(), probe.clone());
        std::thread::spawn(move || sender.send(StepLock::lock(&store, &layer_key, &probe)));
        Ok(lock.await.map_err(|_| BuildError::Cancelled)??)
    }

    /// Whether a result under one of the keys was removed from the store, and why.
    pub(super) fn removed(&self, layer_keys: [LayerKey; 2], probe: &Probe) -> Result<Option<Removed>, BuildError> {
        if self.no_cache {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        for layer_key in layer_keys {
            if let Some(removed) = self.store.cache().removed(&layer_key)? {
                return Ok(Some(removed));
            }
        }
        Ok(None)
    }

    /// Stores the result of a step under its keys.
    pub(super) fn remember(&self, layer_keys: &[LayerKey], result: LayerResult) -> Result<(), BuildError> {
        let value = serde_json::to_vec(&result).expect("numbers and digests always serialise");
        let entry = CacheEntry { layers: vec![result.diff_id], value };
        layer_keys.iter().try_for_each(|key| self.store.cache().put(*key, &entry))?;
        Ok(())
    }
}
