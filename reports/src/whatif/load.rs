//! The demand of the steps of a record for processors, and the contention of the processors.

use super::profile::{self, Activity};
use super::total::Total;
use crate::attribute::{Activities, ActivityWait};
use crate::index::Indexed;
use buildscope_record::{Nanos, Observed, Phase, Processes, StepId, WaitKind};
use std::collections::BTreeMap;

/// A wait of a step, cut to the interval in which the step was active.
#[derive(Clone, Copy)]
pub(super) struct ActiveWait {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) kind: WaitKind,
    /// Whether the wait does not depend on this build.
    pub(super) outside: bool,
}

/// The waits of a step while it was active, in the order of time.
pub(super) fn active_waits(activities: &Activities<'_>, step: StepId) -> Vec<ActiveWait> {
    let Some(active) = activities.interval(step) else { return Vec::new() };
    let cut = |wait: &ActivityWait| ActiveWait {
        start: wait.start.max(active.start),
        end: wait.end.min(active.end),
        kind: wait.kind,
        outside: wait.outside,
    };
    let mut waits: Vec<_> = activities.waits(step).map(cut).filter(|wait| wait.start < wait.end).collect();
    waits.sort_unstable_by_key(|wait| (wait.start, wait.end));
    waits
}

/// The demand of a step's process.
pub(super) struct Process {
    /// Whether a span marks the process. Otherwise all time without a span is the process.
    spanned: bool,
    /// The number of processors that the process demands.
    demand: f64,
    /// The share of its time, from 0 to 1, that comes from child processes that start on another processor than their parent's.
    pub(super) migration: f64,
    /// The share of its time, from 0 to 1, that remains if it never waits for a processor, also not for other programs.
    unhindered: f64,
    /// The same over its time, in order and without gaps; empty where one demand stands for all of it.
    pieces: Vec<DemandPiece>,
}

/// A part of a process's time with one demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DemandPiece {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// The number of processors that the process demands.
    pub(super) demand: f64,
    /// The share of the time, from 0 to 1, that remains if the process never waits for a processor.
    pub(super) unhindered: f64,
}

/// The cost of a child process that starts on another processor, in nanoseconds of CPU time: that processor is woken, its
/// caches are cold, and the parent is woken again. Measured with a shell that starts 400 processes, on two virtual
/// processors and on one.
const MIGRATION_COST: f64 = 100_000.0;
/// The largest share of CPU time that is attributed to migrations, for machines on which waking a processor costs less.
const MOST_MIGRATION: f64 = 0.2;

impl Process {
    /// The demand is the CPU time divided by the time in which the process did not wait for a processor: over all of its time, and in at most
    /// `most` parts of it.
    fn new(activities: &Activities<'_>, step: StepId, cpus: Option<f64>, most: usize) -> Self {
        let pieces = activities.pieces(step);
        let process = pieces.iter().filter(|piece| piece.phase == Phase::Process);
        let process: u64 = process.map(|piece| piece.end.0 - piece.start.0).sum();
        let whole = activities.interval(step).map_or(0, |interval| interval.length().0);
        let length = if process > 0 { process } else { whole } as f64;
        let none = Self { spanned: process > 0, demand: 0.0, migration: 0.0, unhindered: 1.0, pieces: Vec::new() };
        let used = activities.record.steps[step.index()].resources;
        let (Some(used), Some(cpus), true) = (used, cpus, length > 0.0) else { return none };
        let cpu = (used.cpu_user + used.cpu_system).0 as f64;
        let seen = activities.record.steps[step.index()].processes.as_ref();
        let stalled =
            waited(seen).unwrap_or_else(|| stalled(used.cpu_pressure.0 as f64, length - cpu, cpus)).min(length);
        // A process cannot run faster than on all processors at once.
        let alone = (length - stalled).max((cpu / cpus).min(length)).max(length * 0.01);
        let migration =
            used.processes.map_or(0.0, |started| (started as f64 * MIGRATION_COST / cpu.max(1.0)).min(MOST_MIGRATION));
        // A quota of one and a half processors counts as one: a step that used more is as fast as on a larger machine, for all that is known.
        let demand = (cpu / alone).min(cpus);
        // A process that mostly sleeps does so on a single processor too.
        let migration = if cpus > 1.0 { migration * demand.min(1.0) } else { 0.0 };
        let pieces = seen.filter(|_| most > 1).map(|seen| demands(seen, cpu, stalled, cpus, most)).unwrap_or_default();
        Self { demand, migration, unhindered: (alone / length).min(1.0), pieces, ..none }
    }

