//! A record as tasks that can be run again: what each does, how many processors it wants, what it waits for.

use super::total::Total;
use crate::attribute::{Activities, deferred};
use crate::graph::Need;
use crate::index::{Index, Indexed};
use buildscope_record::{EdgeKind, Nanos, Outcome, Phase, StepId, Tool, WaitKind};
use std::collections::BTreeMap;

/// A segment of a task's work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WorkSegment {
    /// How long it takes with all the processors that it wants, in nanoseconds.
    pub(crate) length: f64,
    /// How many processors it wants.
    pub(crate) demand: f64,
    /// Which part of it is gone on a single processor.
    pub(crate) migration: f64,
    /// What it is; none where no span says.
    pub(crate) phase: Option<Phase>,
    /// Whether the task's locks are taken before it.
    pub(crate) locks: bool,
    /// Whether the task's locks are let go of after it.
    pub(crate) unlocks: bool,
    /// Whether the kernel does it one step at a time: those that want it at once share its pace.
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

/// A step to be run again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Task {
    /// Whether it takes time at all.
    pub(crate) runs: bool,
    /// Whether it needs a slot.
    pub(crate) slot: bool,
    /// The delay before it that nothing explains.
    pub(crate) lag: f64,
    pub(crate) segments: Vec<WorkSegment>,
    /// Numbers of the locks that it holds from the segment that locks to the one that unlocks, or to its end.
    pub(crate) locks: Vec<LockIndex>,
    pub(crate) needs: Vec<Need>,
    /// When it really began: of two that are ready at once, the one that was first goes first again.
    pub(crate) started: f64,
}

/// Work of the build as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OwnWork {
    /// None where no span says what was done.
    pub(crate) phase: Option<Phase>,
    /// In nanoseconds.
    pub(crate) length: f64,
}

/// A build to be run again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// One a step, in the order of the record.
    pub(crate) tasks: Indexed<StepId, Task>,
    /// Slots; none is no limit.
    pub(crate) slots: Option<usize>,
    /// Processors; none is no limit, where it is not known how many there were.
    pub(crate) cpus: Option<f64>,
    /// Who gets a slot first of those that wait for one: as our scheduler has it, the step with the longest chain of steps
    /// behind it, then the first in the file; and a lock, the first in the file. Other builders are taken to serve who
    /// came first.
    pub(crate) chains_first: bool,
    /// How many locks there are.
    pub(crate) locks: usize,
    /// The build's own work before the first step, by phase.
    pub(crate) head: Vec<OwnWork>,
    /// The same after the last step.
    pub(crate) tail: Vec<OwnWork>,
    /// How many processors the build's own work has where the builder computes in it (compressing, for one), at most all.
    pub(crate) own_demand: f64,
    /// CPU time that neither a segment nor that is known to want: what the builder does beside the steps. However it is
    /// spread, it must fit on the processors with the rest.
    pub(crate) unassigned_cpu: f64,
    /// How long all segments and the build's own work are together, as measured: what is left of it in a scenario keeps its
    /// share of `unassigned_cpu`.
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
            // What was measured cannot be more than there was.
            let left = ((used.0 as f64).min(record.wall.0 as f64 * cpus) - model.assigned_cpu()).max(0.0);
            model.own_demand = if model.own_busy() > 0.0 { (left / model.own_busy()).min(cpus) } else { 0.0 };
            model.unassigned_cpu = left - model.own_demand * model.own_busy();
        }
        model
    }

    /// How long the build's own work computes.
    fn own_busy(&self) -> f64 {
        self.head.iter().chain(&self.tail).filter(|work| busy(work.phase)).map(|work| work.length).sum()
    }

    fn segments(&self) -> impl Iterator<Item = &WorkSegment> {
        self.tasks.iter().flat_map(|task| &task.segments)
    }

    /// How long everything is together.
    fn lengths(&self) -> f64 {
        let own = self.head.iter().chain(&self.tail).map(|work| work.length);
        self.segments().map(|segment| segment.length).chain(own).sum()
    }

    /// The CPU time that segments and the build's own work want.
    fn assigned_cpu(&self) -> f64 {
        let segments: f64 = self.segments().map(|segment| segment.length * segment.demand).sum();
        segments + self.own_busy() * self.own_demand
    }

    /// The build cannot be shorter than its CPU time on its processors, however little its steps wait for each other.
    pub(crate) fn least(&self) -> f64 {
        let kept = if self.measured_length > 0.0 { (self.lengths() / self.measured_length).min(1.0) } else { 0.0 };
        let own = self.unassigned_cpu > 0.0 || self.own_demand > 0.0;
        self.cpus.filter(|_| own).map_or(0.0, |cpus| (self.assigned_cpu() + self.unassigned_cpu * kept) / cpus)
    }

    /// Whether it is known how many processors any step wants.
    pub(crate) fn demands_processors(&self) -> bool {
        self.segments().any(|segment| segment.demand > 0.0)
    }

    /// How many segments there are: a replay takes some microseconds for each.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments().count()
    }
}

/// Work that a step did after its end is done at its end, where all that need it lead to who asked for it; else by those
/// that waited for it, each as long as it waited.
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
    // Needs that were not met when it began did not hold it back.
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

