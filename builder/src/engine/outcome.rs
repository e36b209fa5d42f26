//! The outcome of a build and of each of its steps.

use super::remote_processes::RemoteProcesses;
use super::{BuildError, TargetEnd};
use crate::images::Exported;
use crate::plan::{Plan, Step};
use crate::steps::copy::FileCount;
use buildscope_oci::Platform;
use buildscope_record as record;
use buildscope_record::{BlobDigest, DiffId, ManifestDigest, StepId, StepKey};
use buildscope_sandbox::Exit;
use buildscope_storage::{Layer, Timestamp};
use petgraph::graph::NodeIndex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The outcome of a build. That of a failed build has the steps that ran.
#[derive(Debug)]
pub struct Outcome {
    /// The graph; `None` if the Dockerfile is invalid.
    pub plan: Option<Arc<Plan>>,
    /// The edges that the granularity added to the graph.
    pub order_edges: Vec<(NodeIndex, NodeIndex)>,
    /// A report for each step, by [`StepId`].
    pub reports: Vec<StepReport>,
    /// The images that steps took files from.
    pub used_images: Vec<UsedImage>,
    /// The targets of a build of several; empty for a build of one Dockerfile.
    pub targets: Vec<TargetReport>,
    /// The image, or the error.
    pub result: Result<Built, BuildError>,
}

impl Outcome {
    /// The outcome before anything has run.
    pub(super) fn nothing_yet() -> Self {
        Self {
            plan: None,
            order_edges: Vec::new(),
            reports: Vec::new(),
            used_images: Vec::new(),
            targets: Vec::new(),
            result: Err(BuildError::Cancelled),
        }
    }
}

/// An image that steps took files from, by `COPY --from` or a mount. No line of the Dockerfile stands for pulling it, so the
/// record has a step without a stage for it.
#[derive(Clone, Debug)]
pub struct UsedImage {
    /// The id of that step: the ids after the plan's.
    pub(super) id: StepId,
    /// The name in the Dockerfile.
    pub(super) reference: String,
    /// The steps that took files from it, the first one first.
    pub(super) by: Vec<StepId>,
    /// Whether all of its layers were in the store.
    pub(super) cached: bool,
}

/// The report of a target of several.
#[derive(Clone, Debug)]
pub struct TargetReport {
    name: String,
    /// The steps whose results the target is.
    steps: Vec<StepId>,
    outcome: record::TargetOutcome,
    /// The start and the end of the delivery.
    delivery: Option<(Instant, Instant)>,
    image: Option<BlobDigest>,
    error: Option<String>,
}

impl TargetReport {
    pub(super) fn new(name: String, steps: Vec<StepId>, end: &TargetEnd, delivery: Option<(Instant, Instant)>) -> Self {
        let (outcome, image, error) = match end {
            TargetEnd::Built(built, _) => (record::TargetOutcome::Built, built.id, None),
            TargetEnd::Failed(error) => (record::TargetOutcome::Failed, None, Some(error.to_string())),
            TargetEnd::Skipped(why) => (record::TargetOutcome::Skipped, None, Some(why.clone())),
        };
        Self { name, steps, outcome, delivery, image, error }
    }

    /// The target in a record whose time zero is `epoch`.
    pub(super) fn describe(&self, epoch: Instant) -> record::Target {
        let at = |instant: Instant| record::Nanos::from(instant.saturating_duration_since(epoch));
        record::Target {
            name: self.name.clone(),
            steps: self.steps.clone(),
            outcome: self.outcome,
            start: self.delivery.map(|(start, _)| at(start)),
            end: self.delivery.map(|(_, end)| at(end)),
            image: self.image.map(|image| image.to_string()),
            error: self.error.clone(),
        }
    }
}

/// A finished image.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The image's id, as docker has it: the digest of the configuration, or of the index if there are several images.
    pub id: Option<BlobDigest>,
    /// The digest of its manifest, if one was written or kept.
    pub manifest: Option<ManifestDigest>,
    /// The result of each output, in the order of the request.
    pub exported: Vec<Exported>,
    /// The provenance of each platform's image.
    pub provenance: Vec<(Platform, serde_json::Value)>,
}

