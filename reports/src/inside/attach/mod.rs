//! Finds the processes of another builder's steps among all processes of the machine.
//!
//! A builder starts a step as `sh -c TEXT`, and TEXT is the text of the RUN: the process with this argument is the step's shell.

mod begin;

use super::shown::{fixed, shows};
use super::text::{one_line, run_text};
use super::tree;
use crate::import::names::is_trigger;
use buildscope_record::{
    Folded, Instruction, Nanos, Origin, Outcome, Process, Processes, Record, Step, Tool, is_container_runtime,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The text that a RUN gives to its shell, and its place in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptText {
    /// The text.
    pub text: String,
    /// The pieces of the Dockerfile that make it up.
    pub origins: Vec<Origin>,
}

/// How much later than it happened a line of a log may be read.
const LATE: Nanos = Nanos(1_000_000_000);

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
    let found = Assignment::of(record, machine, zero, taken, scripts).found;
    let starts = found.values().map(|(shell, _)| machine.list[*shell as usize].start);
    // The first line of the log may have been read after the start of a step.
    let begin = starts.filter(|&start| start + LATE >= zero).fold(zero, Nanos::min);
    begin::earlier(record, zero - begin);
    let count = found.len();
    for (step, (shell, script)) in found {
        taken.0.insert(shell);
        let step = &mut record.steps[step];
        if is_trigger(&step.text) {
            (step.instruction, step.text) = (Instruction::Run, format!("RUN {}", one_line(&script.text)));
        }
        step.processes = Some(below(machine, shell, begin, script));
    }
    count
}

/// The shells of a record's steps.
struct Assignment<'m> {
    machine: &'m Processes,
    /// The start of the record.
    zero: Nanos,
    /// The length of the record.
    wall: Nanos,
    /// Shells that belong to no step yet.
    shells: Vec<(u32, Given)>,
    replaced: Vec<(u32, &'m [String])>,
    nameless: Vec<u32>,
    /// Shells of other records, if the builder executes equal steps of several builds once.
    merged: Vec<(u32, Given)>,
    /// Programs that were executed in the place of others.
    next: HashMap<u32, u32>,
    /// The shell and the script of each step, by its index.
    found: BTreeMap<usize, (u32, ScriptText)>,
}

impl<'m> Assignment<'m> {
    fn of(
        record: &Record,
        machine: &'m Processes,
        zero: Nanos,
        taken: &Taken,
        scripts: impl Fn(&Step) -> Vec<ScriptText>,
    ) -> Self {
        let is_free = |shell: u32| !taken.0.contains(&shell);
        let given = |(shell, process)| Some((shell, given_to(machine, process)?));
        let replaced_by = |(index, process): (u32, &Process)| Some((process.replaces?, index));
        let mut this = Self {
            machine,
            zero,
            wall: record.wall,
            shells: (0..).zip(&machine.list).filter(|(shell, _)| is_free(*shell)).filter_map(given).collect(),
            replaced: replaced_shells(machine).into_iter().filter(|(shell, _)| is_free(*shell)).collect(),
            nameless: nameless_shells(machine).into_iter().filter(|shell| is_free(*shell)).collect(),
            next: (0..).zip(&machine.list).filter_map(replaced_by).collect(),
            merged: Vec::new(),
            found: BTreeMap::new(),
        };
        this.merged = (0..)
            .zip(&machine.list)
            .filter(|(shell, _)| record.source.tool == Tool::Buildkit && !is_free(*shell))
            .filter_map(given)
            .collect();
        let ways = [Self::by_text, Self::by_shown_text, Self::by_time, Self::of_trigger, Self::of_merged_step];
        for way in ways {
            for (index, step) in record.steps.iter().enumerate().filter(|(_, step)| may_have_run(step)) {
                if !this.found.contains_key(&index)
                    && let Some(found) = way(&mut this, step, scripts(step))
                {
                    this.nameless.retain(|&shell| shell != found.0);
                    this.found.insert(index, found);
                }
            }
        }
        this
    }

    fn start(&self, shell: u32) -> Nanos {
        self.machine.list[shell as usize].start.saturating_sub(self.zero)
    }

    /// The end of a shell, or of the program that it executed in its own place.
    fn end(&self, shell: u32) -> Nanos {
        let last = std::iter::successors(Some(shell), |shell| self.next.get(shell).copied()).last().unwrap_or(shell);
        self.machine.list[last as usize].end.saturating_sub(self.zero)
    }

    /// How far the times of a shell are from those of a step.
    fn distance(&self, step: &Step, shell: u32) -> u64 {
        let away = |known: Option<Nanos>, seen: Nanos| known.map_or(0, |known| known.0.abs_diff(seen.0));
        away(step.start, self.start(shell)).saturating_add(away(step.end, self.end(shell)))
    }

