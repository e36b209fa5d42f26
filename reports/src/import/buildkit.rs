//! BuildKit's vertices from any of its streams: their names, when they ran (some more than once), and what they needed.

use super::draft::{Draft, DraftSpan, DraftStep, INFERRED, Instant};
use super::names::{self, INTERNAL};
use buildscope_record::{Fidelity, Outcome, Phase, Tool};
use std::collections::HashMap;

/// What BuildKit's status stream knows: real starts and the edges between vertices, but neither phases nor waits. Queueing, cache
/// keys and content hashing have no intervals in it.
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

/// A message about a part of a vertex's work: a download, a transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) id: String,
    pub(crate) vertex: String,
    pub(crate) current: u64,
    pub(crate) started: Option<Instant>,
    pub(crate) completed: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct Vertex {
    digest: String,
    name: String,
    inputs: Vec<String>,
    /// Each start, with its end if it was seen.
    runs: Vec<(Instant, Option<Instant>)>,
    cached: bool,
    error: String,
    statuses: Vec<Status>,
    log: String,
}

/// All vertices of a build, in the order in which they were first named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vertices {
    vertices: Vec<Vertex>,
    indices: HashMap<String, usize>,
}

impl Vertices {
    fn at(&mut self, digest: &str) -> &mut Vertex {
        let next = self.vertices.len();
        let index = *self.indices.entry(digest.to_owned()).or_insert(next);
        if index == next {
            self.vertices.push(Vertex { digest: digest.to_owned(), ..Vertex::default() });
        }
        &mut self.vertices[index]
    }

    pub(crate) fn update(&mut self, update: Update) {
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
        if let Some(started) = update.started {
            match vertex.runs.iter_mut().find(|(start, _)| *start == started) {
                Some((_, end)) => *end = update.completed.or(*end),
                None => vertex.runs.push((started, update.completed)),
            }
        }
    }

    pub(crate) fn status(&mut self, status: Status) {
        let statuses = &mut self.at(&status.vertex.clone()).statuses;
        match statuses.iter_mut().find(|known| known.id == status.id && known.started == status.started) {
            Some(known) => {
                known.current = known.current.max(status.current);
                known.completed = status.completed.or(known.completed);
            }
            None => statuses.push(status),
        }
    }

    pub(crate) fn log(&mut self, vertex: &str, text: &str) {
        let log = &mut self.at(vertex).log;
        // Only the last lines are shown, so earlier ones are dropped.
        if log.len() < 1 << 20 {
            log.push_str(text);
        }
    }

    /// The draft, and the index of each digest's step in it.
    pub(crate) fn draft(self) -> (Draft, HashMap<String, usize>) {
        let mut draft = Draft::new(Tool::Buildkit, FIDELITY);
        draft.dated = true;
        // A vertex that was only referred to has no name and no times.
        let named: Vec<Vertex> = self.vertices.into_iter().filter(|vertex| !vertex.name.is_empty()).collect();
        let indices: HashMap<String, usize> =
            named.iter().enumerate().map(|(index, vertex)| (vertex.digest.clone(), index)).collect();
        for vertex in named {
            draft.failed |= !vertex.error.is_empty();
            draft.steps.push(step(vertex, &indices));
        }
        follow(&mut draft.steps);
        draft.infer_gaps();
        (draft, indices)
    }
}

fn step(vertex: Vertex, indices: &HashMap<String, usize>) -> DraftStep {
    let name = names::vertex(&vertex.name);
    let phase = names::phase(&name.instruction, &name.text);
    let mut runs = vertex.runs;
    runs.sort_unstable();
    let last = runs.len().saturating_sub(1);
    let mut spans = Vec::new();
    for (number, &(start, end)) in runs.iter().enumerate() {
        let Some(end) = end else { continue };
        // A vertex that starts and ends and then starts again looked in the cache first.
        let looked = number < last || vertex.cached;
        let span = DraftSpan::new(if looked { Phase::CacheLookup } else { phase }, start, end);
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
    let start = runs.first().map(|&(start, _)| start);
    let end = runs.iter().map(|&(_, end)| end).collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    let outcome = if vertex.error.contains("context canceled") {
        Outcome::Cancelled
    } else if !vertex.error.is_empty() {
        Outcome::Failed
    } else if vertex.cached {
        Outcome::Cached
    } else if start.is_none() {
        Outcome::Pruned
    } else if end.is_none() {
        Outcome::Cancelled
    } else {
        Outcome::Executed
    };
    DraftStep {
        stage: name.stage,
        number: name.number,
        instruction: name.instruction,
        text: name.text,
        outcome: Some(outcome),
        start,
        end,
        spans,
        needs: vertex.inputs.iter().filter_map(|input| indices.get(input).copied()).collect(),
        error: Some(vertex.error).filter(|error| !error.is_empty()),
        log: vertex.log.lines().map(str::to_owned).collect(),
        ..DraftStep::default()
    }
}

/// The phase of a part of a vertex's work, from its name.
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

/// A vertex without inputs is ordered after the last one that ended before it started. For the first step of a stage, that is the
/// builder's own work (metadata, base image).
fn follow(steps: &mut [DraftStep]) {
    let mut ends: Vec<(Instant, usize, bool)> = steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| Some((step.end?, index, step.instruction == INTERNAL)))
        .collect();
    ends.sort_unstable();
    for index in 0..steps.len() {
        let (needs, start, own) = (&steps[index].needs, steps[index].start, steps[index].stage.is_none());
        let (true, Some(start)) = (needs.is_empty(), start) else { continue };
        let until = ends.partition_point(|&(end, ..)| end <= start);
        let before = ends[..until].iter().rev().find(|&&(_, other, internal)| other != index && (own || internal));
        let after = before.map(|&(_, other, _)| other);
        // Two vertices that start and end at the same instant would otherwise follow each other.
        let after = after.filter(|&other| !steps[other].after.contains(&index));
        steps[index].after.extend(after);
    }
}
