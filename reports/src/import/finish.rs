//! Turns a finished draft into a record: ids and times become those of the record.

use super::draft::{Draft, DraftId, DraftSpan, DraftStep};
use super::instant::{Instant, rfc3339};
use super::names::{self, follows_the_steps};
use super::targets;
use crate::index::Indexed;
use buildscope_record::{
    ByteSize, Counter, Edge, EdgeKind, Instruction, Nanos, Outcome, OutputLine, Record, Sample, SourceRange, Span,
    SpanId, Stage, StageId, Step, StepId, Wait,
};
use std::collections::{HashMap, HashSet};

/// The number of output lines of a step that are kept, the last ones.
const LOG_LINES: usize = 20;

impl Draft {
    /// Returns the record: steps are sorted as in a Dockerfile, and time zero is the first observed instant.
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
                None => (if follows_the_steps(&step.text) { 2 } else { 0 }, None, None, None, step.start, id),
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

/// Removes the edges of cycles, which a log from outside may contain.
fn break_cycles(record: &mut Record) {
    while let Err(buildscope_record::Fault::StepCycle { path }) = record.validate() {
        let circle: Vec<_> = path.windows(2).map(|pair| (pair[0], pair[1])).collect();
        record.edges.retain(|edge| !circle.contains(&(edge.from, edge.to)));
    }
}
