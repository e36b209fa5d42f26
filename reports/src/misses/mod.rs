//! Explains why steps were not in the cache: the input that changed since the nearest earlier record, and its cost.
//!
//! *Takes* an analysis and earlier records of the same build. *Gives* the root causes: a step that missed only because its parent
//! changed is counted with the step that really changed.

mod cause;
mod log;
mod sentence;

pub use cause::Cause;

use crate::analysis::Analysis;
use crate::counterpart::Counterparts;
use buildscope_record::{CacheState, EdgeKind, Instruction, Nanos, Outcome, Record, Step, StepId};
use cause::{cause, of_parent};
use schemars::JsonSchema;
use sentence::{Cost, sentence};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A step that ran because something changed, and the steps that ran because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Miss {
    /// The step that changed; of several that changed for one reason, the first.
    pub step: StepId,
    /// The change of the step.
    pub cause: Cause,
    /// The other steps that ran again for that reason, or only because these did.
    pub caused: Vec<StepId>,
    /// The summed length of the step and those that it caused to run.
    pub rerun: Nanos,
    /// The part of that time that was on the critical path.
    pub on_path: Nanos,
    /// The miss, as a sentence.
    pub sentence: String,
}

impl Miss {
    /// The sentence without the cost of the miss: "`COPY . .` changed: `src/a.rs`".
    pub(crate) fn reason(&self) -> &str {
        sentence::without_cost(&self.sentence, self.rerun)
    }
}

/// The root causes of a record's misses, the most expensive first. Without an earlier record, only those that the builder
/// itself recorded are known.
pub(crate) fn misses(analysis: &Analysis<'_>, earlier: &[Record]) -> Vec<Miss> {
    let known = |step: &Step| step.cache.as_ref().is_some_and(|cache| cache.removed.is_some() || cache.miss.is_some());
    if earlier.is_empty() && !analysis.record.steps.iter().any(known) {
        return Vec::new();
    }
    let mut found = root_causes(analysis, earlier);
    let recorded = |miss: &Miss| matches!(miss.cause, Cause::Expired | Cause::Pruned | Cause::Recorded(_));
    found.retain(|miss| !earlier.is_empty() || recorded(miss));
    found
}

fn root_causes(analysis: &Analysis<'_>, earlier: &[Record]) -> Vec<Miss> {
    let record = analysis.record;
    let roots = Roots::new(analysis, earlier);
    let mut grouped: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for (step, root) in record.steps.iter().zip(&roots.of_step).filter(|(step, _)| ran(step)) {
        if let Some(root) = root {
            grouped.entry(*root).or_default().push(step.id);
        }
    }
    // One change may have several steps run: they are one miss.
    let mut by_cause: BTreeMap<(&Cause, StepId), Vec<StepId>> = BTreeMap::new();
    for (step, cause) in roots.causes.iter().filter(|(step, _)| grouped.contains_key(step)) {
        let key = if cause.is_shared() { StepId(0) } else { *step };
        by_cause.entry((cause, key)).or_default().push(*step);
    }
    let miss = |((cause, _), changed): ((&Cause, StepId), Vec<StepId>)| {
        let step = changed[0];
        let all = || changed.iter().flat_map(|root| &grouped[root]).copied();
        let rerun = all().map(|id| analysis.step(id).own).sum();
        let on_path = all().map(|id| analysis.step(id)).map(|step| step.wall.min(step.own)).sum();
        let mut caused: Vec<StepId> = all().filter(|&id| id != step).collect();
        caused.sort_unstable();
        let after = caused.iter().filter(|id| !changed.contains(id)).count();
        let cost = Cost { changed: changed.len(), caused: after, rerun, on_path };
        let sentence = sentence(&record.steps[step.index()], cause, cost);
        Miss { step, cause: cause.clone(), caused, rerun, on_path, sentence }
    };
    let mut found: Vec<Miss> = by_cause.into_iter().map(miss).collect();
    found.sort_by_key(|miss| (std::cmp::Reverse((miss.on_path, miss.rerun)), miss.step));
    found
}

