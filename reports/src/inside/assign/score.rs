//! How well a process and a command of the text agree: by the name of the program, and by its arguments.

use super::super::applets;
use super::super::shell::{Name, Program, Unit, Values, fits};
use super::Child;

/// The name of a program that executed itself and ended before its arguments were read (busybox).
pub(super) const SELF: &str = "exe";

/// The score of a program of the name that the text has.
const SAME_NAME: i32 = 8;

/// The score of the arguments: those of the text, others, or those that the text rules out.
const SAME_ARGUMENTS: i32 = 4;
const POSSIBLE_ARGUMENTS: i32 = 2;
const OTHER_ARGUMENTS: i32 = -6;

/// The score of assigning a process to a command, for each of the names of the command; without names that agree all are 0. It counts
/// whether the name agrees, and whether the command's text has the arguments.
pub(super) fn scores(unit: &Unit, child: Child<'_>, text: &str) -> Vec<i32> {
    scores_of(&unit.names, unit, child, text)
}

fn scores_of(names: &[Name], unit: &Unit, child: Child<'_>, text: &str) -> Vec<i32> {
    let of_arguments = |name: &Name| match name {
        Name::Is(program) => argument_score(program, child.arguments),
        Name::Any | Name::Given(_) | Name::Subshell(_) => None,
    };
    let arguments: Vec<Option<i32>> = names.iter().map(of_arguments).collect();
    // A text may have the arguments of programs that its programs start.
    let unknown = || contains_arguments(text.get(unit.span.clone()).unwrap_or_default(), child.arguments);
    let literal = if arguments.iter().all(Option::is_none) && unknown() { SAME_ARGUMENTS } else { 0 };
    let of_name = |(name, arguments): (&Name, Option<i32>)| name_score(name, child) + arguments.unwrap_or(literal);
    names.iter().zip(arguments).map(of_name).collect()
}

/// The highest of these scores.
pub(super) fn score(unit: &Unit, child: Child<'_>, text: &str) -> i32 {
    scores(unit, child, text).into_iter().max().unwrap_or(0)
}

/// Whether a process is a program of the action of a signal's trap, `units[trap]`: by its name and arguments, which no other command may have. When
/// the signal comes is not known.
pub(super) fn is_of_action(trap: usize, units: &[Unit], child: Child<'_>, text: &str) -> bool {
    let own = scores_of(&units[trap].action, &units[trap], child, text).into_iter().max().unwrap_or(0);
    own >= SAME_NAME + POSSIBLE_ARGUMENTS
        && units.iter().all(|unit| score(unit, child, text) <= SAME_NAME + OTHER_ARGUMENTS)
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

/// Whether a process has the name, or may be a copy of the shell that runs the program itself.
pub(super) fn has_name(name: &Name, child: Child<'_>) -> bool {
    name_score(name, child) >= 4
}

/// The score of the agreement of the name.
fn name_score(name: &Name, child: Child<'_>) -> i32 {
    match name {
        Name::Is(program) if is_program(&program.name, child.program) => SAME_NAME,
        // A program that the text names may be part of the shell (busybox).
        Name::Is(program) if child.program == SELF => match child.arguments.first() {
            Some(first) if is_program(&program.name, first) => SAME_NAME,
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
            if within.iter().any(is) { SAME_NAME } else { 2 }
        }
        Name::Any | Name::Given(_) if child.forked => 2,
        Name::Any | Name::Given(_) => 3,
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
