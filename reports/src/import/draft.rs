//! A record under construction: steps refer to each other by index, and times are those of any clock.

use super::names::{self, INTERNAL};
use buildscope_record::{
    ByteSize, Counter, Edge, EdgeKind, Fidelity, Layer, Nanos, Options, Outcome, Phase, Record, Resources, Sample,
    Source, SourceRange, Span, SpanId, Stage, StageId, Step, StepId, Tool, Wait, WaitKind,
};
use std::collections::{BTreeMap, HashMap};

/// Nanoseconds on the clock of the log: since 1970 if it has dates, else since the start of the log.
pub(crate) type Instant = i128;

/// The name of an interval that was inferred.
pub(crate) const INFERRED: &str = "inferred";

/// How many of the last output lines of a step are kept.
const LOG_LINES: usize = 20;

/// A step as the log shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftStep {
    pub(crate) stage: Option<String>,
    pub(crate) number: Option<(u32, u32)>,
    pub(crate) instruction: String,
    pub(crate) text: String,
    pub(crate) lines: Option<(u32, u32)>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) start: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// What the step did, and when. Inferred intervals have the name [`INFERRED`].
    pub(crate) spans: Vec<DraftSpan>,
    /// The indices of the steps that it needs.
    pub(crate) needs: Vec<usize>,
    /// The indices of the steps that it came after without needing them.
    pub(crate) after: Vec<usize>,
    pub(crate) error: Option<String>,
    pub(crate) log: Vec<String>,
    pub(crate) layer: Option<Layer>,
    pub(crate) resources: Option<Resources>,
}

/// An interval of a step or of the build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftSpan {
    pub(crate) phase: Phase,
    pub(crate) name: Option<String>,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) bytes: Option<u64>,
}

impl DraftSpan {
    pub(crate) fn new(phase: Phase, start: Instant, end: Instant) -> Self {
        // Clocks may step back. An interval that ends before it starts gets no length.
        Self { phase, name: None, start, end: end.max(start), bytes: None }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// A record under construction.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) source: Source,
    pub(crate) options: Options,
    pub(crate) cpus: Option<u32>,
    pub(crate) memory: Option<u64>,
    /// In any order. `finish` sorts them as in a Dockerfile.
    pub(crate) steps: Vec<DraftStep>,
    pub(crate) spans: Vec<DraftSpan>,
    pub(crate) counters: BTreeMap<String, Vec<(Instant, f64)>>,
    pub(crate) begin: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// Whether times are since 1970.
    pub(crate) dated: bool,
    pub(crate) failed: bool,
}

impl Draft {
    pub(crate) fn new(tool: Tool, fidelity: Fidelity) -> Self {
        Self {
            source: Source { tool, version: None, fidelity },
            options: Options::default(),
            cpus: None,
            memory: None,
            steps: Vec::new(),
            spans: Vec::new(),
            counters: BTreeMap::new(),
            begin: None,
            end: None,
            dated: false,
            failed: false,
        }
    }

    /// Extends the build's interval to include that time.
    pub(crate) fn saw(&mut self, at: Instant) {
        self.begin = Some(self.begin.map_or(at, |begin| begin.min(at)));
        self.end = Some(self.end.map_or(at, |end| end.max(at)));
    }

