//! The targets of a record of several: the images and files that the user asked for.

use crate::{Nanos, Record, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One of several targets that were built in one graph: a target of a bake file, or a service of a compose file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The name in the bake or compose file.
    pub name: String,
    /// The steps whose results the target is: one for each platform. What they need belongs to the target too.
    pub steps: Vec<StepId>,
    /// The outcome of the target.
    pub outcome: TargetOutcome,
    /// The start of its delivery; `None` for a target without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Nanos>,
    /// The time at which it was delivered, or its delivery failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Nanos>,
    /// The id of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The reason why the target was not built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The outcome of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetOutcome {
    /// It was built and delivered.
    Built,
    /// A step of it or its delivery failed.
    Failed,
    /// It needs a step of another target that failed, or the build ended before.
    Skipped,
}

impl TargetOutcome {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Failed => "failed",
            Self::Skipped => "not built",
        }
    }
}

impl Record {
    /// The steps that each target needs, directly or through other steps, in the order of [`Record::targets`]. Orders that only a
    /// policy requires do not count.
    pub fn steps_of_targets(&self) -> Vec<BTreeSet<StepId>> {
        let mut before = vec![Vec::new(); self.steps.len()];
        for edge in self.edges.iter().filter(|edge| edge.kind != crate::EdgeKind::Order) {
            before[edge.to.index()].push(edge.from);
        }
        let needed = |target: &Target| {
            let mut needed = BTreeSet::new();
            let mut open = target.steps.clone();
            while let Some(step) = open.pop() {
                if needed.insert(step) {
                    open.extend(&before[step.index()]);
                }
            }
            needed
        };
        self.targets.iter().map(needed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edge, EdgeKind, Fidelity, Instruction, Source, Step, Tool};

    #[test]
    fn a_target_needs_what_leads_to_its_step_by_data() {
        let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        let edge = |from, to, kind| Edge { from: StepId(from), to: StepId(to), kind };
        let target = |name: &str, step| Target {
            name: name.into(),
            steps: vec![StepId(step)],
            outcome: TargetOutcome::Built,
            start: None,
            end: None,
            image: None,
            error: None,
        };
        let record = Record {
            steps: (0..5).map(|id| Step::of(StepId(id), Instruction::Run, "RUN x")).collect(),
            edges: vec![
                edge(0, 1, EdgeKind::Data),
                edge(0, 2, EdgeKind::Data),
                edge(1, 3, EdgeKind::After),
                edge(2, 3, EdgeKind::Order),
                edge(2, 4, EdgeKind::Data),
            ],
            targets: vec![target("one", 3), target("two", 4)],
            ..Record::of(source)
        };
        let of = |ids: &[u32]| ids.iter().map(|&id| StepId(id)).collect::<BTreeSet<_>>();
        assert_eq!(record.steps_of_targets(), [of(&[0, 1, 3]), of(&[0, 2, 4])]);
    }
}
