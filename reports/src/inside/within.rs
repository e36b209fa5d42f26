//! The inside of a command: the parts of a pipeline, the commands of a subshell, a loop or a function, and the processes that a program
//! started (a script, make, a package manager).
//!
//! The time of the parts sums to the command's. Where parts run at the same time, each instant is divided among them.

use super::activity::Lane;
use super::assign::{assign, assign_repeated, children, with_functions};
use super::gap::Order;
use super::own_time::OwnTime;
use super::owner::Owner;
use super::place::Places;
use super::shell::{Groups, Inner, Unit};
use super::sum::ProcessSum;
use super::text::{SHELL, command_line, one_line};
use super::tree::{self, Job, ProcessTree};
use super::{CommandRow, RowKind, share, totals};
use buildscope_record::{Folded, Nanos};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The most levels that are shown, and the most parts of a program.
const DEEPEST: usize = 4;
const PARTS: usize = 8;
/// Commands that are shorter than one of this many parts of the step are not divided.
const SHARE: u64 = 50;
const SHORTEST: Nanos = Nanos(20_000_000);

/// Divides commands of one step.
pub(super) struct Within<'a> {
    tree: &'a ProcessTree<'a>,
    places: Places<'a>,
    groups: &'a Groups,
    least: Nanos,
}

/// A shell that runs commands, and its own activity in that time.
#[derive(Clone, Copy)]
pub(super) struct Shell<'a> {
    pub(super) lane: Lane<'a>,
    pub(super) own: OwnTime,
}

/// A part of a command, with what determines its share of the time.
struct CommandPart<'u> {
    /// The shell that runs the part; for a part of a pipeline, the part's own process.
    shell: Option<Shell<'u>>,
    kind: RowKind,
    text: String,
    weight: Nanos,
    /// The part of that in which only the shell lived, and neither computed nor waited for anything but its children.
    open: Nanos,
    unit: Option<&'u Unit>,
    /// Its place in the text.
    span: Option<Range<usize>>,
    jobs: Vec<Job>,
    /// Its part of the totals of short processes.
    totals: Vec<Folded>,
    own: ProcessSum,
}

impl<'a> Within<'a> {
    /// Makes rows for a step of this length.
    pub(super) fn new(tree: &'a ProcessTree<'a>, places: Places<'a>, groups: &'a Groups, wall: Nanos) -> Self {
        Self { tree, places, groups, least: Nanos(wall.0 / SHARE).max(SHORTEST) }
    }

    /// Sets the place and the exit code of a command.
    pub(super) fn locate(&self, row: &mut CommandRow, span: Range<usize>, jobs: &[Job]) {
        row.place = Some((span.start, span.end));
        row.source = self.places.of(span);
        row.exit = jobs.iter().max_by_key(|job| job.end).and_then(|job| self.tree.process(job.last).exit);
    }

    /// The parts of a command that `shell` runs. Their times sum to `wall`. `totals` are of its short processes.
    pub(super) fn of_unit(
        &self,
        unit: &Unit,
        (jobs, totals): (&[Job], &[Folded]),
        wall: Nanos,
        depth: usize,
        shell: Shell<'a>,
    ) -> Vec<CommandRow> {
        if depth >= DEEPEST || wall < self.least || jobs.is_empty() {
            return Vec::new();
        }
        let known;
        let parts = match &unit.inner {
            Inner::None => {
                let (mut parts, alone) = self.by_label(self.without_copies(jobs), span(jobs));
                if parts.len() < 2 {
                    return self.of_processes(jobs, wall, depth);
                }
                let mut itself = CommandPart { weight: alone, ..CommandPart::of(RowKind::Shell, SHELL.into()) };
                itself.own.add_own(shell.own);
                parts.push(itself);
                parts
            }
            Inner::Piped(parts) => self.piped(parts, jobs),
            Inner::Subshell(units) => {
                let copies = jobs.iter().flat_map(|job| {
                    let forked = self.tree.process(job.all[0]).forked;
                    if forked { self.tree.jobs(job.all[0]) } else { vec![job.clone()] }
                });
                let inner: Vec<Job> = copies.collect();
                known = with_functions(units.clone(), &children(self.tree, &inner));
                let assigned = self.assign(&known, &inner);
                let first = jobs.iter().map(|job| job.all[0]).filter(|&first| self.tree.process(first).forked);
                let totals: Vec<Folded> = first.flat_map(|copy| self.tree.folded(copy)).cloned().collect();
                self.in_turn(&known, (&inner, &totals), &assigned, Order::Once, self.copy(jobs))
            }
            Inner::Repeated(units) => {
                let assigned = assign_repeated(units, &children(self.tree, jobs), self.places.text);
                let shell = Shell { lane: shell.lane.during(span(jobs)), ..shell };
                self.in_turn(units, (jobs, totals), &assigned, Order::Cycle, shell)
            }
            Inner::Substituted(units) => {
                let assigned = self.assign(units, jobs);
                let shell = Shell { lane: shell.lane.during(span(jobs)), ..shell };
                let mut parts = self.in_turn(units, (jobs, totals), &assigned, Order::Once, shell);
                // The text of the command itself is that of all of them.
                for part in parts.iter_mut().filter(|part| part.span.as_ref() == Some(&unit.span)) {
                    part.span = None;
                    match part.unit.take_if(|part| matches!(part.inner, Inner::None)) {
                        Some(_) => {
                            part.kind = RowKind::Process;
                            part.text = part.jobs.first().map_or_else(String::new, |job| self.label(job, true));
                        }
                        None => part.text = first_program(&part.text).to_owned(),
                    }
                }
                parts
            }
        };
        self.rows(parts, wall, depth)
    }

