//! Combines the plans of several platforms into one plan.
//!
//! A step that is the same for all platforms, such as a compiler that runs on the build platform, appears once for each
//! platform with the same cache key. The first one runs, and the others reuse its result.

use super::graph::{Base, CopyFrom, MountKind, Op, Plan, Stage, Step};
use buildscope_oci::Platform;
use buildscope_record::{StageId, StepId};

impl Plan {
    /// Returns the steps whose results are images: one for each platform, in the order of the request.
    pub fn targets(&self) -> impl Iterator<Item = StepId> {
        std::iter::once(self.target).chain(self.others.iter().copied())
    }

    /// Adds the plans for other platforms. If there are any, the names of stages include the platform, as BuildKit
    /// shows them.
    #[must_use]
    pub(crate) fn with_platforms(mut self, platform: &Platform, others: Vec<(Platform, Self)>) -> Self {
        if others.is_empty() {
            return self;
        }
        label(&mut self.stages, platform);
        for (platform, mut plan) in others {
            label(&mut plan.stages, &platform);
            self.append(plan);
        }
        self
    }

    fn append(&mut self, plan: Self) {
        let by = Shift { steps: self.graph.node_count(), stages: self.stages.len() };
        self.stages.extend(plan.stages.into_iter().map(|stage| Stage {
            id: by.stage(stage.id),
            first: by.step(stage.first),
            last: by.step(stage.last),
            ..stage
        }));
        let (steps, edges) = plan.graph.into_nodes_edges();
        let mut nodes = Vec::with_capacity(steps.len());
        for node in steps {
            let step = node.weight;
            let op = by.op(step.op);
            nodes.push(self.graph.add_node(Step { id: by.step(step.id), stage: by.stage(step.stage), op, ..step }));
        }
        for edge in edges {
            self.graph.add_edge(nodes[edge.source().index()], nodes[edge.target().index()], edge.weight);
        }
        self.others.push(by.step(plan.target));
        let new = plan.warnings.into_iter().filter(|warning| !self.warnings.contains(warning));
        let new: Vec<_> = new.collect();
        self.warnings.extend(new);
    }
}

/// Adds the platform to the names of stages, as in `linux/arm64 NAME`. For a stage that runs on another platform than
/// the target, it is `linux/amd64->arm64 NAME`.
fn label(stages: &mut [Stage], target: &Platform) {
    for stage in stages {
        let name = stage.name.clone().unwrap_or_else(|| format!("stage-{}", stage.id.0));
        let own = &stage.platform;
        let to = if own == target {
            String::new()
        } else if own.os == target.os {
            let text = target.to_string();
            format!("->{}", text.split_once('/').map_or(&*text, |(_, rest)| rest))
        } else {
            format!("->{target}")
        };
        stage.name = Some(format!("{own}{to} {name}"));
    }
}

/// The offsets that are added to the ids of a plan when it is appended to another plan.
struct Shift {
    steps: usize,
    stages: usize,
}

impl Shift {
    fn step(&self, id: StepId) -> StepId {
        StepId::from_index(id.index() + self.steps)
    }

    fn stage(&self, id: StageId) -> StageId {
        StageId::from_index(id.index() + self.stages)
    }

    fn from(&self, from: &mut CopyFrom) {
        if let CopyFrom::Stage(id) = from {
            *id = self.step(*id);
        }
    }

    fn op(&self, mut op: Op) -> Op {
        match &mut op {
            Op::From(Base::Stage(id)) => *id = self.step(*id),
            Op::Copy(copy) => self.from(&mut copy.from),
            Op::Run(run) => {
                for mount in &mut run.mounts {
                    match &mut mount.kind {
                        MountKind::Bind { from, .. } | MountKind::Cache { from: Some((from, _)), .. } => {
                            self.from(from);
                        }
                        _ => {}
                    }
                }
            }
            Op::From(_) | Op::Config | Op::Workdir { .. } | Op::Pruned => {}
        }
        op
    }
}
