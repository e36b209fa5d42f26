//! Vertices as BuildKit prints them for people, with durations to a tenth of a second, as a draft.
//!
//! With a time before each line, a vertex ended when its last line arrived, and started its duration before that. Without times, or
//! if all lines arrived at once through a pipe, each vertex is assumed to start as soon as its guessed dependencies are done.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep};
use super::instant::Instant;
use super::late::{self, Bounds, ROUNDING};
use super::names::{self, Targets};
use super::output::{LineTime, OutputLines};
use super::{bases, gaps, guess, runs};
use crate::index::{Index, Indexed};
use buildscope_record::{Fidelity, Outcome, Phase, Tool};

/// The unit from which on times are coarser than durations.
const COARSE: Instant = 500_000_000;

/// The printed lines of a vertex.
#[derive(Clone, Debug, Default)]
pub(crate) struct Printed {
    pub(crate) name: String,
    /// The time of the first line.
    pub(crate) first: Option<Instant>,
    /// The time of the line that says that it is done.
    pub(crate) last: Option<Instant>,
    /// The time of the last line of any kind.
    pub(crate) seen: Option<Instant>,
    pub(crate) took: Option<Instant>,
    /// The end and the length of each run, if the vertex is said to be done several times: BuildKit asks some again for each step that
    /// needs them.
    pub(crate) runs: Vec<(Instant, Instant)>,
    /// The number of the first line, and of the one that says that it is done.
    pub(crate) named: Option<usize>,
    pub(crate) done: Option<usize>,
    /// The start and the end, if they are printed.
    pub(crate) began: Option<Instant>,
    pub(crate) ended: Option<Instant>,
    /// The earliest start that output allows: each line says how long after the start it was written.
    pub(crate) since: Option<Instant>,
    /// The time from the start to the last output.
    pub(crate) wrote: Option<Instant>,
    /// Whether the line that says that it is done came with all its lines since another vertex was shown.
    pub(crate) held: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) error: Option<String>,
    pub(crate) log: Vec<String>,
    /// The lines of the output that show the step's activity.
    pub(crate) lines: OutputLines,
}

impl Printed {
    /// Reads the time of a line.
    pub(crate) fn saw(&mut self, at: Option<Instant>) {
        self.first = self.first.or(at);
        self.seen = at.or(self.seen);
    }

    /// Reads a line that says that the vertex is done, with the time that its line says, or that its result was in the cache.
    pub(crate) fn ends(&mut self, at: Option<Instant>, outcome: Outcome, took: Option<Instant>) {
        let cached = outcome == Outcome::Cached;
        if cached && matches!(self.outcome, Some(Outcome::Executed | Outcome::Cached)) {
            // Asked again: the result is known.
            return;
        }
        if let Some((at, took)) = at.zip(took) {
            // The time is that of all runs so far. BuildKit before 0.9 prints that of the last run.
            let before = self.took.unwrap_or(0);
            self.runs.push((at, if took >= before { took - before } else { took }));
        }
        self.took = self.took.max(took);
        (self.outcome, self.last) = (Some(outcome), at.or(self.last));
    }

    /// Reads a line of output.
    pub(crate) fn output(&mut self, at: Option<Instant>, after: Instant, output: &str) {
        let start = at.map(|at| at - after);
        self.since = match (self.since, start) {
            (Some(known), Some(start)) => Some(known.min(start)),
            (known, start) => known.or(start),
        };
        self.wrote = self.wrote.max(Some(after));
        self.lines.line(LineTime::After(after), output);
        self.log.push(output.to_owned());
    }

    /// The shortest possible time of the vertex.
    fn length(&self) -> Instant {
        self.took.max(self.wrote.filter(|_| self.took.is_none())).unwrap_or(0)
    }

    /// The intervals of the vertex: one, unless it is said to be done several times.
    fn intervals(&self, until: Option<Instant>) -> Vec<(Instant, Option<Instant>)> {
        match &self.runs[..] {
            [_, _, ..] if self.outcome == Some(Outcome::Executed) => {
                self.runs.iter().map(|&(end, length)| (end - length, Some(end))).collect()
            }
            _ => self.interval(until).map(|(start, end)| (start, Some(end))).into_iter().collect(),
        }
    }