    /// Guesses dependencies that the log does not show: on the step before in the same stage, on the stages that the text names, on the
    /// build context for copies from it, and among the builder's own work in the order in which it was shown.
    pub(crate) fn guess_needs(&mut self) {
        let mut stages: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(stage) = &step.stage {
                stages.entry(stage.clone()).or_default().push(index);
            }
        }
        for indices in stages.values_mut() {
            indices.sort_by_key(|&index| (self.steps[index].number, index));
        }
        let context = self.steps.iter().position(|step| step.text.contains("load build context"));
        let last_of = |name: &str| {
            stages
                .iter()
                .find(|(stage, _)| stage.eq_ignore_ascii_case(name))
                .and_then(|(_, indices)| indices.last().copied())
        };
        let base = |stage: &str, index: usize| stages.get(stage).is_some_and(|indices| indices.first() == Some(&index));
        let mut loaded: Vec<usize> = Vec::new();
        let mut needs: Vec<Vec<usize>> = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let mut own = Vec::new();
            match &step.stage {
                Some(stage) => {
                    let siblings = &stages[stage];
                    let before = siblings.iter().position(|&sibling| sibling == index).and_then(|at| at.checked_sub(1));
                    own.extend(before.map(|at| siblings[at]));
                    own.extend(names::sources(&step.instruction, &step.text).iter().filter_map(|name| last_of(name)));
                    let copies = matches!(step.instruction.as_str(), "COPY" | "ADD")
                        && names::flags(&step.text, "from").next().is_none();
                    own.extend(context.filter(|_| copies));
                    if base(stage, index) {
                        own.extend(loaded.iter().copied());
                    }
                }
                None if is_export(&step.text) => {
                    own.extend(
                        self.steps.iter().enumerate().filter(|(_, step)| step.stage.is_some()).map(|(index, _)| index),
                    );
                }
                None => own.extend(loaded.last().copied()),
            }
            if step.stage.is_none() && !is_export(&step.text) {
                loaded.push(index);
            }
            own.retain(|&other| other != index);
            needs.push(own);
        }
        // A guessed edge that would close a cycle is dropped.
        for (index, own) in needs.into_iter().enumerate() {
            for need in own {
                if !self.reaches(index, need) {
                    self.steps[index].needs.push(need);
                }
            }
        }
    }

    /// Whether the step `to` needs `from`, directly or through other steps.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let (mut seen, mut open) = (vec![false; self.steps.len()], vec![to]);
        while let Some(index) = open.pop() {
            if index == from {
                return true;
            }
            if !std::mem::replace(&mut seen[index], true) {
                open.extend(self.steps[index].needs.iter().chain(&self.steps[index].after));
            }
        }
        false
    }

    /// Adds inferred intervals. Between the end of everything that a step needs and its start, the builder hashed content (before a
    /// COPY) or had no slot for it. Between the ends of two holders of one lock, the second waited.
    pub(crate) fn infer_gaps(&mut self) {
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let ends = step.needs.iter().chain(&step.after).filter_map(|&need| self.steps[need].end);
            let (Some(start), Some(free)) = (step.start, ends.max()) else { continue };
            if free < start {
                let hashes = matches!(step.instruction.as_str(), "COPY" | "ADD");
                let phase = if hashes { Phase::ContextHash } else { Phase::Queue };
                self.steps[index].spans.push(DraftSpan::new(phase, free, start).named(INFERRED));
            }
        }
    }

    /// Infers the waits for shared locks from the ends of their holders: a step that started before the end of another holder, and ended
    /// after it, held the lock only from that end on.
    fn lock_waits(&self) -> Vec<(usize, usize, Instant, Instant, String)> {
        let mut holders: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, step) in
            self.steps.iter().enumerate().filter(|(_, step)| step.start.is_some() && step.end.is_some())
        {
            if step.instruction == "RUN" && step.outcome == Some(Outcome::Executed) {
                names::locks(&step.text).into_iter().for_each(|lock| holders.entry(lock).or_default().push(index));
            }
        }
        let mut waits = Vec::new();
        for (lock, mut indices) in holders {
            indices.sort_by_key(|&index| self.steps[index].end);
            for pair in indices.windows(2) {
                let (holder, waiter) = (&self.steps[pair[0]], &self.steps[pair[1]]);
                if let (Some(end), Some(start)) = (holder.end, waiter.start)
                    && start < end
                {
                    waits.push((pair[1], pair[0], start, end, lock.clone()));
                }
            }
        }
        waits
    }

    /// The record: steps sorted as in a Dockerfile, and time zero at the first observed instant.
    pub(crate) fn finish(mut self) -> Record {
        for step in &mut self.steps {
            if let (Some(start), Some(end)) = (step.start, step.end) {
                step.end = Some(end.max(start));
            }
        }
        let seen: Vec<Instant> = self.instants().collect();
        seen.into_iter().for_each(|at| self.saw(at));
        let (begin, end) = (self.begin.unwrap_or(0), self.end.unwrap_or(0));
        let at = |instant: Instant| {
            Nanos(u64::try_from((instant - begin).max(0)).unwrap_or(u64::MAX).min(Record::LONGEST.0))
        };
        let order = self.dockerfile_order();
        let mut ids = vec![StepId(0); order.len()];
        order.iter().enumerate().for_each(|(id, &index)| ids[index] = step_id(id));
        let stages = self.stages(&order);

        let mut record = Record::of(self.source.clone());
        record.options = self.options.clone();
        record.host.cpus = self.cpus;
        record.host.memory = self.memory.map(ByteSize);
        record.started = self.dated.then(|| rfc3339(begin)).flatten();
        record.wall = at(end);
        record.succeeded = !self.failed;
        record.stages = stages
            .iter()
            .enumerate()
            .map(|(id, (name, base))| Stage { id: StageId(id as u32), name: name.clone(), base: base.clone() })
            .collect();
        for wait in self.lock_waits() {
            let (waiter, holder, start, end, lock) = wait;
            let name = Some(format!("{lock} ({INFERRED})"));
            let (step, on) = (ids[waiter], Some(ids[holder]));
            record.waits.push(Wait { step, kind: WaitKind::Lock, on, name, start: at(start), end: at(end) });
        }
        for (id, &index) in order.iter().enumerate() {
            let step = std::mem::take(&mut self.steps[index]);
            let id = step_id(id);
            let edges = step
                .needs
                .iter()
                .map(|&need| (need, EdgeKind::Data))
                .chain(step.after.iter().map(|&need| (need, EdgeKind::Order)));
            record.edges.extend(edges.filter(|&(need, _)| need != index).map(|(need, kind)| Edge {
                from: ids[need],
                to: id,
                kind,
            }));
            for span in &step.spans {
                push(&mut record, Some(id), span, at);
            }
            record.steps.push(finished(step, id, &stages, at));
        }
        record.edges.sort_unstable_by_key(|edge| (edge.to, edge.from, edge.kind));
        record.edges.dedup_by_key(|edge| (edge.to, edge.from));
        for span in &self.spans {
            push(&mut record, None, span, at);
        }
        for (name, mut samples) in self.counters {
            samples.sort_by_key(|&(at, _)| at);
            samples.retain(|(_, value)| value.is_finite());
            let samples = samples.into_iter().map(|(instant, value)| Sample { at: at(instant), value }).collect();
            record.counters.push(Counter { name, step: None, samples });
        }
        break_cycles(&mut record);
        record
    }

    fn instants(&self) -> impl Iterator<Item = Instant> {
        let steps = self.steps.iter().flat_map(|step| [step.start, step.end].into_iter().flatten());
        let spans = self.spans.iter().chain(self.steps.iter().flat_map(|step| &step.spans));
        steps.chain(spans.flat_map(|span| [span.start, span.end]))
    }

    /// The order of the steps: the builder's own work before the first stage, the stages by their first line or first start, and the
    /// builder's own work after them.
    fn dockerfile_order(&self) -> Vec<usize> {
        let mut first: HashMap<&str, (u32, Instant, usize)> = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(stage) = &step.stage {
                let key = (step.lines.map_or(u32::MAX, |lines| lines.0), step.start.unwrap_or(Instant::MAX), index);
                let known = first.entry(stage).or_insert(key);
                *known = (*known).min(key);
            }
        }
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|&index| {
            let step = &self.steps[index];
            match &step.stage {
                Some(stage) => (1, first.get(stage.as_str()).copied(), step.number, step.lines, None, index),
                None => (if is_export(&step.text) { 2 } else { 0 }, None, None, None, step.start, index),
            }
        });
        order
    }

    /// The names and bases of the stages, in the order of their steps.
    fn stages(&self, order: &[usize]) -> Vec<(String, String)> {
        let mut stages: Vec<(String, String)> = Vec::new();
        for step in order.iter().map(|&index| &self.steps[index]) {
            let Some(name) = &step.stage else { continue };
            if !stages.iter().any(|(known, _)| known == name) {
                let base = names::sources(&step.instruction, &step.text)
                    .into_iter()
                    .next()
                    .filter(|_| step.instruction == "FROM");
                stages.push((name.clone(), base.unwrap_or_default()));
            }
        }
        stages
    }
}

