//! The reasons why targets were not delivered.

use super::super::BuildError;
use super::super::solver::Solver;
use super::TargetEnd;
use buildscope_record::{Outcome, StepId};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The errors of a round. Each belongs to the first target that needs the step that failed.
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

    /// The end of a target that was not delivered: its own step failed, or one that it shares with a target before it.
    pub(super) fn end(&mut self, solver: &Solver, part: usize) -> TargetEnd {
        let Some(failed) = failed(solver, part) else {
            return TargetEnd::Skipped("the build ended before it was built".into());
        };
        match self.errors.remove(&failed).or_else(|| self.first.take()) {
            Some(error) => TargetEnd::Failed(error),
            None => TargetEnd::Skipped(format!("it needs `{}`, which failed", solver.ctx.plan.step(failed).text)),
        }
    }
}

/// A step that the target needs and that failed.
fn failed(solver: &Solver, part: usize) -> Option<StepId> {
    let graph = &solver.ctx.plan.graph;
    let reports = solver.ctx.results.reports();
    let mut open: Vec<StepId> = solver.parts[part].targets.clone();
    let mut seen: BTreeSet<StepId> = BTreeSet::new();
    while let Some(step) = open.pop() {
        if reports[step.index()].outcome == Outcome::Failed {
            return Some(step);
        }
        if seen.insert(step) {
            open.extend(graph.neighbors_directed(NodeIndex::new(step.index()), Incoming).map(|node| graph[node].id));
        }
    }
    None
}
