//! BuildKit's vertices from any of its streams: their names, the times at which they ran (some more than once), and their inputs.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep, INFERRED};
use super::instant::Instant;
use super::names::{self, Targets};
use super::output::{LineTime, OutputLines};
use super::runs::{self, VertexRun};
use super::{gaps, guess};
use crate::index::{Index as _, Indexed};
use buildscope_record::{Fidelity, Instruction, Outcome, Phase, Tool};
use std::collections::{HashMap, HashSet};

/// The number of bytes of a vertex's output that are kept.
const LOG_BYTES: usize = 1 << 16;

/// The number of cached steps that are searched for the one that a step waited for.
const FARTHEST: usize = 64;

/// The fidelity of BuildKit's status stream: real starts and the edges between vertices, but neither phases nor waits. Queueing, cache keys
/// and content hashing have no intervals in it.
pub(crate) const FIDELITY: Fidelity =
    Fidelity { starts: true, edges: true, phases: false, waits: false, resources: false };

/// A message about a vertex.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) digest: String,
    pub(crate) name: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) cached: bool,
    pub(crate) started: Option<Instant>,
    pub(crate) completed: Option<Instant>,
    pub(crate) error: String,
}

/// How well the start of a vertex fits a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StartFit {
    /// The vertex ran at that time, since another start.
    Overlaps,
    Unknown,
    /// A step with the same name has not started: BuildKit executes equal steps of two builds once, as those of one of them.
    Merged,
    Known,
    /// The message is about a run that the build knows.
    Started,
}

/// A message about a part of a vertex's work: a download, a transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) id: String,
    pub(crate) vertex: String,
    pub(crate) current: u64,
    pub(crate) started: Option<Instant>,
    pub(crate) completed: Option<Instant>,
    /// The time of the message.
    pub(crate) at: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct DraftVertex {
    digest: String,
    name: String,
    inputs: Vec<String>,
    /// Each start, with its end if it was seen.
    runs: Vec<(Instant, Option<Instant>)>,
    /// The run of each start, as an index.
    starts: HashMap<Instant, usize>,
    /// The number of runs without an end.
    open: usize,
    cached: bool,
    error: String,
    statuses: Vec<Status>,
    /// The status of each name and start, as an index.
    status_indices: HashMap<(String, Option<Instant>), usize>,
    log: String,
    output: OutputLines,
    /// The last time at which something was said about the vertex.
    seen: Option<Instant>,
}

/// Whether a vertex is named after an instruction of a stage.
fn is_step(name: &str) -> bool {
    names::vertex(name, &Targets::default()).number.is_some()
}

impl DraftVertex {
    fn is_running(&self) -> bool {
        self.open > 0
    }

    fn never_ran(&self) -> bool {
        self.runs.is_empty() && !self.cached && self.error.is_empty()
    }

    /// Ends the runs that started before the vertex was done. If several stages ask for the metadata of one image at the same time, BuildKit
    /// says for each that it started, and not for each that it is done.
    fn end_joined(&mut self, completed: Instant) {
        if self.open == 0 {
            return;
        }
        for (_, end) in self.runs.iter_mut().filter(|(started, end)| end.is_none() && *started <= completed) {
            *end = Some(completed);
            self.open -= 1;
        }
    }
}

/// All vertices of a build, in the order in which they were first named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vertices {
    vertices: Vec<DraftVertex>,
    indices: HashMap<String, usize>,
    /// The targets among the names so far.
    targets: Targets,
    /// The names of the vertices that read a Dockerfile, once something after them is done: a build reads each Dockerfile once.
    definitions: HashSet<String>,
    /// The vertices that read a Dockerfile and are the last that is done.
    loaded: HashSet<String>,
    /// Whether a result was written, or a step failed.
    ended: bool,
    /// The targets whose results were written.
    exported: HashSet<Option<String>>,
    /// The number of running vertices.
    running: usize,
}

