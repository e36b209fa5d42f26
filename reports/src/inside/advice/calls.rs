//! The commands of a step that suggestions are about, with the programs that they call.

use crate::inside::{CommandRow, RowKind, SourcePlace};
use buildscope_commands::{Invocation, Script, Surroundings, recognise};
use std::rc::Rc;

/// A row with what its text calls.
#[derive(Clone, Debug)]
pub(super) struct Leaf<'r> {
    pub(super) row: &'r CommandRow,
    /// The programs that its text calls, without wrappers (`env`, `sudo`) and without shells that run a text.
    pub(super) calls: Rc<[Invocation]>,
    /// The place of the row, or of the command that started the process.
    pub(super) place: Option<SourcePlace>,
}

impl<'r> Leaf<'r> {
    /// Reads the text of a row. `place` is that of the command around it.
    pub(super) fn of(row: &'r CommandRow, place: Option<SourcePlace>) -> Self {
        let commands = Script::read(&row.text).map(|script| script.commands().cloned().collect::<Vec<_>>());
        Self { row, calls: commands.unwrap_or_default().into(), place: row.source.or(place) }
    }

    /// Whether its text is written in the Dockerfile: a script may start a process with equal words.
    pub(super) fn is_written(&self) -> bool {
        self.row.kind == RowKind::Command
    }

    /// Whether its text does not say what it runs: several commands, the call of a function or of a script.
    fn hides_commands(&self) -> bool {
        let known = |call: &Invocation| {
            let name = call.program();
            TOOLS.contains(&name) || recognise(call, &Surroundings::default()).is_some()
        };
        !matches!(&*self.calls, [one] if known(one))
    }
}

/// Programs that suggestions are about, besides those that install or build.
const TOOLS: [&str; 8] = ["make", "gmake", "cmake", "curl", "wget", "aria2c", "git", "dpkg"];

/// The first words of an argument list that are not options: the command of a package manager and what it names.
pub(super) fn words(call: &Invocation) -> Vec<&str> {
    // The options of apt, git and make that have their value in the next word.
    let valued = ["-o", "-c", "-t", "-C", "-f", "--option", "--config-file", "--root", "--prefix", "--dir", "--filter"];
    let mut found = Vec::new();
    let mut arguments = call.arguments().iter().map(|word| word.text.as_str());
    while let Some(argument) = arguments.next() {
        if valued.contains(&argument) {
            arguments.next();
        } else if !argument.starts_with('-') {
            found.push(argument);
        }
    }
    found
}

/// The commands and the processes among these rows.
pub(super) fn read(rows: &[CommandRow], place: Option<SourcePlace>) -> Vec<Leaf<'_>> {
    let rows = rows.iter().filter(|row| matches!(row.kind, RowKind::Command | RowKind::Process));
    rows.map(|row| Leaf::of(row, place)).collect()
}

/// The rows that have commands of their own: those within loops, subshells and pipelines, and within shells and scripts.
pub(super) fn leaves<'r>(rows: &[Leaf<'r>]) -> Vec<Leaf<'r>> {
    let mut found = Vec::new();
    add(rows, &mut found);
    found
}

fn add<'r>(rows: &[Leaf<'r>], found: &mut Vec<Leaf<'r>>) {
    for leaf in rows {
        let has_commands = leaf.row.inner.iter().any(|row| row.kind == RowKind::Command);
        let has_processes = leaf.row.inner.iter().any(|row| row.kind == RowKind::Process);
        if has_commands || has_processes && leaf.hides_commands() {
            add(&read(&leaf.row.inner, leaf.place), found);
        } else {
            found.push(leaf.clone());
        }
    }
}
