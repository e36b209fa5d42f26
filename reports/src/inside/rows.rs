//! The rows of a step: one for each command of its text, and the time that belongs to no command.

use super::activity::Lane;
use super::assign::{assign, children, with_functions};
use super::gap::Order;
use super::own_time::OwnTime;
use super::owner::Owner;
use super::place::Places;
use super::saving::Savings;
use super::sum::ProcessSum;
use super::text::{SHELL, UNATTRIBUTED, command_line, one_line, run_text, script};
use super::tree::{Job, ProcessTree};
use super::unseen::{folded, unseen};
use super::within::{Shell, Within};
use super::{CommandRow, Inside, RowKind, share, shell, totals};
use buildscope_record::{Folded, Nanos, Outcome, Process, Processes, Step};
use std::ops::Range;

pub(super) fn of_step(step: &Step, seen: &Processes) -> Inside {
    let tree = ProcessTree::of(seen, &step.output);
    let window = (seen.start, seen.end.max(seen.start));
    let shell = if seen.script.is_some() { tree.shell_of_file(&seen.command) } else { tree.shell() };
    let (mut rows, savings) = match (script(step, seen), shell) {
        (Some(text), Some(shell)) => {
            of_shell(Places { text, origins: &seen.origins }, &tree, shell, window, step.outcome)
        }
        _ => (of_program(step, seen, &tree, window), Savings::default()),
    };
    rows.retain(|row| row.wall > Nanos::ZERO || row.processes > 0);
    Inside {
        observed: seen.observed,
        resolution: seen.resolution,
        wall: window.1 - window.0,
        rows,
        processes: seen.list.iter().filter(|process| is_first(seen, process)).count() as u64 + folded(seen),
        unseen: unseen(seen),
        savings,
    }
}

/// Whether it is the first program of its process in the step. A runtime that started the step's program ended earlier.
fn is_first(seen: &Processes, process: &Process) -> bool {
    let before = process.replaces.and_then(|before| seen.list.get(before as usize));
    process.end > seen.start && before.is_none_or(|before| before.end <= seen.start)
}

/// The row of a step whose program is not a shell.
fn of_program(step: &Step, seen: &Processes, tree: &ProcessTree<'_>, (start, end): (Nanos, Nanos)) -> Vec<CommandRow> {
    let jobs = jobs_after(tree, start);
    let spans = seen.list.iter().map(|process| (process.start.max(start), process.end.min(end)));
    let covered = share::union(spans.filter(|(from, to)| from < to).collect());
    let mut sum = ProcessSum::default();
    jobs.iter().flat_map(|job| &job.all).for_each(|&run| sum.add_below(tree, run));
    tree.loose().for_each(|folded| sum.add_folded(tree, folded, None));
    let text = if seen.command.is_empty() { run_text(&step.text).to_owned() } else { seen.command.join(" ") };
    let mut command = sum.row(RowKind::Command, one_line(&text), covered);
    let replaces = |job: &&Job| job.all.first().is_some_and(|&run| tree.process(run).replaces.is_some());
    command.processes += jobs.iter().filter(replaces).count() as u64;
    command.exit = jobs.iter().max_by_key(|job| job.end).and_then(|job| tree.process(job.last).exit);
    // A heredoc for another interpreter.
    let places = Places { text: seen.script.as_deref().unwrap_or_default(), origins: &seen.origins };
    command.source = places.of(0..places.text.trim_end().len()).filter(|_| !places.text.is_empty());
    command.inner = Within::new(tree, places, &shell::Groups::default(), end - start).of_processes(&jobs, covered, 0);
    vec![command, ProcessSum::default().row(RowKind::Unattributed, UNATTRIBUTED.into(), end - start - covered)]
}

/// The processes of a program that started at this time. A runtime that started it has ended, or executed the program in its own place.
fn jobs_after(tree: &ProcessTree<'_>, start: Nanos) -> Vec<Job> {
    let (mut found, mut next): (Vec<Job>, Vec<Job>) = (Vec::new(), tree.heads().collect());
    while let Some(mut job) = next.pop() {
        if job.end <= start {
            next.extend(tree.below(&job));
            continue;
        }
        job.all.retain(|&run| tree.process(run).end > start);
        job.start = job.all.first().map_or(job.start, |&run| tree.process(run).start);
        found.push(job);
    }
    found.sort_by_key(|job| (job.start, job.last));
    found
}

