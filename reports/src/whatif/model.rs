//! A record as tasks that can be replayed: the work of each, its demand for processors, and its waits.

use super::load::{DemandPiece, Load, active_waits, busy, computes, kernel};
use super::machines::cluster::Cluster;
use crate::attribute::{Activities, Deferred, Piece, deferred};
use crate::graph::Need;
use crate::index::{Index, Indexed};
use buildscope_record::{EdgeKind, Nanos, Outcome, Phase, StepId, Tool, WaitKind};
use std::collections::BTreeMap;

/// A part of a task's work, of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WorkSegment {
    /// The time that it takes with all the processors that it demands, in nanoseconds.
    pub(crate) length: f64,
    /// The time that it takes if it never waits for a processor, also not for other programs, in nanoseconds.
    pub(crate) unhindered: f64,
    /// The number of processors that it demands.
    pub(crate) demand: f64,
    /// The share of its length, from 0 to 1, that comes from migrations between processors and is absent on a single one.
    pub(crate) migration: f64,
    /// The recorded time of the work, from its start to its end.
    pub(crate) time: (Nanos, Nanos),
    /// `None` if no span says what was done.
    pub(crate) phase: Option<Phase>,
    /// Whether the task acquires its locks before it.
    pub(crate) locks: bool,
    /// Whether the task releases its locks after it.
    pub(crate) unlocks: bool,
    /// Whether the kernel serialises it: concurrent segments share the pace of one.
    pub(crate) kernel: bool,
}

impl WorkSegment {
    /// Whether a segment that follows this one proceeds in the same way. Its phase does not matter.
    fn continues_in(&self, next: &Self) -> bool {
        !self.unlocks && !next.locks && self.demand == next.demand && self.kernel == next.kernel
    }
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
    /// The shortest time of the step: without any waits for slots, locks, processors or other builds.
    pub(crate) least: Nanos,
    /// The unexplained delay between the moment the step was ready and its start, in nanoseconds.
    pub(crate) lag: f64,
    pub(crate) segments: Vec<WorkSegment>,
    /// The locks that the step holds from the segment that locks to the one that unlocks, or to its end.
    pub(crate) locks: Vec<LockIndex>,
    pub(crate) needs: Vec<Need>,
    /// The measured start, in nanoseconds. Of two steps that are ready at the same time, the one that started first does so again.
    pub(crate) started: f64,
}

impl Task {
    /// The task of the same step with its result in the cache: it does nothing and takes no lock.
    pub(crate) fn cached(&self) -> Self {
        Self { segments: Vec::new(), locks: Vec::new(), needs: self.needs.clone(), ..*self }
    }

    /// The same task in fewer segments: those that demand the same follow each other without an event between them.
    fn merged(&self) -> Self {
        let mut segments: Vec<WorkSegment> = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            match segments.last_mut().filter(|last| last.continues_in(segment)) {
                Some(last) => {
                    last.length += segment.length;
                    last.unhindered += segment.unhindered;
                    last.time.1 = segment.time.1;
                    last.unlocks = segment.unlocks;
                }
                None => segments.push(*segment),
            }
        }
        Self { segments, locks: self.locks.clone(), needs: self.needs.clone(), ..*self }
    }

    /// The least length of the step's work while it holds its locks, in nanoseconds.
    pub(crate) fn under_locks(&self) -> f64 {
        let from = self.segments.iter().position(|segment| segment.locks);
        let held = from.map_or(&[][..], |from| &self.segments[from..]);
        let to = held.iter().position(|segment| segment.unlocks).map_or(held.len(), |last| last + 1);
        held[..to].iter().map(|segment| segment.unhindered).sum()
    }
}

/// Work of the build as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OwnWork {
    /// `None` if no span says what was done.
    pub(crate) phase: Option<Phase>,
    /// The length in nanoseconds.
    pub(crate) length: f64,
}

