//! The sum of processes, as a row.

use super::own_time::OwnTime;
use super::phases::{self, Phase};
use super::tools::Known;
use super::tree::{self, ProcessTree};
use super::{Activity, ActivityRow, CommandRow, ProgramRow, RowKind, Spent, share, tools};
use buildscope_record::{Blocked, ByteSize, Cause, Folded, Nanos, Process, ProcessTime, Synced};
use std::collections::{BTreeMap, HashMap};

/// The number of programs that a row names.
const PROGRAMS: usize = 6;

/// The cost of several processes together.
#[derive(Debug, Default)]
pub(super) struct ProcessSum {
    time: ProcessTime,
    running: Nanos,
    count: u64,
    read: u64,
    written: u64,
    peak_memory: u64,
    /// The times in which a process did more than wait for other processes, and the number of these processes.
    busy: Vec<(Nanos, Nanos)>,
    alive: usize,
    programs: HashMap<String, Cost>,
    activities: BTreeMap<Activity, ActivitySum>,
}

/// The cost of one activity, and the times in which a process had it.
#[derive(Clone, Debug, Default)]
struct ActivitySum {
    cost: Cost,
    spans: Vec<(Nanos, Nanos)>,
}

/// The time of several processes.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    count: u64,
    time: Nanos,
    network: Nanos,
    cpu: Nanos,
    synced: Option<Synced>,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.time += other.time;
        self.network += other.network;
        self.cpu += other.cpu;
        if let Some(synced) = other.synced {
            *self.synced.get_or_insert_default() += synced;
        }
    }
}

impl ProcessSum {
    /// Adds a process without its children, and returns its phases: of the activity `above` if its own is unknown.
    pub(super) fn add(&mut self, tree: &ProcessTree<'_>, index: u32, above: Option<Activity>) -> Vec<Phase> {
        let process = &*tree.with_own_time(index);
        let (own, goes_on) = own_activity(tree, index);
        let parent = process.parent.map(|parent| tree.process(parent));
        let for_it = tools::passed_on(above, parent, own);
        let known = tools::below(for_it, own, builds(tree, for_it, &process.program, process.parent))
            .filter(|_| !tools::only_waits(process));
        let phases = known.map(|known| phases::of(process, known, tree.output)).unwrap_or_default();
        let bytes = |size: Option<ByteSize>| size.map_or(0, |size| size.0);
        self.take_bytes(bytes(process.read), bytes(process.written), bytes(process.peak_memory));
        self.busy.extend(phases::busy(process));
        self.alive += 1;
        let cost = self.put(&process.program, once(process), process.running(), process.time);
        let is_part =
            || tools::is_part_of_unit(&process.program, &process.arguments, tree.programs_below(process.parent));
        let is_own = || !process.forked && !tools::is_query(process);
        let counts = is_unit(own, known) && is_own() && !is_part() && !goes_on;
        // What a program does whose lines name it, it may leave to a daemon.
        let by_name = known.is_some_and(|known| known.tells.is_none());
        let whole = if by_name { whole_phase(tree, index, &phases, above) } else { None };
        self.put_phases(process, &phases, whole, cost, |activity| counts && !has_unit_below(tree, index, activity));
        phases
    }

    /// Adds a process and all its descendants.
    pub(super) fn add_below(&mut self, tree: &ProcessTree<'_>, process: u32) {
        let mut below = vec![(process, None)];
        while let Some((next, above)) = below.pop() {
            let phases = self.add(tree, next, above);
            let does = |time| phases::at(&phases, time);
            tree.folded(next).for_each(|folded| self.add_folded(tree, folded, does(folded.start)));
            below.extend(tree.children(next).map(|child| (child, does(tree.process(child).start))));
        }
    }

