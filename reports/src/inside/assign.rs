//! Assigns the processes of a shell to the commands of its text.
//!
//! A shell starts the processes of its commands in the order of the text, so this is an alignment of two sequences: the alignment in which
//! most names agree wins (the dynamic programme of Needleman and Wunsch, 1970). A process whose name fits no command belongs to the command
//! that is running.

use super::shell::{Name, Unit};
use super::tree::{Job, ProcessTree};

/// A process that a shell started, as the alignment sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child<'a> {
    /// The first program that it executed: the one that the text names. `env`, `nohup` or a shell may execute others in its place.
    pub(super) program: &'a str,
    /// Whether the process executed nothing: it is a copy of the shell.
    pub(super) forked: bool,
    pub(super) arguments: &'a [String],
}

/// The processes of jobs as the alignment sees them.
pub(super) fn children<'t>(tree: &ProcessTree<'t>, jobs: &[Job]) -> Vec<Child<'t>> {
    let child = |job: &Job| {
        let last = tree.process(job.last);
        let runs = || job.all.iter().map(|&run| tree.process(run));
        let first = runs().find(|run| !run.forked).unwrap_or(last);
        // A short program may have ended before its arguments were read.
        let arguments = runs().find(|run| !run.forked && !run.arguments.is_empty()).unwrap_or(last);
        Child { program: &first.program, forked: first.forked, arguments: &arguments.arguments }
    };
    jobs.iter().map(child).collect()
}

/// The name of a program that executed itself and ended before its arguments were read (busybox).
const SELF: &str = "exe";
/// The number of names of one command that are counted.
const COUNTED: usize = 12;
/// The score of a command that has a process at all: most commands of a text run.
const ENTERED: i32 = 1;
/// The longest alignment, in processes. Further processes belong to the last command.
const LONGEST: usize = 3000;

/// The score of assigning a process to a command. It counts whether the name agrees and whether the command's text has the arguments;
/// without either it is 0.
fn score(unit: &Unit, child: Child<'_>, text: &str) -> i32 {
    const WITH_ARGUMENTS: i32 = 4;
    let has_arguments = contains_arguments(text.get(unit.span.clone()).unwrap_or_default(), child.arguments);
    name_score(unit, child) + if has_arguments { WITH_ARGUMENTS } else { 0 }
}

/// Whether a command's text contains the arguments literally: no argument comes from a variable. The first argument of a script is its
/// interpreter, and the second one its path.
fn contains_arguments(text: &str, arguments: &[String]) -> bool {
    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split(|c: char| c.is_whitespace() || "\"'\\;|&()".contains(c)).filter(|word| !word.is_empty())
    }
    let wanted: Vec<&str> = arguments.iter().flat_map(|argument| words(argument)).collect();
    let text: Vec<&str> = words(text).collect();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let has = |wanted: &[&str]| {
        let same = |window: &[&str]| name(window[0]) == name(wanted[0]) && window[1..] == wanted[1..];
        wanted.len() > 1 && text.windows(wanted.len()).any(same)
    };
    has(&wanted) || wanted.len() > 2 && wanted[1].contains('/') && has(&wanted[1..])
}

/// The score for the agreement of the names.
fn name_score(unit: &Unit, child: Child<'_>) -> i32 {
    let one = |name: &Name| match name {
        Name::Is(name) if is_program(name, child.program) => 8,
        // A program that the text names may be part of the shell (busybox).
        Name::Is(_) if child.forked || child.program == SELF => 4,
        Name::Is(_) => 0,
        Name::Subshell(_) if child.forked => 6,
        // A copy of the shell with a single command executes it in its own place, or the shell made no copy.
        Name::Subshell(within) => {
            let named = within.iter().any(|name| matches!(name, Name::Is(name) if is_program(name, child.program)));
            if named { 8 } else { 2 }
        }
        Name::Any if child.forked => 2,
        Name::Any => 3,
    };
    unit.names.iter().map(one).max().unwrap_or(0)
}

/// Whether a process's name is that of the program. The kernel keeps 15 bytes of a name, and a program may be a link to one with a longer
/// name (`python3`, `python3.11`).
fn is_program(name: &str, program: &str) -> bool {
    let same = |a: &str, b: &str| a == b || b.len() >= 15 && a.starts_with(b);
    same(name, program)
        || program.len() > name.len()
            && program.starts_with(name)
            && !program[name.len()..].starts_with(char::is_alphabetic)
}

