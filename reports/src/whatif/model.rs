//! A record as tasks that can be replayed: the work of each, how many processors it demands, and what it waits for.

use super::total::Total;
use crate::attribute::{Activities, deferred};
use crate::graph::Need;
use crate::index::{Index, Indexed};
use buildscope_record::{EdgeKind, Nanos, Outcome, Phase, StepId, Tool, WaitKind};
use std::collections::BTreeMap;

/// A part of a task's work, of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WorkSegment {
    /// The time that it takes with all the processors that it demands, in nanoseconds.
    pub(crate) length: f64,
    /// How many processors it demands.
    pub(crate) demand: f64,
    /// The share of its length, from 0 to 1, that comes from migrations between processors and is absent on a single one.
    pub(crate) migration: f64,
    /// `None` if no span says what was done.
    pub(crate) phase: Option<Phase>,
    /// Whether the task acquires its locks before it.
    pub(crate) locks: bool,
    /// Whether the task releases its locks after it.
    pub(crate) unlocks: bool,
    /// Whether the kernel serialises it: concurrent segments share the pace of one.
    pub(crate) kernel: bool,
}

/// The index of an exclusive lock, in the order in which the record first names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockIndex(usize);

impl Index for LockIndex {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// A step to be replayed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Task {
    /// Whether the step takes any time.
    pub(crate) runs: bool,
    /// Whether the step needs a slot.
    pub(crate) slot: bool,
    /// The unexplained delay between the moment the step was ready and its start, in nanoseconds.
    pub(crate) lag: f64,
    pub(crate) segments: Vec<WorkSegment>,
    /// The locks that the step holds from the segment that locks to the one that unlocks, or to its end.
    pub(crate) locks: Vec<LockIndex>,
    pub(crate) needs: Vec<Need>,
    /// The measured start, in nanoseconds. Of two steps that are ready at the same time, the one that started first does so again.
    pub(crate) started: f64,
}

/// Work of the build as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OwnWork {
    /// `None` if no span says what was done.
    pub(crate) phase: Option<Phase>,
    /// In nanoseconds.
    pub(crate) length: f64,
}

/// A build to be replayed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// One a step, in the order of the record.
    pub(crate) tasks: Indexed<StepId, Task>,
    /// The limit of slots. `None` is unlimited.
    pub(crate) slots: Option<usize>,
    /// The number of processors. `None` if the record does not say; the replay is then not limited by them.
    pub(crate) cpus: Option<f64>,
    /// Whether slots go first to the step with the longest chain of dependents, and then, like locks, to the first in the file.
    /// That is the order of our scheduler. Other builders are assumed to serve first come, first served.
    pub(crate) chains_first: bool,
    /// The number of locks.
    pub(crate) locks: usize,
    /// The build's own work before the first step.
    pub(crate) head: Vec<OwnWork>,
    /// The build's own work after the last step.
    pub(crate) tail: Vec<OwnWork>,
    /// How many processors the build's own work uses in phases in which the builder computes (compression, for example).
    pub(crate) own_demand: f64,
    /// Measured CPU time, in nanoseconds, that no segment and none of the build's own work demands: what the builder computes
    /// besides the steps. However it is spread, it must fit on the processors together with the rest.
    pub(crate) unassigned_cpu: f64,
    /// The summed length of all segments and of the build's own work as measured, in nanoseconds. A scenario that keeps a share
    /// of it keeps the same share of `unassigned_cpu`.
    pub(crate) measured_length: f64,
}

impl Model {
    /// The model of a record.
    pub(crate) fn new(activities: &Activities<'_>) -> Self {
        let record = activities.record;
        let cpus = record.host.cpus.filter(|&cpus| cpus > 0).map(f64::from);
        let mut names: BTreeMap<&str, LockIndex> = BTreeMap::new();
        for lock in record.steps.iter().flat_map(|step| &step.locks) {
            let next = LockIndex::from_index(names.len());
            names.entry(lock).or_insert(next);
        }
        let begin =
            activities.steps().filter_map(|step| activities.interval(step)).map(|interval| interval.start).min();
        let end = activities.steps().filter_map(|step| activities.interval(step)).map(|interval| interval.end).max();
        let (begin, end) = (begin.unwrap_or(record.wall), end.unwrap_or(record.wall));
        let load = Load::new(activities, cpus);
        let mut tasks: Indexed<StepId, Task> =
            activities.steps().map(|step| task(activities, step, &names, begin, &load)).collect();
        defer(activities, &mut tasks);
        let mut model = Self {
            tasks,
            slots: record.options.jobs.filter(|&jobs| jobs > 0).map(|jobs| jobs as usize),
            cpus,
            chains_first: record.source.tool == Tool::Buildscope,
            locks: names.len(),
            head: own(activities, Nanos::ZERO, begin),
            tail: own(activities, end, record.wall),
            own_demand: 0.0,
            unassigned_cpu: 0.0,
            measured_length: 0.0,
        };
        model.measured_length = model.lengths();
        if let (Some(used), Some(cpus)) = (record.cpu, cpus) {
            // The measured CPU time cannot exceed the capacity of the processors.
            let left = ((used.0 as f64).min(record.wall.0 as f64 * cpus) - model.assigned_cpu()).max(0.0);
            model.own_demand = if model.own_busy() > 0.0 { (left / model.own_busy()).min(cpus) } else { 0.0 };
            model.unassigned_cpu = left - model.own_demand * model.own_busy();
        }
        model
    }