/// Whether a step that could have been cached ran.
fn ran(step: &Step) -> bool {
    matches!(step.outcome, Outcome::Executed | Outcome::Failed) && is_cacheable(step)
}

/// Whether the cache is asked for a step. Work of the builder for the build as a whole (loading a context, for example) always runs.
/// Calls of Dagger have no stage, but a key.
fn is_cacheable(step: &Step) -> bool {
    step.stage.is_some() || step.cache.is_some()
}

/// Whether the user asked for a step to run without the cache.
fn unasked(record: &Record, step: &Step) -> Option<Cause> {
    let options = &record.options;
    let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
    let named =
        stage.is_some_and(|stage| options.no_cache_stages.iter().any(|name| name.eq_ignore_ascii_case(&stage.name)));
    if named {
        Some(Cause::Unasked(options.no_cache_stages.clone()))
    } else {
        (options.cache == Some(CacheState::Cold)).then(|| Cause::Unasked(Vec::new()))
    }
}

/// The steps whose own change made them and others run.
struct Roots {
    /// For each step, the root with which its change is counted; `None` for a step that did not change and did not run.
    of_step: Vec<Option<StepId>>,
    /// The change of each root.
    causes: BTreeMap<StepId, Cause>,
}

impl Roots {
    fn new(analysis: &Analysis<'_>, earlier: &[Record]) -> Self {
        let (record, graph) = (analysis.record, &analysis.activities.graph);
        let earlier: Vec<_> = earlier.iter().map(|earlier| Counterparts::between(record, earlier)).collect();
        let mut roots = Self { of_step: vec![None; record.steps.len()], causes: BTreeMap::new() };
        for &id in graph.order() {
            let step = &record.steps[id.index()];
            if step.outcome == Outcome::Pruned || !is_cacheable(step) {
                continue;
            }
            let cause = match cause(record, step, &earlier) {
                // The texts of two logs may say what their steps do not.
                Cause::Unknown => log::of_text(step, &earlier).unwrap_or(Cause::Unknown),
                cause => cause,
            };
            let cause = match cause {
                // A step that did not run may still have changed, and the steps after it with it: a base image, or a result that
                // an older build had left in the store.
                Cause::Gone | Cause::Unknown | Cause::Times if !ran(step) => continue,
                // A log shows each FROM, whether the base was there or not.
                Cause::Unknown if step.instruction == Instruction::From => continue,
                Cause::Gone => unasked(record, step).unwrap_or(Cause::Gone),
                cause => cause,
            };
            // A step without a change, or with a change of times only, does not change the keys of the steps after it.
            let unchanged =
                |root: &StepId| matches!(roots.causes.get(root), Some(Cause::Times | Cause::Gone | Cause::Unasked(_)));
            let before = graph.before(id).iter().filter(|need| need.kind == EdgeKind::Data);
            let before = before.filter_map(|need| roots.of_step[need.step.index()]).filter(|root| !unchanged(root));
            // The most expensive of several roots would be a guess, so the first one in the file is used.
            let root = before.min().filter(|_| cause.follows()).unwrap_or(id);
            roots.of_step[id.index()] = Some(root);
            if root == id {
                let cause = match cause {
                    Cause::Parent => of_parent(record, step, &earlier),
                    Cause::Unknown => log::of_first(record, step, &earlier),
                    cause => cause,
                };
                roots.causes.insert(id, cause);
            }
        }
        // Without a single result of the cache, a RUN whose text is the same shows that the cache was not used.
        if roots.causes.values().any(|cause| *cause == Cause::Missing) && log::used_no_cache(record) {
            for cause in roots.causes.values_mut().filter(|cause| matches!(cause, Cause::Missing | Cause::Unnamed)) {
                *cause = Cause::Uncached;
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests;
