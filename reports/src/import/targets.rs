//! The targets of a log of several targets.
//!
//! *Takes* a draft whose steps name their targets. *Gives* the targets in the form of a record. *Must never know* the format of the log.

use super::draft::{Draft, DraftId, DraftStep};
use super::instant::Instant;
use super::names::is_export;
use crate::index::Indexed;
use buildscope_record::{Nanos, Outcome, StepId, Target, TargetOutcome};
use std::collections::HashSet;

/// A target under construction.
pub(super) struct DraftTarget {
    name: String,
    steps: Vec<DraftId>,
    outcome: TargetOutcome,
    start: Option<Instant>,
    end: Option<Instant>,
    error: Option<String>,
}

/// The targets in the order in which the log first names them.
pub(super) fn of(draft: &Draft) -> Vec<DraftTarget> {
    let mut known = HashSet::new();
    let names = draft.steps.iter().filter_map(|step| step.target.as_deref());
    let names: Vec<&str> = names.filter(|name| known.insert(*name)).collect();
    names.into_iter().map(|name| target(draft, name)).collect()
}

fn target(draft: &Draft, name: &str) -> DraftTarget {
    let own = || draft.steps.entries().filter(|(_, step)| step.target.as_deref() == Some(name));
    let needed: HashSet<DraftId> = own().flat_map(|(_, step)| step.needs.iter().copied()).collect();
    // The step that exports the image, or the last step of each stage.
    let last: Vec<(DraftId, &DraftStep)> = own().filter(|(id, _)| !needed.contains(id)).collect();
    let failed = own().find(|(_, step)| step.outcome == Some(Outcome::Failed)).map(|(_, step)| step);
    let is_done = |step: &DraftStep| !matches!(step.outcome, None | Some(Outcome::Cancelled | Outcome::Pruned));
    let outcome = match failed {
        Some(_) => TargetOutcome::Failed,
        None if last.iter().all(|(_, step)| is_done(step)) => TargetOutcome::Built,
        None => TargetOutcome::Skipped,
    };
    let exports = || last.iter().filter(|(_, step)| step.stage.is_none() && is_export(&step.text));
    DraftTarget {
        name: name.to_owned(),
        outcome,
        start: exports().filter_map(|(_, step)| step.start).min(),
        end: last.iter().filter_map(|(_, step)| step.end).max().filter(|_| outcome == TargetOutcome::Built),
        error: failed.and_then(|step| step.error.clone()),
        steps: last.into_iter().map(|(id, _)| id).collect(),
    }
}

impl DraftTarget {
    /// The target with the ids and the clock of the record.
    pub(super) fn finish(self, ids: &Indexed<DraftId, StepId>, at: impl Fn(Instant) -> Nanos) -> Target {
        let (start, end) = (self.start.map(&at), self.end.map(&at));
        Target {
            name: self.name,
            steps: self.steps.into_iter().map(|step| ids[step]).collect(),
            outcome: self.outcome,
            start: start.filter(|start| end.is_none_or(|end| *start <= end)),
            end,
            image: None,
            error: self.error,
        }
    }
}
