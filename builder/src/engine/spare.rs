//! Steps that nobody needs, because an imported cache has what would be made of theirs.
//!
//! A cache of `mode=min`, or one inside an image, has the steps of the image's own stages alone. Where it has a step that
//! takes files from another stage, that stage need not be built: its key is known without.

use super::outcome::Done;
use super::solve::{Solver, blocking};
use super::{BuildError, travel};
use crate::plan::{CopyFrom, Dependency, Op, keys};
use buildscope_record::{Phase, StepId, StepKey};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// What stands for the result of a step that is spared.
#[derive(Clone, Debug)]
pub(super) struct Spared {
    /// The key of what it is and goes on from.
    pub(super) definition: StepKey,
    /// Its key, and what an imported cache has of it, for a cache that is written from that; no files.
    pub(super) done: Done,
}

impl Solver {
    /// The steps that are spared.
    pub(super) fn find_spared(&self) -> Result<BTreeMap<StepId, Spared>, BuildError> {
        if self.imported.is_empty() || self.no_cache {
            return Ok(BTreeMap::new());
        }
        let span = self.probe.phase(Phase::CacheLookup);
        span.detail("what an imported cache makes needless");
        let foreseen = blocking(|| self.foresee())?;
        let graph = &self.plan.graph;
        let mut needed = vec![false; graph.node_count()];
        let mut open: Vec<NodeIndex> = self.plan.targets().map(|id| NodeIndex::new(id.index())).collect();
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut needed[node.index()], true) {
                continue;
            }
            // What a step goes on from is in the image; what it takes from elsewhere is in its layer.
            let edges = graph.edges_directed(node, Incoming);
            let wanted =
                edges.filter(|edge| *edge.weight() == Dependency::Parent || !is_found(&foreseen[node.index()]));
            open.extend(wanted.map(|edge| edge.source()));
        }
        let spared = self.plan.steps().filter(|step| step.live && !needed[step.id.index()]);
        // Whoever takes files from one was found, so its key is known.
        Ok(spared.filter_map(|step| Some((step.id, foreseen[step.id.index()].clone()?))).collect())
    }

    /// What of each step's result can be known before anything is made. What was looked at for that is kept for the step's turn.
    fn foresee(&self) -> Result<Vec<Option<Spared>>, BuildError> {
        let mut foreseen: Vec<Option<Spared>> = vec![None; self.plan.graph.node_count()];
        for step in self.plan.steps().filter(|step| step.live) {
            let inputs = self.plan.graph.neighbors_directed(NodeIndex::new(step.id.index()), Incoming);
            if inputs.into_iter().any(|input| foreseen[input.index()].is_none()) {
                continue;
            }
            let files = self.outside(step, &self.probe)?;
            let parent = self.plan.parent(step.id);
            // All inputs have one: that was asked above.
            let known = |id: StepId| foreseen[id.index()].as_ref().map(|step| step.done.key);
            let key_of = |id: StepId| known(id).unwrap_or_else(|| StepKey::of([]));
            let key = keys::definition_key(step, parent, &key_of, files.digest).digest;
            let made = travel::look_up(&self.imported, &key);
            self.foreseen.lock().unwrap_or_else(PoisonError::into_inner).insert(step.id, files);
            let result = match (made, &step.op) {
                (Some(made), _) => made.key,
                // Known by its content from then on, which only its stage can tell.
                (None, Op::Copy(copy)) if matches!(copy.from, CopyFrom::Stage(_)) => continue,
                (None, _) => key,
            };
            let done = Done { key: result, made, ..Done::nothing() };
            foreseen[step.id.index()] = Some(Spared { definition: key, done });
        }
        Ok(foreseen)
    }
}

fn is_found(step: &Option<Spared>) -> bool {
    step.as_ref().is_some_and(|step| step.done.made.is_some())
}
