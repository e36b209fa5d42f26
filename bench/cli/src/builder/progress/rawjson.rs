//! BuildKit's raw progress: one `SolveStatus` per line, as its client's `--progress=rawjson` writes it.

use super::moved::{self, TransferSum};
use super::names::PlanNames;
use buildscope_builder::engine::{Event, Progress, Stream};
use buildscope_builder::plan::Plan;
use buildscope_record::{Digest, Outcome, StepId};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// Writes each event immediately.
#[derive(Debug)]
pub(super) struct RawJson<W>(Mutex<RawjsonState<W>>);

#[derive(Debug)]
struct RawjsonState<W> {
    out: W,
    steps: Steps,
    started: HashMap<Digest, Timestamp>,
    /// The progress of each image transfer.
    sums: HashMap<Digest, TransferSum>,
}

/// The steps of the build; absent before the graph is known.
#[derive(Debug, Default)]
struct Steps {
    names: PlanNames,
    plan: Option<Arc<Plan>>,
}

/// One line of output. Each list may be absent.
#[derive(Debug, Default, Serialize)]
struct SolveStatus<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertexes: Vec<Vertex<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Log>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

/// The progress of a part of a vertex.
#[derive(Debug, Serialize)]
struct Status {
    id: String,
    vertex: Digest,
    total: u64,
    current: u64,
    timestamp: Timestamp,
    started: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Warning {
    vertex: Digest,
    level: u8,
    /// Base 64, as Go encodes bytes.
    short: String,
}

impl Warning {
    fn of(text: String) -> Self {
        Self { vertex: Digest::of("warnings"), level: 1, short: base64(text.as_bytes()) }
    }
}

#[derive(Debug, Serialize)]
struct Vertex<'a> {
    digest: Digest,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Digest>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Log {
    vertex: Digest,
    /// 1 and 2, as file descriptors.
    stream: u8,
    /// Base 64, as Go encodes bytes.
    data: String,
    timestamp: Timestamp,
}

impl<W: Write> RawJson<W> {
    pub(super) fn new(out: W) -> Self {
        Self(Mutex::new(RawjsonState { out, steps: Steps::default(), started: HashMap::new(), sums: HashMap::new() }))
    }
}

impl<W: Write + Send> Progress for RawJson<W> {
    fn event(&self, event: Event) {
        let mut state = self.0.lock();
        // Progress that cannot be written must not fail the build.
        let _ = state.event(event);
    }
}

impl<W: Write> RawjsonState<W> {
    fn event(&mut self, event: Event) -> std::io::Result<()> {
        let now = Timestamp::now();
        match event {
            Event::Planned(plan) => {
                let live: Vec<_> = plan.graph.node_weights().filter(|step| step.live).map(|step| step.id).collect();
                self.steps = Steps { names: PlanNames::of(&plan), plan: Some(plan) };
                let vertexes = live.iter().map(|&step| self.steps.vertex(step)).collect();
                let plan = self.steps.plan.iter();
                let warnings = plan.flat_map(|plan| super::warnings(plan)).map(Warning::of).collect();
                write(&mut self.out, &SolveStatus { vertexes, warnings, ..SolveStatus::default() })
            }
            Event::Warning(text) => {
                let warnings = vec![Warning::of(format!("warning: {text}"))];
                write(&mut self.out, &SolveStatus { warnings, ..SolveStatus::default() })
            }
            Event::Started(step) => {
                let digest = self.steps.digest(step);
                self.started.insert(digest, now);
                let vertex = Vertex { started: Some(now), ..self.steps.vertex(step) };
                write(&mut self.out, &SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() })
            }
            Event::Line { step, stream, mut line, .. } => {
                line.push(b'\n');
                let stream = match stream {
                    Stream::Stdout => 1,
                    Stream::Stderr => 2,
                };
                let log = Log { vertex: self.steps.digest(step), stream, data: base64(&line), timestamp: now };
                write(&mut self.out, &SolveStatus { logs: vec![log], ..SolveStatus::default() })
            }
            Event::Finished { outcome: Outcome::Pruned, .. } => Ok(()),
            Event::Finished { step, outcome, error } => {
                let started = self.started.get(&self.steps.digest(step)).copied().unwrap_or(now);
                let cached = matches!(outcome, Outcome::Cached | Outcome::Joined);
                let error = error.or_else(|| (outcome == Outcome::Cancelled).then(|| "context canceled".to_owned()));
                let vertex =
                    Vertex { started: Some(started), completed: Some(now), cached, error, ..self.steps.vertex(step) };
                write(&mut self.out, &SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() })
            }
            Event::Transfer(moved) => {
                let name = moved::title(&moved);
                let digest = Digest::of(&name);
                let started = *self.started.entry(digest).or_insert(now);
                let blob_started = *self.started.entry(moved.blob.digest()).or_insert(now);
                let done = self.sums.entry(digest).or_default().add(&moved);
                let vertex = Vertex { started: Some(started), completed: done.then_some(now), ..named(digest, &name) };
                let status = Status {
                    id: format!("sha256:{}", moved.blob.hex()),
                    vertex: digest,
                    total: moved.total,
                    current: moved.current,
                    timestamp: now,
                    started: blob_started,
                    completed: (moved.current >= moved.total).then_some(now),
                };
                let status = SolveStatus { vertexes: vec![vertex], statuses: vec![status], ..SolveStatus::default() };
                write(&mut self.out, &status)
            }
            Event::Task { name, done } => {
                let digest = Digest::of(&name);
                let started = *self.started.entry(digest).or_insert(now);
                let completed = done.then_some(now);
                let vertex = Vertex { started: Some(started), completed, ..named(digest, &name) };
                write(&mut self.out, &SolveStatus { vertexes: vec![vertex], ..SolveStatus::default() })
            }
        }
    }
}

