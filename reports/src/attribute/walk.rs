//! The observed critical path: a walk from the end of the build back to its start that asks, at each instant, what delayed the
//! end.
//!
//! While a step worked, it was that step. Where it waited for another step's result, the walk continues in that step; where it
//! waited for a slot or a lock, in the step that released it. Compare Yang and Miller, "Critical Path Analysis for the
//! Execution of Parallel and Distributed Programs" (1988), and the wake-up chains of `perf`.

use super::activity::{Activities, Piece};
use super::holders::ActivityWait;
use crate::graph::Need;
use buildscope_record::{EdgeKind, Nanos, Phase, StepId, WaitKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// An interval of the wall time and what it went to. The segments of a build follow each other without gap from 0 to the wall
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// The start of the interval.
    pub start: Nanos,
    /// The end of the interval.
    pub end: Nanos,
    /// The step that was on the path; `None` for the build as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The phase; `None` if no span covers the interval (`unattributed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// The reason why a step on the path came after the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// It uses the result of the previous step.
    Data,
    /// The policy requires that order.
    Order,
    /// The previous step held the slot.
    Slot,
    /// The previous step held the lock.
    Lock,
}

/// An interval in which one step was on the critical path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// The step.
    pub step: StepId,
    /// The time at which the path entered the step.
    pub start: Nanos,
    /// The time at which the path left the step.
    pub end: Nanos,
    /// The reason why the step came after the previous leg; `None` for the first leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Link>,
}

/// The observed critical path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    /// The segments from 0 to the wall time without a gap.
    pub(crate) segments: Vec<Segment>,
    /// The legs in the order of time.
    pub(crate) legs: Vec<Leg>,
}

/// Walks the path.
pub(crate) fn observed(activities: &Activities<'_>) -> Path {
    let wall = activities.record.wall;
    let mut walk = Walk {
        activities,
        at: wall,
        path: Path::default(),
        here: Vec::new(),
        pieces: HashMap::new(),
        slots: slots(activities),
    };
    let mut next = activities.decisive().map(|(step, end)| {
        walk.spend(None, end);
        (step, None)
    });
    while walk.at > Nanos::ZERO {
        let Some((step, link)) = next else { break };
        walk.enter(step, link);
        next = walk.step(step);
        walk.leave();
    }
    walk.spend(None, Nanos::ZERO);
    let mut path = walk.path;
    path.segments.reverse();
    path.legs.reverse();
    let links: Vec<_> = path.legs.iter().map(|leg| leg.after).collect();
    for (index, leg) in path.legs.iter_mut().enumerate() {
        leg.after = index.checked_sub(1).and_then(|before| links[before]);
    }
    path
}

/// The steps that ran on each slot, in the order of their ends.
fn slots(activities: &Activities<'_>) -> HashMap<u32, Vec<(Nanos, StepId)>> {
    let mut slots: HashMap<u32, Vec<(Nanos, StepId)>> = HashMap::new();
    for (step, id) in activities.record.steps.iter().zip(activities.steps()) {
        if let (Some(slot), Some(interval)) = (step.slot, activities.interval(id)) {
            slots.entry(slot).or_default().push((interval.end, id));
        }
    }
    slots.values_mut().for_each(|ends| ends.sort_unstable());
    slots
}

struct Walk<'w, 'r> {
    activities: &'w Activities<'r>,
    /// The time from here to the wall time is attributed.
    at: Nanos,
    path: Path,
    /// The steps that the walk visited at the current instant. They are not entered again, so that the walk ends.
    here: Vec<StepId>,
    pieces: HashMap<StepId, Vec<Piece>>,
    slots: HashMap<u32, Vec<(Nanos, StepId)>>,
}

impl Walk<'_, '_> {
    /// Attributes the time of a step down to its latest wait, and returns the step that it waited for.
    fn step(&mut self, step: StepId) -> Option<(StepId, Option<Link>)> {
        loop {
            let at = self.at;
            let open = self.activities.waits(step).filter(|wait| wait.start < at);
            let Some(&wait) = open.max_by_key(|wait| (wait.end.min(at), wait.start)) else { return self.root(step) };
            self.spend(Some(step), wait.end.min(at));
            if let Some((holder, link)) = self.holder(step, &wait) {
                let from = self.activities.settled(holder).map_or(self.at, |end| end.min(self.at));
                self.wait(step, wait.kind, from);
                return Some((holder, Some(link)));
            }
            match wait.on.filter(|_| wait.kind == WaitKind::Lock) {
                // Deferred work: the other step did it after its own end, such as the lazy pull of a base image.
                Some(on) => {
                    let pieces = self.activities.pieces(on);
                    self.cover(&pieces, Some(on), wait.start, |walk, to| walk.push(Some(step), Some(Phase::Lock), to));
                }
                _ => self.wait(step, wait.kind, wait.start),
            }
            if self.at == Nanos::ZERO {
                return None;
            }
        }
    }

    /// The step that ended a wait; `None` if it is unknown or was done before the wait started.
    fn holder(&self, step: StepId, wait: &ActivityWait) -> Option<(StepId, Link)> {
        let known = wait.on;
        let (holder, link) = match wait.kind {
            WaitKind::Dependency => {
                let last = known.or_else(|| self.last_need(step, wait))?;
                (last, self.dependency(last, step))
            }
            WaitKind::Lock => (known?, Link::Lock),
            WaitKind::Slot => (known.or_else(|| self.freed(step, wait))?, Link::Slot),
            WaitKind::Process | WaitKind::Disk | WaitKind::Network => return None,
        };
        let busy = self.activities.settled(holder).is_some_and(|end| end > wait.start);
        (busy && holder != step && !self.here.contains(&holder)).then_some((holder, link))
    }

