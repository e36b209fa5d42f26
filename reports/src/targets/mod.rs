//! The targets of a build of several: each as a build of its own, and its part in the whole.
//!
//! *Takes* a record with targets. *Gives* the record of one target ([`record_of`]), and a row for each target
//! ([`TargetExplanation`]). *Must never know* bake files or how the targets were built.

mod narrow;

pub use narrow::{UnknownTarget, record_of};

use crate::analysis::Analysis;
use crate::attribute::{Leg, attribute};
use buildscope_record::{Nanos, Outcome, Record, StepId, Target, TargetOutcome};
use narrow::Narrowed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One target's part in a build of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetExplanation {
    /// The name.
    pub name: String,
    /// The outcome.
    pub outcome: TargetOutcome,
    /// The time of the delivery; `None` if the target was not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Nanos>,
    /// The number of steps that it needs.
    pub steps: usize,
    /// The number of these steps that another target needs too.
    pub shared: usize,
    /// The number of the steps with a layer that were in the cache.
    pub cached: usize,
    /// The number of the steps with a layer that ran.
    pub executed: usize,
    /// The time by which the whole build would have ended earlier if the steps that only this target needs took no time, by replay.
    pub drag: Nanos,
    /// The observed critical path to its end, by step.
    pub path: Vec<Leg>,
    /// The reason why the target was not built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The most that explaining all targets may take, in targets times entries of the record: some seconds.
const MOST_WORK: usize = 10_000_000;

/// Whether a record has so many targets that they are not explained. Each one takes a replay and a pass through the record.
pub(crate) fn has_too_many(record: &Record) -> bool {
    let entries = record.steps.len() + record.spans.len() + record.edges.len();
    record.targets.len().saturating_mul(entries) > MOST_WORK
}

/// Explains each target of a record.
pub(crate) fn targets(analysis: &Analysis<'_>) -> Vec<TargetExplanation> {
    let record = analysis.record;
    let needed = record.steps_of_targets();
    let mut users = vec![0_usize; record.steps.len()];
    needed.iter().flatten().for_each(|step| users[step.index()] += 1);
    let explain = |(target, needed): (&Target, &BTreeSet<StepId>)| {
        let count = |outcomes: &[Outcome]| {
            let steps = needed.iter().map(|step| &record.steps[step.index()]);
            steps.filter(|step| step.instruction.adds_layer() && outcomes.contains(&step.outcome)).count()
        };
        let own: Vec<StepId> = needed.iter().copied().filter(|step| users[step.index()] == 1).collect();
        TargetExplanation {
            name: target.name.clone(),
            outcome: target.outcome,
            end: target.end.filter(|_| target.outcome == TargetOutcome::Built),
            steps: needed.len(),
            shared: needed.len() - own.len(),
            cached: count(&[Outcome::Cached, Outcome::Joined]),
            executed: count(&[Outcome::Executed, Outcome::Failed]),
            drag: analysis.baseline.drag_together(record, &own),
            path: path(record, target, needed),
            error: target.error.clone(),
        }
    };
    record.targets.iter().zip(&needed).map(explain).collect()
}

/// The observed critical path to the end of a target, with the ids of the whole record.
fn path(record: &Record, target: &Target, needed: &BTreeSet<StepId>) -> Vec<Leg> {
    let Narrowed { record: of_target, ids } = Narrowed::new(record, target, needed);
    let legs = attribute(&of_target).legs.into_iter();
    legs.map(|leg| Leg { step: ids[leg.step.index()], ..leg }).collect()
}

#[cfg(test)]
mod tests;