/// Returns the unit of each child, by index; `None` if no unit can have started it. `text` is the shell's text.
pub(super) fn assign(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Option<usize>> {
    let able: Vec<usize> = (0..units.len()).filter(|&unit| !units[unit].is_builtin()).collect();
    if able.is_empty() {
        return vec![None; children.len()];
    }
    // best[u][k]: the highest score if the last child belongs to unit u and k names of u are used.
    let (rows, columns) = (able.len(), COUNTED + 1);
    let mut best = vec![vec![None::<i32>; columns]; rows];
    let mut choices: Vec<Vec<Vec<(u32, u32)>>> = Vec::new();
    let counted = &children[..children.len().min(LONGEST)];
    for (number, &child) in counted.iter().enumerate() {
        let mut next = vec![vec![None::<i32>; columns]; rows];
        let mut choice = vec![vec![(0, 0); columns]; rows];
        // The best of all units up to the current one.
        let mut before: Option<(i32, (u32, u32))> = if number == 0 { Some((0, (0, 0))) } else { None };
        for (row, &unit) in able.iter().enumerate() {
            let unit = &units[unit];
            let gain = score(unit, child, text);
            let most = unit.most().filter(|&most| most <= COUNTED || !unit.repeats);
            let mut put = |used: usize, score: i32, from: (u32, u32)| {
                if next[row][used].is_none_or(|known| score > known) {
                    (next[row][used], choice[row][used]) = (Some(score), from);
                }
            };
            if let Some((score, from)) = before {
                put(usize::from(gain > 0), score + gain + ENTERED * i32::from(gain > 0), from);
            }
            for (used, score) in best[row].iter().enumerate() {
                let &Some(score) = score else { continue };
                let from = (row as u32, used as u32);
                match most {
                    None if gain > 0 => put(used, score + gain, from),
                    Some(most) if gain > 0 && used < most.min(COUNTED) => put(used + 1, score + gain, from),
                    _ => put(used, score, from),
                }
            }
            for (used, score) in best[row].iter().enumerate() {
                if let &Some(score) = score
                    && before.is_none_or(|(known, _)| score > known)
                {
                    before = Some((score, (row as u32, used as u32)));
                }
            }
        }
        best = next;
        choices.push(choice);
    }
    let last = (0..rows).flat_map(|row| (0..columns).map(move |used| (row, used)));
    // At equal scores the first command wins: without evidence, no later command is taken to have started.
    let mut end = last.filter_map(|(row, used)| Some((best[row][used]?, std::cmp::Reverse(row), used))).max();
    let mut assigned = vec![None; children.len()];
    if let Some((_, std::cmp::Reverse(row), used)) = end.take() {
        for rest in &mut assigned[counted.len()..] {
            *rest = Some(able[row]);
        }
        let (mut row, mut used) = (row, used);
        for number in (0..counted.len()).rev() {
            assigned[number] = Some(able[row]);
            let (one, other) = choices[number][row][used];
            (row, used) = (one as usize, other as usize);
        }
    }
    assigned
}

/// Returns the unit of each child in a loop over the units. The search starts at the last child's unit and takes the first unit whose name
/// agrees best.
pub(super) fn assign_repeated(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Option<usize>> {
    let mut last = None;
    let mut next = |child: &Child<'_>| {
        let first = last.map_or(0, |last| last + 1);
        let order = (0..units.len()).map(|number| (first + number) % units.len());
        let best = order.rev().max_by_key(|&unit| score(&units[unit], *child, text));
        last = best.filter(|&unit| score(&units[unit], *child, text) > 0).or(last);
        last
    };
    children.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::super::shell::units;
    use super::*;

    /// Assigns children, which are given as names of programs with arguments. `&` before a name marks a process that executed nothing.
    fn assigned(text: &str, children: &[&str]) -> Vec<String> {
        let units = units(text);
        let words = |line: &&str| line.trim_start_matches('&').split(' ').map(str::to_owned).collect::<Vec<_>>();
        let arguments: Vec<Vec<String>> = children.iter().map(words).collect();
        let children: Vec<_> = children
            .iter()
            .zip(&arguments)
            .map(|(line, arguments)| Child { program: &arguments[0], forked: line.starts_with('&'), arguments })
            .collect();
        let of = |unit: Option<usize>| unit.map_or("-", |unit| &text[units[unit].span.clone()]).to_owned();
        assign(&units, &children, text).into_iter().map(of).collect()
    }

    /// A sampled build lacks the short processes.
    #[test]
    fn arguments_tell_commands_of_one_name_apart() {
        let text = "sleep 0.5 && while [ $i ]; do true; done; (sleep 0.3) && sh -c \"sleep 0.2; true\"";
        assert_eq!(
            assigned(text, &["sleep 0.5", "true", "&sh", "sleep 0.3", "sleep 0.2"])[3..],
            ["(sleep 0.3)", "sh -c \"sleep 0.2; true\""]
        );
        assert_eq!(assigned("test -f x && cp a b; cp 'c d' e; cp $x f", &["cp c d e"]), ["cp 'c d' e"]);
        assert_eq!(assigned("sleep 0.35; sleep 0.3", &["sleep 0.3"]), ["sleep 0.3"]);
        let text = "npm ci && $x && npm prune";
        assert_eq!(assigned(text, &["node /usr/bin/npm ci", "node /usr/bin/npm prune"]), ["npm ci", "npm prune"]);
    }

    #[test]
    fn commands_of_one_name_come_in_their_order() {
        assert_eq!(
            assigned("apt-get update && apt-get install x && rm -rf y", &["apt-get", "apt-get", "rm"]),
            ["apt-get update", "apt-get install x", "rm -rf y"]
        );
        assert_eq!(
            assigned("gcc a | wc; gcc b | wc", &["gcc", "wc", "gcc", "wc"]),
            ["gcc a | wc", "gcc a | wc", "gcc b | wc", "gcc b | wc"]
        );
    }

    #[test]
    fn commands_that_did_not_run_are_passed_over() {
        assert_eq!(assigned("test -f x && a || b; c", &["b", "c"]), ["b", "c"]);
        assert_eq!(assigned("if a; then b; else c; fi; d", &["a", "c", "d"]), ["a", "c", "d"]);
    }

    #[test]
    fn loops_take_all_of_theirs() {
        assert_eq!(
            assigned("x; for i in 1 2 3; do gcc $i; done; gcc last", &["x", "gcc", "gcc", "gcc", "gcc"])[..4],
            [
                "x",
                "for i in 1 2 3; do gcc $i; done",
                "for i in 1 2 3; do gcc $i; done",
                "for i in 1 2 3; do gcc $i; done"
            ]
        );
    }

    /// The loop runs once for each word.
    #[test]
    fn a_loop_over_words_of_the_text_has_as_many_processes() {
        let (first, second) = ("for i in 1 2 3; do sleep 0.$i; done", "for i in 1 2; do sleep 0.$i; done");
        let assigned = assigned(&format!("{first}; {second}"), &["sleep"; 5]);
        assert_eq!(assigned, [first, first, first, second, second]);
    }

    #[test]
    fn each_command_has_a_process_if_there_are_enough() {
        assert_eq!(assigned("eval \"$x\"; $y; make", &["a", "b", "make"]), ["eval \"$x\"", "$y", "make"]);
    }

    #[test]
    fn the_commands_of_a_loop_come_in_turn() {
        let text = "gcc $i; strip $i; cp $i x";
        let units = units(text);
        let child = |program| Child { program, forked: false, arguments: &[] };
        let children = ["gcc", "strip", "cp", "gcc", "strip", "other", "gcc"].map(child);
        let assigned: Vec<_> = assign_repeated(&units, &children, text).into_iter().flatten().collect();
        assert_eq!(assigned, [0, 1, 2, 0, 1, 1, 0]);
        assert_eq!(assign_repeated(&units, &[child("other")], text), [None]);
    }

    #[test]
    fn unknown_processes_belong_to_the_command_under_way() {
        assert_eq!(
            assigned("make -j$(nproc) && strip x", &["nproc", "make", "lesspipe", "strip"])[1..],
            ["make -j$(nproc)", "make -j$(nproc)", "strip x"]
        );
        assert_eq!(assigned("cd /x && export A=1", &["mystery"]), ["-"]);
        assert_eq!(assigned("python3 setup.py", &["python3.11"]), ["python3 setup.py"]);
    }

    #[test]
    fn a_shell_that_runs_programs_itself_has_copies_of_itself() {
        // busybox runs dd and md5sum itself, and makes no copy for the last group.
        assert_eq!(
            assigned("sleep 1 && dd | md5sum && (sleep 2; true)", &["sleep", "&sh", "&sh", "sleep"]),
            ["sleep 1", "dd | md5sum", "dd | md5sum", "(sleep 2; true)"]
        );
        assert_eq!(assigned("wget x && tar xf y", &["&sh", "&sh"]), ["wget x", "tar xf y"]);
    }
}