    /// The parts of an interval with one demand each.
    pub(super) fn during(&self, from: Nanos, to: Nanos) -> Vec<DemandPiece> {
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else {
            return vec![DemandPiece { start: from, end: to, demand: self.demand, unhindered: self.unhindered }];
        };
        // Nothing is known of the moment before its program starts, and after it ends.
        let idle = |start, end| DemandPiece { start, end, demand: 0.0, unhindered: 1.0 };
        let next = self.pieces.partition_point(|piece| piece.end <= from);
        let known = self.pieces[next..].iter().take_while(|piece| piece.start < to).copied();
        let all = [idle(from, first.start)].into_iter().chain(known).chain([idle(last.end, to)]);
        let cut = all.map(|piece| DemandPiece { start: piece.start.max(from), end: piece.end.min(to), ..piece });
        cut.filter(|piece| piece.start < piece.end).collect()
    }

    /// Whether time of that phase is time of the process.
    pub(super) fn is(&self, phase: Option<Phase>) -> bool {
        if self.spanned { phase == Some(Phase::Process) } else { phase.is_none() }
    }
}

/// The demand of a step's processes over its time, in at most `most` pieces; empty if there is only one, or if the processes do not account for
/// the step's CPU time. `cpu`, and the time that it was `stalled`, are of the whole step, in nanoseconds.
fn demands(seen: &Processes, cpu: f64, stalled: f64, cpus: f64, most: usize) -> Vec<DemandPiece> {
    let pieces = profile::pieces(seen, most);
    let sum = |of: fn(&Activity) -> f64| -> f64 {
        pieces.iter().map(|piece| (piece.end.0 - piece.start.0) as f64 * of(&piece.activity)).sum()
    };
    let (running, runnable) = (sum(|activity| activity.running), sum(|activity| activity.runnable));
    let scale = cpu / running.max(1.0);
    if pieces.len() < 2 || !(0.5..=2.0).contains(&scale) {
        return Vec::new();
    }
    // Of a process with threads that run and wait at the same time, only the running ones count: the rest of the step's wait is spread over
    // its work.
    let threads = seen.list.iter().any(|process| process.threads > 1);
    let hidden = if threads { (stalled - runnable).max(0.0) / running } else { 0.0 };
    let demand = |piece: &profile::ActivePiece| {
        let Activity { running, runnable } = piece.activity;
        let waits = runnable + running * hidden;
        let running = (running * scale).min(cpus);
        let (demand, unhindered) = match running + waits {
            // One process at a time runs or waits.
            all if all <= 1.0 => (if all > 0.0 { running / (1.0 - waits).max(running) } else { 0.0 }, 1.0 - waits),
            all => (all, running / all),
        };
        let unhindered = unhindered.max(running / cpus).clamp(0.0, 1.0);
        DemandPiece { start: piece.start, end: piece.end, demand, unhindered }
    };
    pieces.iter().map(demand).collect()
}

/// The most pieces of all steps of a record, and of one of them. A replay takes time for each.
const MOST_PIECES: usize = 2_000;
const MOST_OF_STEP: usize = 32;

/// Steps that are shorter than one of this many parts of the build have one demand.
const LONG: u64 = 500;

/// The most pieces of each step.
fn most_pieces(activities: &Activities<'_>) -> Vec<usize> {
    let record = activities.record;
    let is_long = |seen: &Processes| seen.end.saturating_sub(seen.start).0 > record.wall.0 / LONG;
    let long: Vec<bool> = record.steps.iter().map(|step| step.processes.as_ref().is_some_and(is_long)).collect();
    let count = long.iter().filter(|&&long| long).count().max(1);
    long.iter().map(|&long| if long { (MOST_PIECES / count).min(MOST_OF_STEP) } else { 0 }).collect()
}

/// The time that the processes of a step waited for processors, in nanoseconds, where the kernel reported each wait and one process ran or
/// waited at a time. Where several do, some wait while others run.
fn waited(seen: Option<&Processes>) -> Option<f64> {
    let seen = seen.filter(|seen| seen.observed == Observed::Events && seen.lost == 0)?;
    if seen.list.iter().any(|process| process.threads > 1) {
        return None;
    }
    let times = || seen.list.iter().map(|process| process.time).chain(seen.folded.iter().map(|folded| folded.time));
    let runnable: Nanos = times().map(|time| time.runnable).sum();
    let cpu: Nanos = times().map(|time| time.cpu).sum();
    (cpu + runnable <= seen.end.saturating_sub(seen.start)).then_some(runnable.0 as f64)
}

