//! Assigns the processes of a shell to the commands of its text.
//!
//! A shell starts the processes of its commands in the order of the text, so this is an alignment of two sequences: the alignment in which
//! most names agree wins (the dynamic programme of Needleman and Wunsch, 1970). A process whose name fits no command belongs to the command
//! that is running.

use super::applets;
use super::gap::Owner;
use super::shell::{Name, Program, Unit, Values, fits};
use super::tree::{Job, ProcessTree};
use std::collections::BTreeSet;
use std::ops::Range;

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
/// The number of processes of one command that are counted.
const COUNTED: usize = 62;
/// What it costs if a command has no process that runs unless an earlier one ends the shell.
const MISSING: i32 = 1;
/// The most that the programs that a turn of a loop did not start cost.
const MISSING_IN_TURN: i32 = 3;
/// The longest alignment, in processes. Further processes belong to the last command.
const LONGEST: usize = 3000;

/// The score of the arguments: those of the text, others, or those that the text rules out.
const SAME_ARGUMENTS: i32 = 4;
const POSSIBLE_ARGUMENTS: i32 = 2;
const OTHER_ARGUMENTS: i32 = -6;

/// The score of assigning a process to a command, for each of the names of the command; without names that agree all are 0. It counts
/// whether the name agrees, and whether the command's text has the arguments.
fn scores(unit: &Unit, child: Child<'_>, text: &str) -> Vec<i32> {
    let of_arguments = |name: &Name| match name {
        Name::Is(program) => argument_score(program, child.arguments),
        Name::Any | Name::Subshell(_) => None,
    };
    let arguments: Vec<Option<i32>> = unit.names.iter().map(of_arguments).collect();
    // A text may have the arguments of programs that its programs start.
    let unknown = || contains_arguments(text.get(unit.span.clone()).unwrap_or_default(), child.arguments);
    let literal = if arguments.iter().all(Option::is_none) && unknown() { SAME_ARGUMENTS } else { 0 };
    let of_name = |(name, arguments): (&Name, Option<i32>)| name_score(name, child) + arguments.unwrap_or(literal);
    unit.names.iter().zip(arguments).map(of_name).collect()
}

/// The highest of these scores.
fn score(unit: &Unit, child: Child<'_>, text: &str) -> i32 {
    scores(unit, child, text).into_iter().max().unwrap_or(0)
}

