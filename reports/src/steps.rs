//! The contribution of each step to the build.
//!
//! *Takes* a record and its attribution. *Gives* one [`StepExplanation`] for each step. *Must never know* the conclusions from them:
//! answers, misses, rankings and advice read them.

use crate::attribute::{Attributed, Attribution, Row, held, nanos};
use crate::index::Indexed;
use crate::inside::{Inside, inside};
use buildscope_record::{Instruction, Layer, Nanos, Outcome, Phase, Record, Resources, SourceRange, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One step's part in the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepExplanation {
    /// The step's identity in the record.
    pub id: StepId,
    /// The name of the step's stage; `None` for work of the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The keyword in upper case: `RUN`.
    pub instruction: Instruction,
    /// The instruction as written, on one line.
    pub text: String,
    /// The lines of the instruction in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRange>,
    /// The outcome of the step.
    pub outcome: Outcome,
    /// The start of the step, since the start of the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// The time from the step's start to its result; zero for a step that did not run.
    pub duration: Nanos,
    /// The duration without the waits for slots and locks in it.
    pub own: Nanos,
    /// The layer that the step made or found in the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// The resources that the step's processes used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The step's share of the build's wall time.
    pub wall: Nanos,
    /// The step's work, summed over all threads.
    pub work: Nanos,
    /// Wall time and work by phase, largest first.
    pub phases: Vec<Row<Attributed<Phase>>>,
    /// The time by which the build would have ended earlier if the step took no time, with the same order, slots, locks and processors: by
    /// replay, or if the replay cannot reproduce the build, from the observed network.
    pub drag: Nanos,
    /// The time by which the step could have taken longer without delaying the build.
    pub slack: Nanos,
    /// The drag with unlimited slots and without the order of a policy.
    pub dependency_drag: Nanos,
    /// The slack with unlimited slots and without the order of a policy.
    pub dependency_slack: Nanos,
    /// Whether the step is on the observed critical path.
    pub on_path: bool,
    /// The time in which the step could have run and was delayed only by the order of the policy.
    pub held: Nanos,
    /// The reason why the step's result was not in the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<String>,
    /// The time of the step's process by command, if its processes were observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
}

/// Explains every step, in the order of the record.
pub(crate) fn explain_steps(
    record: &Record,
    found: &Attribution<'_>,
    drags: &Indexed<StepId, Nanos>,
) -> Vec<StepExplanation> {
    let on_path: HashSet<StepId> = found.legs.iter().filter(|leg| leg.end > leg.start).map(|leg| leg.step).collect();
    let explain = |(step, id): (&buildscope_record::Step, StepId)| {
        let interval = found.activities.interval(id);
        let phases = phases(found, id);
        StepExplanation {
            id,
            stage: step.stage.and_then(|stage| record.stages.get(stage.index())).map(|stage| stage.name.clone()),
            instruction: step.instruction.clone(),
            text: step.text.clone(),
            source: step.source,
            outcome: step.outcome,
            start: interval.map(|interval| interval.start),
            duration: interval.map_or(Nanos::ZERO, |interval| interval.length()),
            own: found.own[id],
            layer: step.layer,
            resources: step.resources,
            wall: phases.iter().map(|row| row.wall).sum(),
            work: phases.iter().map(|row| row.work).sum(),
            phases,
            drag: drags[id],
            slack: nanos(found.observed.slack[id]),
            dependency_drag: nanos(found.dependency.drag[id]),
            dependency_slack: nanos(found.dependency.slack[id]),
            on_path: on_path.contains(&id),
            held: held(&found.activities, id),
            miss: step.cache.as_ref().and_then(|cache| cache.miss.clone()),
            inside: inside(step, drags[id]),
        }
    };
    record.steps.iter().zip(found.activities.steps()).map(explain).collect()
}

fn phases(found: &Attribution<'_>, step: StepId) -> Vec<Row<Attributed<Phase>>> {
    let by_phase = found.ledger.get(&Some(step)).into_iter().flatten();
    let mut rows: Vec<_> = by_phase
        .map(|(&phase, entry)| Row { name: Attributed::from(phase), wall: entry.wall, work: entry.work })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.wall, row.work)));
    rows
}