/// The report of a step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The outcome of the step.
    pub outcome: record::Outcome,
    /// The cache key and, if the step ran, the reason for the miss.
    pub cache: Option<record::Cache>,
    /// The layer.
    pub layer: Option<Layer>,
    /// The base image of a FROM.
    pub base: Option<record::BaseImage>,
    /// The resources that its process used.
    pub resources: Option<record::Resources>,
    /// The process id of the step's init, by which the observer of processes identifies the step.
    pub init: Option<u32>,
    /// The network that its process had.
    pub network: Option<record::Network>,
    /// The machine that ran it, if the build had other machines.
    pub ran_on: Option<record::StepMachine>,
    /// The processes inside it, if it ran on another machine.
    pub processes: Option<RemoteProcesses>,
    /// The names of the exclusive locks that the step held.
    pub locks: Vec<String>,
    /// Number of files and bytes that the step takes from the context, by the names at its top level. Only if the
    /// request names files.
    pub context: BTreeMap<String, FileCount>,
    /// The last lines of output.
    pub log: Vec<String>,
    /// The exit code of its process.
    pub exit_code: Option<i32>,
    /// The error, if the step failed.
    pub error: Option<String>,
}

impl Outcome {
    /// Each step with its report.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepReport)> {
        let steps = self.plan.iter().flat_map(|plan| plan.graph.node_weights());
        steps.zip(&self.reports)
    }
}

impl StepReport {
    /// A report of a step that has not run.
    pub(super) fn new(outcome: record::Outcome) -> Self {
        Self {
            outcome,
            cache: None,
            layer: None,
            base: None,
            resources: None,
            init: None,
            network: None,
            ran_on: None,
            processes: None,
            locks: Vec::new(),
            context: BTreeMap::new(),
            log: Vec::new(),
            exit_code: None,
            error: None,
        }
    }

    /// Enters how the process ended.
    pub(super) fn ended(&mut self, exit: &Exit) {
        self.resources = Some(exit.resources);
        self.exit_code = Some(exit.status.code());
        self.init = exit.init;
    }
}

/// The result of a step, for the steps that depend on it.
#[derive(Clone, Debug)]
pub(super) struct StepResult {
    /// The key that the keys of dependent steps are made from.
    pub(super) key: StepKey,
    /// The layers of the file system after the step, lowest first.
    pub(super) layers: Arc<[DiffId]>,
    /// The base image, and the FROM that named it.
    pub(super) base: Option<(StepId, ManifestDigest)>,
    /// The layer that the step added.
    pub(super) layer: Option<LayerResult>,
    /// Whether the result came from the cache.
    pub(super) cached: bool,
}

impl StepResult {
    /// An empty file system.
    pub(super) fn empty() -> Self {
        Self { key: StepKey::of([]), layers: Arc::new([]), base: None, layer: None, cached: true }
    }

    /// The result of a step that ran: the same file system, with a layer on top if the step added one.
    pub(super) fn with(self, key: StepKey, layer: Option<LayerResult>) -> Self {
        let layers = match &layer {
            None => self.layers,
            Some(layer) => self.layers.iter().copied().chain([layer.diff_id]).collect(),
        };
        Self { key, layers, base: self.base, layer, cached: false }
    }
}

/// A layer with its creation time: the value of a step in the cache.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct LayerResult {
    /// The key that the keys of dependent steps are made from.
    pub(super) key: StepKey,
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    pub(super) files: u64,
    pub(super) seconds: i64,
    pub(super) nanos: u32,
}

impl LayerResult {
    pub(super) fn new(key: StepKey, layer: Layer, at: Timestamp) -> Self {
        let Layer { diff_id, size, files } = layer;
        Self { key, diff_id, size, files, seconds: at.seconds, nanos: at.nanos }
    }

    pub(super) fn layer(&self) -> Layer {
        Layer { diff_id: self.diff_id, size: self.size, files: self.files }
    }

    pub(super) fn created(&self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanos: self.nanos }
    }
}
