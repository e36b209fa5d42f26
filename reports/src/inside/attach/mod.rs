//! Finds the processes of another builder's steps among all processes of the machine.
//!
//! A builder starts a step as `sh -c TEXT`, and TEXT is the text of the RUN: the process with this argument is the step's shell.

use super::shown::{fixed, shows};
use super::text::{one_line, run_text};
use super::tree;
use buildscope_record::{
    Folded, Instruction, Nanos, Origin, Outcome, Process, Processes, Record, Step, is_container_runtime,
};
use std::collections::{HashMap, HashSet};

/// The text that a RUN gives to its shell, and its place in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptText {
    /// The text.
    pub text: String,
    /// The pieces of the Dockerfile that make it up.
    pub origins: Vec<Origin>,
}

/// The shells that belong to steps. A command may build more than once, with the same texts.
#[derive(Clone, Debug, Default)]
pub struct Taken(HashSet<u32>);

/// Adds to each RUN of the record the processes below its shell. `zero` is the start of the record on the clock of `machine`. `scripts`
/// returns the scripts that a step may have, if the Dockerfile is known. Shells in `taken` belong to steps of other records. Returns the
/// number of steps that were found.
pub fn attach(
    record: &mut Record,
    machine: &Processes,
    zero: Nanos,
    taken: &mut Taken,
    scripts: impl Fn(&Step) -> Vec<ScriptText>,
) -> usize {
    let mut shells: Vec<(u32, Given)> =
        (0..).zip(&machine.list).filter_map(|(index, process)| Some((index, given_to(machine, process)?))).collect();
    let mut replaced = replaced_shells(machine);
    shells.retain(|(shell, _)| !taken.0.contains(shell));
    replaced.retain(|(shell, _)| !taken.0.contains(shell));
    let mut found = 0;
    let wall = record.wall;
    let start = |shell: u32| machine.list[shell as usize].start.saturating_sub(zero);
    for step in record.steps.iter_mut().filter(|step| may_have_run(step)) {
        let scripts = with_shown(scripts(step), step);
        // If two steps have the same text, their shells are assigned in the order of time. The times of a log may be wrong.
        let named = |accepts: &dyn Fn(u32) -> bool| {
            let of = |script: &ScriptText| {
                let (text, exec) = (comparable(&script.text), exec_form(&script.text));
                let is = |(shell, given): &(u32, Given)| given.is_of(&text, exec.as_deref()) && accepts(*shell);
                Some((shells.iter().position(is)?, script.clone()))
            };
            scripts.iter().find_map(of)
        };
        let is_of_build = |shell: u32| build_has(machine.list[shell as usize].start, zero, wall);
        let named =
            named(&|shell| step_has(step, start(shell))).or_else(|| named(&is_of_build)).or_else(|| named(&|_| true));
        let (shell, script) = match named {
            Some((at, mut script)) => {
                let (shell, given) = shells.remove(at);
                if let (Given::Text { text, .. }, true) = (given, heredoc_head(&script.text).is_some()) {
                    script = ScriptText { text: lines(machine, shell).unwrap_or(text), origins: Vec::new() };
                }
                (shell, script)
            }
            None => {
                let within = |shell: u32| step_has(step, start(shell));
                let ends = |last: &[String]| scripts.iter().find(|script| ends_so(&comparable(&script.text), last));
                let fits = |at: usize| {
                    let (shell, last) = &replaced[at];
                    Some((at, ends(last).filter(|_| within(*shell))?.clone()))
                };
                let Some((at, script)) = (0..replaced.len()).find_map(fits) else { continue };
                (replaced.remove(at).0, script)
            }
        };
        step.processes = Some(below(machine, shell, zero, script));
        taken.0.insert(shell);
        found += 1;
    }
    for step in record.steps.iter_mut().filter(|step| may_have_run(step)) {
        // With the values of variables a text may be that of many shells, so the time must be right, too.
        let is_shown = |(shell, given): &(u32, Given)| {
            let Given::Text { text, is_cut } = given else { return None };
            let text = if *is_cut { format!("{text}…") } else { text.clone() };
            (step_has(step, start(*shell)) && shows(run_text(&step.text), &text)).then(|| fixed(&text))
        };
        let fits = (0..shells.len()).filter_map(|at| Some((at, is_shown(&shells[at])?)));
        let Some((at, _)) = fits.rev().max_by_key(|(_, fixed)| *fixed) else { continue };
        let (shell, given) = shells.remove(at);
        let known = scripts(step).into_iter().find(|script| given.is_of(&comparable(&script.text), None));
        let text = || ScriptText { text: lines(machine, shell).unwrap_or_default(), origins: Vec::new() };
        step.processes = Some(below(machine, shell, zero, known.unwrap_or_else(text)));
        taken.0.insert(shell);
        found += 1;
    }
    found + attach_nameless(record, machine, zero, taken, |step| with_shown(scripts(step), step).swap_remove(0))
}