impl Vertices {
    fn at(&mut self, digest: &str) -> &mut DraftVertex {
        let next = self.vertices.len();
        let index = *self.indices.entry(digest.to_owned()).or_insert(next);
        if index == next {
            self.vertices.push(DraftVertex { digest: digest.to_owned(), ..DraftVertex::default() });
        }
        &mut self.vertices[index]
    }

    /// Whether a message belongs to another build than the vertices so far: all started vertices are done, the result is written or a step
    /// failed, and the message names an unknown vertex.
    pub(crate) fn is_over(&self, update: &Update) -> bool {
        if update.name.is_empty() || self.indices.contains_key(&update.digest) || names::is_export(&update.name) {
            return false;
        }
        (self.ended || self.definitions.contains(&update.name)) && self.running == 0 && !self.is_of_bake(&update.name)
    }

    /// Whether a name belongs to a target of `buildx bake` whose result is not written yet: all targets are one build.
    fn is_of_bake(&self, name: &str) -> bool {
        let own = Targets::of([name].into_iter());
        let target = [&self.targets, &own].into_iter().find_map(|targets| names::vertex(name, targets).target);
        target.is_some()
            && !self.exported.is_empty()
            && !self.exported.contains(&target)
            && !self.exported.contains(&None)
    }

    /// Whether a vertex was named.
    pub(crate) fn knows(&self, digest: &str) -> bool {
        self.indices.contains_key(digest)
    }

    /// The number of vertices.
    pub(crate) fn count(&self) -> usize {
        self.vertices.len()
    }

    /// Whether the build reads a Dockerfile with this name: no other vertex of it has the same one.
    pub(crate) fn has_definition(&self, name: &str) -> bool {
        name.contains("load build definition") && self.vertices.iter().any(|vertex| vertex.name == name)
    }

    /// Whether a message says something new about the build.
    pub(crate) fn is_news(&self, update: &Update) -> bool {
        let Some(vertex) = self.indices.get(&update.digest).and_then(|&index| self.vertices.get(index)) else {
            return true;
        };
        let run = update.started.and_then(|started| vertex.starts.get(&started)).map(|&run| vertex.runs[run].1);
        let is_new_run = update.started.is_some() && run.is_none();
        let is_new_end = update.completed.is_some() && run.is_none_or(|end| end != update.completed);
        is_new_run || is_new_end || (update.cached && !vertex.cached) || update.error != vertex.error
    }

    /// Whether a line of output is later than those that the build has of its vertex.
    pub(crate) fn is_new_output(&self, digest: &str, at: Option<Instant>) -> bool {
        self.indices.get(digest).is_some_and(|&index| self.vertices[index].seen < at)
    }

    /// How well a message about a vertex that starts fits the build. Where clients of several equal builds print to one log, each prints the
    /// same vertex, with a start of its own.
    pub(crate) fn fits(&self, update: &Update) -> StartFit {
        let Some(started) = update.started else { return StartFit::Unknown };
        let Some(vertex) = self.indices.get(&update.digest).map(|&index| &self.vertices[index]) else {
            return if self.waits_for(&update.name) { StartFit::Merged } else { StartFit::Unknown };
        };
        // Messages of two clients come in any order.
        let is_before = |end: Option<Instant>, start: Instant| end.is_some_and(|end| end <= start);
        let overlaps = |&(from, until): &(Instant, Option<Instant>)| {
            !is_before(until, started) && !is_before(update.completed, from)
        };
        if vertex.starts.contains_key(&started) {
            StartFit::Started
        } else if vertex.runs.iter().any(overlaps) {
            StartFit::Overlaps
        } else {
            StartFit::Known
        }
    }

    /// Whether a step with this name has not started.
    fn waits_for(&self, name: &str) -> bool {
        is_step(name) && self.vertices.iter().any(|vertex| vertex.name == name && vertex.never_ran())
    }