/// The time that a process waited for processors, from the kernel's pressure stall information ("some"). `idle` is the time in which it did
/// not run.
///
/// For several threads the pressure is an upper bound of the wait. For a single thread it is less than the wait: the kernel
/// measures it per processor and averages by how busy each is (`kernel/sched/psi.c`), so a thread that moves over all N
/// processors shows one Nth. Its wait is assumed to be N times the pressure, but no more than its idle time.
fn stalled(pressure: f64, idle: f64, cpus: f64) -> f64 {
    if pressure < idle { (pressure * cpus).min(idle) } else { pressure }
}

/// Whether the builder itself computes in the phase, on one processor. That CPU time is not measured by step.
pub(super) fn busy(phase: Option<Phase>) -> bool {
    use Phase::{Archive, Compress, ContextHash, Copy, Diff, Digest, Unpack};
    matches!(phase, Some(ContextHash | Diff | Archive | Digest | Compress | Copy | Unpack))
}

/// Whether the builder computes in the phase of a step. Scheduling counts too: if hundreds of steps are dispatched at once,
/// each waits for the others.
pub(super) fn computes(phase: Option<Phase>) -> bool {
    busy(phase) || matches!(phase, Some(Phase::CacheKey | Phase::CacheLookup | Phase::Dispatch))
}

/// Whether the kernel serialises the phase on any number of processors: namespaces and mounts are created under global locks.
pub(super) fn kernel(phase: Option<Phase>) -> bool {
    phase == Some(Phase::SandboxSetup)
}

/// The contention of the processors over time, from the demand of the build's own steps. It converts the time that work took into the time
/// that it would take alone. Pressure from outside the build stays in the times.
pub(super) struct Load {
    pub(super) cpus: Option<f64>,
    /// The demand of each step's process.
    pub(super) processes: Indexed<StepId, Process>,
    /// The fair share from each instant on: the number of processors that each step gets that demands more than that.
    shares: Vec<Share>,
    /// The work with a demand of one processor that was done from the first of these instants to each of them, in nanoseconds.
    of_one: Vec<f64>,
    /// The number of steps that used the serialised part of the kernel, from each instant on.
    kernel: Vec<KernelUse>,
}

/// The fair share from an instant on.
#[derive(Clone, Copy)]
struct Share {
    at: Nanos,
    /// The share, as a number of processors.
    share: f64,
}

/// The number of steps that used the serialised part of the kernel, from an instant on.
#[derive(Clone, Copy)]
struct KernelUse {
    at: Nanos,
    steps: u32,
}

/// A demand for processors that starts or ends. At the same instant, ends sort before starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DemandChange {
    at: Nanos,
    starts: bool,
    demand: Total,
}

impl Load {
    pub(super) fn new(activities: &Activities<'_>, cpus: Option<f64>) -> Self {
        let kernel = Self::of_kernel(activities);
        let most = most_pieces(activities);
        let processes: Indexed<StepId, Process> =
            activities.steps().map(|step| Process::new(activities, step, cpus, most[step.index()])).collect();
        let Some(count) = cpus else { return Self { cpus, processes, shares: Vec::new(), of_one: Vec::new(), kernel } };
        let mut changes: Vec<DemandChange> = Vec::new();
        for step in activities.steps() {
            let process = &processes[step];
            let mut add_one = |start: Nanos, end: Nanos, demand: f64| {
                if demand > 0.0 && end > start {
                    let demand = Total(demand);
                    changes.push(DemandChange { at: start, starts: true, demand });
                    changes.push(DemandChange { at: end, starts: false, demand });
                }
            };
            let mut add = |start: Nanos, end: Nanos, phase: Option<Phase>| {
                if process.is(phase) {
                    let parts = process.during(start, end);
                    parts.iter().for_each(|part| add_one(part.start, part.end, part.demand));
                } else if computes(phase) {
                    add_one(start, end, 1.0);
                }
            };
            let waits = active_waits(activities, step);
            for piece in activities.pieces(step) {
                let phase = Some(piece.phase);
                let mut at = piece.start;
                for wait in &waits {
                    add(at, wait.start.min(piece.end), phase);
                    at = at.max(wait.end);
                }
                add(at, piece.end, phase);
            }
            if let Some(active) = activities.interval(step).filter(|_| !process.spanned) {
                add(active.start, active.end, None);
            }
        }
        changes.sort_unstable();
        let mut wanted: BTreeMap<Total, usize> = BTreeMap::new();
        let mut shares = Vec::new();
        for (index, &DemandChange { at, starts, demand }) in changes.iter().enumerate() {
            if starts {
                *wanted.entry(demand).or_default() += 1;
            } else if let Some(number) = wanted.get_mut(&demand) {
                *number -= 1;
                if *number == 0 {
                    wanted.remove(&demand);
                }
            }
            if changes.get(index + 1).is_none_or(|next| next.at > at) {
                shares.push(Share { at, share: fair_share(&wanted, count) });
            }
        }
        let mut done = 0.0;
        let of_one = (0..shares.len()).map(|index| {
            if let Some(before) = index.checked_sub(1).map(|before| &shares[before]) {
                done += (shares[index].at.0 - before.at.0) as f64 * before.share.min(1.0);
            }
            done
        });
        let of_one = of_one.collect();
        Self { cpus, processes, shares, of_one, kernel }
    }