/// A step's interval as segments of one phase each, without the waits in it.
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
    // Caches are let go of when the process has ended, before its layer is made.
    let process = |segment: &&mut WorkSegment| matches!(segment.phase, Some(Phase::Process | Phase::SandboxTeardown));
    if let Some(last) = found.iter_mut().rev().find(process) {
        last.unlocks = true;
    }
    // Locks that were free at once are taken at the begin.
    if locked.is_none()
        && let Some(first) = found.first_mut()
    {
        first.locks = true;
    }
    found
}

/// What a step waited for while it was active, in the order of time.
fn waits(activities: &Activities<'_>, step: StepId) -> Vec<(Nanos, Nanos, WaitKind)> {
    let Some(active) = activities.interval(step) else { return Vec::new() };
    let waits = activities.waits(step);
    let waits = waits.map(|wait| (wait.start.max(active.start), wait.end.min(active.end), wait.kind));
    let mut waits: Vec<_> = waits.filter(|(start, end, _)| start < end).collect();
    waits.sort_unstable_by_key(|&(start, end, _)| (start, end));
    waits
}

/// What a step's process wanted.
struct Process {
    /// Whether a span tells it apart; else it is what no span covers.
    spanned: bool,
    /// How many processors it wants.
    demand: f64,
    /// Which part of its time comes from processes that land on another processor than the one that started them.
    migration: f64,
}

/// What such a process costs more, in nanoseconds of processor time: another processor is woken, its caches are cold, and
/// the parent is woken on its own. Measured with a shell that starts 400 processes, on two virtual processors and on one.
const MIGRATION_COST: f64 = 100_000.0;
/// And no more than that part of the processor time, where waking a processor costs less.
const MOST_MIGRATION: f64 = 0.2;

impl Process {
    /// What it wants is its CPU time over the time that it did not wait for a processor.
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
        // It cannot have run faster than on all processors at once.
        let alone = (length - stalled).max((cpu / cpus).min(length)).max(length * 0.01);
        let migration =
            used.processes.map_or(0.0, |started| (started as f64 * MIGRATION_COST / cpu.max(1.0)).min(MOST_MIGRATION));
        let demand = cpu / alone;
        // What it sleeps, it sleeps on one processor too.
        Self { demand, migration: if cpus > 1.0 { migration * demand.min(1.0) } else { 0.0 }, ..none }
    }

    fn is(&self, phase: Option<Phase>) -> bool {
        if self.spanned { phase == Some(Phase::Process) } else { phase.is_none() }
    }
}

/// How long a process waited for processors, by the kernel's pressure stall information ("some"), where `idle` is what it did
/// not run for.
///
/// Of several threads it is the most that all waited. Of one it is less than that one's wait: the kernel takes it per processor, and their
/// average by how busy each was (`kernel/sched/psi.c`), so that a thread that wanders over all of them shows one part in as many. A thread
/// that waits is taken to have been held back for as much of its idle time as that leaves room for.
fn stalled(pressure: f64, idle: f64, cpus: f64) -> f64 {
    if pressure < idle { (pressure * cpus).min(idle) } else { pressure }
}

/// Whether the builder itself computes in that phase, on one processor. Its CPU time is not measured.
pub(super) fn busy(phase: Option<Phase>) -> bool {
    use Phase::{Archive, Compress, ContextHash, Copy, Diff, Digest, Unpack};
    matches!(phase, Some(ContextHash | Diff | Archive | Digest | Compress | Copy | Unpack))
}

/// The same of a step. What schedules it computes, too: where hundreds are dispatched at once, each waits for the others.
fn computes(phase: Option<Phase>) -> bool {
    busy(phase) || matches!(phase, Some(Phase::CacheKey | Phase::CacheLookup | Phase::Dispatch))
}

/// Whether the kernel does it for one step at a time, on however many processors: namespaces and mounts are made under
/// locks of the whole system.
fn kernel(phase: Option<Phase>) -> bool {
    phase == Some(Phase::SandboxSetup)
}

/// How contended the processors were over time, by what the build's own steps wanted: what something would take alone
/// is what it took, less what the others had of its share. Pressure from outside of the build stays in its times.
struct Load {
    cpus: Option<f64>,
    /// From which instant on which share each had that wanted more than it.
    shares: Vec<(Nanos, f64)>,
    /// How much of what wants one processor was done before each of these instants, from the first on, in nanoseconds.
    of_one: Vec<f64>,
    /// From which instant on how many steps wanted the kernel.
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
        // At one instant, what ends is before what begins.
        changes.sort_unstable();
        let mut wanted = 0_u32;
        let counted = changes.into_iter().map(|(at, begins)| {
            wanted = if begins { wanted + 1 } else { wanted.saturating_sub(1) };
            (at, wanted)
        });
        counted.collect()
    }

    /// How long what the kernel did in that interval would have taken if no other step had wanted it.
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

    /// How long what wanted so many processors in that interval would have taken undisturbed.
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

    /// How much of what wants one processor was done until then. Thousands of steps may want one while thousands of others
    /// begin and end: none goes through all of that.
    fn done_of_one(&self, at: Nanos) -> f64 {
        match self.shares.partition_point(|&(instant, _)| instant <= at).checked_sub(1) {
            Some(place) => {
                let (from, share) = self.shares[place];
                self.of_one[place] + (at.0 - from.0) as f64 * share.min(1.0)
            }
            // Before anything wanted a processor.
            None => at.0 as f64 - self.shares.first().map_or(0.0, |first| first.0.0 as f64),
        }
    }
}

/// The share that those get who want more than it: water-filling over demands by their number.
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
