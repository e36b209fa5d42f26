//! A record under construction: steps refer to each other by their index in the draft, and times are those of any clock.

use super::instant::{Instant, rfc3339};
use super::names::{self, Name, is_export};
use super::output::Output;
use super::targets;
use crate::graph::topological;
use crate::index::{Grouped, Index, Indexed};
use buildscope_record::{
    ByteSize, Cache, Counter, Edge, EdgeKind, Fidelity, Instruction, Layer, Nanos, Options, Outcome, OutputLine, Phase,
    Record, Resources, Sample, Source, SourceRange, Span, SpanId, Stage, StageId, Step, StepId, Tool, Wait, WaitKind,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The name of an interval that was inferred.
pub(crate) const INFERRED: &str = "inferred";

/// How many of the last output lines of a step are kept.
const LOG_LINES: usize = 20;

/// The index of a step in its draft. The record has the steps in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DraftId(usize);

impl Index for DraftId {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// A step as the log shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftStep {
    pub(crate) stage: Option<String>,
    /// The target of a bake file or the service of a compose file.
    pub(crate) target: Option<String>,
    /// The platform, or `linux/amd64->arm64` for a step that runs on one platform for another.
    pub(crate) platform: Option<String>,
    pub(crate) number: Option<(u32, u32)>,
    pub(crate) instruction: Instruction,
    pub(crate) text: String,
    pub(crate) lines: Option<(u32, u32)>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) start: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// What the step did, and when. Inferred intervals have the name [`INFERRED`].
    pub(crate) spans: Vec<DraftSpan>,
    /// What the step waited for, and when.
    pub(crate) waits: Vec<DraftWait>,
    /// The steps that it needs.
    pub(crate) needs: Vec<DraftId>,
    /// The steps that it came after without needing them.
    pub(crate) after: Vec<DraftId>,
    pub(crate) error: Option<String>,
    pub(crate) log: Vec<String>,
    /// The lines of the output that say what the step does.
    pub(crate) output: Output,
    pub(crate) layer: Option<Layer>,
    pub(crate) resources: Option<Resources>,
    /// The parts of the cache key, and why the step missed.
    pub(crate) cache: Option<Cache>,
}

impl DraftStep {
    /// A step of which only the name is known.
    pub(crate) fn named(name: Name) -> Self {
        Self {
            stage: name.stage,
            target: name.target,
            platform: name.platform,
            number: name.number,
            instruction: name.instruction,
            text: name.text,
            ..Self::default()
        }
    }
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

/// A wait of a step. The name of an inferred one says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DraftWait {
    pub(crate) kind: WaitKind,
    /// The step that ended the wait, if there was one.
    pub(crate) on: Option<DraftId>,
    pub(crate) name: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// A record under construction.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) source: Source,
    pub(crate) options: Options,
    pub(crate) cpus: Option<u32>,
    pub(crate) memory: Option<u64>,
    /// In any order. `finish` sorts them as in a Dockerfile.
    pub(crate) steps: Indexed<DraftId, DraftStep>,
    pub(crate) spans: Vec<DraftSpan>,
    pub(crate) counters: BTreeMap<String, Vec<(Instant, f64)>>,
    pub(crate) begin: Option<Instant>,
    pub(crate) end: Option<Instant>,
    /// Whether times are since 1970.
    pub(crate) dated: bool,
    pub(crate) failed: bool,
    /// Whether the log ends before the build does.
    pub(crate) unfinished: bool,
    /// What the reader of the record should know about how the log was read.
    pub(crate) notes: Vec<String>,
    /// The number of the log's line at which the build begins.
    pub(crate) line: usize,
}

impl Draft {
    pub(crate) fn new(tool: Tool, fidelity: Fidelity) -> Self {
        Self {
            source: Source { tool, version: None, fidelity },
            options: Options::default(),
            cpus: None,
            memory: None,
            steps: Indexed::default(),
            spans: Vec::new(),
            counters: BTreeMap::new(),
            begin: None,
            end: None,
            dated: false,
            failed: false,
            unfinished: false,
            notes: Vec::new(),
            line: 0,
        }
    }

    /// Whether the log ends between two steps: nothing failed and nothing was exported, but steps that were announced did not begin, or
    /// the last steps of a stage are not there.
    pub(crate) fn is_cut(&self) -> bool {
        let exported =
            |step: &DraftStep| step.stage.is_none() && is_export(&step.text) && step.outcome == Some(Outcome::Executed);
        if self.failed || self.steps.iter().any(exported) {
            return false;
        }
        let mut last: HashMap<(Option<&str>, &str), (u32, u32)> = HashMap::new();
        for step in self.steps.iter() {
            let (Some(stage), Some(number)) = (&step.stage, step.number) else { continue };
            let known = last.entry((step.target.as_deref(), stage)).or_default();
            let began = step.outcome != Some(Outcome::Pruned);
            *known = (known.0.max(if began { number.0 } else { 0 }), known.1.max(number.1));
        }
        last.values().any(|&(number, of)| number < of)
    }

    /// The steps, each after the steps that it needs or comes after. Steps on a cycle are left out.
    pub(crate) fn order(&self) -> Vec<DraftId> {
        let edges = |(id, step): (DraftId, &DraftStep)| -> Vec<(DraftId, DraftId)> {
            step.needs.iter().chain(&step.after).map(|&need| (need, id)).collect()
        };
        let edges: Vec<_> = self.steps.entries().flat_map(edges).collect();
        let after = Grouped::new(self.steps.len(), edges.into_iter());
        topological(self.steps.len(), &after)
    }

    /// Extends the build's interval to include that time.
    pub(crate) fn saw(&mut self, at: Instant) {
        self.begin = Some(self.begin.map_or(at, |begin| begin.min(at)));
        self.end = Some(self.end.map_or(at, |end| end.max(at)));
    }