    fn of_kernel(activities: &Activities<'_>) -> Vec<KernelUse> {
        let pieces = activities.steps().flat_map(|step| activities.pieces(step));
        let pieces = pieces.filter(|piece| kernel(Some(piece.phase)) && piece.end > piece.start);
        // At the same instant, ends (`false`) sort before starts.
        let mut changes: Vec<(Nanos, bool)> =
            pieces.flat_map(|piece| [(piece.start, true), (piece.end, false)]).collect();
        changes.sort_unstable();
        let mut steps = 0_u32;
        let counted = changes.into_iter().map(|(at, starts)| {
            steps = if starts { steps + 1 } else { steps.saturating_sub(1) };
            KernelUse { at, steps }
        });
        counted.collect()
    }

    /// The time that the serialised kernel work of an interval would have taken alone, in nanoseconds.
    pub(super) fn alone(&self, from: Nanos, to: Nanos) -> f64 {
        let (mut at, mut alone) = (from, 0.0);
        let mut next = self.kernel.partition_point(|usage| usage.at <= from);
        while at < to {
            let steps = next.checked_sub(1).map_or(1, |current| self.kernel[current].steps.max(1));
            let until = self.kernel.get(next).map_or(to, |usage| usage.at.min(to));
            alone += (until.0 - at.0) as f64 / f64::from(steps);
            (at, next) = (until, next + 1);
        }
        alone
    }

    /// The time that work with this demand, done in the interval, would have taken alone, in nanoseconds.
    pub(super) fn eased(&self, from: Nanos, to: Nanos, demand: f64) -> f64 {
        if demand == 1.0 {
            return self.done_of_one(to) - self.done_of_one(from);
        }
        let (mut at, mut eased) = (from, 0.0);
        let mut next = self.shares.partition_point(|share| share.at <= from);
        while at < to {
            let share = next.checked_sub(1).map_or(f64::INFINITY, |current| self.shares[current].share);
            let until = self.shares.get(next).map_or(to, |share| share.at.min(to));
            eased += (until.0 - at.0) as f64 * if demand > share { share / demand } else { 1.0 };
            (at, next) = (until, next + 1);
        }
        eased
    }

    /// The work with a demand of one processor that was done until the instant, in nanoseconds. A lookup in prefix sums: with thousands of
    /// steps, adding up each interval again would take quadratic time.
    fn done_of_one(&self, at: Nanos) -> f64 {
        match self.shares.partition_point(|share| share.at <= at).checked_sub(1) {
            Some(current) => {
                let since = self.shares[current];
                self.of_one[current] + (at.0 - since.at.0) as f64 * since.share.min(1.0)
            }
            // Before the first demand for a processor.
            None => at.0 as f64 - self.shares.first().map_or(0.0, |first| first.at.0 as f64),
        }
    }
}

/// The max-min fair share by water-filling: the share of each task that demands more than that. `wanted` counts tasks by demand.
fn fair_share(wanted: &BTreeMap<Total, usize>, cpus: f64) -> f64 {
    let (mut left, mut count) = (cpus, wanted.values().sum::<usize>());
    for (&demand, &number) in wanted {
        let (Total(demand), share) = (demand, left / count as f64);
        if demand >= share {
            return share;
        }
        left -= demand * number as f64;
        count -= number;
    }
    f64::INFINITY
}
