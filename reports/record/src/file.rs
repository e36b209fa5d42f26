//! Records as files: reading with checks of version and consistency, writing, and the JSON Schema.
//!
//! Readers refuse a `schema` above [`SCHEMA`], read every older one, and ignore unknown fields. `schema/` has the JSON Schema of
//! every version.

use crate::{Nanos, Outcome, Processes, Record, SCHEMA, Span, SpanId, StageId, StepId, escaped_json, redacted};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Write};

/// The reason why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be read or written.
    #[error("the record cannot be read or written")]
    Io(#[from] io::Error),
    /// The text is not JSON, or the JSON is not a record.
    #[error("not a build record: {0}")]
    Json(serde_json::Error),
    /// The record was written by a newer version of buildscope.
    #[error("this record has schema {found}; this buildscope reads schemas up to {SCHEMA}: use a newer one")]
    Version {
        /// The version in the file.
        found: u64,
    },
    /// The record contradicts itself.
    #[error("this record contradicts itself: {0}")]
    Invalid(Fault),
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault)
    }
}

/// A contradiction within a record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// `stages[i].id` is not `i`.
    #[error("stages[{index}] has id {}, but a stage's id is its index", .id.0)]
    StageId {
        /// The index of the entry.
        index: usize,
        /// The id of the entry.
        id: StageId,
    },
    /// `steps[i].id` is not `i`.
    #[error("steps[{index}] has id {}, but a step's id is its index", .id.0)]
    StepId {
        /// The index of the entry.
        index: usize,
        /// The id of the entry.
        id: StepId,
    },
    /// An entry refers to a stage that does not exist.
    #[error("{entry} names stage {}, but there are {stages} stages", .id.0)]
    NoStage {
        /// The entry that refers to it: `steps[3]`.
        entry: String,
        /// The stage that does not exist.
        id: StageId,
        /// The number of stages or steps in the record.
        stages: usize,
    },
    /// An entry refers to a step that does not exist.
    #[error("{entry} names step {}, but there are {steps} steps", .id.0)]
    NoStep {
        /// The entry that refers to it: `edges[3]`, `targets[3]`, `spans[3]`, `waits[3]`, `counters[3]`.
        entry: String,
        /// The step that does not exist.
        id: StepId,
        /// The number of stages or steps in the record.
        steps: usize,
    },
    /// A process refers to one that does not come before it in the list.
    #[error("{entry} names process {id}, which does not come before it")]
    NoProcess {
        /// The entry that refers to it: `steps[3].processes.list[7]`.
        entry: String,
        /// The index that it refers to.
        id: u32,
    },
    /// An interval ends before it starts.
    #[error("{entry} ends at {end} ns, before it starts at {start} ns")]
    Backwards {
        /// The entry: `spans[3]`.
        entry: String,
        /// The start in nanoseconds.
        start: u64,
        /// The end in nanoseconds.
        end: u64,
    },
    /// The build took longer than [`Record::LONGEST`].
    #[error("a wall time of {nanos} ns is more than the 104 days that a record can hold exactly")]
    TooLong {
        /// The wall time in nanoseconds.
        nanos: u64,
    },
    /// Two spans have the same id.
    #[error("spans[{index}] has id {}, which an earlier span has too", .id.0)]
    DuplicateSpan {
        /// The index of the second span.
        index: usize,
        /// The id.
        id: SpanId,
    },
    /// A span is its own ancestor.
    #[error("spans[{index}] is within itself")]
    SpanCycle {
        /// The index of one span of the cycle.
        index: usize,
    },
    /// Steps wait for each other in a cycle.
    #[error("steps need each other: {}", .path.iter().map(|step| step.0.to_string()).collect::<Vec<_>>().join(" -> "))]
    StepCycle {
        /// The cycle, its first step repeated at the end.
        path: Vec<StepId>,
    },
    /// The samples of a counter are not in the order of time.
    #[error("counters[{index}] (`{name}`) goes back in time")]
    CounterOrder {
        /// The index of the counter.
        index: usize,
        /// The name of the counter.
        name: String,
    },
}

impl Record {
    /// The longest build: 2^53 ns, 104 days, up to which every JSON reader holds integers exactly (RFC 8259, section 6).
    pub const LONGEST: Nanos = Nanos(1 << 53);

    /// Reads a record and validates it.
    ///
    /// # Errors
    /// Every [`RecordError`].
    pub fn read(mut from: impl Read) -> Result<Self, RecordError> {
        let mut text = Vec::new();
        from.read_to_end(&mut text)?;
        Self::from_json(&text)
    }

