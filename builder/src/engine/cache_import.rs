//! `--cache-from`: results of other machines.

use super::outcome::LayerResult;
use super::{BuildError, Event, Progress, Request};
use crate::images::{CacheFrom, ImportedCache, Resolver};
use buildscope_oci::Platform;
use buildscope_record::{Probe, StepKey};
use std::sync::Arc;

/// The caches that `--cache-from` names.
pub(super) fn sources(request: &Request) -> Result<Vec<CacheFrom>, BuildError> {
    CacheFrom::parse_all(&request.cache_from).map_err(|error| BuildError::Request(error.to_string()))
}

/// The caches of `--cache-from`, which are read if a step is not in the store. A cache that cannot be read is reported; the build goes on
/// without it.
pub(super) fn import(
    request: &Request,
    images: &Resolver,
    platforms: &[Platform],
    progress: &Arc<dyn Progress>,
) -> Result<ImportedCache, BuildError> {
    let progress = Arc::clone(progress);
    let report = move |reason| progress.event(Event::Warning(format!("a cache is not imported: {reason}")));
    Ok(ImportedCache::new(sources(request)?, images.registries(), images.images(), platforms, report))
}

/// The result that an imported cache has for a key. A record whose parts contradict each other is ignored.
pub(super) fn look_up(cache: &ImportedCache, key: &StepKey, probe: &Probe) -> Option<LayerResult> {
    let record = cache.look_up(key, probe)?;
    let layer: LayerResult = serde_json::from_value(record.value).ok()?;
    (layer.diff_id == record.diff_id).then_some(layer)
}