    /// The length of the build's own work in which the builder computes.
    fn own_busy(&self) -> f64 {
        self.head.iter().chain(&self.tail).filter(|work| busy(work.phase)).map(|work| work.length).sum()
    }

    fn segments(&self) -> impl Iterator<Item = &WorkSegment> {
        self.tasks.iter().flat_map(|task| &task.segments)
    }

    /// The summed length of all work.
    fn lengths(&self) -> f64 {
        let own = self.head.iter().chain(&self.tail).map(|work| work.length);
        self.segments().map(|segment| segment.length).chain(own).sum()
    }

    /// The CPU time that segments and the build's own work demand.
    fn assigned_cpu(&self) -> f64 {
        let segments: f64 = self.segments().map(|segment| segment.length * segment.demand).sum();
        segments + self.own_busy() * self.own_demand
    }

    /// A lower bound of the wall time: the CPU time of the build, spread evenly over its processors.
    pub(crate) fn least(&self) -> f64 {
        let kept = if self.measured_length > 0.0 { (self.lengths() / self.measured_length).min(1.0) } else { 0.0 };
        let own = self.unassigned_cpu > 0.0 || self.own_demand > 0.0;
        self.cpus.filter(|_| own).map_or(0.0, |cpus| (self.assigned_cpu() + self.unassigned_cpu * kept) / cpus)
    }

    /// Whether it is known how many processors any step wants.
    pub(crate) fn demands_processors(&self) -> bool {
        self.segments().any(|segment| segment.demand > 0.0)
    }

    /// The number of segments. The time of a replay is proportional to it.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments().count()
    }
}

/// Adds deferred work (a lazy pull, for example). It is charged to the end of its step if every dependent goes through the
/// requester. Otherwise each waiter is charged for as long as it waited.
fn defer(activities: &Activities<'_>, tasks: &mut Indexed<StepId, Task>) {
    for (step, work) in deferred(activities) {
        let after = activities.interval(step).map_or(Nanos::ZERO, |interval| interval.end);
        let pieces = activities.pieces(step);
        let phase = pieces.iter().find(|piece| piece.start >= after).map(|piece| piece.phase);
        let done = |length: Nanos| WorkSegment { length: length.0 as f64, phase, ..WorkSegment::default() };
        let mut needed_by = tasks.indices().filter(|&task| tasks[task].needs.iter().any(|need| need.step == step));
        let in_chain = needed_by.all(|task| work.holds(task));
        tasks[work.asker].lag += work.delay.0 as f64;
        if in_chain {
            tasks[step].segments.push(done(work.length));
            for (other, _) in &work.others {
                tasks[*other].needs.push(Need { step, kind: EdgeKind::Data });
            }
            continue;
        }
        tasks[work.asker].segments.insert(0, done(work.length));
        for (other, until) in &work.others {
            let waits = activities.waits(*other).filter(|wait| wait.on == Some(step) && wait.end == *until);
            let waited = waits.map(|wait| wait.end - wait.start).max().unwrap_or(Nanos::ZERO);
            tasks[*other].segments.insert(0, done(waited));
        }
    }
}