    /// Reads a record from JSON and validates it.
    ///
    /// # Errors
    /// Every [`RecordError`] but [`Io`](RecordError::Io).
    pub fn from_json(text: &[u8]) -> Result<Self, RecordError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema: u64,
        }
        // An older version may have kept credentials.
        let masked = std::str::from_utf8(text).map(redacted);
        let text = masked.as_ref().map_or(text, |text| text.as_bytes());
        let read = serde_json::from_slice::<Self>(text);
        // A newer record may differ anywhere. The error must be about its version, not about a difference.
        let schema = match &read {
            Ok(record) => u64::from(record.schema),
            Err(_) => serde_json::from_slice::<Version>(text)?.schema,
        };
        if schema > u64::from(SCHEMA) || schema == 0 {
            return Err(RecordError::Version { found: schema });
        }
        let record = read?;
        record.validate()?;
        Ok(record)
    }

    /// Writes the record as indented JSON. Credentials in addresses are left out.
    ///
    /// # Errors
    /// [`RecordError::Io`] and, for a number that JSON cannot hold (NaN in a counter), [`RecordError::Json`].
    pub fn write(&self, mut to: impl Write) -> Result<(), RecordError> {
        to.write_all(&self.json()?)?;
        to.flush()?;
        Ok(())
    }

    /// Not generic over the writer, so that it is compiled once, in this crate.
    fn json(&self) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_string_pretty(self)?;
        // A record is shared, and texts of all kinds may contain addresses and control sequences: commands, errors, logs.
        let mut json = changed(changed(json, redacted), escaped_json).into_bytes();
        json.push(b'\n');
        Ok(json)
    }

    /// The record without the credentials in addresses: texts of all kinds may contain them. What is shown, sent, kept or compared is
    /// this, so that two records of one build have the same texts.
    #[must_use]
    pub fn without_credentials(self) -> Self {
        without_credentials(self)
    }

    /// Notes in which words the build failed, if no step did.
    pub fn fails_outside_of_steps(&mut self, words: &str) {
        if !self.succeeded && self.steps.iter().all(|step| step.outcome != Outcome::Failed) {
            self.notes.push(failure_outside_of_steps(words));
        }
    }

    /// Checks that every reference has a target, no interval ends before it starts, and no step or span contains or waits for itself.
    ///
    /// Intervals beyond the wall time are allowed. Explanations cut them.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn validate(&self) -> Result<(), Fault> {
        if self.wall > Self::LONGEST {
            return Err(Fault::TooLong { nanos: self.wall.0 });
        }
        for (index, stage) in self.stages.iter().enumerate() {
            if stage.id.index() != index {
                return Err(Fault::StageId { index, id: stage.id });
            }
        }
        for (index, step) in self.steps.iter().enumerate() {
            let entry = || format!("steps[{index}]");
            if step.id.index() != index {
                return Err(Fault::StepId { index, id: step.id });
            }
            if let Some(id) = step.stage.filter(|id| id.index() >= self.stages.len()) {
                return Err(Fault::NoStage { entry: entry(), id, stages: self.stages.len() });
            }
            if let (Some(start), Some(end)) = (step.start, step.end) {
                ordered(start.0, end.0, entry)?;
            }
            step.processes
                .as_ref()
                .map_or(Ok(()), |processes| processes.validate(&format!("{}.processes", entry())))?;
        }
        for (index, edge) in self.edges.iter().enumerate() {
            self.known(edge.from, || format!("edges[{index}]"))?;
            self.known(edge.to, || format!("edges[{index}]"))?;
        }
        for (index, target) in self.targets.iter().enumerate() {
            let entry = || format!("targets[{index}]");
            target.steps.iter().try_for_each(|&step| self.known(step, entry))?;
            if let (Some(start), Some(end)) = (target.start, target.end) {
                ordered(start.0, end.0, entry)?;
            }
        }
        for (index, span) in self.spans.iter().enumerate() {
            let entry = || format!("spans[{index}]");
            span.step.map_or(Ok(()), |step| self.known(step, entry))?;
            ordered(span.start.0, span.end.0, entry)?;
        }
        for (index, wait) in self.waits.iter().enumerate() {
            let entry = || format!("waits[{index}]");
            self.known(wait.step, entry)?;
            wait.on.map_or(Ok(()), |step| self.known(step, entry))?;
            ordered(wait.start.0, wait.end.0, entry)?;
        }
        for (index, counter) in self.counters.iter().enumerate() {
            counter.step.map_or(Ok(()), |step| self.known(step, || format!("counters[{index}]")))?;
            if !counter.samples.is_sorted_by_key(|sample| sample.at) {
                return Err(Fault::CounterOrder { index, name: counter.name.clone() });
            }
        }
        span_forest(&self.spans)?;
        self.acyclic()
    }

    fn known(&self, id: StepId, entry: impl Fn() -> String) -> Result<(), Fault> {
        let steps = self.steps.len();
        if id.index() < steps { Ok(()) } else { Err(Fault::NoStep { entry: entry(), id, steps }) }
    }

    /// Kahn's algorithm (1962). The steps that it cannot sort contain a cycle, which is then followed for the message.
    fn acyclic(&self) -> Result<(), Fault> {
        let mut needs = vec![0usize; self.steps.len()];
        let mut next = vec![Vec::new(); self.steps.len()];
        for edge in &self.edges {
            needs[edge.to.index()] += 1;
            next[edge.from.index()].push(edge.to);
        }
        let mut ready: Vec<usize> = (0..needs.len()).filter(|&step| needs[step] == 0).collect();
        while let Some(step) = ready.pop() {
            for to in &next[step] {
                needs[to.index()] -= 1;
                if needs[to.index()] == 0 {
                    ready.push(to.index());
                }
            }
        }
        let Some(start) = needs.iter().position(|&needs| needs > 0) else { return Ok(()) };
        // Each remaining step waits for another remaining step, so following the edges backwards reaches a step twice.
        let mut before = HashMap::new();
        for edge in self.edges.iter().filter(|edge| needs[edge.from.index()] > 0) {
            before.insert(edge.to.index(), edge.from);
        }
        let mut path = vec![self.steps[start].id];
        loop {
            let last = path[path.len() - 1];
            let from = before[&last.index()];
            let seen = path.iter().position(|&step| step == from);
            path.push(from);
            if let Some(seen) = seen {
                path.drain(..seen);
                path.reverse();
                return Err(Fault::StepCycle { path });
            }
        }
    }
}