    pub(crate) fn update(&mut self, update: Update) {
        let ended = update.completed.is_some() && names::is_export(&update.name);
        if ended {
            let targets = Targets::of([update.name.as_str()].into_iter());
            self.exported.insert(names::vertex(&update.name, &targets).target);
        }
        self.ended |= ended || (!update.error.is_empty() && !update.error.contains("context canceled"));
        let step = update.completed.is_some() && !update.name.starts_with("[internal]");
        if step {
            self.definitions.extend(std::mem::take(&mut self.loaded));
        } else if update.name.contains("load build definition") {
            self.loaded.insert(update.name.clone());
        }
        self.targets.add(&update.name);
        let vertex = self.at(&update.digest);
        if !update.name.is_empty() {
            vertex.name = update.name;
        }
        if !update.inputs.is_empty() {
            vertex.inputs = update.inputs;
        }
        vertex.cached |= update.cached;
        if !update.error.is_empty() {
            vertex.error = update.error;
        }
        let running = vertex.is_running();
        if let Some(started) = update.started {
            let next = vertex.runs.len();
            let index = *vertex.starts.entry(started).or_insert(next);
            if index == next {
                vertex.runs.push((started, None));
                vertex.open += 1;
            }
            let end = &mut vertex.runs[index].1;
            if end.is_none() && update.completed.is_some() {
                vertex.open -= 1;
            }
            *end = update.completed.or(*end);
            if let Some(completed) = update.completed {
                vertex.end_joined(completed);
            }
        }
        match (running, vertex.is_running()) {
            (false, true) => self.running += 1,
            (true, false) => self.running -= 1,
            _ => {}
        }
    }

    pub(crate) fn status(&mut self, status: Status) {
        let vertex = self.at(&status.vertex.clone());
        vertex.seen = vertex.seen.max(status.at);
        let next = vertex.statuses.len();
        let index = *vertex.status_indices.entry((status.id.clone(), status.started)).or_insert(next);
        match vertex.statuses.get_mut(index) {
            Some(known) => {
                known.current = known.current.max(status.current);
                known.completed = status.completed.or(known.completed);
            }
            None => vertex.statuses.push(status),
        }
    }

    pub(crate) fn log(&mut self, vertex: &str, text: &str, at: Option<Instant>) {
        let vertex = self.at(vertex);
        vertex.seen = vertex.seen.max(at);
        if let Some(at) = at {
            vertex.output.add(LineTime::At(at), text);
        }
        let log = &mut vertex.log;
        log.push_str(text);
        // Only the last lines are shown, so earlier ones are dropped.
        if log.len() > LOG_BYTES {
            let from = log.char_indices().map(|(at, _)| at).find(|at| *at >= log.len() - LOG_BYTES / 2).unwrap_or(0);
            log.drain(..from);
        }
    }