    /// The interval of the vertex, by the times of its lines. `until` is the last time of the log: it ends vertices without an end.
    fn interval(&self, until: Option<Instant>) -> Option<(Instant, Instant)> {
        let end = match self.outcome {
            Some(_) => self.last?,
            None => until.or(self.seen)?,
        };
        // Lines arrive late, never early: of all estimates of the start the earliest is the best.
        let by_end = end - self.length();
        // Its name is shown once it has started.
        let named = self.first.filter(|&first| first < by_end && by_end - first <= late::TICK && !self.held);
        let start = match self.outcome {
            Some(_) if self.took.is_some() => [self.since, named].into_iter().flatten().fold(by_end, Instant::min),
            _ => self.since.or(self.first).unwrap_or(by_end).min(end),
        };
        // A line may have been held back until other vertices had written theirs.
        let printed = self.took.map(|took| start + took + ROUNDING / 2);
        Some((start, printed.map_or(end, |printed| printed.min(end)).max(start)))
    }
}

/// The draft of vertices. `until` is the time of the last line, `resolution` the unit of all times.
pub(crate) fn draft(mut vertices: Vec<Printed>, until: Option<Instant>, resolution: Instant) -> Draft {
    let exact = vertices.iter().any(|vertex| vertex.began.is_some());
    let timed = exact || spread(&vertices, until);
    let fidelity = Fidelity { starts: timed, ..Fidelity::default() };
    let mut draft = Draft { dated: exact, ..Draft::new(Tool::Buildkit, fidelity) };
    let targets = Targets::of(vertices.iter().map(|vertex| vertex.name.as_str()));
    draft.failed = vertices.iter().any(|vertex| vertex.outcome == Some(Outcome::Failed));
    let lost = settle(&mut vertices);
    draft.unfinished = !draft.failed && vertices.iter().any(|vertex| vertex.outcome.is_none());
    let latest = vertices.iter().filter_map(|vertex| vertex.ended.or(vertex.began)).max();
    let until = if exact { latest } else { until };
    let times = |vertex: &Printed| {
        if exact {
            vertex.began.map(|began| (began, vertex.ended.or(until))).into_iter().collect()
        } else if timed {
            vertex.intervals(until)
        } else {
            Vec::new()
        }
    };
    let mut intervals: Vec<_> = vertices.iter().map(|vertex| (vertex.name.clone(), times(vertex))).collect();
    draft.notes = runs::repair(&mut intervals);
    let (mut bounds, mut several) = (Indexed::default(), Indexed::default());
    let lines = bases::VertexLines::of(vertices.iter().map(|vertex| (vertex.named, vertex.done)));
    for (vertex, (_, intervals)) in vertices.into_iter().zip(intervals) {
        let interval = intervals.first().copied();
        bounds.push(Bounds { took: vertex.length(), held: vertex.held, several: intervals.len() > 1 });
        several.push(if intervals.len() > 1 { runs::closed(intervals, until) } else { Vec::new() });
        draft.steps.push(step(vertex, interval, &targets));
    }
    draft.unfinished |= draft.is_cut();
    lines.guess_bases(&mut draft, &bounds, resolution);
    guess::guess_needs(&mut draft);
    if timed {
        draft.steps.iter_mut().for_each(|step| step.end = step.end.max(step.start));
        if !exact {
            runs::choose(&mut draft, &several);
            extend(&mut draft, &lost);
            if resolution < COARSE {
                late::settle(&mut draft, &bounds);
            }
            round(&mut draft, &bounds, resolution);
        }
    } else {
        as_soon_as_possible(&mut draft, &bounds);
    }
    for step in draft.steps.iter_mut() {
        if let (Some(start), Some(end)) = (step.start, step.end) {
            let looked = step.outcome == Some(Outcome::Cached);
            let phase = if looked { Phase::CacheLookup } else { names::phase(&step.instruction, &step.text) };
            step.spans.push(DraftSpan::new(phase, start, end));
        }
    }
    gaps::infer(&mut draft);
    draft
}

