//! Admission of RUN steps by memory: a step starts while what the running ones are expected to need fits into what there is.
//!
//! *Takes* a step that is about to run. *Gives* the right to run it. *Must never know* how a step is run.

mod peaks;
mod pressure;

use crate::plan::{Plan, Step};
use buildscope_record::{Admission, ByteSize, StepKey};
use buildscope_schedule::{Admitted, Budget};
use buildscope_storage::{Store, available_memory};
use peaks::Peaks;
use pressure::Pressure;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The part of the available memory that steps may be expected to need, in percent. The rest is for the builder and for errors of the
/// expectation.
const SHARE: u64 = 90;

/// The expected peak of an unknown step in bytes, or an eighth of the memory if that is less.
const UNKNOWN: u64 = 256 << 20;

/// The memory that RUN steps of one build share. Nothing is read before the first of them runs.
pub(super) struct MemoryAdmission {
    budget: OnceLock<(u64, Arc<Budget>)>,
    peaks: Peaks,
}

/// The names by which later builds find a step.
#[derive(Clone, Debug)]
pub(super) struct StepNames {
    key: StepKey,
    /// The stage and the text: what is left when the inputs have changed.
    text: String,
}

impl StepNames {
    pub(super) fn of(plan: &Plan, step: &Step, key: StepKey) -> Self {
        let stage = &plan.stages[step.stage.index()];
        Self { key, text: format!("{} {}", stage.name.as_deref().unwrap_or_default(), step.text) }
    }
}

impl MemoryAdmission {
    /// The admission of a build on `store`; `None` if only slots count.
    pub(super) fn new(admission: Admission, store: &Store) -> Option<Self> {
        let on = |root: &Path| Self { budget: OnceLock::new(), peaks: Peaks::of(root) };
        (admission == Admission::Memory).then(|| on(store.root()))
    }

    /// Lets a step start at once if it may.
    pub(super) fn try_admit(&self, names: &StepNames) -> Option<Admitted> {
        let (unknown, budget) = self.budget();
        budget.try_admit(self.peaks.expected(names).unwrap_or(*unknown))
    }

    /// Waits until a step may start. `chain` is the number of steps on the longest chain that starts with it.
    pub(super) async fn admit(&self, names: &StepNames, chain: u32) -> Admitted {
        let (unknown, budget) = self.budget();
        budget.admit(self.peaks.expected(names).unwrap_or(*unknown), chain.into()).await
    }

    /// Notes how much memory a step needed.
    pub(super) fn observe(&self, names: &StepNames, peak: ByteSize) {
        self.peaks.observe(names, peak.0);
    }

    /// Keeps what was observed for later builds.
    pub(super) fn save(&self) {
        self.peaks.save();
    }

    fn budget(&self) -> &(u64, Arc<Budget>) {
        self.budget.get_or_init(|| {
            let capacity = available_memory() / 100 * SHARE;
            let pressure = Pressure::of_this_process();
            (UNKNOWN.min(capacity / 8), Budget::new(capacity, move || pressure.is_high()))
        })
    }
}
