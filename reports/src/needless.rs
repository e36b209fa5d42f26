//! Waits on the critical path that only the order of a policy caused.

use crate::analysis::Analysis;
use crate::attribute::Link;
use crate::wording::quote;
use buildscope_record::{Nanos, StepId};

/// A step that the order of the policy kept from running although every result that it needs existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedlessWait {
    /// The step that waited.
    pub(crate) step: StepId,
    /// How long it waited.
    pub(crate) held: Nanos,
    /// The step that it had to wait for.
    pub(crate) on: StepId,
    /// How much of the wait was lost to the build.
    pub(crate) lost: Nanos,
}

impl NeedlessWait {
    /// The needless wait that cost most. What came after it on the path, up to the next such wait, could have run
    /// meanwhile, and is lost.
    pub(crate) fn longest(analysis: &Analysis<'_>) -> Option<Self> {
        let path = &analysis.path;
        let ordered: Vec<usize> = (1..path.len()).filter(|&leg| path[leg].after == Some(Link::Order)).collect();
        let mut found: Vec<Self> = Vec::new();
        for (number, &leg) in ordered.iter().enumerate() {
            let until = ordered.get(number + 1).map_or(path[path.len() - 1].end, |&next| path[next].start);
            let (step, on) = (path[leg].step, path[leg - 1].step);
            let held = analysis.step(step).held;
            found.push(Self { step, held, on, lost: held.min(until.saturating_sub(path[leg].start)) });
        }
        found.sort_by_key(|wait| std::cmp::Reverse(wait.lost));
        found.into_iter().find(|wait| wait.lost.0 > 0 && !analysis.activities.graph.needs(wait.step, wait.on))
    }

    /// "`RUN make` of stage b waited 1.2 s for stage a, which it does not need".
    pub(crate) fn sentence(&self, analysis: &Analysis<'_>) -> String {
        let (step, on) = (analysis.step(self.step), analysis.step(self.on));
        let siblings = analysis.steps.iter().filter(|other| other.stage == step.stage && other.id >= step.id);
        // A FROM only starts its stage: the step that was delayed is the longest of the stage.
        let delayed = match step.instruction.as_str() {
            "FROM" => siblings.max_by_key(|other| other.own).unwrap_or(step),
            _ => step,
        };
        let of = step.stage.as_ref().map(|stage| format!(" of stage {stage}")).unwrap_or_default();
        let what = match &on.stage {
            Some(stage) if on.stage != step.stage => format!("stage {stage}"),
            _ => quote(&on.text),
        };
        format!("{}{of} waited {} for {what}, which it does not need", quote(&delayed.text), self.held)
    }
}
