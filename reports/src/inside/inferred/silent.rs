//! What is known of a command of the text that has printed no line.

use crate::inside::Activity;
use crate::inside::shell::{Name, Program, Unit};
use crate::inside::tools;

/// Programs that take a moment in most steps.
const MOMENTARY: &[&str] = &[
    "addgroup", "adduser", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dirname", "env", "find", "grep",
    "groupadd", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "rm", "rmdir", "sed", "sort", "tail", "tee",
    "touch", "tr", "uname", "useradd", "wc", "which",
];

/// Whether a command may take long. A condition may leave it out, and for a background job nothing waits.
pub(super) fn takes_time(unit: &Unit) -> bool {
    !unit.optional && !unit.background && unit.names.iter().any(is_long)
}

fn is_long(name: &Name) -> bool {
    match name {
        Name::Is(program) => !MOMENTARY.contains(&&*program.name) && !asks(program),
        Name::Subshell(names) => names.iter().any(is_long),
        Name::Any | Name::Given(_) => true,
    }
}

/// Whether a program is only asked for its version.
fn asks(program: &Program) -> bool {
    matches!(&program.command()[..], [_, only] if ["--version", "-v", "-V", "version"].contains(&&**only))
}

/// The activity of a command as far as no line says otherwise: that of all its programs.
pub(super) fn activity(unit: &Unit) -> Option<Activity> {
    of_names(&unit.names)
}

fn of_names(names: &[Name]) -> Option<Activity> {
    common(names.iter().filter(|name| is_long(name)).map(|name| match name {
        Name::Is(program) => tools::silent_activity(&program.command()),
        Name::Subshell(names) => of_names(names),
        Name::Any | Name::Given(_) => None,
    }))
}

/// The activity of a command before its first line: one that does several things decides what to do.
pub(super) fn first_activity(unit: &Unit) -> Option<Activity> {
    let programs = unit.names.iter().filter_map(|name| match name {
        Name::Is(program) if is_long(name) => Some(program),
        _ => None,
    });
    programs.into_iter().find_map(|program| tools::first_activity(&program.command()))
}

/// Whether a command installs packages: of what these run while they are installed, it prints nothing.
pub(super) fn installs(unit: &Unit) -> bool {
    let is = |name: &Name| match name {
        Name::Is(program) => tools::installs(&program.command()),
        Name::Subshell(_) | Name::Any | Name::Given(_) => false,
    };
    unit.names.iter().any(is)
}

/// The activity that all of them have.
pub(super) fn common(mut all: impl Iterator<Item = Option<Activity>>) -> Option<Activity> {
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}