fn task(
    activities: &Activities<'_>,
    step: StepId,
    names: &BTreeMap<&str, LockIndex>,
    begin: Nanos,
    load: &Load,
) -> Task {
    let described = &activities.record.steps[step.index()];
    let Some(active) = activities.interval(step) else {
        let needs = activities.graph.before(step).to_vec();
        return Task { needs, ..Task::default() };
    };
    // Dependencies that were not met when the step started did not delay it.
    let met = |need: StepId| activities.settled(need).is_none_or(|end| end <= active.start);
    let needs: Vec<_> = activities.graph.before(step).iter().copied().filter(|need| met(need.step)).collect();
    let before = needs.iter().filter_map(|need| activities.settled(need.step));
    let queued = activities.waits(step).filter(|wait| wait.kind != WaitKind::Dependency && wait.start < active.start);
    let free = before.chain(queued.map(|wait| wait.end.min(active.start))).max().unwrap_or(begin);
    Task {
        runs: true,
        slot: matches!(described.outcome, Outcome::Executed | Outcome::Failed | Outcome::Cancelled)
            && described.stage.is_some(),
        lag: active.start.saturating_sub(free).0 as f64,
        segments: segments(activities, step, load),
        locks: described.locks.iter().map(|lock| names[lock.as_str()]).collect(),
        needs,
        started: active.start.0 as f64,
    }
}

/// The interval of a step as segments of one phase each, without the waits in it.
fn segments(activities: &Activities<'_>, step: StepId, load: &Load) -> Vec<WorkSegment> {
    let Some(active) = activities.interval(step) else { return Vec::new() };
    let waits = waits(activities, step);
    let locked = waits.iter().rev().find(|(_, _, kind)| *kind == WaitKind::Lock).map(|&(_, end, _)| end);
    let process = Process::new(activities, step, load.cpus);
    let mut found: Vec<WorkSegment> = Vec::new();
    let (mut at, mut taken) = (active.start, locked.is_none());
    let mut add = |from: Nanos, to: Nanos, phase: Option<Phase>| {
        if from >= to {
            return;
        }
        let takes = !taken && locked.is_some_and(|locked| from >= locked);
        taken |= takes;
        let length = (to.0 - from.0) as f64;
        let (length, demand) = if process.is(phase) {
            (load.eased(from, to, process.demand), process.demand)
        } else if kernel(phase) {
            (load.alone(from, to), 0.0)
        } else if computes(phase) {
            (load.eased(from, to, 1.0), if load.cpus.is_some() { 1.0 } else { 0.0 })
        } else {
            (length, 0.0)
        };
        let migration = if process.is(phase) { process.migration } else { 0.0 };
        let segment =
            WorkSegment { length, demand, migration, phase, locks: takes, unlocks: false, kernel: kernel(phase) };
        match found.last_mut().filter(|last| last.phase == phase && !takes) {
            Some(last) => last.length += segment.length,
            None => found.push(segment),
        }
    };
    let pieces = activities.pieces(step);
    let mut place = 0;
    let mut spend = |from: Nanos, to: Nanos| {
        let mut at = from;
        while place > 0 && pieces[place - 1].end > from {
            place -= 1;
        }
        while let Some(piece) = pieces.get(place).filter(|piece| piece.start < to) {
            add(at, piece.start.max(at), None);
            add(piece.start.max(at), piece.end.min(to), Some(piece.phase));
            at = piece.end.min(to).max(at);
            if piece.end > to {
                break;
            }
            place += 1;
        }
        add(at, to, None);
    };
    for &(start, end, _) in &waits {
        if start > at {
            spend(at, start);
        }
        at = at.max(end);
    }
    spend(at, active.end);
    // Cache mounts are released when the process has ended, before the layer is written.
    let process = |segment: &&mut WorkSegment| matches!(segment.phase, Some(Phase::Process | Phase::SandboxTeardown));
    if let Some(last) = found.iter_mut().rev().find(process) {
        last.unlocks = true;
    }
    // Locks that were free are acquired at the start.
    if locked.is_none()
        && let Some(first) = found.first_mut()
    {
        first.locks = true;
    }
    found
}

/// The waits of a step while it was active, in the order of time.
fn waits(activities: &Activities<'_>, step: StepId) -> Vec<(Nanos, Nanos, WaitKind)> {
    let Some(active) = activities.interval(step) else { return Vec::new() };
    let waits = activities.waits(step);
    let waits = waits.map(|wait| (wait.start.max(active.start), wait.end.min(active.end), wait.kind));
    let mut waits: Vec<_> = waits.filter(|(start, end, _)| start < end).collect();
    waits.sort_unstable_by_key(|&(start, end, _)| (start, end));
    waits
}

/// The demand of a step's process.
struct Process {
    /// Whether a span marks the process. Otherwise all time without a span is the process.
    spanned: bool,
    /// How many processors it demands.
    demand: f64,
    /// The share of its time, from 0 to 1, that comes from child processes that start on another processor than their parent's.
    migration: f64,
}