impl Processes {
    /// Checks that processes come after those that they refer to, so that no process is its own ancestor, and that none ends before it
    /// starts. `path` names this value in a message.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn validate(&self, path: &str) -> Result<(), Fault> {
        ordered(self.start.0, self.end.0, || path.to_owned())?;
        for (index, process) in self.list.iter().enumerate() {
            let entry = || format!("{path}.list[{index}]");
            ordered(process.start.0, process.end.0, entry)?;
            for id in [process.parent, process.replaces].into_iter().flatten() {
                if id as usize >= index {
                    return Err(Fault::NoProcess { entry: entry(), id });
                }
            }
        }
        for (index, folded) in self.folded.iter().enumerate() {
            let entry = || format!("{path}.folded[{index}]");
            ordered(folded.start.0, folded.end.0, entry)?;
            if let Some(id) = folded.parent.filter(|&id| id as usize >= self.list.len()) {
                return Err(Fault::NoProcess { entry: entry(), id });
            }
        }
        Ok(())
    }
}

fn ordered(start: u64, end: u64, entry: impl Fn() -> String) -> Result<(), Fault> {
    if start <= end { Ok(()) } else { Err(Fault::Backwards { entry: entry(), start, end }) }
}

/// Checks that ids are unique and parents lead to a root. A missing parent is allowed: that span was still open when the collection
/// ended.
fn span_forest(spans: &[Span]) -> Result<(), Fault> {
    let mut indices = HashMap::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        if indices.insert(span.id, index).is_some() {
            return Err(Fault::DuplicateSpan { index, id: span.id });
        }
    }
    // 0: not visited, 1: on the current path, 2: leads to a root.
    let mut state = vec![0u8; spans.len()];
    let mut way = Vec::new();
    for index in 0..spans.len() {
        let mut at = Some(index);
        while let Some(current) = at.filter(|&current| state[current] != 2) {
            if state[current] == 1 {
                return Err(Fault::SpanCycle { index: current });
            }
            state[current] = 1;
            way.push(current);
            at = spans[current].parent.and_then(|parent| indices.get(&parent).copied());
        }
        for current in way.drain(..) {
            state[current] = 2;
        }
    }
    Ok(())
}

/// The JSON Schema (draft 2020-12) of a record, generated from the types; `schema/record.v2.json` is its copy.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Record).to_value()
}

/// The note of a build that failed outside of its steps.
pub fn failure_outside_of_steps(words: &str) -> String {
    format!("the build failed outside of its steps: {words}")
}

/// The text after a change. It is not copied if nothing changes: a record may have tens of megabytes.
fn changed(text: String, change: impl Fn(&str) -> Cow<'_, str>) -> String {
    let changed = match change(&text) {
        Cow::Owned(changed) => Some(changed),
        Cow::Borrowed(_) => None,
    };
    changed.unwrap_or(text)
}

