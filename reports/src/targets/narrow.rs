//! The part of a record that belongs to one target.

use buildscope_record::{
    Counter, Edge, Nanos, Phase, Record, Span, SpanId, Stage, StageId, Step, StepId, Target, TargetOutcome, Wait,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The record of a build has no target of the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTarget {
    /// The record is of a single build.
    #[error("this build has no targets: it was not a bake of several")]
    None,
    /// The record has other targets.
    #[error("this build has no target `{name}`; its targets are {}", .known.join(", "))]
    Other {
        /// The requested name.
        name: String,
        /// The names of the targets.
        known: Vec<String>,
    },
}

/// The record of one target: the steps that it needs, and the time until it was delivered. The work of other targets is left out, but the
/// time that this one waited for their slots is kept.
///
/// # Errors
/// [`UnknownTarget`].
pub fn record_of(record: &Record, name: &str) -> Result<Record, UnknownTarget> {
    let known = || record.targets.iter().map(|target| target.name.clone()).collect::<Vec<_>>();
    let found = record.targets.iter().position(|target| target.name == name);
    let Some(index) = found else {
        return Err(match known() {
            known if known.is_empty() => UnknownTarget::None,
            known => UnknownTarget::Other { name: name.to_owned(), known },
        });
    };
    let needed = &record.steps_of_targets()[index];
    Ok(Narrowed::new(record, &record.targets[index], needed).record)
}

/// A part of a record as a record.
pub(super) struct Narrowed {
    pub(super) record: Record,
    /// The id that each step has in the whole record.
    pub(super) ids: Vec<StepId>,
}

impl Narrowed {
    /// The part of a target that needs these steps.
    pub(super) fn new(whole: &Record, target: &Target, needed: &BTreeSet<StepId>) -> Self {
        let ids: Vec<StepId> = needed.iter().copied().collect();
        let new_ids: HashMap<StepId, StepId> = ids.iter().zip(0..).map(|(&old, new)| (old, StepId(new))).collect();
        let stages: BTreeSet<StageId> = ids.iter().filter_map(|id| whole.steps[id.index()].stage).collect();
        let new_stages: HashMap<StageId, StageId> =
            stages.iter().zip(0..).map(|(&old, new)| (old, StageId(new))).collect();
        let step = |&old: &StepId| {
            let step = &whole.steps[old.index()];
            let stage = step.stage.and_then(|stage| new_stages.get(&stage).copied());
            Step { id: new_ids[&old], stage, ..step.clone() }
        };
        let stage = |old: &StageId| Stage { id: new_stages[old], ..whole.stages[old.index()].clone() };
        let edge =
            |edge: &Edge| Some(Edge { from: *new_ids.get(&edge.from)?, to: *new_ids.get(&edge.to)?, kind: edge.kind });
        let wait = |wait: &Wait| {
            let on = wait.on.and_then(|on| new_ids.get(&on).copied());
            Some(Wait { step: *new_ids.get(&wait.step)?, on, ..wait.clone() })
        };
        let counter = |counter: &Counter| match counter.step {
            Some(step) => Some(Counter { step: Some(*new_ids.get(&step)?), ..counter.clone() }),
            None => Some(counter.clone()),
        };
        let steps: Vec<Step> = ids.iter().map(step).collect();
        let last = steps.iter().filter_map(|step| step.end).max();
        let wall = target.end.or(last).unwrap_or(whole.wall).min(whole.wall);
        let mut options = whole.options.clone();
        options.target = Some(target.name.clone());
        let record = Record {
            options,
            wall,
            // The processor time of the whole build is not that of the target.
            cpu: None,
            succeeded: target.outcome == TargetOutcome::Built,
            stages: stages.iter().map(stage).collect(),
            steps,
            edges: whole.edges.iter().filter_map(edge).collect(),
            targets: vec![Target {
                steps: target.steps.iter().filter_map(|step| new_ids.get(step).copied()).collect(),
                ..target.clone()
            }],
            spans: spans(whole, target, wall, &new_ids),
            waits: whole.waits.iter().filter_map(wait).collect(),
            counters: whole.counters.iter().filter_map(counter).collect(),
            source: whole.source.clone(),
            host: whole.host.clone(),
            started: whole.started.clone(),
            notes: whole.notes.clone(),
            context: whole.context.clone(),
            ..*whole
        };
        Self { record, ids }
    }
}

/// The spans of the steps, and those of the build as a whole except for the deliveries of other targets.
fn spans(whole: &Record, target: &Target, wall: Nanos, ids: &HashMap<StepId, StepId>) -> Vec<Span> {
    let others: HashSet<SpanId> =
        deliveries(whole).filter(|(name, _)| *name != target.name).map(|(_, id)| id).collect();
    let parents: HashMap<SpanId, SpanId> =
        whole.spans.iter().filter_map(|span| Some((span.id, span.parent?))).collect();
    let of_other = |mut id: SpanId| loop {
        if others.contains(&id) {
            return true;
        }
        match parents.get(&id) {
            Some(&parent) => id = parent,
            None => return false,
        }
    };
    let kept = |span: &&Span| match span.step {
        Some(step) => ids.contains_key(&step),
        None => span.start < wall && !of_other(span.id),
    };
    let spans: Vec<Span> = whole.spans.iter().filter(kept).cloned().collect();
    let known: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let narrowed = |span: Span| Span {
        step: span.step.and_then(|step| ids.get(&step).copied()),
        parent: span.parent.filter(|parent| known.contains(parent)),
        ..span
    };
    spans.into_iter().map(narrowed).collect()
}

/// The span of the delivery of each target. It contains all work on the target's outputs.
pub(crate) fn deliveries(record: &Record) -> impl Iterator<Item = (&str, SpanId)> {
    record.spans.iter().filter(|span| span.step.is_none() && span.phase == Phase::Commit).filter_map(|span| {
        let name = span.name.as_deref()?;
        let target = record.targets.iter().find(|target| target.name == name)?;
        let inside =
            target.start.is_some_and(|start| start <= span.start) && target.end.is_some_and(|end| span.end <= end);
        inside.then_some((name, span.id))
    })
}