/// A build to be replayed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// The task of each step, in the order of the record.
    pub(crate) tasks: Indexed<StepId, Task>,
    /// The step whose failure ends the build.
    pub(crate) failure: Option<StepId>,
    /// The limit of slots of each machine. `None` is unlimited.
    pub(crate) slots: Option<usize>,
    /// The number of processors of each machine. `None` if the record does not say; the replay is then not limited by them.
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
    /// The number of processors that the build's own work uses in phases in which the builder computes (compression, for example).
    pub(crate) own_demand: f64,
    /// Measured CPU time, in nanoseconds, that neither a segment nor the build's own work demands: the builder's computation besides the
    /// steps. It must fit on the processors together with the rest.
    pub(crate) unassigned_cpu: f64,
    /// The summed length of all segments and of the build's own work as measured, in nanoseconds. A scenario that keeps a share
    /// of it keeps the same share of `unassigned_cpu`.
    pub(crate) measured_length: f64,
    /// The machines that share the steps. `None` if all run on one.
    pub(crate) cluster: Option<Cluster>,
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
        let end = activities.decisive().map(|(_, end)| end);
        let (begin, end) = (begin.unwrap_or(record.wall), end.unwrap_or(record.wall));
        let load = Load::new(activities, cpus);
        let mut tasks: Indexed<StepId, Task> =
            activities.steps().map(|step| task(activities, step, &names, begin, &load)).collect();
        defer(activities, &mut tasks);
        let mut model = Self {
            tasks,
            failure: activities.failure(),
            slots: record.options.jobs.filter(|&jobs| jobs > 0).map(|jobs| jobs as usize),
            cpus,
            chains_first: record.source.tool == Tool::Buildscope,
            locks: names.len(),
            head: own(activities, Nanos::ZERO, begin),
            tail: own(activities, end, record.wall),
            own_demand: 0.0,
            unassigned_cpu: 0.0,
            measured_length: 0.0,
            cluster: None,
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

    /// The same model in fewer segments, for many replays: it takes as long, but cannot be changed by phase.
    pub(super) fn merged(&self) -> Self {
        Self { tasks: self.tasks.iter().map(Task::merged).collect(), ..self.clone() }
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

    /// A lower bound of the wall time: the CPU time of the build, spread evenly over the processors of all machines. A build that fails sooner uses
    /// less of it.
    pub(crate) fn least(&self) -> f64 {
        if self.failure.is_some() {
            return 0.0;
        }
        let kept = if self.measured_length > 0.0 { (self.lengths() / self.measured_length).min(1.0) } else { 0.0 };
        let own = self.unassigned_cpu > 0.0 || self.own_demand > 0.0;
        let machines = self.cluster.as_ref().map_or(1, |cluster| cluster.count) as f64;
        let cpus = self.cpus.filter(|_| own).map(|cpus| cpus * machines);
        cpus.map_or(0.0, |cpus| (self.assigned_cpu() + self.unassigned_cpu * kept) / cpus)
    }

    /// Whether the demand of any step for processors is known.
    pub(crate) fn demands_processors(&self) -> bool {
        self.segments().any(|segment| segment.demand > 0.0)
    }

    /// The number of segments. The time of a replay is proportional to it.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments().count()
    }
}

