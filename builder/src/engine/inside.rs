//! The processes inside steps, from their observer into the record.
//!
//! They are no part of what a build is known by: they are added to a record that is made, and nothing else sees them.

use super::Outcome;
use crate::plan::{MountKind, Op, Step};
use buildscope_observe::StepProcesses;
use buildscope_record::{Nanos, Phase, Processes, Record};

/// Puts what was seen of each step's processes into the record.
pub(super) fn add_processes(record: &mut Record, outcome: &Outcome, seen: Vec<StepProcesses>) {
    let mut seen: Vec<Option<StepProcesses>> = seen.into_iter().map(Some).collect();
    for (step, report) in outcome.steps() {
        // A step may run a second time, where what it wrote did not fit into memory: the last run is the step's.
        let run = record.spans.iter().filter(|span| span.step == Some(step.id) && span.phase == Phase::Process);
        let Some((start, end)) = run.map(|span| (span.start, span.end)).max() else { continue };
        // Process ids come again in a long build.
        let found = seen.iter_mut().find(|one| {
            one.as_ref().is_some_and(|one| {
                Some(one.init) == report.init && one.processes.start <= start && one.processes.end >= start
            })
        });
        if let Some(StepProcesses { processes, .. }) = found.and_then(Option::take) {
            record.steps[step.id.index()].processes = Some(within(processes, start, end, step));
        }
    }
}

/// The processes of a step's own time: what made its box ready is not the step's.
fn within(mut processes: Processes, start: Nanos, end: Nanos, step: &Step) -> Processes {
    (processes.start, processes.end) = (start, end.max(start));
    if let Op::Run(run) = &step.op {
        processes.command.clone_from(&run.args);
    }
    if has_secrets(step) {
        for argument in processes.list.iter_mut().flat_map(|process| &mut process.arguments) {
            if !step.text.contains(argument.as_str()) {
                *argument = "…".into();
            }
        }
    }
    processes
}

/// A step that is given secrets may pass them to a program: its arguments are recorded only as far as the Dockerfile has them.
fn has_secrets(step: &Step) -> bool {
    match &step.op {
        Op::Run(run) => run.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Secret { .. })),
        _ => false,
    }
}