/// The scripts of a step in the Dockerfile, and the text that the builder shows.
fn with_shown(mut scripts: Vec<ScriptText>, step: &Step) -> Vec<ScriptText> {
    scripts.push(ScriptText { text: run_text(&step.text).into(), origins: Vec::new() });
    scripts
}

/// Whether a step is a RUN that was executed. The result of another one was in a cache, or not needed.
pub fn ran(step: &Step) -> bool {
    step.instruction == Instruction::Run && !matches!(step.outcome, Outcome::Cached | Outcome::Pruned)
}

/// Whether a step may have processes that are not known yet.
fn may_have_run(step: &Step) -> bool {
    ran(step) && step.processes.is_none()
}

/// Whether a process that started at that time may belong to a build of this length. The times of a log are those at which its lines were
/// printed.
fn build_has(start: Nanos, zero: Nanos, wall: Nanos) -> bool {
    const LATE: Nanos = Nanos(1_000_000_000);
    start + LATE >= zero && start <= zero + wall + LATE
}

/// What a log shows of the text of a heredoc, `make...` of `<<EOF (make...)`: its first line, and whether there are more.
fn heredoc_head(text: &str) -> Option<(&str, bool)> {
    let (_, head) = text.strip_prefix("<<")?.split_once(" (")?;
    let head = head.trim_end().strip_suffix(')')?;
    Some(head.strip_suffix("...").map_or((head, false), |first| (first, true)))
}

/// The text that a shell was given, with its lines. Newlines of arguments are escaped.
fn lines(machine: &Processes, shell: u32) -> Option<String> {
    Some(machine.list.get(shell as usize)?.arguments.last()?.replace("\\n", "\n"))
}

/// Assigns shells of containers whose text could not be read, because they were too short, to steps without processes, by time.
fn attach_nameless(
    record: &mut Record,
    machine: &Processes,
    zero: Nanos,
    taken: &mut Taken,
    script_text: impl Fn(&Step) -> ScriptText,
) -> usize {
    let mut shells = nameless_shells(machine);
    shells.retain(|shell| !taken.0.contains(shell));
    let mut found = 0;
    for step in record.steps.iter_mut().filter(|step| may_have_run(step)) {
        let script = script_text(step);
        let fits = |&shell: &u32| {
            let process = &machine.list[shell as usize];
            let (start, end) = (process.start.saturating_sub(zero), process.end.saturating_sub(zero));
            step_spans(step, start, end) && starts_only(machine, shell, &script.text)
        };
        let Some(at) = shells.iter().position(fits) else { continue };
        let shell = shells.remove(at);
        step.processes = Some(below(machine, shell, zero, script));
        taken.0.insert(shell);
        found += 1;
    }
    found
}

/// What a container's first program was given: the text for a shell, or its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// On one line.
    Text {
        text: String,
        is_cut: bool,
    },
    Arguments(Vec<String>),
}