    pub(super) fn add_folded(&mut self, tree: &ProcessTree<'_>, folded: &Folded, above: Option<Activity>) {
        let running = folded.duration.saturating_sub(folded.time.runnable).saturating_sub(folded.time.blocked.total());
        let process = Process { program: folded.program.clone(), ..Process::default() };
        self.take_bytes(folded.read.0, folded.written.0, folded.peak_memory.0);
        let blocked = folded.time.blocked;
        let length = folded.duration.saturating_sub(blocked.lock + blocked.child);
        self.busy.push((folded.start, folded.end.min(folded.start + length)));
        self.alive += 1;
        let cost = self.put(&folded.program, (folded.count, folded.processes()), running, folded.time);
        let own = tools::known(&process);
        if let Some(known) = tools::below(above, own, builds(tree, above, &folded.program, folded.parent)) {
            let is_part = || tools::is_part_of_unit(&folded.program, &[], tree.programs_below(folded.parent));
            let units = if is_unit(own, Some(known)) && !is_part() { folded.count } else { 0 };
            let done = self.activities.entry(known.activity).or_default();
            done.cost += Cost { count: units, ..cost };
            // They ran at some time between the first and the last, mostly one after the other.
            done.spans.push((folded.start, folded.end.min(folded.start + folded.duration)));
        }
    }

    /// Adds the shell's own time, and the shell as one of the processes.
    pub(super) fn add_shell(&mut self, shell: &Process, own: OwnTime) {
        let bytes = |size: Option<ByteSize>| size.map_or(0, |size| size.0);
        self.take_bytes(bytes(shell.read), bytes(shell.written), bytes(shell.peak_memory));
        self.put(&shell.program, once(shell), own.running, own.time);
    }

    /// Adds a part of the shell's own time.
    pub(super) fn add_own(&mut self, own: OwnTime) {
        self.time += own.time;
        self.running += own.running;
    }

    fn take_bytes(&mut self, read: u64, written: u64, peak_memory: u64) {
        self.read += read;
        self.written += written;
        self.peak_memory = self.peak_memory.max(peak_memory);
    }

    /// The time of the processes without waits for each other. It determines the length of a pipeline.
    pub(super) fn effort(&self) -> Nanos {
        let waits = [Cause::Disk, Cause::Network, Cause::Sleep, Cause::Unknown].map(|cause| self.time.blocked[cause]);
        self.running + self.time.runnable + waits.into_iter().sum::<Nanos>()
    }

    /// Adds what a program spent to the whole and to the program: the number of its runs, and of the processes among them.
    fn put(&mut self, program: &str, (runs, processes): (u64, u64), running: Nanos, time: ProcessTime) -> Cost {
        self.time += time;
        self.running += running;
        self.count += processes;
        let own = running + time.runnable + time.blocked.total().saturating_sub(time.blocked.child);
        let (network, synced) = (time.blocked.network, time.synced);
        let cost = Cost { count: runs, time: own, network, cpu: time.cpu, synced };
        *self.programs.entry(program.to_owned()).or_default() += cost;
        cost
    }

    /// Adds what a process spent to what it did.
    fn put_phases(
        &mut self,
        process: &Process,
        phases: &[Phase],
        whole: Option<Vec<(Nanos, Nanos)>>,
        cost: Cost,
        is_unit: impl Fn(Activity) -> bool,
    ) {
        let divided = |amount, letters: &[char]| phases::divide(amount, process, phases, letters);
        let times = divided(cost.time, &['c', 'r', 'd', 'n', 'l', 's', 'u']);
        // On a busy machine, a process also ran in the parts in which it mostly waited for a processor.
        let parts = times.into_iter().zip(divided(cost.network, &['n'])).zip(divided(cost.cpu, &['c', 'r']));
        for (number, (phase, ((time, network), cpu))) in phases.iter().zip(parts).enumerate() {
            let again = phases[..number].iter().any(|before| before.activity == phase.activity);
            let done = self.activities.entry(phase.activity).or_default();
            let count = u64::from(!again && is_unit(phase.activity));
            done.cost += Cost { count, time, network, cpu, ..Cost::default() };
            done.spans.extend(whole.clone().unwrap_or_else(|| phases::active(process, phase)));
        }
    }