/// Adds deferred work (a lazy pull, for example). It is charged to the end of its step if every dependent goes through the
/// requester. Otherwise it is all that the step's task does, and what the step did before is a task of its own, which the dependents need that
/// did not wait for the work.
fn defer(activities: &Activities<'_>, tasks: &mut Indexed<StepId, Task>) {
    let mut all: Vec<(StepId, Deferred)> = deferred(activities).into_iter().collect();
    all.sort_unstable_by_key(|(step, _)| *step);
    for (step, work) in all {
        let after = activities.interval(step).map_or(Nanos::ZERO, |interval| interval.end);
        let pieces = activities.pieces(step);
        let late: Vec<&Piece> = pieces.iter().filter(|piece| piece.start >= after).collect();
        let (Some(first), Some(last)) = (late.first(), late.last()) else { continue };
        let time = (first.start, last.end.max(first.start));
        let done =
            WorkSegment { length: work.length.0 as f64, time, phase: Some(first.phase), ..WorkSegment::default() };
        let dependents: Vec<StepId> =
            tasks.indices().filter(|&task| tasks[task].needs.iter().any(|need| need.step == step)).collect();
        if dependents.iter().all(|&task| work.holds(task)) {
            tasks[work.asker].lag += work.delay.0 as f64;
            tasks[step].segments.push(done);
        } else {
            let is_waiter = |task: StepId| task == work.asker || work.others.iter().any(|other| other.step == task);
            let began = |task: StepId| activities.interval(task).is_some_and(|interval| interval.start < time.1);
            let before = tasks.push(tasks[step].clone());
            for task in dependents.into_iter().filter(|&task| began(task) && !is_waiter(task)) {
                let needs = tasks[task].needs.iter_mut().filter(|need| need.step == step);
                needs.for_each(|need| need.step = before);
            }
            // The work begins when the requester is ready for it.
            let mut needs = tasks[work.asker].needs.clone();
            needs.retain(|need| need.step != step);
            needs.push(Need { step: before, kind: EdgeKind::Data });
            let lag = std::mem::replace(&mut tasks[work.asker].lag, work.delay.0 as f64);
            tasks[step] = Task {
                segments: vec![done],
                locks: Vec::new(),
                slot: false,
                lag,
                needs,
                started: time.0.0 as f64,
                ..tasks[step].clone()
            };
            tasks[work.asker].needs.push(Need { step, kind: EdgeKind::Data });
            for other in &work.others {
                tasks[other.step].lag = other.until.saturating_sub(time.1).0 as f64;
            }
        }
        for other in &work.others {
            tasks[other.step].needs.push(Need { step, kind: EdgeKind::Data });
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
    let mut needs: Vec<_> = activities.graph.before(step).iter().copied().filter(|need| met(need.step)).collect();
    let before = needs.iter().filter_map(|need| activities.settled(need.step));
    let queued = activities.waits(step).filter(|wait| wait.kind != WaitKind::Dependency && wait.start < active.start);
    let free = before.chain(queued.map(|wait| wait.end.min(active.start))).max().unwrap_or(begin);
    needs.extend(
        joined(activities, step).filter(|&joined| !met(joined)).map(|step| Need { step, kind: EdgeKind::Data }),
    );
    let segments = segments(activities, step, load);
    let least: f64 = segments.iter().map(|segment| segment.unhindered).sum();
    Task {
        runs: true,
        // A float-to-integer `as` rounds towards zero.
        least: Nanos(least as u64).min(active.length()),
        slot: matches!(described.outcome, Outcome::Executed | Outcome::Failed | Outcome::Cancelled)
            && described.stage.is_some(),
        lag: active.start.saturating_sub(free).0 as f64,
        segments,
        locks: described.locks.iter().map(|lock| names[lock.as_str()]).collect(),
        needs,
        started: active.start.0 as f64,
    }
}

/// The steps of the same build that made the result which this step waited for. Waits for exclusive locks and for deferred work are
/// modelled as such.
fn joined(activities: &Activities<'_>, step: StepId) -> impl Iterator<Item = StepId> {
    let locks = &activities.record.steps[step.index()].locks;
    let waits = activities.inner_waits(step).filter(|wait| wait.kind == WaitKind::Lock);
    waits.filter_map(move |wait| {
        let on = wait.on.filter(|on| *on != step)?;
        let shared = activities.record.steps[on.index()].locks.iter().any(|lock| locks.contains(lock));
        let making =
            activities.interval(on).is_some_and(|interval| interval.start <= wait.start && interval.end > wait.start);
        (making && !shared).then_some(on)
    })
}

/// The interval of a step as segments of one phase each, without the waits for other steps in it. A wait for another build is a segment
/// that uses no processor.
fn segments(activities: &Activities<'_>, step: StepId, load: &Load) -> Vec<WorkSegment> {
    let Some(active) = activities.interval(step) else { return Vec::new() };
    let waits = active_waits(activities, step);
    let locked = waits.iter().rev().find(|wait| wait.kind == WaitKind::Lock).map(|wait| wait.end);
    let process = &load.processes[step];
    let mut found: Vec<WorkSegment> = Vec::new();
    let (mut at, mut taken) = (active.start, locked.is_none());
    let mut add_one = |segment: WorkSegment| {
        let takes = !taken && locked.is_some_and(|locked| segment.time.0 >= locked);
        taken |= takes;
        let continued = |last: &&mut WorkSegment| last.phase == segment.phase && last.demand == segment.demand;
        match found.last_mut().filter(continued).filter(|_| !takes) {
            Some(last) => {
                last.length += segment.length;
                last.unhindered += segment.unhindered;
                last.time.1 = segment.time.1;
            }
            None => found.push(WorkSegment { locks: takes, ..segment }),
        }
    };
    let mut add = |from: Nanos, to: Nanos, phase: Option<Phase>| {
        if from < to && process.is(phase) {
            let parts = process.during(from, to);
            parts.iter().for_each(|part| add_one(process_segment(part, phase, process.migration, load)));
        } else if from < to {
            add_one(segment((from, to), phase, load));
        }
    };
    let pieces = activities.pieces(step);
    let mut spend = |from: Nanos, to: Nanos, pieces: &[Piece]| {
        let mut at = from;
        let first = pieces.partition_point(|piece| piece.end <= from);
        for piece in pieces[first..].iter().take_while(|piece| piece.start < to) {
            add(at, piece.start.max(at), None);
            add(piece.start.max(at), piece.end.min(to), Some(piece.phase));
            at = piece.end.min(to).max(at);
        }
        add(at, to, None);
    };
    for wait in &waits {
        spend(at, wait.start.max(at), &pieces);
        if wait.outside {
            let from = wait.start.max(at);
            spend(from, wait.end, &[Piece { start: from, end: wait.end.max(from), phase: Phase::Lock }]);
        }
        at = at.max(wait.end);
    }
    spend(at, active.end, &pieces);
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

/// The work of a step's process in a part of its time with one demand. `migration` is the share of it that comes from migrations.
fn process_segment(part: &DemandPiece, phase: Option<Phase>, migration: f64, load: &Load) -> WorkSegment {
    let length = load.eased(part.start, part.end, part.demand);
    let unhindered = length.min((part.end.0 - part.start.0) as f64 * part.unhindered);
    let time = (part.start, part.end);
    WorkSegment { length, unhindered, demand: part.demand, migration, time, phase, ..WorkSegment::default() }
}

/// The work of another phase in an interval: its length if it runs alone, and its demand.
fn segment(time: (Nanos, Nanos), phase: Option<Phase>, load: &Load) -> WorkSegment {
    let (from, to) = time;
    let (length, demand) = if kernel(phase) {
        (load.alone(from, to), 0.0)
    } else if computes(phase) {
        (load.eased(from, to, 1.0), if load.cpus.is_some() { 1.0 } else { 0.0 })
    } else {
        ((to.0 - from.0) as f64, 0.0)
    };
    let unhindered = if phase == Some(Phase::Lock) { 0.0 } else { length };
    WorkSegment { length, unhindered, demand, time, phase, kernel: kernel(phase), ..WorkSegment::default() }
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
