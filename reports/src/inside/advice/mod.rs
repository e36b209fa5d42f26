//! Suggestions from the inside of a step. Each finding names the command, its gain and what it depends on.

mod builds;
mod calls;
mod packages;

use super::{CommandRow, Inside, RowKind, SourcePlace};
use buildscope_commands::{Cache, Invocation, Surroundings};
use buildscope_record::Nanos;
use calls::{Leaf, leaves, read};

/// A suggestion about one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// The time by which the step could be shorter.
    pub(crate) gain: Nanos,
    /// The suggestion.
    pub(crate) text: String,
    /// The conditions under which the gain holds.
    pub(crate) caveat: String,
    /// The place of the command in the Dockerfile.
    pub(crate) place: Option<SourcePlace>,
    /// Words of the command, and what to write instead if that is certain to work.
    pub(crate) change: Option<(String, String)>,
    /// The cache mount that it suggests: with such a mount it is not given.
    pub(crate) cache: Option<Cache>,
}

impl Finding {
    fn of(rule: &'static str, row: &CommandRow, gain: Nanos, text: String, caveat: &str) -> Self {
        Self { rule, gain, text, caveat: caveat.into(), place: row.source, change: None, cache: None }
    }

    fn at(rule: &'static str, leaf: &Leaf<'_>, gain: Nanos, text: String, caveat: &str) -> Self {
        Self { place: leaf.place, ..Self::of(rule, leaf.row, gain, text, caveat) }
    }
}

/// The smallest gain that is worth a suggestion.
const LEAST: Nanos = Nanos(500_000_000);

/// What a step ran on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepHost<'h> {
    /// The number of processors.
    pub(crate) processors: u32,
    /// Whether a program that syncs a file waits for the disk. It does not on an overlayfs with the option `volatile`.
    pub(crate) syncs: bool,
    /// The environment of the step.
    pub(crate) around: &'h Surroundings,
}

/// A step between the other steps of its stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StageStep<'s> {
    pub(crate) before: &'s [&'s Inside],
    pub(crate) inside: &'s Inside,
    pub(crate) after: &'s [&'s Inside],
}

/// Returns the suggestions for the commands of a step.
pub(crate) fn findings(step: StageStep<'_>, host: StepHost<'_>) -> Vec<Finding> {
    let rows = read(&step.inside.rows, None);
    let leaves = leaves(&rows);
    let alone = leaves.iter().flat_map(|leaf| {
        let of_call = |call: &Invocation| {
            let packages =
                [packages::lists(leaf, call, host), packages::wheels(leaf, call, host), packages::download(leaf, call)];
            packages.into_iter().chain([builds::jobs(leaf, call, host)])
        };
        // Of several commands with one time, the first one that a rule is about has it.
        let mut found: Vec<Finding> = leaf.calls.iter().flat_map(of_call).flatten().collect();
        found.extend(packages::unsafe_io(leaf, host));
        found.sort_by_key(|finding| finding.rule);
        found.dedup_by_key(|finding| finding.rule);
        found
    });
    let before: Vec<&CommandRow> = step.before.iter().flat_map(|inside| commands(inside)).collect();
    let own: Vec<&Leaf<'_>> = rows.iter().filter(|leaf| leaf.is_written()).collect();
    let after: Vec<&CommandRow> = step.after.iter().flat_map(|inside| commands(inside)).collect();
    let together = (0..own.len()).flat_map(|at| {
        let (earlier, rest) = own.split_at(at);
        let later: Vec<_> = rest[1..].iter().map(|leaf| leaf.row).chain(after.iter().copied()).collect();
        [packages::pruned(&before, earlier, rest[0], host), builds::tests_first(rest[0].row, &later)]
    });
    alone.chain(together.flatten()).filter(|finding| finding.gain >= LEAST).collect()
}

fn commands(inside: &Inside) -> impl Iterator<Item = &CommandRow> {
    inside.rows.iter().filter(|row| row.kind == RowKind::Command)
}

#[cfg(test)]
mod tests;
