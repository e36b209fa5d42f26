//! Folded stacks, as flame-graph tools read them: each line is a stack of names and its weight in microseconds.

use super::tree::ProcessTree;
use super::unseen::total_name;
use buildscope_record::{Cause, Nanos, Observed, Process, ProcessTime, Processes, Record, acts_on_view};
use std::collections::BTreeMap;

/// Returns a line for each stack of programs and activity: `step;program;program;on a processor 1234`. Waits for children are left out,
/// because the lines of the children have that time. Sampled functions follow their program. A step whose processes were sampled says so,
/// and processes that were kept as totals are one frame with their number.
pub fn folded_stacks(record: &Record) -> String {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for step in &record.steps {
        let Some(seen) = &step.processes else { continue };
        let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
        let place = stage.map(|stage| format!("{}: ", stage.name)).unwrap_or_default();
        let sampled = if seen.observed == Observed::Sampled { "[sampled] " } else { "" };
        let top = frame(&format!("{sampled}{place}{}", step.text));
        for (stack, micros) in stacks(seen) {
            *lines.entry(format!("{top};{stack}")).or_default() += micros;
        }
    }
    lines.into_iter().map(|(stack, weight)| format!("{stack} {weight}\n")).collect()
}

/// The stacks of a step with their microseconds. Semicolons separate the frames.
pub(crate) fn stacks(seen: &Processes) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    let tree = ProcessTree::of(seen, &[]);
    for (index, process) in (0..).zip(&seen.list) {
        let stack = stack(&tree, index);
        put_process(&mut lines, seen, &stack, process);
        for folded in tree.folded(index) {
            let blocked = folded.time.runnable + folded.time.blocked.total();
            let below = format!("{stack};{}", frame(&total_name(folded)));
            put(&mut lines, &below, folded.duration.saturating_sub(blocked), folded.time);
        }
    }
    for folded in tree.loose() {
        let blocked = folded.time.runnable + folded.time.blocked.total();
        put(&mut lines, &frame(&total_name(folded)), folded.duration.saturating_sub(blocked), folded.time);
    }
    lines
}

fn stack(tree: &ProcessTree<'_>, index: u32) -> String {
    let mut names = vec![name(tree.process(index))];
    let mut at = tree.process(index).parent;
    while let Some(parent) = at {
        names.push(name(tree.process(parent)));
        at = tree.process(parent).parent;
    }
    names.reverse();
    names.join(";")
}

fn name(process: &Process) -> String {
    frame(&process.program)
}

/// Makes a name fit for a frame: semicolons separate frames, and the last space precedes the weight. Control characters become blanks.
fn frame(text: &str) -> String {
    const LONGEST: usize = 80;
    let shown = |c: char| match c {
        ';' => ',',
        c if acts_on_view(c) => ' ',
        c => c,
    };
    let text: String = text.chars().map(shown).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Adds the stacks of a process. If its functions were sampled, its time on a processor is divided among their stacks.
fn put_process(lines: &mut BTreeMap<String, u64>, seen: &Processes, stack: &str, process: &Process) {
    let samples: u64 = process.stacks.iter().map(|sampled| u64::from(sampled.samples)).sum();
    let running = process.running();
    if samples == 0 {
        return put(lines, stack, running, process.time);
    }
    put(lines, stack, Nanos::ZERO, process.time);
    let mut left = running.0 / 1000;
    for (number, sampled) in process.stacks.iter().enumerate() {
        let last = number + 1 == process.stacks.len();
        let part = running.0 / 1000 * u64::from(sampled.samples) / samples;
        let micros = if last { left } else { part.min(left) };
        left -= micros;
        let names = sampled.frames.iter().filter_map(|&frame| seen.functions.get(frame as usize));
        let functions = names.map(|name| frame(name)).collect::<Vec<_>>().join(";");
        if micros > 0 {
            *lines.entry(format!("{stack};{functions}")).or_default() += micros;
        }
    }
}

fn put(lines: &mut BTreeMap<String, u64>, stack: &str, running: Nanos, time: ProcessTime) {
    let states = [("[on a processor]", running), ("[waiting for a processor]", time.runnable)];
    let causes = Cause::ALL.into_iter().filter(|&cause| cause != Cause::Child);
    let waits = causes.map(|cause| (label(cause), time.blocked[cause]));
    for (state, time) in states.into_iter().chain(waits) {
        let micros = time.0 / 1000;
        if micros > 0 {
            *lines.entry(format!("{stack};{state}")).or_default() += micros;
        }
    }
}

fn label(cause: Cause) -> &'static str {
    match cause {
        Cause::Disk => "[disk]",
        Cause::Network => "[network]",
        Cause::Child => "[child]",
        Cause::Lock => "[lock or pipe]",
        Cause::Sleep => "[sleep]",
        Cause::Unknown => "[unknown wait]",
    }
}
