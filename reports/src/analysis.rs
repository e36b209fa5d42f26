//! Everything that a record says by arithmetic alone, computed in one pass and never changed afterwards.
//!
//! *Takes* a record. *Gives* an [`Analysis`], from which the answer, the misses, the ranking and the advice each compute
//! their part of the explanation. *Must never know* those parts.

use crate::attribute::{Accounts, Activities, Leg, Parallelism, Segment, attribute, nanos};
use crate::steps::{StepExplanation, explain_steps};
use crate::whatif::{Baseline, Bounds, Model, bounds};
use buildscope_record::{Record, StepId};

/// A record, and where its time went.
pub(crate) struct Analysis<'r> {
    pub(crate) record: &'r Record,
    /// The record's steps as a graph, with their intervals.
    pub(crate) activities: Activities<'r>,
    pub(crate) accounts: Accounts,
    /// In the order of the record, by [`StepId`].
    pub(crate) steps: Vec<StepExplanation>,
    /// The observed critical path by step.
    pub(crate) path: Vec<Leg>,
    /// The observed critical path by phase, from 0 to the wall time without gap.
    pub(crate) segments: Vec<Segment>,
    /// The longest chain of steps that need each other's results.
    pub(crate) dependency_path: Vec<StepId>,
    pub(crate) bounds: Bounds,
    pub(crate) parallelism: Parallelism,
    /// The replay of the record as it was. Drags, the ranking and the gains of advice are differences to it.
    pub(crate) baseline: Baseline,
}

impl<'r> Analysis<'r> {
    /// Analyses a record.
    pub(crate) fn new(record: &'r Record) -> Self {
        let found = attribute(record);
        let baseline = Baseline::new(record, Model::new(&found.activities));
        let network = found.observed.drag.iter().map(|&drag| nanos(drag)).collect();
        let mut steps = explain_steps(record, &found, &baseline.drags(record, &network));
        baseline.limit_command_drags(record, &mut steps);
        let bounds = bounds(&found.activities, &baseline.model, &found.own);
        Self {
            record,
            activities: found.activities,
            accounts: found.accounts,
            steps,
            path: found.legs,
            segments: found.segments,
            dependency_path: found.dependency.path,
            bounds,
            baseline,
            parallelism: found.parallelism,
        }
    }

    pub(crate) fn step(&self, id: StepId) -> &StepExplanation {
        &self.steps[id.index()]
    }
}