    fn dependency(&self, from: StepId, to: StepId) -> Link {
        match self.activities.graph.kind(from, to) {
            Some(EdgeKind::Order | EdgeKind::After) => Link::Order,
            Some(EdgeKind::Data) | None => Link::Data,
        }
    }

    /// The last dependency of the step that settled within a wait, for a wait that does not name a step.
    fn last_need(&self, step: StepId, wait: &ActivityWait) -> Option<StepId> {
        let needs = self.activities.graph.before(step).iter().map(|need| need.step);
        let settled = needs.filter_map(|need| Some((self.activities.settled(need)?, need)));
        let within = settled.filter(|&(end, _)| end > wait.start && end <= wait.end);
        within.max().map(|(_, need)| need)
    }

    /// The step that ran on the same slot before.
    fn freed(&self, step: StepId, wait: &ActivityWait) -> Option<StepId> {
        let ends = self.slots.get(&self.activities.record.steps[step.index()].slot?)?;
        let (end, freed) = *ends[..ends.partition_point(|&(end, _)| end <= wait.end)].last()?;
        (end > wait.start).then_some(freed)
    }

    /// Attributes the time of a step without further waits, and returns its last dependency; `None` if the build's own work comes
    /// before it.
    fn root(&mut self, step: StepId) -> Option<(StepId, Option<Link>)> {
        let start = self.activities.interval(step).map_or(self.at, |interval| interval.start).min(self.at);
        let before = self.activities.graph.before(step).iter();
        let settled = before.filter_map(|&Need { step: before, kind }| {
            let end = self.activities.settled(before)?.min(start);
            let back = end < self.at || !self.here.contains(&before);
            back.then_some((end, before, kind))
        });
        match settled.max_by_key(|&(end, before, _)| (end, before)) {
            Some((end, before, kind)) => {
                self.spend(Some(step), end);
                let link = if kind == EdgeKind::Data { Link::Data } else { Link::Order };
                Some((before, Some(link)))
            }
            None => {
                self.spend(Some(step), start);
                None
            }
        }
    }

    fn enter(&mut self, step: StepId, link: Option<Link>) {
        self.here.push(step);
        // The link explains the leg that was entered before this one; `observed` moves it there.
        self.path.legs.push(Leg { step, start: self.at, end: self.at, after: link });
    }

    fn leave(&mut self) {
        if let Some(leg) = self.path.legs.last_mut() {
            leg.start = self.at;
        }
    }

    /// Attributes the time from `from` to now to waiting.
    fn wait(&mut self, step: StepId, kind: WaitKind, from: Nanos) {
        match kind {
            WaitKind::Slot => self.push(Some(step), Some(Phase::Queue), from),
            WaitKind::Lock => self.push(Some(step), Some(Phase::Lock), from),
            _ => self.spend(Some(step), from),
        }
    }

    /// Attributes the time from `from` to now by the spans of the owner. Outside the interval of a step, time that no span of it covers
    /// goes to the build as a whole if that has a span there.
    fn spend(&mut self, owner: Option<StepId>, from: Nanos) {
        let activities = self.activities;
        let Some(step) = owner else {
            return self.cover(activities.build(), None, from, |walk, to| walk.push(None, None, to));
        };
        let pieces = self.pieces.remove(&step).unwrap_or_else(|| activities.pieces(step));
        let active = activities.interval(step);
        self.cover(&pieces, owner, from, |walk, to| {
            let Some(active) = active else { return walk.outside(step, to) };
            if walk.at > active.end {
                walk.outside(step, to.max(active.end));
            }
            if walk.at > active.start {
                walk.push(owner, None, to.max(active.start));
            }
            walk.outside(step, to);
        });
        self.pieces.insert(step, pieces);
    }

    fn outside(&mut self, step: StepId, from: Nanos) {
        let activities = self.activities;
        self.cover(activities.build(), None, from, |walk, to| walk.push(Some(step), None, to));
    }

    /// Attributes the time from `from` to now to the pieces, and calls `gap` for the time between them.
    fn cover(&mut self, pieces: &[Piece], owner: Option<StepId>, from: Nanos, mut gap: impl FnMut(&mut Self, Nanos)) {
        let mut next = pieces.partition_point(|piece| piece.start < self.at);
        while self.at > from {
            let Some(piece) = next.checked_sub(1).map(|last| pieces[last]).filter(|piece| piece.end > from) else {
                return gap(self, from);
            };
            if piece.end < self.at {
                gap(self, piece.end);
            }
            self.push(owner, Some(piece.phase), piece.start.max(from));
            next -= 1;
        }
    }

    fn push(&mut self, step: Option<StepId>, phase: Option<Phase>, from: Nanos) {
        if from >= self.at {
            return;
        }
        let end = std::mem::replace(&mut self.at, from);
        self.here.clear();
        match self.path.segments.last_mut() {
            Some(last) if last.step == step && last.phase == phase => last.start = from,
            _ => self.path.segments.push(Segment { start: from, end, step, phase }),
        }
    }
}