impl Given {
    /// Whether a step with this text and, in the exec form, these arguments gives this.
    fn is_of(&self, step: &str, exec: Option<&[String]>) -> bool {
        match (self, exec) {
            (Self::Text { text, .. }, _) if text.is_empty() => false,
            (Self::Text { text, is_cut }, _) => {
                // `RUN ["sh", "-c", "make"]`
                let step = exec.and_then(<[String]>::last).map_or_else(|| step.to_owned(), |last| comparable(last));
                if let Some((head, is_longer)) = heredoc_head(&step) {
                    return if is_longer { text.starts_with(head) && text != head } else { text == head };
                }
                if *is_cut { step.starts_with(&**text) } else { step == *text }
            }
            (Self::Arguments(given), Some(exec)) => {
                let is = |(given, exec): (&String, &String)| match given.strip_suffix('…') {
                    Some(cut) => exec.starts_with(cut),
                    None => given == exec,
                };
                // The list is cut off, too.
                let whole = given.len() == exec.len() || given.last().is_some_and(|last| last == "…");
                whole && given.iter().zip(exec).all(is)
            }
            (Self::Arguments(given), None) => is_heredoc_of(given, step),
        }
    }
}

/// Whether an interpreter was given a heredoc that names it. BuildKit mounts such a heredoc as `/dev/pipes/EOF`, and executes it.
fn is_heredoc_of(given: &[String], step: &str) -> bool {
    let text = heredoc_head(step).map_or(step, |(head, _)| head);
    let interpreter = text.strip_prefix("#!").and_then(|line| line.split_whitespace().next());
    interpreter.is_some() && interpreter == given.first().map(String::as_str) && has_heredoc(given)
}

/// Whether arguments name a heredoc that BuildKit mounted.
fn has_heredoc(arguments: &[String]) -> bool {
    arguments.iter().any(|word| word.starts_with("/dev/pipes/"))
}

/// The arguments of a RUN in the exec form.
fn exec_form(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

/// A text on one line. The newlines and tabs of arguments are escaped; those escapes may as well be in the text.
fn comparable(text: &str) -> String {
    one_line(&text.replace("\\n", " ").replace("\\t", " "))
}

/// Shells of other programs have texts, too. A program that is not a shell belongs to a step only if a runtime started it.
fn given_to(machine: &Processes, process: &Process) -> Option<Given> {
    if let [program, options @ .., last] = &process.arguments[..]
        && tree::is_shell(program)
        && options.iter().any(|option| option.starts_with('-') && option.ends_with('c'))
    {
        let beginning = last.strip_suffix('…');
        return Some(Given::Text { text: comparable(beginning.unwrap_or(last)), is_cut: beginning.is_some() });
    }
    // A shell executes the heredoc that names its interpreter.
    let is_heredoc = process.replaces.is_some() && has_heredoc(&process.arguments);
    let is_known = !process.arguments.is_empty() && (is_heredoc || is_started_by_runtime(machine, process));
    is_known.then(|| Given::Arguments(process.arguments.clone()))
}

/// Shells that executed another program in their own place before their text was read, with that program's arguments.
fn replaced_shells(machine: &Processes) -> Vec<(u32, &[String])> {
    let replaced = machine.list.iter().filter_map(|process| {
        let shell = process.replaces?;
        let before = machine.list.get(shell as usize)?;
        let unknown = tree::is_shell(&before.program) && before.arguments.is_empty();
        (unknown && !process.arguments.is_empty()).then_some((shell, &process.arguments[..]))
    });
    replaced.collect()
}

/// Shells that a container runtime started and whose arguments could not be read, in the order of time.
fn nameless_shells(machine: &Processes) -> Vec<u32> {
    let nameless = |shell: &Process| {
        shell.arguments.is_empty() && tree::is_shell(&shell.program) && is_started_by_runtime(machine, shell)
    };
    (0..).zip(&machine.list).filter(|(_, process)| nameless(process)).map(|(index, _)| index).collect()
}

/// Whether a container runtime executed a program.
fn is_started_by_runtime(machine: &Processes, process: &Process) -> bool {
    let program = |index: Option<u32>| machine.list.get(index? as usize);
    let by_runtime = match program(process.replaces) {
        Some(before) => !tree::is_shell(&before.program) && is_container_runtime(&before.program, Some(before.threads)),
        None => program(process.parent).is_some_and(|parent| is_container_runtime(&parent.program, None)),
    };
    by_runtime && !process.forked
}

/// Whether a process that ran at that time may belong to the step. The times of a log are those at which its lines were printed.
fn step_spans(step: &Step, start: Nanos, end: Nanos) -> bool {
    const MOMENT: Nanos = Nanos(200_000_000);
    let (Some(begun), Some(ended)) = (step.start, step.end) else { return false };
    begun.saturating_sub(MOMENT) <= start && end <= ended + MOMENT && start <= ended
}

/// Whether a shell started only programs that its text names.
fn starts_only(machine: &Processes, shell: u32, text: &str) -> bool {
    let mut started = machine.list.iter().filter(|process| process.parent == Some(shell) && !process.forked);
    started.all(|process| text.contains(&*process.program) || process.program == "exe")
}

/// Whether a shell's text ends with a command with these arguments.
fn ends_so(text: &str, arguments: &[String]) -> bool {
    let bare = |text: &str| text.replace(['\'', '"', '\\'], "");
    let (text, last) = (bare(text), bare(&one_line(&arguments.join(" "))));
    match last.strip_suffix('…') {
        Some(cut) => text.contains(cut),
        None => text.strip_suffix(&*last).is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric())),
    }
}

