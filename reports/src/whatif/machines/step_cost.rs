//! The cost of running a step on another machine.

use buildscope_record::{Group, Instruction, Nanos, Outcome, Phase, Record, Step, StepMachine};
use std::collections::HashMap;

/// The median over the RUN steps that other machines ran: the part of a step in which no process ran, no layer was written or moved and
/// nothing was waited for. It consists of the round trips and the start of the worker. `None` if the record has no such step.
pub(super) fn measured(record: &Record) -> Option<Nanos> {
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
    let away = record.steps.iter().filter(|step| {
        let is_away = step.place.as_ref().is_some_and(StepMachine::is_away);
        is_away && step.instruction == Instruction::Run && step.outcome == Outcome::Executed
    });
    let mut costs: Vec<Nanos> = away.filter_map(cost).collect();
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied()
}

/// Whether a phase is a part of the cost.
fn is_cost(phase: Phase) -> bool {
    match phase.group() {
        Group::Parsing | Group::Storage | Group::Transfer => false,
        Group::Scheduling => !matches!(phase, Phase::Queue | Phase::Lock),
        Group::Execution => phase != Phase::Process,
    }
}
