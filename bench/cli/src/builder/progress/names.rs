//! The names of steps in the progress output: `[builder 2/4] RUN make`.

use buildscope_builder::plan::{Op, Plan};
use buildscope_record::StepId;

/// The names of a plan's steps.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// Numbers steps as BuildKit does: within the stage, from its `FROM`, without instructions that only change the
    /// configuration.
    pub(super) fn of(plan: &Plan) -> Self {
        let name = |step: &buildscope_builder::plan::Step| {
            let stage = &plan.stages[step.stage.index()];
            let label = stage.name.clone().unwrap_or_else(|| format!("stage-{}", stage.id.0));
            let counted: Vec<_> = plan
                .graph
                .node_weights()
                .filter(|other| other.stage == step.stage && !matches!(other.op, Op::Config))
                .collect();
            let place = counted.iter().position(|other| other.id == step.id);
            let place = place.map_or_else(String::new, |place| format!(" {}/{}", place + 1, counted.len()));
            format!("[{label}{place}] {}", step.text)
        };
        Self(plan.graph.node_weights().map(name).collect())
    }

    /// The name of a step.
    pub(super) fn get(&self, step: StepId) -> &str {
        self.0.get(step.index()).map_or("[unknown step]", String::as_str)
    }
}
