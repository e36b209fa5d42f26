//! Deferred work: work of a step after its end, when another step requests it, such as the lazy pull of a base image.
//!
//! The work belongs to the step, and the first requester waited for it. The networks and the replay treat it as if the step had done it
//! before its end. In a chain that makes no difference, and it does not delay steps that do not lead to the requester.

use super::activity::Activities;
use super::interval::Interval;
use buildscope_record::{Nanos, StepId, WaitKind};
use std::collections::{HashMap, HashSet};

/// The deferred work of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deferred {
    /// The step that requested the work first.
    pub(crate) asker: StepId,
    /// The time of the work while the requester waited.
    pub(crate) length: Nanos,
    /// The rest of the requester's wait: before the work started and after it ended.
    pub(crate) delay: Nanos,
    /// The other steps that waited for it.
    pub(crate) others: Vec<Waiter>,
    /// The steps between the step and the requester, the requester included.
    leads: HashSet<StepId>,
}

/// A step that waited for deferred work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) step: StepId,
    /// The end of its wait.
    pub(crate) until: Nanos,
}

impl Deferred {
    /// Whether the work delays a step: the step is the requester, or leads to it.
    pub(crate) fn holds(&self, step: StepId) -> bool {
        self.leads.contains(&step)
    }
}

/// The deferred work of a record, by step.
pub(crate) fn deferred(activities: &Activities<'_>) -> HashMap<StepId, Deferred> {
    let mut asked: HashMap<StepId, Vec<(Interval, StepId)>> = HashMap::new();
    for step in activities.steps() {
        for wait in activities.waits(step).filter(|wait| wait.kind == WaitKind::Lock) {
            let on = wait.on.filter(|on| *on != step);
            let Some((on, ended)) = on.and_then(|on| Some((on, activities.interval(on)?.end))) else { continue };
            if ended <= wait.start && wait.start < wait.end {
                asked.entry(on).or_default().push((Interval { start: wait.start, end: wait.end }, step));
            }
        }
    }
    let of = |(step, mut waits): (StepId, Vec<(Interval, StepId)>)| {
        waits.sort_unstable_by_key(|(wait, asker)| (wait.start, *asker));
        let pieces = activities.pieces(step);
        let within = |wait: &Interval| -> Nanos {
            pieces.iter().map(|piece| piece.end.min(wait.end).saturating_sub(piece.start.max(wait.start))).sum()
        };
        let (first, asker) = *waits.iter().find(|(wait, _)| within(wait) > Nanos::ZERO)?;
        let length = within(&first);
        let others = waits
            .iter()
            .filter(|(_, other)| *other != asker)
            .map(|(wait, other)| Waiter { step: *other, until: wait.end });
        let found = Deferred {
            asker,
            length,
            delay: first.length().saturating_sub(length),
            others: others.collect(),
            leads: leads(activities, step, asker),
        };
        Some((step, found))
    };
    asked.into_iter().filter_map(of).collect()
}

/// The steps between two steps, the second included: what it needs that was not settled when the first ended.
fn leads(activities: &Activities<'_>, from: StepId, to: StepId) -> HashSet<StepId> {
    let began = activities.interval(from).map_or(Nanos::ZERO, |interval| interval.end);
    let later = |step: StepId| activities.settled(step).is_none_or(|end| end >= began);
    let mut found = HashSet::from([to]);
    let mut open = vec![to];
    while let Some(step) = open.pop() {
        for need in activities.graph.before(step) {
            if need.step != from && later(need.step) && found.insert(need.step) {
                open.push(need.step);
            }
        }
    }
    found
}
