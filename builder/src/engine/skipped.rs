//! Steps that can be skipped because an imported cache already holds everything that depends on them.
//!
//! A cache of `mode=min`, or one inside an image, has only the steps of the image's own stages. If it has a step that
//! takes files from another stage, that stage need not be built: the key of the step is known without it.

use super::BuildError;
use super::blocking::blocking;
use super::cache_import;
use super::outcome::StepResult;
use super::part::Part;
use super::step_context::StepContext;
use super::step_keys::{self, StepFiles};
use super::step_runner::StepRunner;
use crate::plan::{Base, CopyFrom, Dependency, Op, Step, keys};
use buildscope_record::{Phase, StepId, StepKey};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The placeholder for the result of a skipped step.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    /// The definition key.
    pub(super) definition: StepKey,
    /// The key, and the imported layer if there is one: enough to export a cache. It has no files.
    pub(super) result: StepResult,
}

/// The steps that can be skipped, and the files that were selected to find them, which other steps need later.
#[derive(Default)]
pub(super) struct Skippable {
    pub(super) steps: BTreeMap<StepId, Skipped>,
    pub(super) files: BTreeMap<StepId, StepFiles>,
}

/// Finds the steps that can be skipped. `part_of` returns the part with which a step runs.
pub(super) fn find<'p>(
    ctx: &StepContext,
    parts: &'p [Part],
    part_of: &dyn Fn(StepId) -> &'p Part,
) -> Result<Skippable, BuildError> {
    let plan = &ctx.plan;
    // All steps of a chain are needed, so only a stage that others take files from can be skipped.
    let is_source = plan.graph.edge_weights().any(|edge| *edge == Dependency::Source);
    let unused = |part: &Part| part.cache.imported.is_empty() || part.cache.ignores_results();
    if parts.iter().all(unused) || !is_source {
        return Ok(Skippable::default());
    }
    let span = ctx.probe.phase(Phase::CacheLookup);
    span.detail("steps that an imported cache makes unnecessary");
    let mut files = BTreeMap::new();
    if blocking(|| is_all_stored(ctx, part_of, &mut files))? {
        return Ok(Skippable { files, ..Skippable::default() });
    }
    let known = blocking(|| known_results(ctx, part_of, &mut files))?;
    let mut needed = vec![false; plan.graph.node_count()];
    let mut open: Vec<NodeIndex> = plan.targets().map(|id| NodeIndex::new(id.index())).collect();
    while let Some(node) = open.pop() {
        if std::mem::replace(&mut needed[node.index()], true) {
            continue;
        }
        // The parent's layers are part of the image; what a step takes from elsewhere is in its own layer.
        let edges = plan.graph.edges_directed(node, Incoming);
        let wanted = edges.filter(|edge| *edge.weight() == Dependency::Parent || !is_imported(&known[node.index()]));
        open.extend(wanted.map(|edge| edge.source()));
    }
    let skipped = plan.steps().filter(|step| step.live && !needed[step.id.index()]);
    // A step that takes files from a skipped one was found, so the key of the skipped one is known.
    let steps = skipped.filter_map(|step| Some((step.id, known[step.id.index()].clone()?))).collect();
    Ok(Skippable { steps, files })
}

/// Whether the store has the results of all steps, so that no imported cache needs to be read. The files that were selected go to
/// `selected`.
fn is_all_stored<'p>(
    ctx: &StepContext,
    part_of: &dyn Fn(StepId) -> &'p Part,
    selected: &mut BTreeMap<StepId, StepFiles>,
) -> Result<bool, BuildError> {
    let plan = &ctx.plan;
    let mut results: Vec<StepResult> = vec![StepResult::empty(); plan.graph.node_count()];
    for step in plan.steps().filter(|step| step.live) {
        let Part { cache, runner, .. } = part_of(step.id);
        if cache.ignores_results() {
            return Ok(false);
        }
        let below = match &step.op {
            Op::From(Base::Stage(from)) => results[from.index()].clone(),
            Op::From(_) => StepResult::empty(),
            _ => plan.parent(step.id).map_or_else(StepResult::empty, |parent| results[parent.index()].clone()),
        };
        let files = select(ctx, runner, step, selected)?;
        let key = keys::definition_key(step, plan.parent(step.id), &|id| results[id.index()].key, files.digest).digest;
        let result = match &step.op {
            Op::Config | Op::Pruned | Op::From(Base::Stage(_) | Base::Scratch) => below.with(key, None),
            Op::From(Base::Image(image)) => runner.image_base(step, image, key),
            Op::From(Base::Context(_)) | Op::Workdir { .. } | Op::Copy(_) | Op::Run(_) => {
                let layers_of = |id: StepId| Arc::clone(&results[id.index()].layers);
                let layer_key = step_keys::layer_key(&layers_of, step, key, files);
                let Some(layer) = cache.stored(step.id, layer_key, &ctx.probe)? else { return Ok(false) };
                below.with(layer.key, Some(layer))
            }
        };
        results[step.id.index()] = result;
    }
    Ok(true)
}

/// The files that a step takes from outside of the graph. They are selected once.
fn select<'a>(
    ctx: &StepContext,
    runner: &StepRunner,
    step: &Step,
    selected: &'a mut BTreeMap<StepId, StepFiles>,
) -> Result<&'a StepFiles, BuildError> {
    Ok(match selected.entry(step.id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => new.insert(runner.outside(ctx, step, &ctx.probe)?),
    })
}

/// The part of each step's result that is known before any step runs, by [`StepId`]. The files that were selected go to
/// `selected`.
fn known_results<'p>(
    ctx: &StepContext,
    part_of: &dyn Fn(StepId) -> &'p Part,
    selected: &mut BTreeMap<StepId, StepFiles>,
) -> Result<Vec<Option<Skipped>>, BuildError> {
    let plan = &ctx.plan;
    let mut known: Vec<Option<Skipped>> = vec![None; plan.graph.node_count()];
    for step in plan.steps().filter(|step| step.live) {
        let Part { cache, runner, .. } = part_of(step.id);
        // Without results of the cache, the step runs, and so does what needs it.
        if cache.ignores_results() {
            continue;
        }
        let edges = plan.graph.edges_directed(NodeIndex::new(step.id.index()), Incoming);
        // The key does not contain the steps that it only runs after.
        let mut inputs = edges.filter(|edge| *edge.weight() != Dependency::After).map(|edge| edge.source());
        if inputs.any(|input| known[input.index()].is_none()) {
            continue;
        }
        let files = select(ctx, runner, step, selected)?;
        let key_of = |id: StepId| {
            let input = known[id.index()].as_ref();
            input.expect("every input has a key, as checked above").result.key
        };
        let key = keys::definition_key(step, plan.parent(step.id), &key_of, files.digest).digest;
        let imported = cache_import::look_up(&cache.imported, &key, &ctx.probe);
        let result = match (imported, &step.op) {
            (Some(layer), _) => layer.key,
            // Its second key depends on the content that it copies, which only its stage determines.
            (None, Op::Copy(copy)) if matches!(copy.from, CopyFrom::Stage(_)) => continue,
            (None, _) => key,
        };
        let result = StepResult { key: result, layer: imported, ..StepResult::empty() };
        known[step.id.index()] = Some(Skipped { definition: key, result });
    }
    Ok(known)
}

fn is_imported(step: &Option<Skipped>) -> bool {
    step.as_ref().is_some_and(|step| step.result.layer.is_some())
}
