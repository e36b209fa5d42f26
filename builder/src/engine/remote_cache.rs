//! `--cache-from` and `--cache-to`: the cache of one machine on another.

use super::finished_build::FinishedBuild;
use super::outcome::LayerResult;
use super::{BuildError, Event, Progress, Request};
use crate::images::{CacheExport, CacheFrom, CacheMode, CacheRecord, CacheTo, ImportedCache, Resolver};
use crate::plan::Step;
use buildscope_oci::Platform;
use buildscope_record::{Probe, StepKey};

/// Reads the caches of `--cache-from`. A cache that cannot be read is reported; the build goes on without it.
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

/// The targets of `--cache-to`.
pub(super) fn targets(request: &Request) -> Result<Vec<CacheTo>, BuildError> {
    let parsed = request.cache_to.iter().map(|text| CacheTo::parse(text)).collect::<Result<Vec<_>, _>>();
    parsed.map_err(|error| BuildError::Request(error.to_string()))
}

/// The result that an imported cache has for a key. A record whose parts contradict each other is ignored.
pub(super) fn look_up(cache: &ImportedCache, key: &StepKey) -> Option<LayerResult> {
    let record = cache.look_up(key)?;
    let layer: LayerResult = serde_json::from_value(record.value.clone()).ok()?;
    (layer.diff_id == record.diff_id).then_some(layer)
}

/// The results of these steps under their keys: a step with a second key has two records.
pub(super) fn records<'a>(build: &FinishedBuild<'_>, steps: impl IntoIterator<Item = &'a Step>) -> Vec<CacheRecord> {
    let mut records: Vec<CacheRecord> = Vec::new();
    for step in steps {
        let Some(layer) = build.results.of(step.id).layer else { continue };
        let skipped = || build.skipped.get(&step.id).map(|skipped| skipped.definition);
        let definition = build.reports[step.id.index()].cache.as_ref().map(|cache| cache.key).or_else(skipped);
        let value = serde_json::to_value(layer).expect("numbers and digests always serialise");
        for key in definition.into_iter().chain([layer.key]) {
            if !records.iter().any(|record| record.key == key) {
                records.push(CacheRecord { key, diff_id: layer.diff_id, value: value.clone() });
            }
        }
    }
    records
}

/// Writes the cache to all of `targets`. `chain` are the steps whose layers are in the images.
pub(super) fn export(
    build: &FinishedBuild<'_>,
    targets: &[CacheTo],
    chain: &[&Step],
    probe: &Probe,
) -> Result<(), BuildError> {
    for target in targets.iter().filter(|target| **target != CacheTo::Inline) {
        let steps: Vec<&Step> = match target.mode() {
            CacheMode::Min => chain.to_vec(),
            CacheMode::Max => build.plan.steps().filter(|step| step.live).collect(),
        };
        let records = records(build, steps);
        let export =
            CacheExport { records: &records, imported: Some(build.imported), registries: build.images.registries() };
        let task = |done| build.progress.event(Event::Task { name: "exporting the cache".into(), done });
        task(false);
        export.write(build.store, target, probe)?;
        task(true);
    }
    Ok(())
}
