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
mod tests {
    use super::*;
    use buildscope_record::{Fidelity, Observed, Source, StepId, Tool};

    fn process(pid: u32, parent: Option<u32>, arguments: &[&str], start: u64, end: u64) -> Process {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let program = arguments[0].rsplit('/').next().unwrap().to_owned();
        Process { pid, parent, program, arguments, start: Nanos(start), end: Nanos(end), ..Process::default() }
    }

    fn executed(id: u32, text: &str) -> Step {
        Step { outcome: Outcome::Executed, ..Step::of(StepId(id), "RUN", text) }
    }

    /// A record whose steps have these texts.
    fn record_of(tool: Tool, runs: &[&str]) -> Record {
        let steps = runs.iter().zip(0..).map(|(text, id)| executed(id, text)).collect();
        Record { steps, ..Record::of(Source { tool, version: None, fidelity: Fidelity::default() }) }
    }

    fn machine() -> Processes {
        Processes::of(Observed::Events, Nanos(0), Nanos(900))
    }

    /// busybox and dash execute the last command in the place of the shell, often before the shell's arguments are read.
    #[test]
    fn a_replaced_shell_has_the_name_of_its_program() {
        let runs = ["RUN sleep 1", "RUN cd /x && exec make \"all\"", "RUN sleep 1"];
        let mut record = record_of(Tool::DockerClassic, &runs);
        const SECOND: u64 = 1_000_000_000;
        for (step, start) in record.steps.iter_mut().zip([0, 10, 20]) {
            (step.start, step.end) = (Some(Nanos(start * SECOND)), Some(Nanos((start + 9) * SECOND)));
        }
        let shell = |pid, start| Process { arguments: Vec::new(), ..process(pid, None, &["sh"], start, start + 5) };
        let next = |shell: u32, pid, arguments: &[&str], start| Process {
            replaces: Some(shell),
            ..process(pid, None, arguments, start + 5, start + SECOND)
        };
        let list = vec![
            shell(1, SECOND),
            next(0, 1, &["sleep", "1"], SECOND),
            shell(2, 11 * SECOND),
            next(2, 2, &["make", "all"], 11 * SECOND),
            shell(3, 12 * SECOND),
            next(4, 3, &["oversleep", "1"], 12 * SECOND),
            shell(4, 21 * SECOND),
            next(6, 4, &["sleep", "1"], 21 * SECOND),
        ];
        let machine = Processes { list, ..machine() };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
        let starts: Vec<_> =
            record.steps.iter().map(|step| step.processes.as_ref().unwrap().list[0].start.0 / SECOND).collect();
        assert_eq!(starts, [1, 11, 21]);
        let [sh, make] = &record.steps[1].processes.as_ref().unwrap().list[..] else { panic!("two programs") };
        assert_eq!((&*sh.program, &*make.program, make.replaces), ("sh", "make", Some(0)));
    }