impl Steps {
    /// A vertex's digest only has to identify the vertex within one build.
    fn digest(&self, step: StepId) -> Digest {
        Digest::of(format!("{step} {}", self.names.get(step)))
    }

    fn vertex(&self, step: StepId) -> Vertex<'_> {
        let inputs = self.plan.as_ref().map(|plan| {
            let node = petgraph_index(step);
            plan.graph
                .neighbors_directed(node, petgraph::Direction::Incoming)
                .map(|from| self.digest(plan.graph[from].id))
                .collect()
        });
        Vertex { inputs: inputs.unwrap_or_default(), ..named(self.digest(step), self.names.get(step)) }
    }
}

fn named(digest: Digest, name: &str) -> Vertex<'_> {
    Vertex { digest, inputs: Vec::new(), name, started: None, completed: None, cached: false, error: None }
}

/// Node indices equal step ids (`Plan`).
fn petgraph_index(step: StepId) -> petgraph::graph::NodeIndex {
    petgraph::graph::NodeIndex::new(step.index())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn write(out: &mut impl Write, status: &SolveStatus<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, status)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_line_is_a_solve_status() {
        let raw = RawJson::new(Vec::new());
        raw.event(Event::Started(StepId(0)));
        raw.event(Event::Line { step: StepId(0), stream: Stream::Stderr, at: Duration::ZERO, line: b"hi".to_vec() });
        raw.event(Event::Finished { step: StepId(0), outcome: Outcome::Failed, error: Some("exit code: 7".into()) });
        let text = String::from_utf8(raw.0.into_inner().out).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let vertex = &lines[2]["vertexes"][0];
        assert_eq!(lines[0]["vertexes"][0]["digest"], vertex["digest"]);
        assert!(vertex["started"].as_str() <= vertex["completed"].as_str());
        assert_eq!(vertex["error"], "exit code: 7");
        // "hi\n" in base 64, RFC 4648.
        assert_eq!((&lines[1]["logs"][0]["data"], &lines[1]["logs"][0]["stream"]), (&"aGkK".into(), &2.into()));
    }
}