    pub(super) fn row(self, kind: RowKind, text: String, wall: Nanos) -> CommandRow {
        // A process that waits for others of its command does what they do.
        let waits = if self.alive > 1 { wall.saturating_sub(share::union(self.busy)) } else { wall };
        let spent = spent(wall, self.running, self.time, waits);
        let disk = (spent.blocked.disk, self.time.blocked.disk);
        let programs = self.programs.into_iter().map(|(program, Cost { count, time, cpu, synced, .. })| ProgramRow {
            program,
            count,
            time,
            cpu,
            synced: synced.map(|synced| synced.part(disk.0, disk.1)),
        });
        let mut programs: Vec<_> = programs.collect();
        programs.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.program.cmp(&b.program)));
        programs.truncate(PROGRAMS);
        // Where other rows have a share of the same time, the phases have this row's share of it, too.
        let all = share::union(self.activities.values().flat_map(|sum| sum.spans.iter().copied()).collect());
        let own = |time: Nanos| {
            let share = u128::from(time.0) * u128::from(wall.0) / u128::from(all.0.max(1));
            if all > wall { Nanos(share as u64) } else { time }
        };
        let activities = self.activities.into_iter().map(|(activity, ActivitySum { cost, spans })| {
            let Cost { count, time, network, cpu, .. } = cost;
            let wall = own(share::union(spans));
            ActivityRow { activity, count, wall, time: time.saturating_sub(network), network, cpu }
        });
        let mut activities: Vec<_> = activities.collect();
        activities.sort_by_key(|row| (std::cmp::Reverse(row.time + row.network), row.activity));
        CommandRow {
            wall,
            cpu: self.time.cpu,
            user: self.time.user,
            system: self.time.system,
            read: ByteSize(self.read),
            written: ByteSize(self.written),
            peak_memory: ByteSize(self.peak_memory),
            spent,
            processes: self.count,
            programs,
            activities,
            ..CommandRow::of(kind, text)
        }
    }
}

/// One run, and one process unless the run replaced another program.
fn once(process: &Process) -> (u64, u64) {
    (1, u64::from(process.replaces.is_none()))
}

/// Whether a program that something starts to examine the machine builds a library.
fn builds(tree: &ProcessTree<'_>, above: Option<Activity>, program: &str, parent: Option<u32>) -> bool {
    let ancestors = std::iter::successors(parent, |&parent| tree.process(parent).parent);
    above == Some(Activity::Configure) && tools::builds_library(program, ancestors.map(|index| tree.process(index)))
}

/// Whether a process counts for its activity: its own, and not that of the process that started it.
fn is_unit(own: Option<Known>, known: Option<Known>) -> bool {
    own.is_some_and(|own| known.is_some_and(|known| own.activity == known.activity))
}

/// What is known of a process by itself, and whether it goes on as another program that is known. A script is replaced by its interpreter, and
/// `env` by a program: it is a part of what that does.
fn own_activity(tree: &ProcessTree<'_>, index: u32) -> (Option<Known>, bool) {
    let process = tree.process(index);
    let next = tree.replaced_by(index).filter_map(tools::known).next();
    let part = next.map(|next| Known { tells: None, ..next });
    let scripts = || tools::for_parent(process, tree.process(process.parent?));
    let own = part.or_else(|| tools::known(process)).or_else(scripts);
    (own.or_else(|| as_others_do(tree, index)), next.is_some())
}

/// What a process does that ended before its arguments were read: the same as another one with its program and its parent. A warm ccache takes
/// some milliseconds for a unit.
fn as_others_do(tree: &ProcessTree<'_>, index: u32) -> Option<Known> {
    let process = tree.process(index);
    if !process.arguments.is_empty() || process.forked || tree::is_shell(&process.program) {
        return None;
    }
    let is_alike = |other: &&Process| other.program == process.program && !other.arguments.is_empty();
    let known = tools::known(tree.children(process.parent?).map(|child| tree.process(child)).find(is_alike)?)?;
    tree.children(index).next().is_none().then_some(Known { tells: None, ..known })
}

