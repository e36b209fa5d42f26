//! The reasons why targets were not delivered.

use super::super::BuildError;
use super::super::solver::Solver;
use super::TargetEnd;
use buildscope_record::{Outcome, StepId};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The errors of a round. Each belongs to one target: the one that is nearest to the step that failed, which is its own step and
/// not one of a target that it uses; of several as near, the first.
pub(super) struct Missing {
    errors: BTreeMap<StepId, BuildError>,
    /// The error that ended the round.
    first: Option<BuildError>,
}

impl Missing {
    /// Takes the errors of the steps of a round that ended with `first`.
    pub(super) fn new(solver: &Solver, first: Option<BuildError>) -> Self {
        Self { errors: std::mem::take(&mut *solver.failures.errors.lock()), first }
    }

    /// The ends of the targets that were not delivered.
    pub(super) fn ends(mut self, solver: &Solver, parts: impl Iterator<Item = usize>) -> BTreeMap<usize, TargetEnd> {
        let mut found: Vec<_> = parts.map(|part| (failed(solver, part), part)).collect();
        found.sort_by_key(|&(failed, part)| (failed.map(|(_, distance)| distance), part));
        found.into_iter().map(|(failed, part)| (part, self.end(solver, failed.map(|(step, _)| step)))).collect()
    }

    /// The end of a target: its own step failed, or one that another target has, too.
    fn end(&mut self, solver: &Solver, failed: Option<StepId>) -> TargetEnd {
        let Some(failed) = failed else {
            return TargetEnd::Skipped("the build ended before it was built".into());
        };
        match self.errors.remove(&failed).or_else(|| self.first.take()) {
            Some(error) => TargetEnd::Failed(error),
            None => TargetEnd::Skipped(format!("it needs `{}`, which failed", solver.ctx.plan.step(failed).text)),
        }
    }
}

/// The nearest step that the target needs and that failed, and how many steps are between it and the end of the target.
fn failed(solver: &Solver, part: usize) -> Option<(StepId, usize)> {
    let graph = &solver.ctx.plan.graph;
    let reports = solver.ctx.results.reports();
    let mut open: VecDeque<(StepId, usize)> = solver.parts[part].targets.iter().map(|&target| (target, 0)).collect();
    let mut seen: BTreeSet<StepId> = BTreeSet::new();
    while let Some((step, distance)) = open.pop_front() {
        if reports[step.index()].outcome == Outcome::Failed {
            return Some((step, distance));
        }
        if seen.insert(step) {
            let before = graph.neighbors_directed(NodeIndex::new(step.index()), Incoming);
            open.extend(before.map(|node| (graph[node].id, distance + 1)));
        }
    }
    None
}
