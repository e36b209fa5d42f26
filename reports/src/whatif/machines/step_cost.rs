//! The cost of running a step on another machine.

use super::{Machines, Processors};
use crate::whatif::share::TaskWork;
use buildscope_record::{Group, Instruction, Nanos, Outcome, Phase, Record, Span, Step, StepMachine};
use std::collections::HashMap;

/// The smallest result from which the cost of a byte is computed, in bytes.
const LARGE: u64 = 1 << 20;
/// The time of the other machine for each byte of a result if the record has no large layer, in nanoseconds: [`PER_ARCHIVED`] times 0.9, the
/// time of an archived byte on the machine on which that was measured.
const PER_BYTE: f64 = 4.5;
/// The same as a multiple of the time in which the machine that builds archives a byte of a layer. The worker's server reads, hashes and
/// stores the result, and the next step there gets it from the server, verifies and unpacks it. See docs/design/remote.md.
const PER_ARCHIVED: f64 = 5.0;
/// The processors that a step on another machine uses on average in addition to its process, while it costs time. On the other machine, its
/// runner and its server take turns.
const DEMAND: f64 = 1.0;
/// The same if the machine that builds uses these processors too: an empty step takes 38 ms of processor time in 22 ms. See
/// docs/design/remote.md.
const DEMAND_OF_HOST: f64 = 38.0 / 22.0;

/// The additional cost of a step on another machine, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepCost {
    /// The way there and back, and the start of the worker.
    pub(super) each: f64,
    /// A byte of the result: its way to the server, and from there to the next step.
    pub(super) per_byte: f64,
}

impl StepCost {
    /// The cost that the scenario gives, else that of the record, else the usual one.
    pub(super) fn of(record: &Record, given: Option<Nanos>) -> Self {
        let parts = |each: Nanos, per_byte| Self { each: each.0 as f64, per_byte };
        match given {
            Some(given) => parts(given, 0.0),
            None => {
                let per_byte = per_byte(record).or_else(|| Some(PER_ARCHIVED * per_archived(record)?));
                parts(each(record).unwrap_or(Machines::STEP_COST), per_byte.unwrap_or(PER_BYTE))
            }
        }
    }

    /// The cost of a step with a result of that many bytes.
    pub(super) fn work(&self, bytes: f64, processors: Processors) -> TaskWork {
        let result = self.per_byte * bytes;
        let length = self.each + result;
        let demand = match processors {
            Processors::OfEach => DEMAND,
            Processors::OfHost if length > 0.0 => (self.each * DEMAND_OF_HOST + result * DEMAND) / length,
            Processors::OfHost => 0.0,
        };
        TaskWork { length, demand, kernel: false }
    }
}

/// The RUN steps that other machines ran.
fn away(record: &Record) -> impl Iterator<Item = &Step> {
    record.steps.iter().filter(|step| {
        let is_away = step.ran_on.as_ref().is_some_and(StepMachine::is_away);
        is_away && step.instruction == Instruction::Run && step.outcome == Outcome::Executed
    })
}

/// The median over the RUN steps that other machines ran: the part of a step in which no process ran, no layer was written or moved and
/// nothing was waited for. `None` if the record has no such step.
fn each(record: &Record) -> Option<Nanos> {
    let mut known: HashMap<_, Nanos> = HashMap::new();
    for span in record.spans.iter().filter(|span| span.parent.is_none() && !is_cost(span.phase)) {
        if let Some(step) = span.step {
            *known.entry(step).or_default() += span.end.saturating_sub(span.start);
        }
    }
    let cost = |step: &Step| {
        let length = step.end?.saturating_sub(step.start?);
        Some(length.saturating_sub(known.get(&step.id).copied().unwrap_or_default()))
    };
    let mut costs: Vec<Nanos> = away(record).filter_map(cost).collect();
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied()
}

/// The time in which workers gave large results to their servers, divided by the bytes. `None` if the record has no such result.
fn per_byte(record: &Record) -> Option<f64> {
    let large: HashMap<_, _> = away(record).filter_map(|step| Some((step.id, (step, large_layer(step)?)))).collect();
    let pushed = |span: &&Span| {
        let step = span.step.and_then(|step| large.get(&step)).map(|(step, _)| step);
        let worker = step.map(|step| step.ran_on.as_ref().and_then(|ran_on| ran_on.machine.as_ref()));
        span.phase == Phase::Push && worker == Some(span.name.as_ref())
    };
    rate(record.spans.iter().filter(pushed), large.values().map(|(_, bytes)| *bytes))
}

/// The time in which the machine that builds wrote the large layers of its RUN steps, divided by the bytes. `None` if it wrote none.
fn per_archived(record: &Record) -> Option<f64> {
    let here =
        |step: &&Step| step.instruction == Instruction::Run && !step.ran_on.as_ref().is_some_and(StepMachine::is_away);
    let steps = record.steps.iter().filter(here);
    let large: HashMap<_, _> = steps.filter_map(|step| Some((step.id, large_layer(step)?))).collect();
    let written =
        |span: &&Span| span.phase == Phase::Archive && span.step.is_some_and(|step| large.contains_key(&step));
    rate(record.spans.iter().filter(written), large.values().copied()).filter(|&rate| rate > 0.0)
}

/// The size of a step's layer in bytes, if it is large.
fn large_layer(step: &Step) -> Option<u64> {
    step.layer.map(|layer| layer.bytes.0).filter(|&bytes| bytes >= LARGE)
}

/// The time of spans divided by a number of bytes, in nanoseconds; `None` without bytes.
fn rate<'r>(spans: impl Iterator<Item = &'r Span>, bytes: impl Iterator<Item = u64>) -> Option<f64> {
    let time: Nanos = spans.map(|span| span.end.saturating_sub(span.start)).sum();
    let bytes: u64 = bytes.sum();
    (bytes > 0).then(|| time.0 as f64 / bytes as f64)
}

/// Whether a phase is a part of the cost.
fn is_cost(phase: Phase) -> bool {
    match phase.group() {
        Group::Parsing | Group::Storage | Group::Transfer => false,
        Group::Scheduling => !matches!(phase, Phase::Queue | Phase::Lock),
        Group::Execution => phase != Phase::Process,
    }
}