/// A value without the credentials in addresses of its texts.
pub(crate) fn without_credentials<T: Serialize + DeserializeOwned>(value: T) -> T {
    let masked = serde_json::to_string(&value).ok().and_then(|json| match redacted(&json) {
        Cow::Borrowed(_) => None,
        Cow::Owned(masked) => serde_json::from_str(&masked).ok(),
    });
    masked.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counter, Edge, EdgeKind, Fidelity, Phase, Sample, Source, Step, Wait, WaitKind};

    fn record() -> Record {
        let source = Source { tool: crate::Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        let steps = (0..3).map(|id| Step::of(StepId(id), "RUN", "RUN true")).collect();
        Record { steps, ..Record::of(source) }
    }

    fn edge(from: u32, to: u32) -> Edge {
        Edge { from: StepId(from), to: StepId(to), kind: EdgeKind::Data }
    }

    fn fault(change: impl FnOnce(&mut Record)) -> String {
        let mut record = record();
        change(&mut record);
        record.validate().unwrap_err().to_string()
    }

    #[test]
    fn written_documents_are_read_back() {
        let mut text = Vec::new();
        record().write(&mut text).unwrap();
        assert_eq!(Record::read(&text[..]).unwrap(), record());
    }

    #[test]
    fn credentials_in_any_text_are_left_out() {
        let mut record = record();
        record.steps[0].text = "ADD https://me:secret@host/a.git /a".into();
        record.steps[1].log = vec!["fetching https://me:secret@host/b".into()];
        record.steps[1].error = Some("\"https://me:secret@host/c\" \u{1b}[0m failed".into());
        record.notes = vec!["https://host/?token=secret".into()];
        let masked = record.clone().without_credentials();
        assert_eq!(masked.steps[0].text, "ADD https://me:xxxxx@host/a.git /a");
        assert_eq!(masked.steps[1].log, ["fetching https://me:xxxxx@host/b"]);
        assert_eq!(masked.steps[1].error.as_deref(), Some("\"https://me:xxxxx@host/c\" \u{1b}[0m failed"));
        assert_eq!(masked.notes, ["https://host/?token=xxxxx"]);
        assert_eq!(masked.clone().without_credentials(), masked);
        // A file and the record in memory have the same texts.
        let mut text = Vec::new();
        record.write(&mut text).unwrap();
        assert_eq!(Record::read(&text[..]).unwrap(), masked);
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(fault(|r| r.steps[1].id = StepId(7)), "steps[1] has id 7, but a step's id is its index");
        assert_eq!(fault(|r| r.steps[1].stage = Some(StageId(0))), "steps[1] names stage 0, but there are 0 stages");
        assert!(fault(|r| r.wall = Nanos(u64::MAX)).contains("104 days"));
        assert_eq!(fault(|r| r.edges.push(edge(1, 3))), "edges[0] names step 3, but there are 3 steps");
        let mut span = Span::of(Phase::Copy);
        (span.start, span.end) = (Nanos(5), Nanos(4));
        assert_eq!(fault(|r| r.spans.push(span)), "spans[0] ends at 4 ns, before it starts at 5 ns");
        let wait = Wait {
            step: StepId(0),
            kind: WaitKind::Slot,
            on: Some(StepId(9)),
            name: None,
            start: Nanos(0),
            end: Nanos(1),
        };
        assert_eq!(fault(|r| r.waits.push(wait)), "waits[0] names step 9, but there are 3 steps");
        let twice = [Span::of(Phase::Copy), Span::of(Phase::Diff)];
        assert_eq!(fault(|r| r.spans.extend(twice)), "spans[1] has id 0, which an earlier span has too");
        let within = Span { parent: Some(SpanId(0)), ..Span::of(Phase::Copy) };
        assert_eq!(fault(|r| r.spans.push(within)), "spans[0] is within itself");
        let samples = [3, 2].map(|at| Sample { at: Nanos(at), value: 0.0 }).to_vec();
        let counter = Counter { name: "x".into(), step: None, samples };
        assert_eq!(fault(|r| r.counters.push(counter)), "counters[0] (`x`) goes back in time");
    }

    #[test]
    fn a_cycle_is_reported_in_full() {
        assert_eq!(
            fault(|r| r.edges.extend([edge(0, 1), edge(1, 2), edge(2, 1)])),
            "steps need each other: 1 -> 2 -> 1"
        );
        assert_eq!(fault(|r| r.edges.push(edge(2, 2))), "steps need each other: 2 -> 2");
    }

    #[test]
    fn a_newer_record_is_refused_by_its_version() {
        let error = Record::from_json(br#"{"schema": 3, "steps": "in a form to come"}"#).unwrap_err();
        assert!(matches!(error, RecordError::Version { found: 3 }), "{error}");
        let error = Record::from_json(b"{}").unwrap_err();
        assert!(error.to_string().contains("missing field `schema`"), "{error}");
    }
}
