//! What became of a build and of each of its steps.

use super::BuildError;
use crate::images::Exported;
use crate::plan::{Plan, Step};
use buildscope_oci::Platform;
use buildscope_record as record;
use buildscope_record::{BlobDigest, DiffId, ManifestDigest, StepId, StepKey};
use buildscope_sandbox::Exit;
use buildscope_storage::{Layer, Timestamp};
use petgraph::graph::NodeIndex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of a build. There is one of a failed build too: as far as it came.
#[derive(Debug)]
pub struct Outcome {
    /// The graph, if the Dockerfile could be understood.
    pub plan: Option<Arc<Plan>>,
    /// What the policy added to the graph.
    pub order_edges: Vec<(NodeIndex, NodeIndex)>,
    /// What became of each step, by [`StepId`].
    pub reports: Vec<StepReport>,
    /// The images that steps took files from.
    pub used_images: Vec<UsedImage>,
    /// The image, or why there is none.
    pub result: Result<Built, BuildError>,
}

/// An image that steps took files from: `COPY --from`, a mount. Bringing it here is work of its own, and no line of the
/// Dockerfile does it; in the record it is a step without a stage.
#[derive(Clone, Debug)]
pub struct UsedImage {
    /// After those of the plan.
    pub(super) id: StepId,
    /// As the Dockerfile names it.
    pub(super) reference: String,
    /// Who took from it, first first.
    pub(super) by: Vec<StepId>,
    /// Whether all of it was here.
    pub(super) cached: bool,
}

/// A finished image.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The image's id, as docker has it: the digest of the configuration, or of the index where there are several images.
    pub id: Option<BlobDigest>,
    /// The digest of its manifest, where one was written or kept.
    pub manifest: Option<ManifestDigest>,
    /// What each output wrote, in the order of the request.
    pub exported: Vec<Exported>,
    /// What was attested of each platform's image.
    pub provenance: Vec<(Platform, serde_json::Value)>,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// In a word.
    pub outcome: record::Outcome,
    /// Its key and, if it ran, why it was not found.
    pub cache: Option<record::Cache>,
    /// Its layer.
    pub layer: Option<Layer>,
    /// What its process used.
    pub resources: Option<record::Resources>,
    /// The process id of its init, by which an observer of processes knows the step.
    pub init: Option<u32>,
    /// The names of the exclusive locks that it held.
    pub locks: Vec<String>,
    /// What it takes from the context: files and bytes by the names at the context's top; only if the build is `detailed`.
    pub context: BTreeMap<String, (u64, u64)>,
    /// The last lines that its process wrote.
    pub log: Vec<String>,
    /// How its process ended.
    pub exit_code: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Outcome {
    /// Each step with what became of it.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepReport)> {
        let steps = self.plan.iter().flat_map(|plan| plan.graph.node_weights());
        steps.zip(&self.reports)
    }
}

impl StepReport {
    /// Nothing has become of it yet.
    pub(super) fn new(outcome: record::Outcome) -> Self {
        Self {
            outcome,
            cache: None,
            layer: None,
            resources: None,
            init: None,
            locks: Vec::new(),
            context: BTreeMap::new(),
            log: Vec::new(),
            exit_code: None,
            error: None,
        }
    }

    /// Its process has ended.
    pub(super) fn ended(&mut self, exit: &Exit) {
        self.resources = Some(exit.resources);
        self.exit_code = Some(exit.status.code());
        self.init = exit.init;
    }
}

/// The result of a step, for those that go on from it.
#[derive(Clone, Debug)]
pub(super) struct StepResult {
    /// The key that what goes on from it is keyed by.
    pub(super) key: StepKey,
    /// The file system after it, lowest layer first.
    pub(super) layers: Arc<[DiffId]>,
    /// The image at the bottom of it, and the step that brought it in.
    pub(super) base: Option<(StepId, ManifestDigest)>,
    /// The layer it added, and when that was made.
    pub(super) layer: Option<LayerResult>,
    /// Whether it was there already.
    pub(super) cached: bool,
}

impl StepResult {
    /// The empty file system.
    pub(super) fn empty() -> Self {
        Self { key: StepKey::of([]), layers: Arc::new([]), base: None, layer: None, cached: true }
    }

    /// The same file system with this layer on it.
    pub(super) fn with(self, key: StepKey, layer: Option<LayerResult>, cached: bool) -> Self {
        let layers = match &layer {
            None => self.layers,
            Some(layer) => self.layers.iter().copied().chain([layer.diff_id]).collect(),
        };
        Self { key, layers, base: self.base, layer, cached }
    }
}

/// A layer and its time: what the cache remembers of a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct LayerResult {
    /// The key that what goes on from the step is keyed by.
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
