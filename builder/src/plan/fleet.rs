//! Several targets in one graph: equal steps of different targets are one node.

use super::config::ConfigChange;
use super::graph::{CopyFrom, Dependency, MountKind, Op, Plan, Stage, Step};
use super::lowering::{Lowered, Lowering};
use super::scope::Scope;
use buildscope_dockerfile::lint::Finding;
use buildscope_oci::Platform;
use buildscope_record::{StageId, StepId};
use petgraph::graph::DiGraph;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The graph of several targets, which may use each other as contexts.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub(super) stages: Vec<Stage>,
    pub(super) graph: DiGraph<Step, Dependency>,
    pub(super) warnings: Vec<Finding>,
    /// The step of each target, in the order in which they were added.
    pub(super) targets: Vec<StepId>,
    /// The steps so far, by what they do.
    pub(super) known: HashMap<String, StepId>,
}

/// The end of a target: its last step, and what an instruction after it would see.
#[derive(Clone, Debug)]
pub struct End {
    /// The step whose result is the target.
    pub step: StepId,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
}

impl End {
    /// The same end with labels that the request adds to the image.
    pub fn labelled(mut self, labels: &BTreeMap<String, String>) -> Self {
        if !labels.is_empty() {
            let labels = labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            self.scope.config.push(ConfigChange::Labels(labels));
        }
        self
    }
}

/// Each step ends one target at most as far as contexts are concerned.
impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.step == other.step
    }
}

impl Eq for End {}

impl Fleet {
    /// The steps of the stages from `first` on that have one of these names, whose case does not matter.
    pub(crate) fn steps_of_stages(&self, first: usize, names: &[String]) -> Vec<StepId> {
        let named = |stage: &&Stage| {
            stage.name.as_ref().is_some_and(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
        };
        let stages: Vec<_> = self.stages[first..].iter().filter(named).map(|stage| stage.id).collect();
        self.graph.node_weights().filter(|step| stages.contains(&step.stage)).map(|step| step.id).collect()
    }

    /// The number of steps so far.
    pub fn steps(&self) -> usize {
        self.graph.node_count()
    }

    /// Puts a name before the names of the stages from `first` on, so that stages of different targets can be told apart.
    pub fn label_stages(&mut self, first: usize, target: &str) {
        for stage in &mut self.stages[first..] {
            let name = stage.name.clone().unwrap_or_else(|| format!("stage-{}", stage.id.index() - first));
            stage.name = Some(format!("{target} {name}"));
        }
    }

    /// The number of stages so far.
    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// The plan of all targets.
    ///
    /// # Panics
    /// If no target was added.
    pub fn plan(self) -> Plan {
        let mut targets = self.targets.into_iter();
        let target = targets.next().expect("a plan has a target");
        Plan { stages: self.stages, graph: self.graph, target, others: targets.collect(), warnings: self.warnings }
    }
}

impl Lowering<'_> {
    /// The identity of a step, as text. Steps of different targets with the same text are one step. `None` if the step is not shared.
    pub(super) fn identity(
        &self,
        lowered: &Lowered,
        scope: &Scope,
        parent: Option<StepId>,
        sources: &BTreeSet<StepId>,
        stage: StageId,
    ) -> Option<String> {
        let sharing = self.context.request.sharing.as_ref()?;
        if lowered.op == Op::Pruned {
            return None;
        }
        // A stage whose results are not looked up shares nothing with one of the same steps.
        let name = self.stages.list[stage.index() - self.stages_before].name.as_deref();
        let ignored =
            name.filter(|name| sharing.ignored_stages.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)));
        let contexts = reads_a_context(&lowered.op).then_some(&sharing.contexts);
        // The operation of an instruction that only changes the configuration does not say how.
        let identity = json!([
            lowered.op,
            parent,
            sources,
            contexts,
            sharing.options,
            ignored,
            lowered.history.to_string(),
            scope.config.image(),
        ]);
        Some(identity.to_string())
    }
}

/// Whether a step takes files from a context.
fn reads_a_context(op: &Op) -> bool {
    let outside = |from: &CopyFrom| matches!(from, CopyFrom::Context | CopyFrom::NamedContext(_));
    match op {
        Op::From(base) => matches!(base, super::Base::Context(_)),
        Op::Copy(copy) => outside(&copy.from),
        Op::Run(run) => run.mounts.iter().any(|mount| match &mount.kind {
            MountKind::Bind { from, .. } | MountKind::Cache { from: Some((from, _)), .. } => outside(from),
            _ => false,
        }),
        Op::Workdir { .. } | Op::Config | Op::Pruned => false,
    }
}
