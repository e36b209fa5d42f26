//! The interval in which each step was active, and its activity at each instant.

use super::holders::{ActivityWait, waits};
use super::interval::Interval;
use crate::graph::Graph;
use crate::index::{Grouped, Indexed};
use buildscope_record::{Nanos, Outcome, Phase, Record, Span, StepId, Target, TargetOutcome};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// An interval in which one span was the innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The start of the interval.
    pub(crate) start: Nanos,
    /// The end of the interval.
    pub(crate) end: Nanos,
    /// The phase of the innermost span.
    pub(crate) phase: Phase,
}

/// A record with its spans and waits by step. Times are cut to the wall time.
pub(crate) struct Activities<'r> {
    /// The record.
    pub(crate) record: &'r Record,
    /// The graph of its steps.
    pub(crate) graph: Graph,
    intervals: Indexed<StepId, Option<Interval>>,
    /// The time at which the results of a step and of all its needs were available, for steps without times of their own.
    settled: Indexed<StepId, Option<Nanos>>,
    spans: Grouped<StepId, &'r Span>,
    build: Vec<Piece>,
    waits: Grouped<StepId, ActivityWait>,
}

impl<'r> Activities<'r> {
    /// Groups the spans and waits of a record by step.
    pub(crate) fn new(record: &'r Record) -> Self {
        let steps = record.steps.len();
        let graph = Graph::new(record);
        let spans = Grouped::new(steps, record.spans.iter().filter_map(|span| Some((span.step?, span))));
        let whole = record.spans.iter().filter(|span| span.step.is_none());
        let build = innermost(whole, record.wall);
        let steps = (0..steps).map(StepId::from_index);
        let intervals: Indexed<StepId, _> = steps.map(|step| interval(record, step, spans.of(step))).collect();
        let mut settled: Indexed<StepId, Option<Nanos>> = Indexed::filled(None, intervals.len());
        for &step in graph.order() {
            let before = || graph.before(step).iter().filter_map(|need| settled[need.step]).max();
            settled[step] = intervals[step].map(|interval| interval.end).or_else(before);
        }
        let waits = waits(record, &intervals);
        let waits = Grouped::new(intervals.len(), waits.iter().copied());
        Self { record, graph, intervals, settled, spans, build, waits }
    }

    /// The interval in which the step was active; `None` if it never was.
    pub(crate) fn interval(&self, step: StepId) -> Option<Interval> {
        self.intervals[step]
    }

    /// The time at which the step's result was available, also for a step without times of its own.
    pub(crate) fn settled(&self, step: StepId) -> Option<Nanos> {
        self.settled[step]
    }

    /// The step's waits for other steps, slots and locks.
    pub(crate) fn waits(&self, step: StepId) -> impl Iterator<Item = &ActivityWait> + '_ {
        self.waits.of(step).iter()
    }

    /// The waits for steps of this build. A wait for another build does not depend on this build, so it counts as work of the step.
    pub(crate) fn inner_waits(&self, step: StepId) -> impl Iterator<Item = &ActivityWait> + '_ {
        self.waits(step).filter(|wait| !wait.outside)
    }

    /// The step whose end decided the end of the build, and that end: the step whose failure stopped it, otherwise the last to end. A
    /// cached step that took no time did not delay the end: other builders stamp such steps late.
    pub(crate) fn decisive(&self) -> Option<(StepId, Nanos)> {
        let record = self.record;
        let ends = || self.steps().filter_map(|step| Some((step, self.interval(step)?.end)));
        let failed = |&(step, _): &(StepId, Nanos)| record.steps[step.index()].outcome == Outcome::Failed;
        // The first failure stopped the build.
        let failure = ends().filter(|end| !record.succeeded && failed(end)).min_by_key(|&(step, end)| (end, step));
        let took = |step: StepId| {
            let length = self.interval(step).map_or(Nanos::ZERO, Interval::length);
            record.steps[step.index()].outcome != Outcome::Cached || length > Nanos::ZERO
        };
        // After a failure, `bake --keep-going` builds the other targets.
        let built = |target: &Target, failed| target.outcome == TargetOutcome::Built && target.end > Some(failed);
        let stopped = |&(_, end): &(StepId, Nanos)| !record.targets.iter().any(|target| built(target, end));
        failure.filter(stopped).or_else(|| ends().max_by_key(|&(step, end)| (took(step), end, step)))
    }

    /// The step whose failure ended the build.
    pub(crate) fn failure(&self) -> Option<StepId> {
        let (step, _) = self.decisive().filter(|_| !self.record.succeeded)?;
        (self.record.steps[step.index()].outcome == Outcome::Failed).then_some(step)
    }

    /// The pieces of the step, in the order of time.
    pub(crate) fn pieces(&self, step: StepId) -> Vec<Piece> {
        innermost(self.spans.of(step).iter().copied(), self.record.wall)
    }

    /// The pieces of the build as a whole, in the order of time.
    pub(crate) fn build(&self) -> &[Piece] {
        &self.build
    }

    /// All steps, in the order of the record.
    pub(crate) fn steps(&self) -> impl Iterator<Item = StepId> + use<> {
        (0..self.intervals.len()).map(StepId::from_index)
    }
}

/// The interval that a step's own times give, or else its spans. A step that started and has no end was still running when the
/// record ended.
fn interval(record: &Record, id: StepId, spans: &[&Span]) -> Option<Interval> {
    let step = &record.steps[id.index()];
    if step.outcome == Outcome::Pruned {
        return None;
    }
    let start = step.start.or_else(|| spans.iter().map(|span| span.start).min()).or(step.end)?.min(record.wall);
    let last = || spans.iter().map(|span| span.end).max();
    let end = step.end.or_else(last).unwrap_or(record.wall).min(record.wall);
    Some(Interval { start, end: end.max(start) })
}

/// Cuts overlapping spans into pieces that each belong to the innermost span: the one that started last; of several, the one that
/// ended first; of several, the one with the largest id.
pub(crate) fn innermost<'s>(spans: impl Iterator<Item = &'s Span>, wall: Nanos) -> Vec<Piece> {
    let mut spans: Vec<&Span> = spans.filter(|span| span.start < span.end.min(wall)).collect();
    spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end), span.id));
    let mut instants: Vec<Nanos> = spans.iter().flat_map(|span| [span.start, span.end.min(wall)]).collect();
    instants.sort_unstable();
    instants.dedup();
    // Open spans by their index in the order above: the last is the innermost.
    let mut open = BTreeSet::new();
    let mut ends: Vec<usize> = (0..spans.len()).collect();
    ends.sort_unstable_by_key(|&index| spans[index].end.min(wall));
    let (mut starting, mut ending) = (0, 0);
    let mut pieces: Vec<Piece> = Vec::with_capacity(spans.len());
    for pair in instants.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        while ending < ends.len() && spans[ends[ending]].end.min(wall) <= from {
            open.remove(&ends[ending]);
            ending += 1;
        }
        while starting < spans.len() && spans[starting].start <= from {
            open.insert(starting);
            starting += 1;
        }
        let Some(&index) = open.last() else { continue };
        let phase = spans[index].phase;
        match pieces.last_mut() {
            Some(last) if last.end == from && last.phase == phase => last.end = to,
            _ => pieces.push(Piece { start: from, end: to, phase }),
        }
    }
    pieces
}