/// Whether a step ran at that time. The times of a log are those at which its lines were printed.
fn step_has(step: &Step, time: Nanos) -> bool {
    const LATE: Nanos = Nanos(1_000_000_000);
    let start = step.start.map_or(Nanos::ZERO, |start| start.saturating_sub(LATE));
    start <= time && step.end.is_none_or(|end| time <= end)
}

/// A shell and all processes below it, on the record's clock.
fn below(machine: &Processes, shell: u32, zero: Nanos, script: ScriptText) -> Processes {
    let mut kept: HashSet<u32> = HashSet::from([shell]);
    for (index, process) in (0..).zip(&machine.list) {
        // A program that the shell executes in its own place has the shell's parent.
        if process.parent.is_some_and(|parent| kept.contains(&parent))
            || process.replaces.is_some_and(|before| kept.contains(&before))
        {
            kept.insert(index);
        }
    }
    let mut order: Vec<u32> = kept.iter().copied().collect();
    order.sort_unstable();
    let places: HashMap<u32, u32> = order.iter().zip(0..).map(|(&index, place)| (index, place)).collect();
    let place = |index: Option<u32>| index.and_then(|index| places.get(&index).copied());
    let at = |time: Nanos| time.saturating_sub(zero);
    let list: Vec<Process> = order
        .iter()
        .map(|&index| {
            let process = &machine.list[index as usize];
            Process {
                parent: place(process.parent),
                replaces: place(process.replaces),
                start: at(process.start),
                end: at(process.end),
                tasks: process.tasks.map(at),
                ..process.clone()
            }
        })
        .collect();
    let folded = machine.folded.iter().filter_map(|folded| {
        let parent = Some(place(folded.parent)?);
        Some(Folded { parent, start: at(folded.start), end: at(folded.end), ..folded.clone() })
    });
    let is_executed =
        script.text.starts_with("#!") || heredoc_head(&script.text).is_some_and(|(head, _)| head.starts_with("#!"));
    let command = match exec_form(&script.text) {
        Some(command) => command,
        None if is_executed => list[0].arguments.clone(),
        None => vec!["/bin/sh".into(), "-c".into(), script.text.clone()],
    };
    let (start, end) =
        (list[0].start, list.iter().filter(|process| process.pid == list[0].pid).map(|process| process.end).max());
    Processes {
        observed: machine.observed,
        resolution: machine.resolution,
        start,
        end: end.unwrap_or(start),
        command,
        script: script.text.starts_with("#!").then_some(script.text),
        origins: script.origins,
        functions: machine.functions.clone(),
        folded: folded.collect(),
        list,
        lost: machine.lost,
        unseen: machine.unseen.clone(),
    }
}

#[cfg(test)]
mod tests;
