//! The context that every step of one build gets.

use super::Progress;
use super::admission::MemoryAdmission;
use super::results::Results;
use crate::plan::{Plan, Step};
use buildscope_record::Probe;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The plan, the results so far, and the ways to report and to be cancelled.
pub(super) struct StepContext {
    pub(super) plan: Arc<Plan>,
    pub(super) results: Results,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) probe: Probe,
    pub(super) cancel: CancellationToken,
    /// `None` if a slot is enough to start.
    pub(super) memory: Option<MemoryAdmission>,
    /// Reports name each file of a step that has at most this many.
    pub(super) named_files: usize,
}

impl StepContext {
    /// The result that a step continues from.
    ///
    /// # Panics
    /// If the step is a FROM, or its parent has not finished.
    pub(super) fn below(&self, step: &Step) -> &super::outcome::StepResult {
        self.results.of(self.plan.parent(step.id).expect("every instruction but FROM has a parent"))
    }
}
