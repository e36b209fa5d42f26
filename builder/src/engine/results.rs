//! The results of the steps of one build so far, which all steps share. Each result is written once.

use super::outcome::{StepReport, StepResult, UsedImage};
use crate::plan::{ImageSource, Plan, Step};
use buildscope_record::{BaseImage, ByteSize, DiffId, ManifestDigest, Outcome, StepId};
use buildscope_storage::BlobStore;
use parking_lot::{Mutex, MutexGuard};
use std::fs;
use std::sync::OnceLock;

/// Results and reports of all steps, by [`StepId`].
pub(super) struct Results {
    steps: Vec<OnceLock<StepResult>>,
    reports: Mutex<Vec<StepReport>>,
    used_images: Mutex<Vec<UsedImage>>,
}

impl Results {
    /// Empty results.
    pub(super) fn new(plan: &Plan) -> Self {
        let report = |step: &Step| StepReport::new(if step.live { Outcome::Cancelled } else { Outcome::Pruned });
        Self {
            steps: plan.steps().map(|_| OnceLock::new()).collect(),
            reports: Mutex::new(plan.steps().map(report).collect()),
            used_images: Mutex::default(),
        }
    }

    /// The result of a step that the caller depends on.
    ///
    /// # Panics
    /// If the step has not finished. The edges of the graph rule that out.
    pub(super) fn of(&self, id: StepId) -> &StepResult {
        self.finished(id).expect("a step runs after all steps that it depends on")
    }

    /// The result of a step, if it has finished.
    pub(super) fn finished(&self, id: StepId) -> Option<&StepResult> {
        self.steps[id.index()].get()
    }

    /// Stores the result of a step.
    ///
    /// # Panics
    /// If the step has one already.
    pub(super) fn set(&self, id: StepId, result: StepResult) {
        self.steps[id.index()].set(result).expect("a step runs once");
    }

    /// The reports of all steps, by [`StepId`].
    pub(super) fn reports(&self) -> MutexGuard<'_, Vec<StepReport>> {
        // A report is replaced, or its fields are set one by one: a panic between leaves it readable.
        self.reports.lock()
    }

    /// The base images: the step of each FROM, the image, and its layers.
    pub(super) fn bases(&self) -> impl Iterator<Item = (StepId, &ManifestDigest, &[DiffId])> {
        self.steps.iter().filter_map(|step| {
            let StepResult { base: Some((from, manifest)), layers, .. } = step.get()? else { return None };
            let is_from = self.steps.get(from.index()).is_some_and(|of_from| std::ptr::eq(of_from, step));
            is_from.then_some((*from, manifest, &**layers))
        })
    }

    /// Reports the size of each base image: that of its layers in the store. A base that no step has read may have no layers there.
    pub(super) fn report_bases(&self, blobs: &BlobStore) {
        let mut reports = self.reports();
        for (from, _, layers) in self.bases() {
            let size = |layer: &DiffId| fs::metadata(blobs.path(layer)).ok().map(|data| data.len());
            let sizes: Vec<u64> = layers.iter().filter_map(size).collect();
            let bytes = ByteSize(sizes.iter().sum());
            reports[from.index()].base =
                (!sizes.is_empty()).then_some(BaseImage { bytes, layers: layers.len() as u32, read: None });
        }
    }

    /// The images that steps have taken files from so far.
    pub(super) fn used_images(&self) -> MutexGuard<'_, Vec<UsedImage>> {
        // An image is added whole: a panic leaves the list readable.
        self.used_images.lock()
    }

    /// Notes that the step `by` takes files from an image. Returns the id of the step that stands for pulling the image in
    /// the record. `cached` tells whether all of its layers are in the store; it is asked at the first use only.
    pub(super) fn use_image(&self, image: &ImageSource, by: Option<StepId>, cached: impl FnOnce() -> bool) -> StepId {
        let mut used = self.used_images();
        let known = used.iter().position(|known| known.reference == image.reference);
        let index = known.unwrap_or_else(|| {
            let id = StepId::from_index(self.steps.len() + used.len());
            used.push(UsedImage { id, reference: image.reference.clone(), by: Vec::new(), cached: cached() });
            used.len() - 1
        });
        let image = &mut used[index];
        image.by.extend(by.filter(|by| !image.by.contains(by)));
        image.id
    }
}