    /// The owners of the jobs of a command that has these parts. In a loop, each turn starts all of them again.
    fn assign(&self, units: &[Unit], jobs: &[Job]) -> Vec<Owner> {
        let most: Option<usize> = units.iter().map(|unit| unit.most(true)).sum();
        let assign = if most.is_some_and(|most| jobs.len() > most) { assign_repeated } else { assign };
        assign(units, &children(self.tree, jobs), self.places.text)
    }

    /// The jobs, and in place of copies of the shell those that they started.
    fn without_copies(&self, jobs: &[Job]) -> Vec<Job> {
        let started = |job: &Job| {
            let copy = job.all[0];
            let below = if self.tree.process(copy).forked { self.tree.jobs(copy) } else { Vec::new() };
            if below.is_empty() { vec![job.clone()] } else { self.without_copies(&below) }
        };
        jobs.iter().flat_map(started).collect()
    }

    /// The copy of a shell that runs a subshell.
    fn copy(&self, jobs: &[Job]) -> Shell<'a> {
        match jobs {
            [one] if self.tree.process(one.all[0]).forked => {
                let process = self.tree.process(one.all[0]);
                Shell { lane: Lane::of(process, span(jobs)), own: OwnTime::of(process) }
            }
            _ => Shell { lane: Lane::silent(span(jobs)), own: OwnTime::default() },
        }
    }

    /// The parts of a pipeline. Each has the time in which it did not wait for the others.
    fn piped<'u>(&self, units: &'u [Unit], jobs: &[Job]) -> Vec<CommandPart<'u>> {
        let assigned = self.assign(units, jobs);
        let mut parts: Vec<CommandPart<'_>> = units.iter().map(|unit| self.part(unit)).collect();
        for (job, owner) in jobs.iter().zip(&assigned) {
            match owner {
                Owner::Unit(unit) => parts[*unit].jobs.push(job.clone()),
                Owner::Shell => parts[units.len() - 1].jobs.push(job.clone()),
                Owner::Several(..) => {}
            }
        }
        parts.extend(self.several(units, jobs, &assigned, []).map(|(part, _)| part));
        for part in &mut parts {
            let mut sum = ProcessSum::default();
            part.jobs.iter().flat_map(|job| &job.all).for_each(|&run| sum.add_below(self.tree, run));
            part.weight = sum.effort();
        }
        parts
    }

    /// The parts of commands that a shell runs one after the other.
    fn in_turn<'u>(
        &self,
        units: &'u [Unit],
        (jobs, totals): (&[Job], &[Folded]),
        assigned: &[Owner],
        order: Order,
        shell: Shell<'a>,
    ) -> Vec<CommandPart<'u>>
    where
        'a: 'u,
    {
        let window = shell.lane.life;
        let spans = jobs.iter().zip(assigned).map(|(job, &owner)| share::Span {
            start: job.start.max(window.0),
            end: job.end.min(window.1),
            owner,
        });
        let shares = share::divide(units, &spans.collect::<Vec<_>>(), window, order, &shell.lane);
        let own = shell.own.divide(&shares.own);
        let part = |owners: &[Owner], mut part: CommandPart<'u>| {
            let mut all = OwnTime::default();
            for owner in owners {
                all += own.get(owner).copied().unwrap_or_default();
                part.weight += shares.of(*owner);
                part.open += shares.own.get(owner).map_or(Nanos::ZERO, |piece| piece.open);
            }
            part.shell = Some(Shell { own: all, ..shell });
            part.own.add_own(all);
            part
        };
        let mut parts: Vec<CommandPart<'_>> =
            (0..).zip(units).map(|(number, unit)| part(&[Owner::Unit(number)], self.part(unit))).collect();
        let mut rest = part(&[Owner::Shell], CommandPart::of(RowKind::Shell, SHELL.into()));
        rest.weight += shares.unattributed;
        for (job, owner) in jobs.iter().zip(assigned) {
            match owner {
                Owner::Unit(unit) => parts[*unit].jobs.push(job.clone()),
                Owner::Shell => rest.jobs.push(job.clone()),
                Owner::Several(..) => {}
            }
        }
        let several = self.several(units, jobs, assigned, shares.walls.keys().copied());
        parts.extend(several.map(|(several, owners)| part(&owners, several)));
        for total in totals {
            for (unit, total) in totals::divide(units, total, |unit| shares.of(Owner::Unit(unit))) {
                unit.map_or(&mut rest, |unit| &mut parts[unit]).totals.push(total);
            }
        }
        parts.push(rest);
        give_time_of_totals(&mut parts);
        parts
    }

    /// The parts of the text that have the processes of an unknown one of several commands, and their owners.
    fn several<'u>(
        &self,
        units: &[Unit],
        jobs: &[Job],
        assigned: &[Owner],
        more: impl IntoIterator<Item = Owner>,
    ) -> impl Iterator<Item = (CommandPart<'u>, Vec<Owner>)> {
        let parts = self.groups.of_several(units, assigned.iter().copied().chain(more));
        parts.into_iter().map(move |((from, to), owners)| {
            let text = command_line(self.places.text.get(from..to).unwrap_or_default());
            let theirs = jobs.iter().zip(assigned).filter(|(_, owner)| owners.contains(owner));
            let jobs = theirs.map(|(job, _)| job.clone()).collect();
            (CommandPart { jobs, span: Some(from..to), ..CommandPart::of(RowKind::Command, text) }, owners)
        })
    }

    fn part<'u>(&self, unit: &'u Unit) -> CommandPart<'u> {
        let text = command_line(&self.places.text[unit.span.clone()]);
        CommandPart { unit: Some(unit), span: Some(unit.span.clone()), ..CommandPart::of(RowKind::Command, text) }
    }

    /// The processes that the programs of these jobs started, by kind.
    pub(super) fn of_processes(&self, jobs: &[Job], wall: Nanos, depth: usize) -> Vec<CommandRow> {
        if depth >= DEEPEST || wall < self.least {
            return Vec::new();
        }
        let below: Vec<Job> = jobs.iter().flat_map(|job| self.tree.below(job)).collect();
        if let [only] = &below[..]
            && jobs.len() == 1
            && only.end.saturating_sub(only.start).0 * 20 > jobs[0].end.saturating_sub(jobs[0].start).0 * 19
        {
            return self.of_processes(&below, wall, depth);
        }
        if below.is_empty() {
            return Vec::new();
        }
        let (mut parts, alone) = self.by_label(below, span(jobs));
        let mut itself = match self.executed_last(jobs) {
            Some(text) => CommandPart::of(RowKind::Process, text),
            None => CommandPart::of(RowKind::Shell, self.itself(jobs)),
        };
        for &run in jobs.iter().flat_map(|job| &job.all) {
            itself.own.add(self.tree, run, None);
            for total in self.tree.folded(run) {
                let known = parts.iter().position(|part| part.text == total.program);
                let number = known.or_else(|| {
                    let room = parts.len() < PARTS;
                    room.then(|| parts.push(CommandPart::of(RowKind::Process, total.program.clone())))?;
                    Some(parts.len() - 1)
                });
                let part = number.map_or(&mut itself, |number| &mut parts[number]);
                part.totals.push(total.clone());
            }
        }
        (itself.weight, itself.open) = (alone, alone);
        parts.push(itself);
        give_time_of_totals(&mut parts);
        let last = parts.len() - 1;
        parts[..last].sort_by_key(|part| std::cmp::Reverse(part.weight));
        self.rows(parts, wall, depth)
    }

    /// Processes by their label, those with most time first, and the time in which none of them lived.
    fn by_label<'u>(&self, jobs: Vec<Job>, window: (Nanos, Nanos)) -> (Vec<CommandPart<'u>>, Nanos) {
        let few = jobs.len() <= PARTS;
        let mut groups: BTreeMap<String, Vec<Job>> = BTreeMap::new();
        for job in jobs {
            groups.entry(self.label(&job, few)).or_default().push(job);
        }
        let mut parts: Vec<CommandPart<'_>> = groups
            .into_iter()
            .map(|(text, jobs)| CommandPart { jobs, ..CommandPart::of(RowKind::Process, text) })
            .collect();
        let alone = divide_instants(&mut parts, window);
        parts.sort_by_key(|part| std::cmp::Reverse(part.weight));
        if parts.len() > PARTS {
            let others = parts.split_off(PARTS);
            let mut one = CommandPart::of(RowKind::Process, format!("{} others", others.len()));
            one.weight = others.iter().map(|part| part.weight).sum();
            one.jobs = others.into_iter().flat_map(|part| part.jobs).collect();
            parts.push(one);
        }
        (parts, alone)
    }

    /// The program that the shells of these processes executed in their own place: the last command of their text.
    fn executed_last(&self, jobs: &[Job]) -> Option<String> {
        let of = |job: &Job| {
            let last = self.tree.process(job.last);
            let mut before = job.all.iter().rev().skip(1).map(|&run| self.tree.process(run));
            let shell = before.find(|process| !process.arguments.is_empty())?;
            let text = one_line(&last.arguments.join(" "));
            (is_text_of_shell(&shell.arguments) && !tree::is_shell(&last.program) && !text.is_empty()).then_some(text)
        };
        let mut texts = jobs.iter().map(of);
        let first = texts.next()??;
        texts.all(|text| text.as_ref() == Some(&first)).then_some(first)
    }

    fn itself(&self, jobs: &[Job]) -> String {
        let names: BTreeSet<&str> = jobs.iter().map(|job| &*self.tree.process(job.last).program).collect();
        format!("{} itself", names.into_iter().next().unwrap_or("the program"))
    }

    /// The label of a process: its command line if that distinguishes it from the others, otherwise its program.
    fn label(&self, job: &Job, few: bool) -> String {
        const LONGEST: usize = 100;
        let process = self.tree.process(job.last);
        // A shell executes the last command of its text in its own place.
        let mut runs = job.all.iter().map(|&run| &self.tree.process(run).arguments);
        let script = runs.find(|arguments| is_text_of_shell(arguments)).map(|arguments| &arguments[2]);
        let whole = || one_line(&process.arguments.join(" "));
        let recursive = matches!(&*process.program, "make" | "gmake" | "ninja" | "cmake" | "npm" | "node");
        let runs_file = tree::is_shell(&process.program) && script.is_none() && process.arguments.len() > 1;
        let text = match script {
            Some(script) if few => one_line(script),
            Some(script) => first_program(script).to_owned(),
            None if !process.arguments.is_empty() && (few || recursive || runs_file) => whole(),
            None => process.program.clone(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// The rows of the parts. A single part would say no more than the whole: its own parts stand for it. A part without a process may be a
    /// command that did not run.
    fn rows(&self, parts: Vec<CommandPart<'_>>, wall: Nanos, depth: usize) -> Vec<CommandRow> {
        let weights: Vec<Nanos> = parts.iter().map(|part| part.weight).collect();
        let mut rows = Vec::new();
        for (part, wall) in parts.into_iter().zip(share::fit(&weights, wall)) {
            let mut sum = part.own;
            part.jobs.iter().flat_map(|job| &job.all).for_each(|&run| sum.add_below(self.tree, run));
            part.totals.iter().for_each(|total| sum.add_folded(self.tree, total, None));
            let mut row = sum.row(part.kind, part.text, wall);
            if let Some(span) = part.span {
                self.locate(&mut row, span, &part.jobs);
            }
            row.inner = match part.unit {
                Some(unit) => {
                    let shell = part.shell.unwrap_or_else(|| self.copy(&part.jobs));
                    self.of_unit(unit, (&part.jobs, &part.totals), wall, depth + 1, shell)
                }
                None => self.of_processes(&part.jobs, wall, depth + 1),
            };
            rows.push(row);
        }
        rows.retain(|row| row.wall > Nanos::ZERO || row.processes > 0);
        match &mut rows[..] {
            [only] => std::mem::take(&mut only.inner),
            _ => rows,
        }
    }
}

impl CommandPart<'_> {
    fn of(kind: RowKind, text: String) -> Self {
        Self {
            shell: None,
            kind,
            text,
            weight: Nanos::ZERO,
            open: Nanos::ZERO,
            unit: None,
            span: None,
            jobs: Vec::new(),
            totals: Vec::new(),
            own: ProcessSum::default(),
        }
    }
}

/// Gives parts the time of their short processes, of which only totals are known. While these lived, it seems as if the shell had waited for
/// nothing.
fn give_time_of_totals(parts: &mut [CommandPart<'_>]) {
    let lengths: Vec<Nanos> = parts.iter().map(|part| part.totals.iter().map(|total| total.duration).sum()).collect();
    let open: Vec<Nanos> = parts.iter().map(|part| part.open).collect();
    let sum = |times: &[Nanos]| times.iter().copied().sum::<Nanos>();
    let given = sum(&lengths).min(sum(&open));
    if given == Nanos::ZERO {
        return;
    }
    for (part, (taken, given)) in
        parts.iter_mut().zip(share::fit(&open, given).into_iter().zip(share::fit(&lengths, given)))
    {
        part.weight = (part.weight + given).saturating_sub(taken);
    }
}

/// Whether these are the arguments of a shell that runs a text.
fn is_text_of_shell(arguments: &[String]) -> bool {
    matches!(arguments, [program, option, _, ..] if tree::is_shell(program) && option.starts_with('-') && option.ends_with('c'))
}

/// The first program that a text names. Generators of build files write `: && program` and `cd directory && program`.
fn first_program(script: &str) -> &str {
    let words: Vec<&str> = script.split_whitespace().collect();
    let mut rest = &words[..];
    while let [":", "&&", after @ ..] | ["cd", _, "&&", after @ ..] = rest {
        rest = after;
    }
    while let [assignment, after @ ..] = rest
        && assignment.split('=').next().is_some_and(|name| name.len() < assignment.len() && !name.contains(['/', '-']))
    {
        rest = after;
    }
    rest.first().map_or("", |word| word.trim_end_matches(';'))
}

/// The interval from the start of the first job to the end of the last.
fn span(jobs: &[Job]) -> (Nanos, Nanos) {
    let start = jobs.iter().map(|job| job.start).min().unwrap_or_default();
    (start, jobs.iter().map(|job| job.end).max().unwrap_or_default().max(start))
}

/// Divides each instant equally among the parts that have a living process; returns the time in which no part has.
fn divide_instants(parts: &mut [CommandPart<'_>], (start, end): (Nanos, Nanos)) -> Nanos {
    let mut points: Vec<(Nanos, bool, usize)> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        for job in &part.jobs {
            points.extend([(job.start.clamp(start, end), true, number), (job.end.clamp(start, end), false, number)]);
        }
    }
    points.sort_unstable();
    let mut living: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut at, mut none) = (start, Nanos::ZERO);
    for (time, begins, number) in points.into_iter().chain([(end, false, usize::MAX)]) {
        let length = time.saturating_sub(at).0;
        match living.len() as u64 {
            0 => none += Nanos(length),
            count => {
                for (place, &part) in living.keys().enumerate() {
                    parts[part].weight += Nanos(length / count + u64::from((place as u64) < length % count));
                }
            }
        }
        at = at.max(time);
        let jobs = living.entry(number).or_default();
        *jobs = if begins { *jobs + 1 } else { jobs.saturating_sub(1) };
        if *jobs == 0 {
            living.remove(&number);
        }
    }
    none
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that ninja gives to a shell (CMake 3.25), and others.
    #[test]
    fn the_first_program_of_a_text_is_found() {
        assert_eq!(
            first_program(": && /usr/bin/cmake -E rm -f libcore.a && /usr/bin/ar qc libcore.a && :"),
            "/usr/bin/cmake"
        );
        assert_eq!(first_program("cd /b/sub && : && cmake -P x.cmake"), "cmake");
        assert_eq!(first_program("cc; ld"), "cc");
        assert_eq!(first_program("A=b C= cc -DA=b"), "cc");
        assert_eq!(first_program(""), "");
    }

    #[test]
    fn instants_are_divided_among_running_processes() {
        let job = |start, end| Job { all: vec![0], last: 0, start: Nanos(start), end: Nanos(end) };
        let part = |jobs| CommandPart { jobs, ..CommandPart::of(RowKind::Process, String::new()) };
        let mut parts = [part(vec![job(10, 50), job(20, 60)]), part(vec![job(40, 80)])];
        assert_eq!(divide_instants(&mut parts, (Nanos(0), Nanos(100))), Nanos(30));
        assert_eq!(parts.map(|part| part.weight.0), [30 + 10, 10 + 20]);
    }
}
