//! The explanation of one build: what every view shows, computed once.

use crate::advise::{Advice, advise};
use crate::attribute::{
    Accounts, Attribution, Bounds, Leg, Parallelism, Row, Segment, UNATTRIBUTED, attribute, held, nanos,
};
use crate::misses::{Cause, Miss, misses};
use crate::whatif::{Ranking, rank};
use buildscope_record::{
    Fidelity, Host, Layer, Nanos, Options, Outcome, Phase, Record, Resources, Source, SourceRange, StepId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The version of the explanation's JSON. The rule is that of the record: fields may be added, never change.
pub const VERSION: u32 = 1;

/// Why a build took as long as it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The format's version: [`VERSION`].
    pub explanation: u32,
    /// The answer in one sentence.
    pub answer: String,
    /// Who observed the build.
    pub source: Source,
    /// What could not be computed, or only guessed, for want of facts in the record.
    pub missing: Vec<String>,
    /// Where it ran.
    pub host: Host,
    /// How it was asked to run.
    pub options: Options,
    /// How long it took.
    pub wall: Nanos,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Where the wall time went, and the work beside it.
    pub accounts: Accounts,
    /// Every step, in the order of the Dockerfile.
    pub steps: Vec<StepExplanation>,
    /// The observed critical path: what held the finish back, through data, order, slots and locks.
    pub path: Vec<Leg>,
    /// The same by phase: every instant of the build, without gap.
    pub segments: Vec<Segment>,
    /// The dependency critical path: what would hold it back with endless slots and no policy.
    pub dependency_path: Vec<StepId>,
    /// How short it could have been.
    pub bounds: Bounds,
    /// Steps active, ready, held and blocked over time.
    pub parallelism: Parallelism,
    /// The changes that would help most.
    pub ranking: Ranking,
    /// What could be done about it.
    pub advice: Vec<Advice>,
    /// Why steps were not found in the cache; empty where no earlier record was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<Miss>,
}

/// One step's part in the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepExplanation {
    /// Its identity in the record.
    pub id: StepId,
    /// Its stage's name; none for work of the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The keyword.
    pub instruction: String,
    /// The instruction as written, on one line.
    pub text: String,
    /// Where it stands in the Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRange>,
    /// What became of it.
    pub outcome: Outcome,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// From its begin to its result; zero for one that did not run.
    pub duration: Nanos,
    /// The same without the waits for slots and locks in it.
    pub own: Nanos,
    /// The layer it made or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// What its processes used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Its share of the build's wall time.
    pub wall: Nanos,
    /// Its work on all threads.
    pub work: Nanos,
    /// Both by phase, largest first.
    pub phases: Vec<Row>,
    /// How much sooner the build would have ended if it took no time (in the same order, on the same slots).
    pub drag: Nanos,
    /// How much longer it could have taken without delaying the build.
    pub slack: Nanos,
    /// The same drag with endless slots and no policy.
    pub dependency_drag: Nanos,
    /// The same slack with endless slots and no policy.
    pub dependency_slack: Nanos,
    /// Whether it is on the observed critical path.
    pub on_path: bool,
    /// How long it could have run, and only the policy's order kept it back.
    pub held: Nanos,
    /// Why nothing was found in the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<String>,
}

/// Explains a build.
pub fn explain(record: &Record) -> Explanation {
    explain_with(record, &[])
}

/// Explains a build that others came before: oldest first. What missed the cache is told by what changed since.
pub fn explain_with(record: &Record, earlier: &[Record]) -> Explanation {
    let found = attribute(record);
    let steps = steps(record, &found);
    let mut explanation = Explanation {
        explanation: VERSION,
        answer: String::new(),
        source: record.source.clone(),
        missing: missing(record.source.fidelity),
        host: record.host.clone(),
        options: record.options.clone(),
        wall: record.wall,
        succeeded: record.succeeded,
        accounts: found.accounts,
        steps,
        path: found.legs,
        segments: found.segments,
        dependency_path: found.dependency.path.iter().map(|&step| record.steps[step].id).collect(),
        bounds: found.bounds,
        parallelism: found.parallelism,
        ranking: Ranking::default(),
        advice: Vec::new(),
        misses: Vec::new(),
    };
    explanation.answer = crate::answer::answer(record, &explanation);
    explanation.ranking = rank(&found.activities, &explanation);
    explanation.advice = advise(record, &explanation, earlier);
    let removed = || record.steps.iter().any(|step| step.cache.as_ref().is_some_and(|cache| cache.removed.is_some()));
    if !earlier.is_empty() || removed() {
        explanation.misses = misses(record, &explanation, earlier);
        // Without an earlier record nothing else is known than what the store remembers.
        let known = |miss: &Miss| !earlier.is_empty() || matches!(miss.cause, Cause::Expired | Cause::Pruned);
        explanation.misses.retain(known);
    }
    for miss in &explanation.misses {
        explanation.steps[miss.step.index()].miss = Some(miss.sentence.clone());
    }
    explanation
}

/// The JSON Schema (draft 2020-12) of an explanation; `schema/explanation.v1.json` is its copy.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Explanation).to_value()
}

fn steps(record: &Record, found: &Attribution<'_>) -> Vec<StepExplanation> {
    let on_path: HashSet<StepId> = found.legs.iter().filter(|leg| leg.end > leg.start).map(|leg| leg.step).collect();
    let explain = |(index, step): (usize, &buildscope_record::Step)| {
        let id = StepId(u32::try_from(index).unwrap_or(u32::MAX));
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
            own: found.lengths[index],
            layer: step.layer,
            resources: step.resources,
            wall: phases.iter().map(|row| row.wall).sum(),
            work: phases.iter().map(|row| row.work).sum(),
            phases,
            drag: nanos(found.observed.drag[index]),
            slack: nanos(found.observed.slack[index]),
            dependency_drag: nanos(found.dependency.drag[index]),
            dependency_slack: nanos(found.dependency.slack[index]),
            on_path: on_path.contains(&id),
            held: held(&found.activities, id),
            miss: step.cache.as_ref().and_then(|cache| cache.miss.clone()),
        }
    };
    record.steps.iter().enumerate().map(explain).collect()
}

fn phases(found: &Attribution<'_>, step: StepId) -> Vec<Row> {
    let Some(by_phase) = found.ledger.get(&Some(step)) else { return Vec::new() };
    let row = |(phase, entry): (&Option<Phase>, &crate::attribute::Entry)| Row {
        name: phase.map_or(UNATTRIBUTED, Phase::name).to_owned(),
        wall: entry.wall,
        work: entry.work,
    };
    let mut rows: Vec<Row> = by_phase.iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.wall, row.work)));
    rows
}

fn missing(fidelity: Fidelity) -> Vec<String> {
    let Fidelity { starts, edges, phases, waits, resources } = fidelity;
    let lacks = [
        (starts, "start times: a step's begin is inferred from the end of what came before it"),
        (edges, "edges: what needs what is guessed from the order of the steps"),
        (phases, "phases: a step is one block, named after its instruction"),
        (waits, "waits: time for slots, locks and hashing is inferred from gaps, where it is at all"),
        (resources, "resources: what-if cannot tell how steps share the processors"),
    ];
    lacks.into_iter().filter(|(known, _)| !known).map(|(_, lack)| lack.to_owned()).collect()
}
