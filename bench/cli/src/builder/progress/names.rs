//! The names of steps in the progress output: `[builder 2/4] RUN make`.

use buildscope_builder::plan::{Op, Plan, Step};
use buildscope_record::{StepId, redacted};

/// The number of bytes of an instruction that are shown. An instruction of a generated Dockerfile may have megabytes.
const LONGEST: usize = 4096;

/// The names of a plan's steps.
#[derive(Debug, Default)]
pub(super) struct PlanNames(Vec<String>);

impl PlanNames {
    /// Numbers steps as BuildKit does: within the stage, from its `FROM`, without instructions that only change the
    /// configuration. Credentials in addresses are left out.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut counts = vec![0_usize; plan.stages.len()];
        let counted = |step: &Step| !matches!(step.op, Op::Config);
        for step in plan.graph.node_weights().filter(|step| counted(step)) {
            counts[step.stage.index()] += 1;
        }
        let mut numbers = vec![0_usize; plan.stages.len()];
        let name = |step: &Step| {
            let stage = &plan.stages[step.stage.index()];
            let label = stage.name.clone().unwrap_or_else(|| format!("stage-{}", stage.id.0));
            let mut position = String::new();
            if counted(step) {
                numbers[step.stage.index()] += 1;
                position = format!(" {}/{}", numbers[step.stage.index()], counts[step.stage.index()]);
            }
            let end = step.text.floor_char_boundary(LONGEST);
            let more = if end < step.text.len() { "…" } else { "" };
            redacted(&format!("[{label}{position}] {}{more}", &step.text[..end])).into_owned()
        };
        Self(plan.graph.node_weights().map(name).collect())
    }

    /// The name of a step.
    pub(super) fn get(&self, step: StepId) -> &str {
        self.0.get(step.index()).map_or("[unknown step]", String::as_str)
    }
}
