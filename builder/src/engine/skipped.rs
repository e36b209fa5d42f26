//! Steps that can be skipped because an imported cache already holds everything that depends on them.
//!
//! A cache of `mode=min`, or one inside an image, has only the steps of the image's own stages. If it has a step that
//! takes files from another stage, that stage need not be built: the key of the step is known without it.

use super::BuildError;
use super::outcome::StepResult;
use super::remote_cache;
use super::solver::{Solver, blocking};
use crate::plan::{CopyFrom, Dependency, Op, keys};
use buildscope_record::{Phase, StepId, StepKey};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;

/// What stands for the result of a skipped step.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    /// The definition key.
    pub(super) definition: StepKey,
    /// The key, and the imported layer if there is one: enough to export a cache. It has no files.
    pub(super) result: StepResult,
}

/// The steps that can be skipped.
pub(super) fn find(solver: &Solver) -> Result<BTreeMap<StepId, Skipped>, BuildError> {
    if solver.cache.imported.is_empty() || solver.cache.no_cache {
        return Ok(BTreeMap::new());
    }
    let span = solver.ctx.probe.phase(Phase::CacheLookup);
    span.detail("steps that an imported cache makes unnecessary");
    let known = blocking(|| known_results(solver))?;
    let plan = &solver.ctx.plan;
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
    Ok(skipped.filter_map(|step| Some((step.id, known[step.id.index()].clone()?))).collect())
}

/// The part of each step's result that is known before any step runs, by [`StepId`]. Files that are selected for it are
/// kept for the step's turn.
fn known_results(solver: &Solver) -> Result<Vec<Option<Skipped>>, BuildError> {
    let plan = &solver.ctx.plan;
    let mut known: Vec<Option<Skipped>> = vec![None; plan.graph.node_count()];
    for step in plan.steps().filter(|step| step.live) {
        let inputs = plan.graph.neighbors_directed(NodeIndex::new(step.id.index()), Incoming);
        if inputs.into_iter().any(|input| known[input.index()].is_none()) {
            continue;
        }
        let files = solver.runner.outside(&solver.ctx, step, &solver.ctx.probe)?;
        let key_of = |id: StepId| {
            let input = known[id.index()].as_ref();
            input.expect("every input has a key, as checked above").result.key
        };
        let key = keys::definition_key(step, plan.parent(step.id), &key_of, files.digest).digest;
        let imported = remote_cache::look_up(&solver.cache.imported, &key);
        solver.keep_files(step.id, files);
        let result = match (imported, &step.op) {
            (Some(layer), _) => layer.key,
            // Its second key depends on the content that it copies, which only its stage can tell.
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