    /// The draft, and the step of each digest.
    pub(crate) fn draft(self) -> (Draft, HashMap<String, DraftId>) {
        let mut draft = Draft::new(Tool::Buildkit, FIDELITY);
        draft.dated = true;
        // A vertex that others only refer to has no name and no times.
        let named: Vec<DraftVertex> = self.vertices.into_iter().filter(|vertex| !vertex.name.is_empty()).collect();
        let (mut named, merged) = merge(named);
        let mut times: Vec<_> =
            named.iter_mut().map(|vertex| (vertex.name.clone(), std::mem::take(&mut vertex.runs))).collect();
        let ran: Vec<bool> = times.iter().map(|(_, runs)| !runs.is_empty()).collect();
        draft.notes = runs::repair(&mut times);
        let mut ids: HashMap<String, DraftId> =
            named.iter().enumerate().map(|(at, vertex)| (vertex.digest.clone(), DraftId::from_index(at))).collect();
        ids.extend(
            merged.into_iter().filter_map(|(digest, with)| Some((digest, *ids.get(&with)?))).collect::<Vec<_>>(),
        );
        let targets = Targets::of(named.iter().map(|vertex| vertex.name.as_str()));
        let ends = times.iter().flat_map(|(_, runs)| runs).map(|&(start, end)| end.unwrap_or(start));
        let seen = named.iter().filter_map(|vertex| vertex.seen).filter(|_| draft.notes.is_empty());
        let last = ends.chain(seen).max();
        let mut runs: Indexed<DraftId, Vec<VertexRun>> = Indexed::default();
        for ((vertex, (_, times)), ran) in named.into_iter().zip(times).zip(ran) {
            let id = runs.push(runs::closed(times, last));
            let mut step = step(vertex, &runs[id], &targets, &ids);
            if step.outcome == Some(Outcome::Pruned) && ran {
                step.outcome = Some(Outcome::Executed);
            }
            draft.steps.push(step);
        }
        draft.failed = draft.steps.iter().any(|step| step.outcome == Some(Outcome::Failed));
        draft.unfinished = !draft.failed && runs.iter().flatten().any(|run| !run.ended);
        draft.unfinished |= draft.is_cut();
        runs::choose(&mut draft, &runs);
        if draft.steps.iter().all(|step| step.needs.is_empty()) {
            // The client leaves out the inputs of vertices.
            draft.source.fidelity.edges = false;
            guess::guess_needs(&mut draft);
        }
        follow(&mut draft);
        through_cached(&mut draft);
        gaps::infer(&mut draft);
        (draft, ids)
    }
}

/// Merges steps that never started with those that BuildKit executed in their place: of equal builds at the same time, it executes each step
/// once, and tells all clients about the step of one build. Returns the digests that were merged, each with the one that was executed.
fn merge(mut vertices: Vec<DraftVertex>) -> (Vec<DraftVertex>, Vec<(String, String)>) {
    let ran = vertices.iter().enumerate().filter(|(_, vertex)| !vertex.never_ran() && is_step(&vertex.name));
    let ran: HashMap<String, usize> = ran.map(|(at, vertex)| (vertex.name.clone(), at)).collect();
    let mut merged = Vec::new();
    for at in 0..vertices.len() {
        let Some(&with) = ran.get(&vertices[at].name).filter(|_| vertices[at].never_ran()) else { continue };
        let (digest, inputs) = (vertices[at].digest.clone(), std::mem::take(&mut vertices[at].inputs));
        vertices[with].inputs.extend(inputs);
        merged.push((digest, vertices[with].digest.clone()));
    }
    let gone: HashSet<&String> = merged.iter().map(|(digest, _)| digest).collect();
    vertices.retain(|vertex| !gone.contains(&vertex.digest));
    (vertices, merged)
}

fn step(vertex: DraftVertex, runs: &[VertexRun], targets: &Targets, ids: &HashMap<String, DraftId>) -> DraftStep {
    let name = names::vertex(&vertex.name, targets);
    let phase = names::phase(&name.instruction, &name.text);
    let last = runs.len().saturating_sub(1);
    let mut spans = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        // If a vertex starts twice, the first run was the cache lookup.
        let looked = vertex.cached || (number < last && run.end - run.start < runs::LOOK);
        let span = DraftSpan::new(if looked { Phase::CacheLookup } else { phase }, run.start, run.end);
        spans.push(if looked && !vertex.cached { span.named(INFERRED) } else { span });
    }
    for status in &vertex.statuses {
        if let (Some(start), Some(end)) = (status.started, status.completed) {
            let bytes = (status.current > 0).then_some(status.current);
            spans.push(DraftSpan {
                bytes,
                ..DraftSpan::new(part(&status.id, phase), start, end).named(status.id.clone())
            });
        }
    }
    let outcome = if vertex.error.contains("context canceled") {
        Outcome::Cancelled
    } else if !vertex.error.is_empty() {
        Outcome::Failed
    } else if vertex.cached {
        Outcome::Cached
    } else if runs.is_empty() {
        Outcome::Pruned
    } else if runs.iter().any(|run| !run.ended) {
        Outcome::Cancelled
    } else {
        Outcome::Executed
    };
    DraftStep {
        outcome: Some(outcome),
        spans,
        needs: vertex.inputs.iter().filter_map(|input| ids.get(input).copied()).collect(),
        error: Some(vertex.error).filter(|error| !error.is_empty()),
        log: vertex.log.lines().map(str::to_owned).collect(),
        output: vertex.output,
        ..DraftStep::named(name)
    }
}

