//! Synthetic records, for tests, benchmarks and examples that need a build without building.
//!
//! Times are milliseconds, so that tests are easy to read.

use buildscope_record::{
    Edge, EdgeKind, Fidelity, Host, Nanos, Options, Outcome, Phase, Policy, Record, Source, SourceRange, Span, SpanId,
    Stage, StageId, Step, StepId, Tool, Wait, WaitKind,
};
use std::ops::Range;

/// A builder of records.
#[derive(Clone, Debug)]
pub struct Synthetic {
    record: Record,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self::new(Policy::Instructions, 0)
    }
}

impl Synthetic {
    /// An empty build with a policy and a limit of slots (0: unlimited), on two processors.
    pub fn new(policy: Policy, jobs: u32) -> Self {
        let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        let options = Options { policy: Some(policy), jobs: Some(jobs), ..Options::default() };
        let host = Host { cpus: Some(2), ..Host::default() };
        Self { record: Record { options, host, ..Record::of(source) } }
    }

    /// Adds a stage.
    pub fn stage(&mut self, name: &str) -> StageId {
        let id = StageId(index(self.record.stages.len()));
        self.record.stages.push(Stage { id, name: name.into(), base: "busybox".into() });
        id
    }

    /// Adds an executed step that is active in those milliseconds. Its line is its position in the file.
    pub fn step(&mut self, stage: StageId, text: &str, active: Range<u64>) -> StepId {
        let id = self.idle(stage, text, Outcome::Executed);
        let step = &mut self.record.steps[id.index()];
        (step.start, step.end) = (Some(ms(active.start)), Some(ms(active.end)));
        id
    }

    /// Adds a step without times.
    pub fn idle(&mut self, stage: StageId, text: &str, outcome: Outcome) -> StepId {
        let line = index(self.record.steps.len());
        let keyword = text.split(' ').next().unwrap_or_default();
        let source = Some(SourceRange { line: line + 1, end_line: line + 1 });
        self.record.steps.push(Step { stage: Some(stage), source, outcome, ..Step::of(StepId(line), keyword, text) });
        StepId(line)
    }

    /// Adds a span of a step, or of the build as a whole.
    pub fn span(&mut self, step: impl Into<Option<StepId>>, phase: Phase, time: Range<u64>) -> SpanId {
        let id = SpanId(self.record.spans.len() as u64);
        let (start, end) = (ms(time.start), ms(time.end));
        self.record.spans.push(Span { id, step: step.into(), start, end, ..Span::of(phase) });
        id
    }

    /// Adds a span within another one of the same step.
    pub fn within(&mut self, parent: SpanId, phase: Phase, time: Range<u64>) -> SpanId {
        let step = self.record.spans.iter().find(|span| span.id == parent).and_then(|span| span.step);
        let id = self.span(step, phase, time);
        self.record.spans[id.0 as usize].parent = Some(parent);
        id
    }

    /// Adds a data edge: `to` uses the result of `from`.
    pub fn data(&mut self, from: StepId, to: StepId) -> &mut Self {
        self.record.edges.push(Edge { from, to, kind: EdgeKind::Data });
        self
    }

    /// Adds an order edge: the policy runs `to` after `from`.
    pub fn order(&mut self, from: StepId, to: StepId) -> &mut Self {
        self.record.edges.push(Edge { from, to, kind: EdgeKind::Order });
        self
    }

    /// Adds a wait of `step` in those milliseconds.
    pub fn wait(&mut self, step: StepId, kind: WaitKind, on: impl Into<Option<StepId>>, time: Range<u64>) -> &mut Self {
        let (start, end) = (ms(time.start), ms(time.end));
        self.record.waits.push(Wait { step, kind, on: on.into(), name: None, start, end });
        self
    }

    /// Changes anything else.
    pub fn with(&mut self, change: impl FnOnce(&mut Record)) -> &mut Self {
        change(&mut self.record);
        self
    }

    /// The record of a build that took that many milliseconds.
    pub fn finish(mut self, wall: u64) -> Record {
        self.record.wall = ms(wall);
        self.record
    }
}

/// A record of many steps: `stages` independent chains, and a last step that needs all of them. Each step takes 10 ms, of which 8
/// are its process.
pub fn chains(stages: u32, steps: u32) -> Record {
    let mut made = Synthetic::default();
    let mut ends = Vec::new();
    for number in 0..stages {
        let stage = made.stage(&format!("s{number}"));
        let mut before = None;
        for position in 0..u64::from(steps) {
            let begin = position * 10;
            let step = made.step(stage, &format!("RUN step {number} {position}"), begin..begin + 10);
            made.span(step, Phase::SandboxSetup, begin..begin + 1);
            made.span(step, Phase::Process, begin + 1..begin + 9);
            made.span(step, Phase::Diff, begin + 9..begin + 10);
            if let Some(before) = before {
                made.data(before, step).wait(step, WaitKind::Dependency, before, 0..begin);
            }
            before = Some(step);
        }
        ends.extend(before);
    }
    let (stage, begin) = (made.stage("out"), u64::from(steps) * 10);
    let last = made.step(stage, "COPY --from=s0 / /", begin..begin + 10);
    made.span(last, Phase::Copy, begin..begin + 10);
    for end in ends {
        made.data(end, last).wait(last, WaitKind::Dependency, end, 0..begin);
    }
    made.finish(begin + 10)
}

/// Converts milliseconds.
pub fn ms(milliseconds: u64) -> Nanos {
    Nanos(milliseconds.saturating_mul(1_000_000))
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