/// The cost of a child process that starts on another processor, in nanoseconds of CPU time: that processor is woken, its
/// caches are cold, and the parent is woken again. Measured with a shell that starts 400 processes, on two virtual
/// processors and on one.
const MIGRATION_COST: f64 = 100_000.0;
/// The largest share of CPU time that is attributed to migrations, for machines on which waking a processor costs less.
const MOST_MIGRATION: f64 = 0.2;

impl Process {
    /// The demand is the CPU time divided by the time in which the process did not wait for a processor.
    fn new(activities: &Activities<'_>, step: StepId, cpus: Option<f64>) -> Self {
        let pieces = activities.pieces(step);
        let process = pieces.iter().filter(|piece| piece.phase == Phase::Process);
        let process: u64 = process.map(|piece| piece.end.0 - piece.start.0).sum();
        let whole = activities.interval(step).map_or(0, |interval| interval.length().0);
        let length = if process > 0 { process } else { whole } as f64;
        let none = Self { spanned: process > 0, demand: 0.0, migration: 0.0 };
        let used = activities.record.steps[step.index()].resources;
        let (Some(used), Some(cpus), true) = (used, cpus, length > 0.0) else { return none };
        let cpu = (used.cpu_user + used.cpu_system).0 as f64;
        let stalled = stalled(used.cpu_pressure.0 as f64, length - cpu, cpus).min(length);
        // A process cannot run faster than on all processors at once.
        let alone = (length - stalled).max((cpu / cpus).min(length)).max(length * 0.01);
        let migration =
            used.processes.map_or(0.0, |started| (started as f64 * MIGRATION_COST / cpu.max(1.0)).min(MOST_MIGRATION));
        let demand = cpu / alone;
        // A process that mostly sleeps does so on a single processor too.
        Self { demand, migration: if cpus > 1.0 { migration * demand.min(1.0) } else { 0.0 }, ..none }
    }

    fn is(&self, phase: Option<Phase>) -> bool {
        if self.spanned { phase == Some(Phase::Process) } else { phase.is_none() }
    }
}

/// How long a process waited for processors, from the kernel's pressure stall information ("some"). `idle` is the time in
/// which it did not run.
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
fn computes(phase: Option<Phase>) -> bool {
    busy(phase) || matches!(phase, Some(Phase::CacheKey | Phase::CacheLookup | Phase::Dispatch))
}

/// Whether the kernel serialises the phase on any number of processors: namespaces and mounts are created under global locks.
fn kernel(phase: Option<Phase>) -> bool {
    phase == Some(Phase::SandboxSetup)
}

/// How contended the processors were over time, from the demand of the build's own steps. It converts the time that work took
/// into the time that it would take alone. Pressure from outside the build stays in the times.
struct Load {
    cpus: Option<f64>,
    /// The fair share from each instant on: the number of processors that each step gets that demands more than that.
    shares: Vec<(Nanos, f64)>,
    /// How much work with a demand of one processor was done from the first of these instants to each of them, in nanoseconds.
    of_one: Vec<f64>,
    /// How many steps used the serialised part of the kernel, from each instant on.
    kernel: Vec<(Nanos, u32)>,
}

impl Load {
    fn new(activities: &Activities<'_>, cpus: Option<f64>) -> Self {
        let kernel = Self::of_kernel(activities);
        let Some(count) = cpus else { return Self { cpus, shares: Vec::new(), of_one: Vec::new(), kernel } };
        let mut changes: Vec<(Nanos, bool, Total)> = Vec::new();
        for step in activities.steps() {
            let process = Process::new(activities, step, cpus);
            let mut add = |start: Nanos, end: Nanos, demand: f64| {
                if demand > 0.0 && end > start {
                    changes.extend([(start, true, Total(demand)), (end, false, Total(demand))]);
                }
            };
            let waits = waits(activities, step);
            for piece in activities.pieces(step) {
                let phase = Some(piece.phase);
                let demand = if process.is(phase) { process.demand } else { f64::from(u8::from(computes(phase))) };
                let mut at = piece.start;
                for &(start, end, _) in &waits {
                    add(at, start.min(piece.end), demand);
                    at = at.max(end);
                }
                add(at, piece.end, demand);
            }
            if let Some(active) = activities.interval(step).filter(|_| !process.spanned) {
                add(active.start, active.end, process.demand);
            }
        }
        changes.sort_unstable();
        let mut wanted: BTreeMap<Total, usize> = BTreeMap::new();
        let mut shares = Vec::new();
        for (place, &(at, begins, demand)) in changes.iter().enumerate() {
            if begins {
                *wanted.entry(demand).or_default() += 1;
            } else if let Some(number) = wanted.get_mut(&demand) {
                *number -= 1;
                if *number == 0 {
                    wanted.remove(&demand);
                }
            }
            if changes.get(place + 1).is_none_or(|next| next.0 > at) {
                shares.push((at, fair_share(&wanted, count)));
            }
        }
        let mut done = 0.0;
        let of_one = (0..shares.len()).map(|place| {
            if let Some(&(from, share)) = place.checked_sub(1).map(|place| &shares[place]) {
                done += (shares[place].0.0 - from.0) as f64 * share.min(1.0);
            }
            done
        });
        let of_one = of_one.collect();
        Self { cpus, shares, of_one, kernel }
    }

