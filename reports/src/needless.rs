//! Waits on the critical path that only the order of a policy caused.

use crate::analysis::Analysis;
use crate::attribute::{Leg, Link};
use crate::whatif::Scenario;
use crate::wording::quote;
use buildscope_record::{EdgeKind, Nanos, Policy, StepId};
use std::collections::BTreeMap;

/// A step that the order of the policy kept from running although every result that it needs existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedlessWait {
    /// The step that waited. A `FROM` only starts its stage, so the longest step after it that waited with it is named instead.
    pub(crate) step: StepId,
    /// The time that this step waited: it could have started so much sooner, after all that it needs.
    pub(crate) held: Nanos,
    /// The step that it had to wait for.
    pub(crate) on: StepId,
    /// The part of the wait that delayed the build.
    pub(crate) lost: Nanos,
}

impl NeedlessWait {
    /// The needless wait that cost most. What came after it on the path, up to the next such wait, and does not need the step that was
    /// waited for either, could have run meanwhile. It is lost as far as the replay without the order gains it.
    pub(crate) fn longest(analysis: &Analysis<'_>) -> Option<Self> {
        let path = &analysis.path;
        let needs = |step: StepId, on: StepId| analysis.activities.graph.needs(step, on);
        let ordered: Vec<usize> = (1..path.len()).filter(|&leg| path[leg].after == Some(Link::Order)).collect();
        let mut found: Vec<Self> = Vec::new();
        for (number, &leg) in ordered.iter().enumerate() {
            let until = ordered.get(number + 1).copied().unwrap_or(path.len());
            let on = path[leg - 1].step;
            // Work of the build as a whole comes first for all stages: loading the Dockerfile, or the metadata of images.
            if analysis.step(on).stage.is_none() {
                continue;
            }
            let count = path[leg..until].iter().take_while(|leg| !needs(leg.step, on)).count();
            let delayed = &path[leg..leg + count];
            let length = |leg: &Leg| leg.end.saturating_sub(leg.start);
            let work: Nanos = delayed.iter().map(length).sum();
            let waits = waits(analysis, delayed);
            let waited = delayed.iter().zip(&waits).filter(|(_, held)| **held > Nanos::ZERO);
            let Some((longest, &held)) = waited.max_by_key(|(leg, _)| length(leg)) else { continue };
            // The end of the last of them decides when the build goes on.
            let last = waits.last().copied().unwrap_or_default();
            found.push(Self { step: longest.step, held, on, lost: last.min(work) });
        }
        let most = found.into_iter().max_by_key(|wait| wait.lost).filter(|wait| wait.lost > Nanos::ZERO)?;
        let without = Scenario { policy: Some(Policy::Instructions), jobs: Some(0), ..Scenario::default() };
        let gain = analysis.baseline.gain(analysis.record, &without);
        Some(Self { lost: most.lost.min(gain), ..most }).filter(|wait| wait.lost > Nanos::ZERO)
    }

    /// "`RUN make` of stage b waited 1.2 s for stage a, which it does not need".
    pub(crate) fn sentence(&self, analysis: &Analysis<'_>) -> String {
        let (step, on) = (analysis.step(self.step), analysis.step(self.on));
        let of = step.stage.as_ref().map(|stage| format!(" of stage {stage}")).unwrap_or_default();
        let of_stage = || analysis.steps.iter().filter(|other| other.stage == on.stage);
        let uses_stage = || of_stage().any(|other| analysis.activities.graph.needs(self.step, other.id));
        let what = match &on.stage {
            Some(stage) if on.stage != step.stage && !uses_stage() => format!("stage {stage}"),
            _ => quote(&on.text),
        };
        format!("{}{of} waited {} for {what}, which it does not need", quote(&step.text), self.held)
    }
}

/// How much sooner each of these legs could have started if the first had not been held. A later one may need the result of a step that is
/// not among them.
fn waits(analysis: &Analysis<'_>, delayed: &[Leg]) -> Vec<Nanos> {
    let activities = &analysis.activities;
    let mut possible_ends: BTreeMap<StepId, Nanos> = BTreeMap::new();
    let mut before = None;
    let mut found = Vec::with_capacity(delayed.len());
    for leg in delayed {
        let ready = activities.graph.before(leg.step).iter().filter(|need| need.kind != EdgeKind::Order);
        let ready =
            ready.filter_map(|need| possible_ends.get(&need.step).copied().or_else(|| activities.settled(need.step)));
        let first = leg.start.saturating_sub(analysis.step(leg.step).held);
        let start = ready.max().unwrap_or_default().max(before.unwrap_or(first)).min(leg.start);
        let end = start + leg.end.saturating_sub(leg.start);
        possible_ends.insert(leg.step, end);
        before = Some(end);
        found.push(leg.start.saturating_sub(start));
    }
    found
}
