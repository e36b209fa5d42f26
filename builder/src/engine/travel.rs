//! `--cache-from` and `--cache-to`: the cache of one machine on another.

use super::outcome::{Made, StepReport};
use super::solve::Solver;
use super::{BuildError, Event, Progress, Request};
use crate::images::{CacheExport, CacheFrom, CacheMode, CacheRecord, CacheTo, ImportedCache, Resolver};
use crate::plan::Step;
use buildscope_oci::Platform;
use buildscope_record::{Probe, StepKey};

/// Reads the caches of `--cache-from`. One that is not there is told of, and does not keep anyone from building.
pub(super) fn import(
    request: &Request,
    images: &Resolver,
    platforms: &[Platform],
    progress: &dyn Progress,
    probe: &Probe,
) -> Result<ImportedCache, BuildError> {
    let parsed = request.cache_from.iter().map(|text| CacheFrom::parse(text)).collect::<Result<Vec<_>, _>>();
    let from = parsed.map_err(|error| BuildError::Request(error.to_string()))?;
    let (cache, faults) = ImportedCache::read(&from, images.registries(), images.images(), platforms, probe);
    for fault in faults {
        progress.event(Event::Task { name: format!("importing a cache: {fault}"), done: true });
    }
    Ok(cache)
}

/// What `--cache-to` asks for.
pub(super) fn targets(request: &Request) -> Result<Vec<CacheTo>, BuildError> {
    let parsed = request.cache_to.iter().map(|text| CacheTo::parse(text)).collect::<Result<Vec<_>, _>>();
    parsed.map_err(|error| BuildError::Request(error.to_string()))
}

/// What is known of a key by an imported cache. One whose parts contradict each other knows nothing.
pub(super) fn look_up(cache: &ImportedCache, key: &StepKey) -> Option<Made> {
    let record = cache.look_up(key)?;
    let made: Made = serde_json::from_value(record.value.clone()).ok()?;
    (made.diff_id == record.diff_id).then_some(made)
}

/// What the keys of these steps stand for: both keys of a step that has two.
pub(super) fn records<'a>(
    solver: &Solver,
    steps: impl IntoIterator<Item = &'a Step>,
    reports: &[StepReport],
) -> Vec<CacheRecord> {
    let mut records: Vec<CacheRecord> = Vec::new();
    for step in steps {
        let Some(made) = solver.done(step.id).made else { continue };
        let spared = || solver.spared.get()?.get(&step.id).map(|spared| spared.definition);
        let definition = reports[step.id.index()].cache.as_ref().map(|cache| cache.key).or_else(spared);
        let value = serde_json::to_value(made).expect("numbers and digests");
        for key in definition.into_iter().chain([made.key]) {
            if !records.iter().any(|record| record.key == key) {
                records.push(CacheRecord { key, diff_id: made.diff_id, value: value.clone() });
            }
        }
    }
    records
}

/// Writes the cache to all of `targets`. `chain` are the steps whose layers are in the images.
pub(super) fn export(
    solver: &Solver,
    targets: &[CacheTo],
    chain: &[&Step],
    reports: &[StepReport],
    probe: &Probe,
) -> Result<(), BuildError> {
    for target in targets.iter().filter(|target| **target != CacheTo::Inline) {
        let steps: Vec<&Step> = match target.mode() {
            CacheMode::Min => chain.to_vec(),
            CacheMode::Max => solver.plan.steps().filter(|step| step.live).collect(),
        };
        let records = records(solver, steps, reports);
        let export =
            CacheExport { records: &records, imported: Some(&solver.imported), registries: solver.images.registries() };
        let task = |done| solver.progress.event(Event::Task { name: "exporting the cache".into(), done });
        task(false);
        export.write(&solver.engine.store, target, probe)?;
        task(true);
    }
    Ok(())
}
