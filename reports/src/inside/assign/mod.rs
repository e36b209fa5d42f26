//! Assigns the processes of a shell to the commands of its text.
//!
//! A shell starts the processes of its commands in the order of the text, so this is an alignment of two sequences: the alignment in which
//! most names agree wins (the dynamic programme of Needleman and Wunsch, 1970). A process whose name fits no command belongs to the command
//! that is running.

mod alignment;
mod score;

use super::owner::Owner;
use super::shell::{Name, Unit};
use super::tree::{Job, ProcessTree};
use alignment::Alignment;
use score::{has_name, is_of_action, score};
use std::collections::BTreeSet;

/// A process that a shell started, as the alignment sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child<'a> {
    /// The first program that it executed: the one that the text names. `env`, `nohup` or a shell may execute others in its place.
    pub(super) program: &'a str,
    /// Whether the process executed nothing: it is a copy of the shell.
    pub(super) forked: bool,
    /// Whether a copy of the shell started other processes before it executed the program: it ran a whole subshell.
    pub(super) copied: bool,
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
        let head = job.all[0];
        let copied = tree.process(head).forked
            && !first.forked
            && tree.children(head).any(|child| Some(&child) != job.all.get(1));
        Child { program: &first.program, forked: first.forked, copied, arguments: &arguments.arguments }
    };
    jobs.iter().map(child).collect()
}

/// Returns the units as their processes show them: after a sourced file, a command without a process of its name is a function of that
/// file (`. nvm.sh; nvm install 20`).
pub(super) fn with_functions(mut units: Vec<Unit>, children: &[Child<'_>]) -> Vec<Unit> {
    for unit in &mut units {
        let program = unit.names.last().filter(|name| matches!(name, Name::Is(program) if program.sourced));
        if program.is_some_and(|name| !children.iter().any(|&child| has_name(name, child))) {
            unit.call_unknown();
        }
    }
    units
}

/// The longest alignment, in processes. Further processes belong to the last command.
const LONGEST: usize = 3000;

/// Returns the owner of each child: a unit; several, if nothing distinguishes them; or the shell, if no unit can have started it. `text` is the
/// shell's text.
pub(super) fn assign(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Owner> {
    let traps: Vec<usize> = (0..units.len()).filter(|&unit| !units[unit].action.is_empty()).collect();
    if traps.is_empty() {
        return assign_in_order(units, children, text);
    }
    let of_trap = |child: &Child<'_>| traps.iter().copied().find(|&trap| is_of_action(trap, units, *child, text));
    let trapped: Vec<Option<usize>> = children.iter().map(of_trap).collect();
    let others = children.iter().zip(&trapped).filter(|(_, trap)| trap.is_none()).map(|(child, _)| *child);
    let mut others = assign_in_order(units, &others.collect::<Vec<_>>(), text).into_iter();
    let owner = |trap: Option<usize>| trap.map(Owner::Unit).or_else(|| others.next()).unwrap_or(Owner::Shell);
    trapped.into_iter().map(owner).collect()
}

/// The same without the actions of signals' traps.
fn assign_in_order(units: &[Unit], children: &[Child<'_>], text: &str) -> Vec<Owner> {
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
mod tests;
