//! The cache, as the steps of one build see it: lookups, the right to run a step, storing results.

use super::blocking::blocking;
use super::outcome::LayerResult;
use super::{BuildError, cache_import};
use crate::images::ImportedCache;
use buildscope_record::{LayerKey, Phase, Probe, StepId, StepKey};
use buildscope_remote::CacheUse;
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
    /// Another step or build ran it meanwhile.
    Finished(LayerResult),
    /// The caller runs it.
    Ours(StepGuard),
}

impl StepCache {
    pub(super) fn new(store: Store, imported: Arc<ImportedCache>) -> Self {
        Self {
            store,
            imported,
            no_cache: false,
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

    /// With `--no-cache`, looks nothing up. Results are still stored.
    pub(super) fn no_cache(self, no_cache: bool) -> Self {
        Self { no_cache, ..self }
    }

    /// Looks nothing up for these steps. Their results are still stored.
    pub(super) fn ignore(mut self, steps: impl IntoIterator<Item = StepId>) -> Self {
        self.ignored.extend(steps);
        self
    }

    /// Whether results that servers have are taken for a step.
    pub(super) fn use_of_servers(&self, step: StepId) -> CacheUse {
        let fresh = self.no_cache || self.ignored.contains(&step) || self.distrusted.contains(&step);
        if fresh { CacheUse::Fresh } else { CacheUse::Cached }
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
        Ok(match self.stored(step, layer_key, probe)? {
            Some(stored) => Some(stored),
            None if self.imported.is_empty() => None,
            // The first lookup reads the caches, perhaps from the network.
            None => blocking(|| cache_import::look_up(&self.imported, &key, probe)),
        })
    }

    /// Looks in this store's cache index only.
    pub(super) fn stored(
        &self,
        step: StepId,
        layer_key: LayerKey,
        probe: &Probe,
    ) -> Result<Option<LayerResult>, BuildError> {
        let _span = probe.phase(Phase::CacheLookup);
        let hit = if self.distrusted.contains(&step) { None } else { self.store.cache().get(&layer_key)? };
        // A value that another version wrote in another form is a miss.
        Ok(hit.and_then(|hit| serde_json::from_slice(&hit.entry.value).ok()))
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
        for layer_key in distinct(&layer_keys) {
            if let Some(removed) = self.store.cache().removed(layer_key)? {
                return Ok(Some(removed));
            }
        }
        Ok(None)
    }

    /// Stores the result of a step under its keys.
    pub(super) fn remember(&self, layer_keys: &[LayerKey], result: LayerResult) -> Result<(), BuildError> {
        let value = serde_json::to_vec(&result).expect("numbers and digests always serialise");
        let entry = CacheEntry { layers: vec![result.diff_id], value };
        distinct(layer_keys).try_for_each(|key| self.store.cache().put(*key, &entry))?;
        Ok(())
    }
}

/// The keys of a step by definition and by content, which are mostly equal, each once.
fn distinct(keys: &[LayerKey]) -> impl Iterator<Item = &LayerKey> {
    keys.iter().enumerate().filter(|(number, key)| !keys[..*number].contains(key)).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::DiffId;
    use buildscope_storage::{DriverChoice, DriverName, Layer, PruneOptions, StoreOptions};

    const STEP: StepId = StepId(1);

    struct Fixture {
        store: Store,
        _directory: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let options = StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() };
            Self { store: Store::open(&directory.path().join("store"), options).unwrap(), _directory: directory }
        }

        fn cache(&self) -> StepCache {
            StepCache::new(self.store.clone(), Arc::default())
        }

        /// A result with an empty layer that is in the store.
        fn result(&self) -> LayerResult {
            let layer: Layer = self.store.layer_builder().finish(&Probe::disabled()).unwrap();
            LayerResult::new(StepKey::of("step"), layer, Default::default())
        }
    }

    fn key(name: &str) -> LayerKey {
        LayerKey::of(name)
    }

    fn found(cache: &StepCache, name: &str) -> Option<DiffId> {
        let found = cache.look_up(STEP, key(name), StepKey::of("step"), &Probe::disabled()).unwrap();
        found.map(|result| result.diff_id)
    }