    /// The record: steps sorted as in a Dockerfile, and time zero at the first observed instant.
    pub(crate) fn finish(mut self) -> Record {
        let targets = targets::of(&self);
        self.label_stages();
        for step in self.steps.iter_mut() {
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
        let mut ids: Indexed<DraftId, StepId> = Indexed::filled(StepId(0), order.len());
        order.iter().enumerate().for_each(|(id, &step)| ids[step] = StepId::from_index(id));
        let stages = self.stages(&order);
        let stage_ids: HashMap<String, StageId> =
            stages.iter().enumerate().map(|(id, (name, _))| (name.clone(), StageId(id as u32))).collect();

        let mut record = Record::of(self.source.clone());
        record.options = self.options.clone();
        record.host.cpus = self.cpus;
        record.host.memory = self.memory.map(ByteSize);
        record.started = self.dated.then(|| rfc3339(begin)).flatten();
        record.wall = at(end);
        record.succeeded = !self.failed && !self.unfinished;
        record.unfinished = self.unfinished && !self.failed;
        record.notes = std::mem::take(&mut self.notes);
        record.stages = stages
            .iter()
            .enumerate()
            .map(|(id, (name, base))| Stage { id: StageId(id as u32), name: name.clone(), base: base.clone() })
            .collect();
        record.targets = targets.into_iter().map(|target| target.finish(&ids, at)).collect();
        for own in order {
            let step = std::mem::take(&mut self.steps[own]);
            let id = ids[own];
            let edges = step
                .needs
                .iter()
                .map(|&need| (need, EdgeKind::Data))
                .chain(step.after.iter().map(|&need| (need, EdgeKind::Order)));
            record.edges.extend(edges.filter(|&(need, _)| need != own).map(|(need, kind)| Edge {
                from: ids[need],
                to: id,
                kind,
            }));
            for span in &step.spans {
                push(&mut record, Some(id), span, at);
            }
            record.waits.extend(step.waits.iter().map(|wait| Wait {
                step: id,
                kind: wait.kind,
                on: wait.on.map(|on| ids[on]),
                name: Some(wait.name.clone()),
                start: at(wait.start),
                end: at(wait.end),
            }));
            record.steps.push(finished(step, id, &stage_ids, at));
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
    fn dockerfile_order(&self) -> Vec<DraftId> {
        let mut first: HashMap<&str, (u32, Instant, DraftId)> = HashMap::new();
        for (id, step) in self.steps.entries() {
            if let Some(stage) = &step.stage {
                let key = (step.lines.map_or(u32::MAX, |lines| lines.0), step.start.unwrap_or(Instant::MAX), id);
                let known = first.entry(stage).or_insert(key);
                *known = (*known).min(key);
            }
        }
        let mut order: Vec<DraftId> = self.steps.indices().collect();
        order.sort_by_key(|&id| {
            let step = &self.steps[id];
            match &step.stage {
                Some(stage) => (1, first.get(stage.as_str()).copied(), step.number, step.lines, None, id),
                None => (if is_export(&step.text) { 2 } else { 0 }, None, None, None, step.start, id),
            }
        });
        order
    }

    /// The names and bases of the stages, in the order of their steps.
    fn stages(&self, order: &[DraftId]) -> Vec<(String, String)> {
        let mut known = HashSet::new();
        let mut stages = Vec::new();
        for step in order.iter().map(|&id| &self.steps[id]) {
            let Some(name) = step.stage.as_ref().filter(|name| known.insert(name.as_str())) else { continue };
            let base = names::sources(&step.instruction, &step.text).into_iter().next();
            stages.push((name.clone(), base.filter(|_| step.instruction == Instruction::From).unwrap_or_default()));
        }
        stages
    }

    /// Puts the target and the platform before the name of each stage, if there are several.
    fn label_stages(&mut self) {
        let several = |of: fn(&DraftStep) -> Option<&String>| {
            let stages = self.steps.iter().filter(|step| step.stage.is_some());
            stages.map(of).collect::<HashSet<_>>().len() > 1
        };
        let (targets, platforms) = (several(|step| step.target.as_ref()), several(|step| step.platform.as_ref()));
        for step in self.steps.iter_mut() {
            let Some(stage) = &mut step.stage else { continue };
            let before = [step.target.take().filter(|_| targets), step.platform.take().filter(|_| platforms)];
            let words: Vec<String> = before.into_iter().flatten().chain([std::mem::take(stage)]).collect();
            *stage = words.join(" ");
        }
    }
}

fn finished(step: DraftStep, id: StepId, stages: &HashMap<String, StageId>, at: impl Fn(Instant) -> Nanos) -> Step {
    let stage = step.stage.as_ref().and_then(|name| stages.get(name).copied());
    let outcome = step.outcome.unwrap_or(if step.start.is_some() { Outcome::Executed } else { Outcome::Pruned });
    let keep = step.log.len().saturating_sub(LOG_LINES);
    let output = step.output.lines(step.start);
    Step {
        stage,
        source: step.lines.map(|(line, end_line)| SourceRange { line, end_line: end_line.max(line) }),
        outcome,
        start: step.start.map(&at),
        end: step.end.map(&at),
        layer: step.layer,
        resources: step.resources,
        cache: step.cache,
        locks: if step.instruction == Instruction::Run { names::locks(&step.text) } else { Vec::new() },
        log: step.log.into_iter().skip(keep).collect(),
        output: output.into_iter().map(|(time, text)| OutputLine { at: at(time), text }).collect(),
        exit_code: step.error.as_deref().and_then(names::exit_code),
        error: step.error,
        ..Step::of(id, step.instruction, step.text)
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