fn is_export(text: &str) -> bool {
    ["exporting", "pushing", "writing image", "COMMIT", "sending tarball", "naming to"]
        .iter()
        .any(|word| text.starts_with(word))
}

fn step_id(index: usize) -> StepId {
    StepId(u32::try_from(index).unwrap_or(u32::MAX))
}

fn finished(step: DraftStep, id: StepId, stages: &[(String, String)], at: impl Fn(Instant) -> Nanos) -> Step {
    let stage = step.stage.as_ref().and_then(|name| stages.iter().position(|(known, _)| known == name));
    let outcome = step.outcome.unwrap_or(if step.start.is_some() { Outcome::Executed } else { Outcome::Pruned });
    let keep = step.log.len().saturating_sub(LOG_LINES);
    Step {
        stage: stage.map(|stage| StageId(stage as u32)),
        source: step.lines.map(|(line, end_line)| SourceRange { line, end_line: end_line.max(line) }),
        outcome,
        start: step.start.map(&at),
        end: step.end.map(&at),
        layer: step.layer,
        resources: step.resources,
        locks: if step.instruction == "RUN" { names::locks(&step.text) } else { Vec::new() },
        log: step.log.into_iter().skip(keep).collect(),
        exit_code: step.error.as_deref().and_then(names::exit_code),
        error: step.error,
        ..Step::of(id, if step.instruction.is_empty() { INTERNAL.to_owned() } else { step.instruction }, step.text)
    }
}

fn push(record: &mut Record, step: Option<StepId>, span: &DraftSpan, at: impl Fn(Instant) -> Nanos) {
    let id = SpanId(record.spans.len() as u64);
    let fields = span.bytes.map(|bytes| ("bytes_read".to_owned(), bytes)).into_iter().collect();
    let (start, end) = (at(span.start), at(span.end));
    record.spans.push(Span { id, step, name: span.name.clone(), start, end, fields, ..Span::of(span.phase) });
}

/// Drops the edges of cycles, which a log from outside may contain.
fn break_cycles(record: &mut Record) {
    while let Err(buildscope_record::Fault::StepCycle { path }) = record.validate() {
        let circle: Vec<_> = path.windows(2).map(|pair| (pair[0], pair[1])).collect();
        record.edges.retain(|edge| !circle.contains(&(edge.from, edge.to)));
    }
}

/// Formats nanoseconds since 1970 as RFC 3339.
fn rfc3339(at: Instant) -> Option<String> {
    jiff::Timestamp::from_nanosecond(at).ok().map(|timestamp| timestamp.to_string())
}

/// Parses RFC 3339 as nanoseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<Instant> {
    text.parse::<jiff::Timestamp>().ok().map(|timestamp| timestamp.as_nanosecond())
}
