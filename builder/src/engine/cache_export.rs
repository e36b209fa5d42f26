//! `--cache-to`: results for other machines.

use super::finished_build::FinishedBuild;
use super::{BuildError, Event};
use crate::images::{CacheExport, CacheMode, CacheRecord, CacheTo};
use crate::plan::Step;
use buildscope_record::Probe;

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
        let export = CacheExport {
            records: &records,
            imported: Some(build.imported),
            registries: build.images.registries(),
            prepared: build.prepared,
        };
        let task = |done| build.progress.event(Event::Task { name: "exporting the cache".into(), done });
        task(false);
        match export.write(build.store, target, probe) {
            Err(error) if target.ignores_errors() => {
                let warning = format!("the cache is not exported: {error}");
                build.progress.event(Event::Warning(warning));
            }
            written => written?,
        }
        task(true);
    }
    Ok(())
}
