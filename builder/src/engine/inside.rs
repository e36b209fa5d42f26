//! Copies the processes that the observer saw inside steps into the record.
//!
//! They are not part of a build's identity: they are added to the finished record, and nothing else reads them.

use super::Outcome;
use crate::plan::{MountKind, Op, Run, Step};
use buildscope_observe::StepProcesses;
use buildscope_record::{Nanos, Observed, Phase, Processes, Record, StepMachine};

/// Adds the observed processes of each step to the record.
pub(super) fn add_processes(record: &mut Record, outcome: &Outcome, seen: Vec<StepProcesses>) {
    let mut seen: Vec<Option<StepProcesses>> = seen.into_iter().map(Some).collect();
    for (step, report) in outcome.steps() {
        // Another machine observed it, so process ids of this machine do not apply.
        if report.ran_on.as_ref().is_some_and(StepMachine::is_away) {
            if let Some(processes) = record.steps[step.id.index()].processes.take() {
                let (start, end) = (processes.start, processes.end);
                record.steps[step.id.index()].processes = Some(within(processes, start, end, step));
            }
            continue;
        }
        // A step runs a second time if its files did not fit into memory. The last run counts.
        let run = record.spans.iter().filter(|span| span.step == Some(step.id) && span.phase == Phase::Process);
        let Some((start, end)) = run.map(|span| (span.start, span.end)).max() else { continue };
        // Process ids are reused in a long build. A short process may have ended before the builder learns that it started.
        let begun = record.steps[step.id.index()].start.map_or(start, |begun| begun.min(start));
        let found = seen.iter_mut().find(|one| {
            one.as_ref().is_some_and(|one| {
                Some(one.init) == report.init && one.processes.start <= end && one.processes.end >= begun
            })
        });
        if let Some(StepProcesses { processes, .. }) = found.and_then(Option::take) {
            record.steps[step.id.index()].processes = Some(within(processes, start, end, step));
        }
    }
}

/// Restricts processes to the time of the step's own process: setting up the sandbox is not part of it. The builder hears of its
/// start and its end late where processors are busy or a runtime starts it, so the kernel's reports count if they are earlier.
fn within(mut processes: Processes, start: Nanos, end: Nanos, step: &Step) -> Processes {
    (processes.start, processes.end) = (start, end.max(start));
    if let Op::Run(run) = &step.op {
        if let Some((begun, ended)) = run.args.first().and_then(|program| life(&processes, program)) {
            processes.start = begun.min(start);
            processes.end = ended.min(end).max(processes.start);
        }
        processes.command.clone_from(&run.args);
        processes.script = script_file(run).map(str::to_owned);
        processes.origins.clone_from(&run.origins);
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

/// The start and the end of the step's program: the first process that executed a program with its name. The kernel keeps 15 bytes of a
/// name. Samples are too rare to show this.
fn life(processes: &Processes, program: &str) -> Option<(Nanos, Nanos)> {
    let name = program.rsplit('/').next()?;
    let is = |program: &str| program == name || program.len() >= 15 && name.starts_with(program);
    let mut rest = (0u32..).zip(&processes.list);
    let (mut last, first) = rest
        .find(|(_, process)| !process.forked && is(&process.program))
        .filter(|_| processes.observed == Observed::Events)?;
    // It may execute other programs in its own place. They are in the order of time.
    let mut end = first.end;
    for (next, process) in rest.filter(|(_, process)| process.replaces.is_some()) {
        if process.replaces == Some(last) {
            (last, end) = (next, process.end);
        }
    }
    Some((first.start, end))
}

/// The content of the file that the shell executes, if the command is a heredoc that begins with `#!`.
fn script_file(run: &Run) -> Option<&str> {
    let path = run.args.last()?;
    run.mounts.iter().find_map(|mount| match &mount.kind {
        MountKind::Inline { content, .. } if mount.target.as_ref() == Some(path) => Some(content.as_str()),
        _ => None,
    })
}

/// Whether the step has secrets. It may pass them to a program, so of such steps only the arguments that the Dockerfile
/// contains are recorded.
fn has_secrets(step: &Step) -> bool {
    match &step.op {
        Op::Run(run) => run.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Secret { .. })),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::Process;

    /// A runtime starts before the step's program. The program may be followed by another one in its place, and by processes that it left.
    #[test]
    fn a_program_lives_from_its_exec_to_the_end_of_its_process() {
        let process = |program: &str, (start, end), replaces, forked| Process {
            program: program.into(),
            start: Nanos(start),
            end: Nanos(end),
            replaces,
            forked,
            ..Process::default()
        };
        let list = vec![
            process("runc", (10, 20), None, false),
            process("sh", (20, 25), None, true),
            process("sh", (30, 60), Some(0), false),
            process("sh", (40, 90), None, false),
            process("make", (60, 70), Some(2), false),
        ];
        let mut processes = Processes { list, ..Processes::of(Observed::Events, Nanos(10), Nanos(90)) };
        assert_eq!(life(&processes, "/bin/sh"), Some((Nanos(30), Nanos(70))));
        assert_eq!(life(&processes, "/bin/bash"), None);
        processes.list[3].program = "a-long-program-".into();
        assert_eq!(life(&processes, "./a-long-program-name"), Some((Nanos(40), Nanos(90))));
        processes.observed = Observed::Sampled;
        assert_eq!(life(&processes, "/bin/sh"), None);
    }
}
