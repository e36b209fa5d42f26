//! The keys of steps.
//!
//! A step is looked up by its definition key. A COPY from a stage that is not found by it is looked up once more by the
//! content of what it copies: a stage that ran again with the same result does not make the steps run again that copy
//! from it. The steps after it are then keyed by that second key. It is stored together with the first one, so an
//! unchanged build need not read the files again.
//!
//! Keys leave out file times, so that a touched file does not make all later steps run again. A COPY's layer has the
//! times, though, so its *layer key* includes them ([`layer_key`]): after a touch, only the COPY is done again, and the
//! image is the one that a build without any cache would give. The files of a stage are new whenever the stage runs; their
//! times count only where `SOURCE_DATE_EPOCH` promises one image, and in the form in which it rewrites them.

use super::outcome::StepResult;
use super::step_context::StepContext;
use crate::plan::keys::{Key, definition_key};
use crate::plan::{self, CopyFrom, Op, Step};
use crate::steps::copy::{FileCount, Selection};
use buildscope_record::{DiffId, Digest, LayerKey, Phase, Probe, StepId, StepKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The files that a step takes from outside of the graph.
#[derive(Default)]
pub(super) struct StepFiles {
    /// `None` for a COPY of a large directory, whose files are only listed if it runs.
    pub(super) selection: Option<Selection>,
    /// The number of files below each top-level entry, if there is no list of them.
    pub(super) by_top: Option<BTreeMap<String, FileCount>>,
    /// The files that a RUN mounts from contexts.
    pub(super) mounted: Vec<Selection>,
    pub(super) digest: Option<Digest>,
    /// The files' times where they count: they are part of the layer, but not of `digest`.
    pub(super) times: Option<Digest>,
}

impl StepFiles {
    /// The number and the size of a COPY's files by the top-level entry of the context that contains them.
    pub(super) fn by_top(&self) -> BTreeMap<String, FileCount> {
        match (&self.by_top, &self.selection) {
            (Some(by_top), _) => by_top.clone(),
            (None, Some(selection)) => selection.by_top(),
            (None, None) => BTreeMap::new(),
        }
    }
}

/// The definition key of a step. Its inputs name each file if there are few enough.
pub(super) fn definition(ctx: &StepContext, step: &Step, files: &StepFiles, probe: &Probe) -> Key {
    let _span = probe.phase(Phase::CacheKey);
    let mut key = definition_key(step, ctx.plan.parent(step.id), &|id| ctx.results.of(id).key, files.digest);
    let selected = || files.selection.iter().chain(&files.mounted);
    let contents = || selected().flat_map(Selection::files);
    if ctx.named_files > 0 && contents().nth(ctx.named_files).is_none() {
        key.inputs.extend(contents().map(|(path, digest)| (format!("file:{}", path.display()), digest.to_string())));
        let properties = selected().flat_map(Selection::properties);
        key.inputs.extend(properties.map(|(path, properties)| (format!("entry:{}", path.display()), properties)));
    }
    if let Some(times) = files.times {
        key.inputs.insert("times".into(), times.to_string());
    }
    key
}

/// The second key of a COPY from the stage that ends in `from`: `files` stand for the stage, whatever the stage's own key.
pub(super) fn content(ctx: &StepContext, step: &Step, from: StepId, below: &StepResult, files: &StepFiles) -> StepKey {
    let stage = StepKey::of("content");
    let key_of = |id| if id == from { stage } else { below.key };
    definition_key(step, ctx.plan.parent(step.id), &key_of, files.digest).digest
}

/// The key under which the layer of a step is stored in the cache index. `layers_of` gives the layers of a finished step.
pub(super) fn layer_key(
    layers_of: &dyn Fn(StepId) -> Arc<[DiffId]>,
    step: &Step,
    key: StepKey,
    files: &StepFiles,
) -> LayerKey {
    match (&step.op, files.times) {
        (_, Some(times)) => combined(key, times),
        // The files of the stage have not been selected yet, so its layers stand for them.
        (Op::Copy(plan::Copy { from: CopyFrom::Stage(from), .. }), None) if files.digest.is_none() => {
            let layers: Vec<u8> = layers_of(*from).iter().flat_map(|layer| *layer.as_bytes()).collect();
            combined(key, Digest::of(layers))
        }
        _ => key.into(),
    }
}

/// A layer key made of a step's key and what else its layer depends on.
fn combined(key: StepKey, rest: Digest) -> LayerKey {
    LayerKey::of([*key.as_bytes(), *rest.as_bytes()].concat())
}