    /// Finds a shell that was given the text of the step. Of several ones, the times decide: a step may be that of two builds at the same
    /// time. The times of a log may be wrong.
    fn by_text(&mut self, step: &Step, scripts: Vec<ScriptText>) -> Option<(u32, ScriptText)> {
        let scripts = with_shown(scripts, step);
        let named = |accepts: &dyn Fn(u32) -> bool| {
            let of = |script: &ScriptText| {
                let (text, exec) = (comparable(&script.text), exec_form(&script.text));
                let is = |(shell, given): &(u32, Given)| given.is_of(&text, exec.as_deref()) && accepts(*shell);
                let fits = (0..self.shells.len()).filter(|&at| is(&self.shells[at]));
                Some((fits.min_by_key(|&at| self.distance(step, self.shells[at].0))?, script.clone()))
            };
            scripts.iter().find_map(of)
        };
        let within = |shell: u32| step_has(step, self.start(shell));
        let is_of_build = |shell: u32| build_has(self.machine.list[shell as usize].start, self.zero, self.wall);
        if let Some((at, script)) = named(&within).or_else(|| named(&is_of_build)).or_else(|| named(&|_| true)) {
            let (shell, given) = self.shells.remove(at);
            return Some(match given {
                Given::Text { text, .. } if heredoc_head(&script.text).is_some() => {
                    (shell, ScriptText { text: lines(self.machine, shell).unwrap_or(text), origins: Vec::new() })
                }
                _ => (shell, script),
            });
        }
        let ends = |last: &[String]| scripts.iter().find(|script| ends_so(&comparable(&script.text), last));
        let fits = |(shell, last): &(u32, &[String])| ends(last).filter(|_| within(*shell)).cloned();
        let (at, script) = self.replaced.iter().enumerate().find_map(|(at, shell)| Some((at, fits(shell)?)))?;
        Some((self.replaced.remove(at).0, script))
    }

    /// Finds a shell whose text is what the builder shows of the step, with the values of variables. It may be that of many shells, so the
    /// time must be right, too.
    fn by_shown_text(&mut self, step: &Step, scripts: Vec<ScriptText>) -> Option<(u32, ScriptText)> {
        let is_shown = |(shell, given): &(u32, Given)| {
            let Given::Text { text, is_cut } = given else { return None };
            let text = if *is_cut { format!("{text}…") } else { text.clone() };
            let is_step = step_has(step, self.start(*shell)) && shows(run_text(&step.text), &text);
            is_step.then(|| (fixed(&text), Reverse(self.distance(step, *shell))))
        };
        let fits = (0..self.shells.len()).filter_map(|at| Some((at, is_shown(&self.shells[at])?)));
        let (at, _) = fits.rev().max_by_key(|(_, fit)| *fit)?;
        let (shell, given) = self.shells.remove(at);
        let known = scripts.into_iter().find(|script| given.is_of(&comparable(&script.text), None));
        let text = || ScriptText { text: lines(self.machine, shell).unwrap_or_default(), origins: Vec::new() };
        Some((shell, known.unwrap_or_else(text)))
    }

    /// Finds a shell of a container whose text could not be read, because it was too short.
    fn by_time(&mut self, step: &Step, scripts: Vec<ScriptText>) -> Option<(u32, ScriptText)> {
        let script = with_shown(scripts, step).swap_remove(0);
        let fits = |&shell: &u32| {
            let process = &self.machine.list[shell as usize];
            let end = process.end.saturating_sub(self.zero);
            step_spans(step, self.start(shell), end) && starts_only(self.machine, shell, &script.text)
        };
        let at = self.nameless.iter().position(fits)?;
        Some((self.nameless.remove(at), script))
    }

    /// Finds the shell of an ONBUILD instruction of the base image, whose text the log does not have: the first program of a container.
    fn of_trigger(&mut self, step: &Step, _: Vec<ScriptText>) -> Option<(u32, ScriptText)> {
        let fits = |(shell, given): &(u32, Given)| {
            let is_first = is_started_by_runtime(self.machine, &self.machine.list[*shell as usize]);
            let is_text = matches!(given, Given::Text { text, .. } if !text.is_empty());
            is_first && is_text && step_spans(step, self.start(*shell), self.end(*shell))
        };
        let at = self.shells.iter().position(fits).filter(|_| is_trigger(&step.text))?;
        let (shell, _) = self.shells.remove(at);
        Some((shell, ScriptText { text: lines(self.machine, shell)?, origins: Vec::new() }))
    }

    /// Finds the shell of an equal step of another build at the same time. BuildKit executes such steps once.
    fn of_merged_step(&mut self, step: &Step, scripts: Vec<ScriptText>) -> Option<(u32, ScriptText)> {
        let scripts = with_shown(scripts, step);
        let is = |(shell, given): &(u32, Given)| {
            let is_of =
                |script: &&ScriptText| given.is_of(&comparable(&script.text), exec_form(&script.text).as_deref());
            let script = scripts.iter().find(is_of)?;
            step_spans(step, self.start(*shell), self.end(*shell)).then(|| (*shell, script.clone()))
        };
        self.merged.iter().find_map(is)
    }
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
    (ran(step) || is_trigger(&step.text) && step.outcome == Outcome::Executed) && step.processes.is_none()
}

/// Whether a process that started at that time may belong to a build of this length. The times of a log are those at which its lines were
/// printed.
fn build_has(start: Nanos, zero: Nanos, wall: Nanos) -> bool {
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