/// Adds what cached steps need to the needs of the steps that ran after them. A source that was asked first for a cached step, and then
/// again for one that ran, delayed the second.
fn through_cached(draft: &mut Draft) {
    for id in draft.order() {
        if draft.steps[id].outcome == Some(Outcome::Cached) {
            continue;
        }
        let cached = |need: &&DraftId| draft.steps[**need].outcome == Some(Outcome::Cached);
        let mut open: Vec<DraftId> = draft.steps[id].needs.iter().filter(cached).copied().collect();
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        while let Some(step) = open.pop() {
            for &need in &draft.steps[step].needs {
                let cached = draft.steps[need].outcome == Some(Outcome::Cached);
                if seen.len() < FARTHEST && seen.insert(need) {
                    if cached { open.push(need) } else { found.push(need) }
                }
            }
        }
        let known = draft.steps[id].needs.iter().filter_map(|&need| draft.steps[need].end).max();
        found.retain(|&need| need != id && draft.steps[need].end > known);
        draft.steps[id].needs.extend(found);
    }
}

/// The phase of a part of a vertex's work, by its name.
fn part(id: &str, whole: Phase) -> Phase {
    if id.starts_with("resolve") {
        Phase::Resolve
    } else if id.starts_with("extracting") || id.starts_with("unpacking") {
        Phase::Unpack
    } else if id.starts_with("pushing") {
        Phase::Push
    } else if id.starts_with("sha256:") {
        Phase::Pull
    } else {
        whole
    }
}

/// For each step, the first start of a step that ran and needs it, directly or through cached steps.
fn wanted(draft: &Draft) -> Indexed<DraftId, Option<Instant>> {
    let mut wanted: Indexed<DraftId, Option<Instant>> = Indexed::filled(None, draft.steps.len());
    for id in draft.order().into_iter().rev() {
        let step = &draft.steps[id];
        let since = if step.outcome == Some(Outcome::Cached) { wanted[id] } else { step.start };
        let Some(since) = since else { continue };
        for &need in &step.needs {
            wanted[need] = Some(wanted[need].map_or(since, |known| known.min(since)));
        }
    }
    wanted
}

/// Orders each vertex without inputs after the last one that ended before its start. For the first step of a stage, that is the builder's
/// own work (metadata, base image).
fn follow(draft: &mut Draft) {
    let wanted = wanted(draft);
    let steps = &mut draft.steps;
    let mut ends: Vec<(Instant, DraftId, bool)> = steps
        .entries()
        .filter_map(|(id, step)| Some((step.end?, id, step.instruction == Instruction::Internal)))
        .collect();
    ends.sort_unstable();
    for id in steps.indices() {
        let (needs, start, own) = (&steps[id].needs, steps[id].start, steps[id].stage.is_none());
        let (true, Some(start)) = (needs.is_empty(), start) else { continue };
        // The time of a cached vertex may be long after the start of a step that needs it.
        let start = wanted[id].map_or(start, |wanted| wanted.min(start));
        let until = ends.partition_point(|&(end, ..)| end <= start);
        let before = ends[..until].iter().rev().find(|&&(_, other, internal)| other != id && (own || internal));
        let after = before.map(|&(_, other, _)| other);
        // Two vertices that start and end at the same instant would otherwise follow each other.
        let after = after.filter(|&other| !steps[other].after.contains(&id));
        steps[id].after.extend(after);
    }
}
