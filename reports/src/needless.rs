//! Waits on the critical path that only the order of a policy caused.

use crate::analysis::Analysis;
use crate::attribute::{Leg, Link};
use crate::whatif::Scenario;
use crate::wording::quote;
use buildscope_record::{Nanos, Policy, StepId};

/// A step that the order of the policy kept from running although every result that it needs existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedlessWait {
    /// The step that waited. A `FROM` only starts its stage, so the longest step after it that waited with it is named instead.
    pub(crate) step: StepId,
    /// The time that it waited.
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
            let delayed = path[leg..until].iter().take_while(|leg| !needs(leg.step, on));
            let length = |leg: &Leg| leg.end.saturating_sub(leg.start);
            let work: Nanos = delayed.clone().map(length).sum();
            let Some(longest) = delayed.max_by_key(|leg| length(leg)) else { continue };
            let held = analysis.step(path[leg].step).held;
            found.push(Self { step: longest.step, held, on, lost: held.min(work) });
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