    /// Only the names of the shells are known, because the steps took a millisecond. Other shells ran on the machine, too.
    #[test]
    fn a_shell_that_could_not_be_asked_is_found_by_its_runtime_and_its_time() {
        const MS: u64 = 1_000_000;
        let source = Source { tool: Tool::Buildah, version: None, fidelity: Fidelity::default() };
        let runs = ["RUN echo a > /b", "RUN true", "RUN make", "RUN test -e /b; ls"];
        let mut steps: Vec<Step> = runs.iter().zip(0..).map(|(text, id)| executed(id, text)).collect();
        for (step, start) in steps.iter_mut().zip([0, 1000, 2000, 3000]) {
            (step.start, step.end) = (Some(Nanos(start * MS)), Some(Nanos((start + 300) * MS)));
        }
        let mut record = Record { steps, wall: Nanos(4000 * MS), ..Record::of(source) };
        let named = |pid, parent, replaces, name: &str, ms: u64, arguments: &[&str]| Process {
            program: name.into(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            replaces,
            threads: if name == "exe" { 5 } else { 1 },
            ..process(pid, parent, &[name], ms * MS, (ms + 2) * MS)
        };
        let list = vec![
            named(1, None, None, "exe", 100, &[]),
            named(1, None, Some(0), "sh", 102, &[]),
            // Shells of other programs, and a shell of the step that started before the builder's log says so.
            named(2, None, None, "sh", 1050, &[]),
            named(3, None, None, "env", 1060, &[]),
            named(3, None, Some(3), "sh", 1062, &[]),
            named(4, None, None, "crun", 1090, &[]),
            named(5, Some(5), None, "sh", 1092, &[]),
            // Neither its text nor its children belong to one of these steps.
            named(6, Some(5), None, "sh", 2100, &["sh", "-c", "other"]),
            named(7, Some(5), None, "sh", 2100, &[]),
            named(8, Some(8), None, "cc1", 2101, &[]),
            named(9, Some(5), None, "sh", 3100, &[]),
            named(10, Some(10), None, "ls", 3101, &[]),
        ];
        let machine = Processes { list, ..machine() };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
        let pid = |step: &Step| step.processes.as_ref().map(|seen| seen.list[0].pid);
        assert_eq!(record.steps.iter().map(pid).collect::<Vec<_>>(), [Some(1), Some(5), None, Some(9)]);
    }

    /// The steps of two stages run in another order than that of the file; newlines in arguments are escaped by the observer.
    #[test]
    fn a_text_is_compared_whole_and_arguments_word_by_word() {
        let plain = ["RUN true && make", "RUN true", r"RUN printf 'a\nb'"];
        let exec = [r#"RUN ["cc", "-o", "a b"]"#, r#"RUN ["cc"]"#, r#"RUN ["sh", "-c", "ls"]"#];
        let runs = [plain, exec].concat();
        let mut record = record_of(Tool::Buildkit, &runs);
        let machine = Processes {
            list: vec![
                process(1, None, &["runc", "init"], 0, 900),
                process(2, Some(0), &["sh", "-c", "true"], 100, 200),
                process(3, Some(0), &["sh", "-c", "true && make"], 200, 300),
                process(4, Some(0), &["sh", "-c", r"printf 'a\nb'"], 300, 400),
                process(5, Some(3), &["cc", "-o", "a b"], 400, 500),
                process(6, Some(0), &["cc", "-o", "a b"], 500, 600),
                process(7, Some(0), &["cc"], 600, 700),
                process(8, Some(0), &["sh", "-c", "ls"], 700, 800),
            ],
            ..machine()
        };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 6);
        let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command.len()));
        let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
        assert_eq!(seen, [(3, 3), (2, 3), (4, 3), (6, 3), (7, 1), (8, 3)]);
    }

    #[test]
    fn a_steps_shell_is_known_by_its_text() {
        let runs = ["RUN make all &&     make install", "RUN true", "RUN make all &&     make install"];
        let mut record = record_of(Tool::Buildkit, &runs);
        let machine = Processes {
            list: vec![
                process(1, None, &["runc", "init"], 90, 95),
                process(2, Some(0), &["/bin/sh", "-c", "make all &&     make install"], 100, 200),
                process(3, Some(1), &["make", "all"], 110, 190),
                process(4, None, &["/bin/sh", "-c", "other"], 110, 190),
                process(5, None, &["/bin/sh", "-c", "make all &&     make install"], 300, 400),
            ],
            ..machine()
        };
        assert_eq!(attach(&mut record, &machine, Nanos(50), &mut Taken::default(), |_| Vec::new()), 2);
        let first = record.steps[0].processes.as_ref().unwrap();
        let list: Vec<_> =
            first.list.iter().map(|process| (&*process.program, process.parent, process.start.0)).collect();
        assert_eq!(list, [("sh", None, 50), ("make", Some(0), 60)]);
        assert_eq!((first.start, first.end), (Nanos(50), Nanos(150)));
        assert_eq!(record.steps[1].processes, None);
        assert_eq!(record.steps[2].processes.as_ref().unwrap().start, Nanos(250));
        record.wall = Nanos(900);
        record.validate().unwrap();
    }

    /// A script builds the same Dockerfile twice. The second build has the first step from its cache.
    #[test]
    fn two_builds_with_the_same_texts_have_their_own_processes() {
        const SECOND: u64 = 1_000_000_000;
        let source = Source { tool: Tool::Buildkit, version: None, fidelity: Fidelity::default() };
        let run = |id, text: &str, start: u64, outcome| Step {
            start: Some(Nanos(start * SECOND)),
            end: Some(Nanos((start + 2) * SECOND)),
            outcome,
            ..Step::of(StepId(id), "RUN", text)
        };
        let build = |first| Record {
            steps: vec![run(0, "RUN make", 1, first), run(1, "RUN make test", 3, Outcome::Executed)],
            wall: Nanos(6 * SECOND),
            ..Record::of(source.clone())
        };
        let shell =
            |pid, text: &str, start: u64| process(pid, None, &["sh", "-c", text], start * SECOND, (start + 1) * SECOND);
        let list = vec![shell(1, "make", 1), shell(2, "make test", 4), shell(3, "make test", 14), shell(4, "make", 22)];
        let machine = Processes { list, ..machine() };
        let mut taken = Taken::default();
        let mut found = |first, zero: u64| {
            let mut record = build(first);
            attach(&mut record, &machine, Nanos(zero * SECOND), &mut taken, |_| Vec::new());
            let pid = |step: &Step| step.processes.as_ref().map(|seen| seen.list[0].pid);
            record.steps.iter().map(pid).collect::<Vec<_>>()
        };
        assert_eq!(found(Outcome::Executed, 0), [Some(1), Some(2)]);
        assert_eq!(found(Outcome::Cached, 10), [None, Some(3)]);
        assert_eq!(found(Outcome::Executed, 20), [Some(4), None]);
    }

    /// Without the Dockerfile, only the first line of a heredoc is known.
    #[test]
    fn a_heredoc_is_found_by_its_first_line() {
        let runs = ["RUN <<EOF (make...)", "RUN <<EOF (make)", "RUN --mount=type=cache,target=/c <<-X (cc...)"];
        let mut record = record_of(Tool::Buildkit, &runs);
        let machine = Processes {
            list: vec![
                process(1, None, &["/bin/sh", "-c", r"make\n"], 0, 100),
                process(2, None, &["/bin/sh", "-c", r"make\nmake install\n"], 100, 200),
                process(3, None, &["/bin/sh", "-c", r"cc a.c\ncc b.c\n"], 200, 300),
            ],
            ..machine()
        };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 3);
        let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command[2].clone()));
        let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
        let text = |pid, text: &str| (pid, text.to_owned());
        assert_eq!(seen, [text(2, "make\nmake install\n"), text(1, "make\n"), text(3, "cc a.c\ncc b.c\n")]);
    }

    /// BuildKit shows the values of the Dockerfile's variables, and no backslashes before characters.
    #[test]
    fn a_text_with_variables_is_found_by_what_the_builder_shows() {
        let runs = ["RUN make 1", "RUN make 1 && ls", r#"RUN echo "a" 2"#, "RUN cp 1"];
        let mut record = record_of(Tool::Buildkit, &runs);
        record.steps[0].start = Some(Nanos(3_000_000_000));
        let machine = Processes {
            list: vec![
                process(1, None, &["sh", "-c", "$COMMAND"], 0, 100),
                process(2, None, &["sh", "-c", "make $V && ls"], 100, 200),
                process(3, None, &["sh", "-c", r#"echo \"a\" ${V}"#], 200, 300),
                process(4, None, &["sh", "-c", "make $V"], 3_100_000_000, 3_200_000_000),
            ],
            ..machine()
        };
        let known = ScriptText { text: "make $V && ls".into(), origins: vec![Origin { at: 0, line: 4, column: 5 }] };
        let scripts = |step: &Step| if step.text.ends_with("ls") { vec![known.clone()] } else { Vec::new() };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), scripts), 4);
        let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.command[2].clone()));
        let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
        let text = |pid, text: &str| (pid, text.to_owned());
        let expected =
            [text(4, "make $V"), text(2, "make $V && ls"), text(3, r#"echo \"a\" ${V}"#), text(1, "$COMMAND")];
        assert_eq!(seen, expected);
        assert_eq!(record.steps[1].processes.as_ref().unwrap().origins.len(), 1);
    }

    /// BuildKit executes a heredoc that names its interpreter.
    #[test]
    fn a_heredoc_with_an_interpreter_is_found_by_it() {
        let mut record = record_of(Tool::Buildkit, &["RUN <<EOT (#!/bin/bash...)", "RUN <<EOT (#!/bin/dash)"]);
        let list = vec![
            process(1, None, &["runc", "init"], 0, 900),
            process(2, Some(0), &["/bin/sh", "-c", "/dev/pipes/EOT"], 90, 100),
            Process { replaces: Some(1), ..process(2, Some(0), &["/bin/dash", "/dev/pipes/EOT"], 100, 200) },
            process(3, Some(0), &["/bin/bash", "/other"], 200, 300),
            process(4, Some(0), &["/bin/sh", "-c", "/dev/pipes/EOT"], 290, 300),
            Process { replaces: Some(4), ..process(4, Some(0), &["/bin/bash", "/dev/pipes/EOT"], 300, 400) },
        ];
        let machine = Processes { list, ..machine() };
        let text = "#!/bin/bash\nset -e\nmake\n";
        let known = |step: &Step| {
            let is_bash = step.text.contains("bash");
            Vec::from_iter(is_bash.then(|| ScriptText { text: text.into(), origins: Vec::new() }))
        };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), known), 2);
        let seen = |step: &Step| step.processes.as_ref().map(|seen| (seen.list[0].pid, seen.script.clone()));
        let seen: Vec<_> = record.steps.iter().filter_map(seen).collect();
        assert_eq!(seen, [(4, Some(text.to_owned())), (2, None)]);
    }

    /// buildah's chroot isolation executes a copy of buildah from memory, which starts the program.
    #[test]
    fn a_program_without_a_shell_is_found_below_buildah() {
        let mut record = record_of(Tool::Buildah, &[r#"RUN ["/bin/sleep", "1"]"#]);
        let runtime = process(1, None, &["buildah-chroot-exec", "/bin/sleep", "1"], 0, 900);
        let runtime = Process { program: "memfd:buildah-c".into(), ..runtime };
        let list = vec![runtime, process(2, Some(0), &["/bin/sleep", "1"], 100, 900)];
        let machine = Processes { list, ..machine() };
        assert_eq!(attach(&mut record, &machine, Nanos(0), &mut Taken::default(), |_| Vec::new()), 1);
        assert_eq!(record.steps[0].processes.as_ref().unwrap().list[0].pid, 2);
    }
}