/// The score of the agreement of the arguments; `None` if they are not known to be those of a program of this name.
fn argument_score(program: &Program, arguments: &[String]) -> Option<i32> {
    let is = |path: &String| is_program(&program.name, path.rsplit('/').next().unwrap_or_default());
    let given = match arguments {
        [first, given @ ..] if is(first) => given,
        // A script is an argument of its interpreter.
        [_, script, given @ ..] | [_, _, script, given @ ..] if script.contains('/') && is(script) => given,
        _ => return None,
    };
    Some(if fits(&program.arguments, given, Values::Known) {
        SAME_ARGUMENTS
    } else if fits(&program.arguments, given, Values::Any) {
        POSSIBLE_ARGUMENTS
    } else {
        OTHER_ARGUMENTS
    })
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

/// The score of the agreement of the name.
fn name_score(name: &Name, child: Child<'_>) -> i32 {
    match name {
        Name::Is(program) if is_program(&program.name, child.program) => 8,
        // A program that the text names may be part of the shell (busybox).
        Name::Is(program) if child.program == SELF => match child.arguments.first() {
            Some(first) if is_program(&program.name, first) => 8,
            None if !applets::runs_without_exec(&program.name) => 4,
            _ => 2,
        },
        Name::Is(program) if child.forked => {
            if applets::runs_without_exec(&program.name) {
                4
            } else {
                2
            }
        }
        Name::Is(_) => 0,
        Name::Subshell(_) if child.forked => 6,
        // A copy of the shell with a single command executes it in its own place, or the shell made no copy.
        Name::Subshell(within) => {
            let is = |name: &Name| matches!(name, Name::Is(program) if is_program(&program.name, child.program));
            if within.iter().any(is) { 8 } else { 2 }
        }
        Name::Any if child.forked => 2,
        Name::Any => 3,
    }
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

/// The most processes of a unit that count; `None` for a loop whose turns are unknown or many.
fn most(unit: &Unit) -> Option<usize> {
    unit.most().filter(|&most| most <= COUNTED || !unit.repeats)
}

/// The highest state of a unit.
fn highest(unit: &Unit) -> usize {
    most(unit).unwrap_or(unit.names.len()).min(COUNTED)
}

/// The programs of a unit that run in each turn of a loop, counted up to each place of its body.
struct Required(Vec<i32>);

impl Required {
    fn of(unit: &Unit) -> Self {
        let runs = |(place, name): (usize, &Name)| {
            i32::from(place >= unit.once && !matches!(name, Name::Is(program) if program.optional))
        };
        let counts = unit.names.iter().enumerate().map(runs).scan(0, |count, runs| {
            *count += runs;
            Some(*count)
        });
        Self([0].into_iter().chain(counts).collect())
    }

    /// The cost of the programs that were not started after `from` programs of a turn, up to the one at `to` of this turn or, if that is
    /// earlier, of the next one.
    fn missing(&self, from: usize, to: usize) -> i32 {
        let until = |place: usize| self.0[place.min(self.0.len() - 1)];
        let turn = if from <= to { 0 } else { until(usize::MAX) };
        (MISSING * (turn + until(to) - until(from))).min(MISSING_IN_TURN)
    }

    /// The same up to the end of the turn.
    fn left(&self, from: usize) -> i32 {
        self.missing(from, usize::MAX)
    }
}

/// A set of states of one unit, one bit each: the number of its names that are used. In a loop it is the place after the program that started
/// last.
type States = u64;

/// The bit of a choice: the command before is another one.
const ENTERED: States = 1 << 63;

/// The unit of scores. What is less likely at equal scores costs less than any score.
const POINT: i64 = 1 << 20;
const UNLIKELY: i64 = 1;

/// How the commands before a row may have been left for a command after it.
#[derive(Clone, Copy, Debug, Default)]
struct Exits {
    /// The best states of this row to leave, if none of an earlier row is better.
    states: States,
    /// Whether an earlier row is as good.
    earlier: bool,
}

/// What the alignment knows of a process.
struct Choices {
    /// The states before that are best for each state of each row.
    states: Vec<States>,
    exits: Vec<Exits>,
}

/// All best alignments of processes with commands, up to one of the processes.
struct Alignment<'a> {
    units: Vec<&'a Unit>,
    required: Vec<Required>,
    /// The place of the first state of each row among those of all rows, and their number.
    first: Vec<usize>,
    /// The highest score of each state.
    best: Vec<Option<i64>>,
    choices: Vec<Choices>,
}

impl<'a> Alignment<'a> {
    fn of(units: Vec<&'a Unit>) -> Self {
        let mut first = vec![0];
        for unit in &units {
            first.push(first[first.len() - 1] + highest(unit) + 1);
        }
        let best = vec![None; first[units.len()]];
        let required = units.iter().map(|unit| Required::of(unit)).collect();
        Self { units, required, first, best, choices: Vec::new() }
    }

    /// The places of the states of a row.
    fn states(&self, row: usize) -> Range<usize> {
        self.first[row]..self.first[row + 1]
    }

    /// The cost of leaving a unit in this state.
    fn left(&self, row: usize, used: usize) -> i64 {
        let is_within = most(self.units[row]).is_none() && used > 0;
        if is_within { POINT * i64::from(self.required[row].left(used)) } else { 0 }
    }

    /// The cost of passing over a unit.
    fn passed(&self, row: usize) -> i64 {
        if self.units[row].optional { 0 } else { POINT * i64::from(MISSING) }
    }

    /// The best states of a row to leave, with their score.
    fn leaving(&self, row: usize) -> Option<(i64, States)> {
        let mut best = None;
        for (used, score) in self.best[self.states(row)].iter().enumerate() {
            let &Some(score) = score else { continue };
            add_best(&mut best, score - self.left(row, used), 1 << used);
        }
        best
    }

    /// Adds a process.
    fn add(&mut self, child: Child<'_>, text: &str) {
        let rows = self.units.len();
        let mut next = vec![None; self.best.len()];
        let mut choices = Choices { states: vec![0; self.best.len()], exits: vec![Exits::default(); rows] };
        // The best score of all units up to the current one.
        let mut before = self.choices.is_empty().then_some(0);
        for row in 0..rows {
            let (unit, scores) = (self.units[row], scores(self.units[row], child, text));
            let gain = i64::from(scores.iter().copied().max().unwrap_or(0));
            let fitting = || scores.iter().enumerate().filter(|(_, score)| **score > 0);
            let (most, required) = (most(unit), &self.required[row]);
            let states = self.states(row);
            let mut put = |used: usize, score: i64, from: States| {
                let at = states.start + used;
                let mut known = next[at].map(|score| (score, choices.states[at]));
                add_best(&mut known, score, from);
                (next[at], choices.states[at]) = (known.map(|known| known.0), known.map_or(0, |known| known.1));
            };
            let after = |score: i64, from: usize, place: usize, gain: i32| {
                score + POINT * i64::from(gain - required.missing(from, place))
            };
            if let Some(score) = before {
                if gain <= 0 {
                    // It rather belongs to the command that is running.
                    put(0, score - UNLIKELY, ENTERED);
                } else if most.is_none() {
                    fitting().for_each(|(place, &gain)| {
                        put((place + 1).min(COUNTED), after(score, 0, place, gain), ENTERED);
                    });
                } else {
                    put(1, score + POINT * gain, ENTERED);
                }
            }
            for (used, score) in self.best[states.clone()].iter().enumerate() {
                let &Some(score) = score else { continue };
                let from = 1 << used;
                match most {
                    _ if gain <= 0 => put(used, score, from),
                    None => fitting().for_each(|(place, &gain)| {
                        put((place + 1).min(COUNTED), after(score, used, place, gain), from);
                    }),
                    Some(most) if used < most.min(COUNTED) => put(used + 1, score + POINT * gain, from),
                    Some(_) => put(used, score, from),
                }
            }
            let earlier = before.map(|score| score - self.passed(row));
            let leaving = self.leaving(row);
            choices.exits[row] = match (earlier, leaving) {
                (Some(earlier), Some((score, states))) if earlier == score => Exits { states, earlier: true },
                (Some(earlier), Some((score, _))) if earlier > score => Exits { states: 0, earlier: true },
                (_, Some((_, states))) => Exits { states, earlier: false },
                (_, None) => Exits { states: 0, earlier: true },
            };
            before = earlier.max(leaving.map(|leaving| leaving.0));
        }
        self.best = next;
        self.choices.push(choices);
    }

    /// The best states after the last process, by row. Without evidence, no later command is taken to have started.
    fn end(&self) -> Vec<States> {
        let (mut after, mut found) = (0, None::<i64>);
        let mut states = vec![0; self.units.len()];
        for row in (0..self.units.len()).rev() {
            if let Some((score, of_row)) = self.leaving(row) {
                let score = score - after;
                if found.is_none_or(|known| score > known) {
                    found = Some(score);
                    states.fill(0);
                }
                if found == Some(score) {
                    states[row] = of_row;
                }
            }
            after += (self.passed(row) - UNLIKELY).max(0);
        }
        states
    }

    /// The first and the last row of each process in any of the best alignments.
    fn rows(&self) -> Vec<(usize, usize)> {
        let mut states = self.end();
        let mut rows = Vec::with_capacity(self.choices.len());
        for choices in self.choices.iter().rev() {
            let mut possible = (0..states.len()).filter(|&row| states[row] != 0);
            let Some(first) = possible.next() else { break };
            rows.push((first, possible.next_back().unwrap_or(first)));
            states = choices.before(&states, &self.first);
        }
        rows.reverse();
        rows
    }
}

impl Choices {
    /// The best states before the process, if these are the best ones after it. `first` has the places of the rows' states.
    fn before(&self, states: &[States], first: &[usize]) -> Vec<States> {
        let mut before = vec![0; states.len()];
        let mut entered = false;
        for row in (0..states.len()).rev() {
            if entered {
                before[row] |= self.exits[row].states;
                entered = self.exits[row].earlier;
            }
            let of_row = self.states[first[row]..first[row + 1]].iter().enumerate();
            for (_, choice) in of_row.filter(|(used, _)| states[row] & 1 << used != 0) {
                before[row] |= choice & !ENTERED;
                entered |= choice & ENTERED != 0;
            }
        }
        before
    }
}

/// Adds states to the best ones.
fn add_best(best: &mut Option<(i64, States)>, score: i64, states: States) {
    match best {
        Some((known, _)) if *known > score => {}
        Some((known, all)) if *known == score => *all |= states,
        _ => *best = Some((score, states)),
    }
}

/// Returns the owner of each child: a unit; several, if nothing distinguishes them; or the shell, if no unit can have started it. `text` is the
/// shell's text.
pub(super) fn assign(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Owner> {
    let able: Vec<usize> = (0..units.len()).filter(|&unit| !units[unit].is_builtin()).collect();
    if able.is_empty() {
        return vec![Owner::Shell; children.len()];
    }
    let mut alignment = Alignment::of(able.iter().map(|&unit| &units[unit]).collect());
    for &child in children.iter().take(LONGEST) {
        alignment.add(child, text);
    }
    let owner = |(first, last)| Owner::of(able[first], able[last]);
    let mut assigned: Vec<Owner> = alignment.rows().into_iter().map(owner).collect();
    assigned.resize(children.len(), assigned.last().copied().unwrap_or(Owner::Shell));
    assigned
}

/// Returns the owner of each child in a loop over the units. The search starts after the last child's unit and takes the first unit whose name
/// agrees best, and those after it up to one that must run.
pub(super) fn assign_repeated(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Owner> {
    let mut places: BTreeSet<usize> = BTreeSet::new();
    let mut owner = Owner::Shell;
    let mut next = |child: &Child<'_>| {
        let scores: Vec<i32> = units.iter().map(|unit| score(unit, *child, text)).collect();
        let best = scores.iter().copied().max().unwrap_or(0);
        if best > 0 {
            let starts =
                if places.is_empty() { [0].into() } else { places.iter().map(|place| place + 1).collect::<Vec<_>>() };
            places.clear();
            for start in starts {
                let order = (0..units.len()).map(|number| (start + number) % units.len());
                for unit in order.filter(|&unit| scores[unit] == best) {
                    places.insert(unit);
                    if !units[unit].optional {
                        break;
                    }
                }
            }
            owner = match (places.first(), places.last()) {
                (Some(&first), Some(&last)) => Owner::of(first, last),
                _ => Owner::Shell,
            };
        }
        owner
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
        let programs: Vec<Vec<String>> = children.iter().map(words).collect();
        let children: Vec<_> = children
            .iter()
            .zip(&programs)
            .map(|(line, words)| Child {
                program: &words[0],
                forked: line.starts_with('&'),
                arguments: if *line == SELF { &[] } else { words },
            })
            .collect();
        let of = |owner| match owner {
            Owner::Unit(unit) => text[units[unit].span.clone()].to_owned(),
            Owner::Several(first, last) => format!("? {}", &text[units[first].span.start..units[last].span.end]),
            Owner::Shell => "-".to_owned(),
        };
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

    /// busybox executes `cat` and `sleep`, and runs `ls` and the sums in copies of its shell.
    #[test]
    fn loops_of_busybox_are_told_apart() {
        let assigned = |loops: [&str; 2], between: &str, children: &[&str]| {
            let text = format!("{}{between}; {}", loops[0], loops[1]);
            let owners = assigned(&text, children);
            let of = |owner: &String| loops.iter().position(|one| one == owner).map_or('?', |at| ['1', '2'][at]);
            owners.iter().map(of).collect::<String>()
        };
        let words = ["for f in 0.1 0.2; do sleep $f; md5sum x; done", "for f in 0.1 0.2; do sleep $f; sha1sum x; done"];
        let turn = ["sleep 0.1", "&sh", "sleep 0.2", "&sh"];
        assert_eq!(assigned(words, "", &[turn, turn].concat()), "11112222");
        let seven = ["for i in $(seq 3); do md5sum x; done", "for i in $(seq 4); do sha1sum x; done"];
        assert_eq!(assigned(seven, "", &["&sh"; 9]), "111122222", "the first one is `seq`");
        let many = ["for i in $(seq 20); do md5sum x; done", "for i in $(seq 30); do sha1sum x; done"];
        assert_eq!(assigned(many, "", &["&sh"; 52]), "1".repeat(21) + &"2".repeat(31));
        let exec = ["while read f; do cat $f; done", "while read f; do ls $f; done"];
        assert_eq!(assigned(exec, " < a", &["exe", "exe", "&sh"]), "112");
        let turns = ["while read f; do sleep 1; md5sum $f; done", "while read f; do sleep 1; sha1sum $f; done"];
        assert_eq!(assigned(turns, " < a", &["sleep 1", "&sh"].repeat(4)), "11????22", "whole turns");
    }

    /// Arguments, the order of a loop's body and the values of variables in the text say which command started a process.
    #[test]
    fn loops_leave_their_neighbours_what_is_theirs() {
        let loops = "l='a b'; m='c d e'; for f in $l; do cc $f; done; for g in $m; do cc $g; done";
        let (first, second) = ("for f in $l; do cc $f; done", "for g in $m; do cc $g; done");
        assert_eq!(assigned(loops, &["cc a", "cc b", "cc c", "cc d", "cc e"]), [first, first, second, second, second]);
        let bodies = "for f in $l; do cc $f; ar $f; done; for f in $l; do cc $f; ld $f; done";
        let (first, second) = ("for f in $l; do cc $f; ar $f; done", "for f in $l; do cc $f; ld $f; done");
        assert_eq!(
            assigned(bodies, &["cc a", "ar a", "cc b", "ar b", "cc a", "ld a", "cc b", "ld b"]),
            [first, first, first, first, second, second, second, second]
        );
        let functions = "f() { cc $1; cc done; }; f a; f b; cc done";
        assert_eq!(
            assigned(functions, &["cc a", "cc done", "cc b", "cc done", "cc done"]),
            ["f a", "f a", "f b", "f b", "cc done"]
        );
        let all = "f() { for x in \"$@\"; do cc $x; done; }; f a b; f c d; n=e; cc $n";
        assert_eq!(
            assigned(all, &["cc a", "cc b", "cc c", "cc d", "cc e"]),
            ["f a b", "f a b", "f c d", "f c d", "cc $n"]
        );
        let until = "until cc a; do cc b; done; for f in $l; do cc $f; done";
        let (first, second) = ("until cc a; do cc b; done", "for f in $l; do cc $f; done");
        assert_eq!(assigned(until, &["cc a", "cc c", "cc d"]), [first, second, second]);
        let named = "for f in a b; do cc $f; done; cc last";
        assert_eq!(
            assigned(named, &["cc a", "cc b", "cc last"]),
            ["for f in a b; do cc $f; done"; 2].into_iter().chain(["cc last"]).collect::<Vec<_>>()
        );
    }

    /// The first and the last process belong to commands that must run; which of them has the others is not known.
    #[test]
    fn what_nothing_distinguishes_belongs_to_all_that_may_have_it() {
        let loops = "for f in $l; do cc $f; done; for g in $m; do cc $g; done";
        let (first, second) = ("for f in $l; do cc $f; done", "for g in $m; do cc $g; done");
        let several = format!("? {loops}");
        assert_eq!(assigned(loops, &["cc"; 4]), [first, &several, &several, second]);
        assert_eq!(assigned(loops, &["cc"; 2]), [first, second]);
        let unknown = assigned(loops, &["cc", "cc", "lesspipe", "cc"]);
        assert_eq!(unknown, [first, &several, &several, second], "it belongs to the command that is running");
        let bodies = "for f in $l; do cc $f; ar x; done; for g in $m; do cc $g; ar x; done";
        let (first, second) = ("for f in $l; do cc $f; ar x; done", "for g in $m; do cc $g; ar x; done");
        let several = format!("? {bodies}");
        assert_eq!(
            assigned(bodies, &["cc", "ar", "cc", "ar", "cc", "ar"]),
            [first, first, &several, &several, second, second]
        );
        for branches in ["if [ $x ]; then cc $a; else cc $b; fi", "[ $x ] && cc $a || cc $b"] {
            let [one] = &assigned(&format!("{branches}; ld"), &["cc", "ld"])[..1] else { panic!("one") };
            assert!(one.starts_with("? cc $a") && one.ends_with("cc $b"), "{one}");
        }
        assert_eq!(assigned("case $x in y) cc a;; *) cc b;; esac; ld", &["cc b", "ld"])[0], "cc b");
        assert_eq!(assigned("cc $a; cc $b; cc $c", &["cc", "cc"]), ["cc $a", "cc $b"], "the last one was not reached");
    }

    /// In a loop, commands that must run come in turn.
    #[test]
    fn branches_of_a_loop_are_not_distinguished_by_their_order() {
        let repeated = |text: &str, children: &[&str]| {
            let units = units(text);
            let child = |program| Child { program, forked: false, arguments: &[] };
            let children: Vec<_> = children.iter().copied().map(child).collect();
            assign_repeated(&units, &children, text)
        };
        let (unit, several) = (Owner::Unit, Owner::Several);
        // `[ … ]` is unit 1.
        let text = "x; if [ $y ]; then cc $a; else cc $b; fi; ld";
        let turn = [unit(0), several(2, 3), unit(4)];
        assert_eq!(repeated(text, &["x", "cc", "ld", "x", "cc", "ld"]), [turn, turn].concat());
        assert_eq!(repeated("if [ $y ]; then cc $a; else cc $b; fi", &["cc"; 3]), [several(1, 2); 3]);
        // The second one may be that of the first turn.
        assert_eq!(repeated("cc $a || cc $b", &["cc"; 3]), [unit(0), several(0, 1), several(0, 1)]);
        assert_eq!(repeated("cc $a; cc $b", &["cc"; 3]), [unit(0), unit(1), unit(0)]);
    }

    /// busybox makes no copy for a subshell at the end.
    #[test]
    fn a_subshell_at_the_end_has_its_programs() {
        let (copies, last) = ("for f in $l; do (cc $f; ar x); done", "(cc last; ar x)");
        let assigned = assigned(&format!("{copies}; {last}"), &["&sh", "&sh", "cc last", "ar x"]);
        assert_eq!(assigned, [copies, copies, last, last]);
    }

    /// The shell goes on without a branch.
    #[test]
    fn commands_that_must_run_come_before_those_that_may() {
        for before in ["[ -f x ] && cc $a", "if test x; then cc $a; fi", "case $x in y) cc $a;; esac", "false || cc $a"]
        {
            assert_eq!(assigned(&format!("{before}; cc $b"), &["cc x"]), ["cc $b"], "{before}");
            assert_eq!(assigned(&format!("{before}; cc $b"), &["cc x", "cc y"])[1], "cc $b", "{before}");
        }
        assert_eq!(assigned("if [ x ]; then cc a; fi; n=b; cc $n", &["cc b"]), ["cc $n"]);
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
        let assigned = assign_repeated(&units, &children, text);
        assert_eq!(assigned, [0, 1, 2, 0, 1, 1, 0].map(Owner::Unit));
        assert_eq!(assign_repeated(&units, &[child("other")], text), [Owner::Shell]);
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