/// The rows of a shell's commands, and what they save.
fn of_shell(
    places: Places<'_>,
    tree: &ProcessTree<'_>,
    shell: u32,
    (start, end): (Nanos, Nanos),
    outcome: Outcome,
) -> (Vec<CommandRow>, Savings) {
    let text = places.text;
    let shell::Script { units, groups } = shell::script(text);
    let jobs = tree.jobs(shell);
    let children = children(tree, &jobs);
    let units = with_functions(units, &children);
    let assigned = assign(&units, &children, text);
    let spans: Vec<_> = jobs
        .iter()
        .zip(&assigned)
        .map(|(job, owner)| share::Span { start: job.start.max(start), end: job.end.min(end), owner: *owner })
        .collect();
    let life = (tree.process(shell).start.max(start), tree.end(shell).min(end));
    let lane = Lane::of(tree.process(shell), life);
    let reached = if outcome == Outcome::Failed { reached(&units, &assigned) } else { units.len() };
    let shares = share::divide(&units[..reached], &spans, (start, end), Order::Once, &lane);

    let theirs = |owners: &[Owner]| -> Vec<Job> {
        jobs.iter().zip(&assigned).filter(|(_, owner)| owners.contains(owner)).map(|(job, _)| job.clone()).collect()
    };
    let sum_of = |jobs: &[Job]| {
        let mut sum = ProcessSum::default();
        jobs.iter().flat_map(|job| &job.all).for_each(|&process| sum.add_below(tree, process));
        sum
    };
    let jobs_of: Vec<Vec<Job>> = (0..units.len()).map(|unit| theirs(&[Owner::Unit(unit)])).collect();
    let mut sums: Vec<ProcessSum> = jobs_of.iter().map(|jobs| sum_of(jobs)).collect();
    let mut own = sum_of(&theirs(&[Owner::Shell]));
    let mut totals_of: Vec<Vec<Folded>> = vec![Vec::new(); units.len()];
    for folded in tree.folded(shell) {
        for (unit, part) in totals::divide(&units, folded, |unit| shares.of(Owner::Unit(unit))) {
            unit.map_or(&mut own, |unit| &mut sums[unit]).add_folded(tree, &part, None);
            if let Some(unit) = unit {
                totals_of[unit].push(part);
            }
        }
    }
    tree.loose().for_each(|folded| own.add_folded(tree, folded, None));
    let parts = OwnTime::of(tree.process(shell)).divide(&shares.own);
    own.add_shell(tree.process(shell), parts[&Owner::Shell]);
    let part = |owner| parts.get(&owner).copied().unwrap_or_default();
    let within = Within::new(tree, places, &groups, end - start);
    let row = |span: Range<usize>, mut sum: ProcessSum, owners: &[Owner], jobs: &[Job]| {
        owners.iter().for_each(|&owner| sum.add_own(part(owner)));
        let wall = owners.iter().map(|&owner| shares.of(owner)).sum();
        let mut row = sum.row(RowKind::Command, command_line(&text[span.clone()]), wall);
        within.locate(&mut row, span, jobs);
        row
    };
    let mut several = groups.of_several(&units, shares.walls.keys().chain(&assigned).copied());
    let savings = Savings::of(&units, &spans, &shares, |owner| match owner {
        Owner::Unit(unit) => Some((units[unit].span.start, units[unit].span.end)),
        Owner::Several(..) => several.iter().find(|(_, owners)| owners.contains(&owner)).map(|(place, _)| *place),
        Owner::Shell => None,
    });
    let mut rows = Vec::with_capacity(units.len() + 2);
    for (number, (unit, (sum, jobs))) in units.iter().zip(sums.into_iter().zip(jobs_of)).enumerate() {
        let rest = several.split_off(&(unit.span.start + 1, 0));
        for ((from, to), owners) in std::mem::replace(&mut several, rest) {
            let jobs = theirs(&owners);
            let mut row = row(from..to, sum_of(&jobs), &owners, &jobs);
            row.inner = within.of_processes(&jobs, row.wall, 0);
            rows.push(row);
        }
        let owner = Owner::Unit(number);
        let mut row = row(unit.span.clone(), sum, &[owner], &jobs);
        let shell = Shell { lane, own: part(owner) };
        row.inner = within.of_unit(unit, (&jobs, &totals_of[number]), row.wall, 0, shell);
        rows.push(row);
    }
    rows.push(own.row(RowKind::Shell, SHELL.into(), shares.of(Owner::Shell)));
    rows.push(ProcessSum::default().row(RowKind::Unattributed, UNATTRIBUTED.into(), shares.unattributed));
    (rows, savings)
}

/// The number of commands that the shell of a failed step reached: those up to the last one with a process, and the builtins after it.
fn reached(units: &[shell::Unit], assigned: &[Owner]) -> usize {
    let started = assigned.iter().filter_map(|owner| owner.ends()).map(|(_, last)| last + 1).max().unwrap_or(0);
    let next = units[started..].iter().position(|unit| !unit.is_builtin());
    next.map_or(units.len(), |next| started + next)
}