/// The times of a process with one activity that nothing above it has: its life without that of processes below it that do something else. It
/// may wait for thousands of short ones that are kept as totals (`configure`). `None` if totals do something else, whose times are unknown, or
/// if the process decides what others do.
fn whole_phase(
    tree: &ProcessTree<'_>,
    index: u32,
    phases: &[Phase],
    above: Option<Activity>,
) -> Option<Vec<(Nanos, Nanos)>> {
    let [phase] = phases else { return None };
    if phase.activity == Activity::Plan || above == Some(phase.activity) {
        return None;
    }
    let does_other = |known: Option<Known>, program: &str, parent| {
        let known = tools::below(Some(phase.activity), known, builds(tree, Some(phase.activity), program, parent));
        known.is_some_and(|known| known.activity != phase.activity)
    };
    let (mut others, mut in_totals, mut below) = (Vec::new(), Nanos::ZERO, vec![index]);
    while let Some(parent) = below.pop() {
        for folded in tree.folded(parent) {
            let process = Process { program: folded.program.clone(), ..Process::default() };
            if does_other(tools::known(&process), &folded.program, Some(parent)) {
                in_totals += folded.duration;
            }
        }
        for child in tree.children(parent) {
            let process = tree.process(child);
            if does_other(own_activity(tree, child).0, &process.program, Some(parent)) {
                others.push((process.start, process.end));
            } else {
                below.push(child);
            }
        }
    }
    let is_known = in_totals.0 <= (phase.end - phase.start).0 / 100;
    is_known.then(|| share::without(others, (phase.start, phase.end)))
}

/// Whether a process started others that do the same: then it only drives them. A copy of a process that executes nothing does not count.
fn has_unit_below(tree: &ProcessTree<'_>, index: u32, activity: Activity) -> bool {
    let does =
        |process: &Process| !process.forked && tools::known(process).is_some_and(|known| known.activity == activity);
    let mut drivers = vec![index];
    while let Some(driver) = drivers.pop() {
        let folded = |folded: &Folded| does(&Process { program: folded.program.clone(), ..Process::default() });
        if tree.folded(driver).any(folded) || tree.children(driver).any(|child| does(tree.process(child))) {
            return true;
        }
        drivers.extend(tree.children(driver));
    }
    false
}

/// Divides `wall` in proportion to the times of the processes, where `waits` is the most time for locks and pipes. Rounding errors count as
/// unknown.
fn spent(wall: Nanos, running: Nanos, time: ProcessTime, waits: Nanos) -> Spent {
    let own = |cause: Cause| if cause == Cause::Child { Nanos::ZERO } else { time.blocked[cause] };
    let total = running + time.runnable + Cause::ALL.into_iter().map(own).sum::<Nanos>();
    let part = |wall: Nanos, time: Nanos, total: Nanos| {
        Nanos((u128::from(wall.0) * u128::from(time.0)).checked_div(u128::from(total.0)).unwrap_or(0) as u64)
    };
    let lock = own(Cause::Lock);
    let locked = if lock == total { part(wall, lock, total) } else { part(wall, lock, total).min(waits) };
    let part = |time: Nanos| part(wall.saturating_sub(locked), time, total.saturating_sub(lock));
    let mut spent = Spent { processor: part(running), runnable: part(time.runnable), blocked: Blocked::default() };
    for cause in Cause::ALL {
        spent.blocked[cause] = if cause == Cause::Lock { locked } else { part(own(cause)) };
    }
    let known = spent.processor + spent.runnable + spent.blocked.total();
    spent.blocked.unknown += wall.saturating_sub(known);
    spent
}