    fn of_kernel(activities: &Activities<'_>) -> Vec<(Nanos, u32)> {
        let pieces = activities.steps().flat_map(|step| activities.pieces(step));
        let pieces = pieces.filter(|piece| kernel(Some(piece.phase)) && piece.end > piece.start);
        let mut changes: Vec<(Nanos, bool)> =
            pieces.flat_map(|piece| [(piece.start, true), (piece.end, false)]).collect();
        // At the same instant, ends sort before starts.
        changes.sort_unstable();
        let mut wanted = 0_u32;
        let counted = changes.into_iter().map(|(at, begins)| {
            wanted = if begins { wanted + 1 } else { wanted.saturating_sub(1) };
            (at, wanted)
        });
        counted.collect()
    }

    /// How long the serialised kernel work of an interval would have taken alone, in nanoseconds.
    fn alone(&self, from: Nanos, to: Nanos) -> f64 {
        let (mut at, mut alone) = (from, 0.0);
        let mut place = self.kernel.partition_point(|&(instant, _)| instant <= from);
        while at < to {
            let wanted = place.checked_sub(1).map_or(1, |place| self.kernel[place].1.max(1));
            let until = self.kernel.get(place).map_or(to, |&(instant, _)| instant.min(to));
            alone += (until.0 - at.0) as f64 / f64::from(wanted);
            (at, place) = (until, place + 1);
        }
        alone
    }

    /// How long work with that demand of processors, done in the interval, would have taken alone, in nanoseconds.
    fn eased(&self, from: Nanos, to: Nanos, demand: f64) -> f64 {
        if demand == 1.0 {
            return self.done_of_one(to) - self.done_of_one(from);
        }
        let (mut at, mut eased) = (from, 0.0);
        let mut place = self.shares.partition_point(|&(instant, _)| instant <= from);
        while at < to {
            let share = place.checked_sub(1).map_or(f64::INFINITY, |place| self.shares[place].1);
            let until = self.shares.get(place).map_or(to, |&(instant, _)| instant.min(to));
            eased += (until.0 - at.0) as f64 * if demand > share { share / demand } else { 1.0 };
            (at, place) = (until, place + 1);
        }
        eased
    }

    /// How much work with a demand of one processor was done until the instant, in nanoseconds. A lookup in prefix sums: with
    /// thousands of steps, adding up each interval again would take quadratic time.
    fn done_of_one(&self, at: Nanos) -> f64 {
        match self.shares.partition_point(|&(instant, _)| instant <= at).checked_sub(1) {
            Some(place) => {
                let (from, share) = self.shares[place];
                self.of_one[place] + (at.0 - from.0) as f64 * share.min(1.0)
            }
            // Before the first demand for a processor.
            None => at.0 as f64 - self.shares.first().map_or(0.0, |first| first.0.0 as f64),
        }
    }
}

/// The max-min fair share by water-filling: what each gets that demands more than that. `wanted` counts tasks by demand.
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

/// The build's own work in an interval, by phase.
fn own(activities: &Activities<'_>, from: Nanos, to: Nanos) -> Vec<OwnWork> {
    let mut found = Vec::new();
    let mut at = from;
    for piece in activities.build().iter().filter(|piece| piece.end > from && piece.start < to) {
        let (start, end) = (piece.start.max(at), piece.end.min(to));
        if start > at {
            found.push(OwnWork { phase: None, length: (start.0 - at.0) as f64 });
        }
        if end > start {
            found.push(OwnWork { phase: Some(piece.phase), length: (end.0 - start.0) as f64 });
        }
        at = at.max(end);
    }
    if to > at {
        found.push(OwnWork { phase: None, length: (to.0 - at.0) as f64 });
    }
    found
}