    async fn acquire(cache: &StepCache) -> Admission {
        cache.acquire(STEP, key("a"), StepKey::of("step"), &Probe::disabled()).await.unwrap()
    }

    #[test]
    fn a_result_is_found_under_each_of_its_keys() {
        let fixture = Fixture::new();
        let (cache, result) = (fixture.cache(), fixture.result());
        assert_eq!(found(&cache, "a"), None);
        cache.remember(&[key("a"), key("b")], result).unwrap();
        for name in ["a", "b"] {
            assert_eq!(found(&cache, name), Some(result.diff_id), "{name}");
        }
        assert_eq!(found(&cache, "c"), None);
    }

    #[test]
    fn without_the_cache_nothing_is_found_but_results_are_kept() {
        let fixture = Fixture::new();
        let result = fixture.result();
        let without = fixture.cache().no_cache(true);
        without.remember(&[key("a")], result).unwrap();
        assert_eq!(found(&without, "a"), None);
        assert_eq!(found(&fixture.cache(), "a"), Some(result.diff_id));
    }

    #[test]
    fn the_result_of_a_distrusted_step_is_not_used() {
        let fixture = Fixture::new();
        let mut cache = fixture.cache();
        cache.remember(&[key("a")], fixture.result()).unwrap();
        cache.distrust([STEP]);
        assert_eq!(found(&cache, "a"), None);
    }

    #[test]
    fn a_value_of_another_version_is_a_miss() {
        let fixture = Fixture::new();
        let entry = CacheEntry { layers: vec![fixture.result().diff_id], value: b"{\"version\":9}".to_vec() };
        fixture.store.cache().put(key("a"), &entry).unwrap();
        assert_eq!(found(&fixture.cache(), "a"), None);
    }

    #[test]
    fn a_pruned_result_is_a_miss_with_a_reason() {
        let fixture = Fixture::new();
        fixture.cache().remember(&[key("a")], fixture.result()).unwrap();
        // Results in use by a living process are kept, so a separate process prunes.
        let root = fixture.store.root().to_owned();
        let Fixture { store, _directory } = fixture;
        drop(store);
        let options = StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() };
        let store = Store::open(&root, options).unwrap();
        store.prune(&PruneOptions::default()).unwrap();
        let cache = StepCache::new(store, Arc::default());
        assert_eq!(found(&cache, "a"), None);
        assert!(cache.removed([key("b"), key("a")], &Probe::disabled()).unwrap().is_some());
        assert!(cache.removed([key("b"), key("c")], &Probe::disabled()).unwrap().is_none());
    }

    #[tokio::test]
    async fn the_second_step_with_a_key_gets_the_result_of_the_first() {
        let fixture = Fixture::new();
        let (cache, result) = (fixture.cache(), fixture.result());
        let Admission::Ours(mut guard) = acquire(&cache).await else { panic!("no result exists") };
        let second = acquire(&cache);
        let first = async {
            cache.remember(&[key("a")], result).unwrap();
            guard.complete(result);
            drop(guard);
        };
        let (second, ()) = tokio::join!(second, first);
        assert!(matches!(second, Admission::Finished(found) if found.diff_id == result.diff_id));
    }

    #[tokio::test]
    async fn the_second_step_runs_if_the_first_failed() {
        let fixture = Fixture::new();
        let cache = fixture.cache();
        let Admission::Ours(guard) = acquire(&cache).await else { panic!("no result exists") };
        let (second, ()) = tokio::join!(acquire(&cache), async { drop(guard) });
        assert!(matches!(second, Admission::Ours(_)));
    }

    #[tokio::test]
    async fn a_result_of_another_build_that_ran_meanwhile_is_used() {
        let fixture = Fixture::new();
        let (ours, theirs, result) = (fixture.cache(), fixture.cache(), fixture.result());
        let Admission::Ours(guard) = acquire(&theirs).await else { panic!("no result exists") };
        let second = acquire(&ours);
        let first = async {
            tokio::task::yield_now().await;
            theirs.remember(&[key("a")], result).unwrap();
            drop(guard);
        };
        let (second, ()) = tokio::join!(second, first);
        assert!(matches!(second, Admission::Finished(found) if found.diff_id == result.diff_id));
    }
}
