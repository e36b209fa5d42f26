//! Work that a step does in its own name after its end, when another one asks for it: the pull of a base image.
//!
//! It is the step's work, and whoever asked first waited for it. To the networks and to the replay it is as if the step had
//! done it at once: in a chain that comes to the same, and what does not lead to the asker is not held back by it.

use super::activity::{Activities, Interval};
use buildscope_record::{Nanos, StepId, WaitKind};
use std::collections::{HashMap, HashSet};

/// What a step did after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deferred {
    /// Who asked for it first.
    pub(crate) asker: StepId,
    /// How long it took, of what the asker waited for.
    pub(crate) length: Nanos,
    /// What else the asker's wait took: until it began, and from its end on.
    pub(crate) delay: Nanos,
    /// The others that waited for it, and until when.
    pub(crate) others: Vec<(StepId, Nanos)>,
    /// What leads from the step to the asker, the asker included.
    leads: HashSet<StepId>,
}

impl Deferred {
    /// Whether a step is held back by it: it comes before the asker or is it.
    pub(crate) fn holds(&self, step: StepId) -> bool {
        self.leads.contains(&step)
    }
}

/// All of a record, by the step that did it.
pub(crate) fn deferred(activities: &Activities<'_>) -> HashMap<StepId, Deferred> {
    let mut asked: HashMap<StepId, Vec<(Interval, StepId)>> = HashMap::new();
    for step in activities.steps() {
        for wait in activities.waits(step).filter(|wait| wait.kind == WaitKind::Lock) {
            let on = wait.on.filter(|on| *on != step && on.index() < activities.record.steps.len());
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
        let others = waits.iter().filter(|(_, other)| *other != asker).map(|(wait, other)| (*other, wait.end));
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

/// What lies between two steps, the second included: what it needs that began after the first.
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