/// Gives an outcome to vertices without a printed end if a later vertex shows that the build continued. Returns their indices.
fn settle(vertices: &mut [Printed]) -> Vec<DraftId> {
    let done = |vertex: &Printed| vertex.outcome == Some(Outcome::Executed) && names::is_export(&vertex.name);
    let Some(exported) = vertices.iter().rposition(done) else { return Vec::new() };
    let mut lost = Vec::new();
    for (index, vertex) in vertices[..exported].iter_mut().enumerate() {
        if vertex.outcome.is_none() && !names::is_export(&vertex.name) {
            (vertex.outcome, vertex.last) = (Some(Outcome::Executed), vertex.seen);
            lost.push(DraftId::from_index(index));
        }
    }
    lost
}

/// Ends vertices without a printed end at the start of the first step that needs them: a part of the log is missing.
fn extend(draft: &mut Draft, lost: &[DraftId]) {
    let mut extended = 0;
    for &id in lost {
        let runs = |step: &&DraftStep| step.needs.contains(&id) && step.outcome != Some(Outcome::Cached);
        let next = draft.steps.iter().filter(runs).filter_map(|step| step.start).min();
        if next > draft.steps[id].end {
            draft.steps[id].end = next;
            extended += 1;
        }
    }
    if extended > 0 {
        draft.notes.push(format!(
            "a part of the log is missing: {} until the next one started",
            if extended == 1 {
                "a step without an end ran at most".to_owned()
            } else {
                format!("{extended} steps without an end ran at most")
            }
        ));
    }
}

fn step(vertex: Printed, interval: Option<(Instant, Option<Instant>)>, targets: &Targets) -> DraftStep {
    DraftStep {
        // Without a last line the vertex was still running when the log ended.
        outcome: Some(vertex.outcome.unwrap_or(Outcome::Cancelled)),
        start: interval.map(|(start, _)| start),
        end: interval.and_then(|(_, end)| end),
        error: vertex.error,
        log: vertex.log,
        output: vertex.lines,
        ..DraftStep::named(names::vertex(&vertex.name, targets))
    }
}

/// Moves the start of a step to the end of the last step that it needs, if it is earlier by no more than the rounding. Otherwise the step
/// would not depend on it. If times are whole seconds, which are coarser than durations, a step also moves back, and keeps its duration.
fn round(draft: &mut Draft, bounds: &Indexed<DraftId, Bounds>, resolution: Instant) {
    let coarse = resolution >= COARSE;
    for id in draft.order() {
        let step = &draft.steps[id];
        let (Some(start), Some(end), false) = (step.start, step.end, step.outcome == Some(Outcome::Cached)) else {
            continue;
        };
        let ends = step.needs.iter().filter(|&&need| draft.steps[need].outcome != Some(Outcome::Cached));
        let last = ends.filter_map(|&need| draft.steps[need].end).filter(|last| *last <= end + resolution).max();
        let near = |last: &Instant| {
            let early = last - start;
            early <= ROUNDING + resolution && (early >= 0 || (coarse && -early <= resolution))
        };
        let Some(last) = last.filter(near) else { continue };
        let step = &mut draft.steps[id];
        step.start = Some(last);
        let took = bounds[id].took;
        let whole = last + took;
        let keeps = coarse && took > 0 && (whole - end).abs() <= ROUNDING + resolution;
        step.end = Some(if keeps { whole } else { end.max(last) });
    }
}

/// Whether the times of the lines are those of the build: they span at least the duration of the longest vertex.
fn spread(vertices: &[Printed], until: Option<Instant>) -> bool {
    // Lines after the build say something about it only if the build was cut off.
    let until = until.filter(|_| vertices.iter().any(|vertex| vertex.outcome.is_none()));
    let times = || vertices.iter().flat_map(|vertex| [vertex.first, vertex.last]).flatten().chain(until);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return false };
    let longest = vertices.iter().filter_map(|vertex| vertex.took).max().unwrap_or(0);
    last > first && (last - first) * 5 >= (longest - ROUNDING) * 4
}

/// Starts each step at the end of the last one that it needs.
fn as_soon_as_possible(draft: &mut Draft, bounds: &Indexed<DraftId, Bounds>) {
    for id in draft.order() {
        let needs = draft.steps[id].needs.iter().map(|&need| draft.steps[need].end.unwrap_or(0));
        let start = needs.max().unwrap_or(0);
        (draft.steps[id].start, draft.steps[id].end) = (Some(start), Some(start + bounds[id].took));
    }
}
