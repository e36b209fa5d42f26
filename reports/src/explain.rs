//! The explanation of one build: what every view shows, assembled from its parts.

use crate::advise::{Advice, advise};
use crate::analysis::Analysis;
use crate::answer::answer;
use crate::attribute::{Accounts, Leg, Parallelism, Segment};
use crate::bases::{PulledBase, pulled_bases};
use crate::machines::{MachineSteps, machines};
use crate::misses::{Miss, misses};
use crate::others::Others;
use crate::steps::StepExplanation;
use crate::targets::{TargetExplanation, has_too_many, targets};
use crate::whatif::{Bounds, Ranking, rank};
use buildscope_commands::rules::{Facts, Nothing};
use buildscope_record::{Fidelity, Host, Nanos, Options, Outcome, Record, Source, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the explanation's JSON. The rule is that of the record: fields may be added, never change.
pub const VERSION: u32 = 1;

/// The explanation of a build's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The version of this format: [`VERSION`].
    pub explanation: u32,
    /// The answer in one sentence.
    pub answer: String,
    /// The program that observed the build, and what its record can know.
    pub source: Source,
    /// Sentences about results that could not be computed, or only guessed, because the record lacks the facts.
    pub missing: Vec<String>,
    /// The machine of the build.
    pub host: Host,
    /// The options of the build.
    pub options: Options,
    /// The wall time from the first to the last observed instant.
    pub wall: Nanos,
    /// Whether the build succeeded.
    pub succeeded: bool,
    /// Whether the record ends before the build did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// The last lines of the output of the step whose failure ended the build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_output: Vec<String>,
    /// Notes of the importer: parts of the log that it could not read as they were, and other builds in the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The accounts of the wall time and of the work.
    pub accounts: Accounts,
    /// Every step, in the order of the Dockerfile.
    pub steps: Vec<StepExplanation>,
    /// Every target, if several were built in one graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetExplanation>,
    /// The observed critical path by step: what delayed the end of the build, through data, order, slots and locks.
    pub path: Vec<Leg>,
    /// The observed critical path by phase: every instant of the build, without gap.
    pub segments: Vec<Segment>,
    /// The dependency critical path: what would delay the end with unlimited slots and without a policy.
    pub dependency_path: Vec<StepId>,
    /// The lower bounds of the build's time.
    pub bounds: Bounds,
    /// The base images that the build pulled, if it is known what steps read of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<PulledBase>,
    /// The machines that ran the steps; empty if all ran on the builder's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineSteps>,
    /// The use of the machine by other programs during the build; `None` if it is unknown or too small to matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Others>,
    /// The numbers of steps that were active, ready, held and blocked over time.
    pub parallelism: Parallelism,
    /// The changes that would help most, by replay.
    pub ranking: Ranking,
    /// Suggestions that make the build faster.
    pub advice: Vec<Advice>,
    /// The cache misses with their reasons; empty if no earlier record was given and the store removed nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<Miss>,
}

/// Explains a build.
pub fn explain(record: &Record) -> Explanation {
    explain_with(record, &[])
}

/// Explains a build that has earlier records, oldest first. Cache misses are explained by what changed since.
pub fn explain_with(record: &Record, earlier: &[Record]) -> Explanation {
    explain_in(record, earlier, &Nothing)
}

/// Explains a build whose context is there: advice has changes where the texts of the context's files (`Facts::text`) allow them.
pub fn explain_in(record: &Record, earlier: &[Record], context: &dyn Facts) -> Explanation {
    let analysis = Analysis::new(record);
    let ranked = rank(&analysis);
    let advice = advise(&analysis, &ranked, earlier, context);
    let misses = misses(&analysis, earlier);
    let answer = answer(&analysis, &ranked);
    let mut notes = record.notes.clone();
    let targets = if has_too_many(record) {
        let (targets, steps) = (record.targets.len(), record.steps.len());
        notes.push(format!(
            "{targets} targets with {steps} steps are too many to explain each; `--target NAME` explains one"
        ));
        Vec::new()
    } else {
        targets(&analysis)
    };
    let bases = pulled_bases(&analysis);
    Explanation {
        explanation: VERSION,
        answer,
        source: record.source.clone(),
        missing: missing(record.source.fidelity),
        host: record.host.clone(),
        options: record.options.clone(),
        wall: record.wall,
        succeeded: record.succeeded,
        unfinished: record.unfinished,
        failed_output: failed_output(record, analysis.activities.failure()),
        notes,
        accounts: analysis.accounts,
        ranking: ranked.into_ranking(&analysis.steps, &record.source.tool),
        steps: with_misses(analysis.steps, &misses),
        targets,
        path: analysis.path,
        segments: analysis.segments,
        dependency_path: analysis.dependency_path,
        bounds: analysis.bounds,
        bases,
        machines: machines(record),
        others: Others::of(record),
        parallelism: analysis.parallelism,
        advice,
        misses,
    }
}

/// The JSON Schema (draft 2020-12) of an explanation; `schema/explanation.v1.json` is its copy.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Explanation).to_value()
}

/// The steps with the sentence of each miss: it says more than the reason that the build recorded.
fn with_misses(mut steps: Vec<StepExplanation>, misses: &[Miss]) -> Vec<StepExplanation> {
    for miss in misses {
        steps[miss.step.index()].miss = Some(miss.sentence.clone());
    }
    steps
}

/// The number of lines of a failed step's output that an explanation has.
const OUTPUT_LINES: usize = 20;

/// The last lines of the output of the step whose failure ended the build. A record without times says only that a step failed.
fn failed_output(record: &Record, failure: Option<StepId>) -> Vec<String> {
    let failed = || record.steps.iter().find(|step| step.outcome == Outcome::Failed);
    let step = failure.map(|step| &record.steps[step.index()]).or_else(failed).filter(|_| !record.succeeded);
    let lines = step.map(|step| &step.log[..]).unwrap_or_default();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].to_vec()
}

fn missing(fidelity: Fidelity) -> Vec<String> {
    let Fidelity { starts, edges, phases, waits, resources } = fidelity;
    let lacks = [
        (starts, "start times: the start of a step is inferred from the end of what came before it"),
        (edges, "edges: dependencies are guessed from the order of the steps"),
        (phases, "phases: a step is one block, named after its instruction"),
        (waits, "waits: time for slots, locks and hashing is inferred from gaps, or missing"),
        (resources, "resources: what-if cannot model how steps share the processors"),
    ];
    lacks.into_iter().filter(|(known, _)| !known).map(|(_, lack)| lack.to_owned()).collect()
}
