//! Runs a model: a discrete-event simulation with slots, locks and [shared processors](super::share), on one machine or on
//! [several](super::machines).

use super::machines::{Clocks, MachineIndex, MachineUse, Network, Resource, Workers};
use super::model::Model;
use super::order::{Order, QueueKey};
use super::share::TaskWork;
use super::total::Total;
use crate::index::{Index, Indexed};
use buildscope_record::StepId;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The result of a replay. Times are nanoseconds since the start of the build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) wall: f64,
    /// The times of each step; `None` for a step that did not run.
    pub(crate) steps: Indexed<StepId, Option<Times>>,
    /// The machine of each step; `None` for a step without a slot, and if the model has no machines.
    pub(crate) placed: Indexed<StepId, Option<MachineIndex>>,
    /// The use of each machine; empty if the model has no machines.
    pub(crate) uses: Vec<MachineUse>,
}

/// The times of a step in the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// The state of an active task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskState {
    /// It has its slot, and has not started.
    Lag,
    /// It fetches data.
    Fetch,
    /// It waits for data that other tasks fetch.
    Arrival,
    /// Its worker starts.
    Setup,
    /// It is in the segment with that index.
    Work(usize),
    /// It uploads its result.
    Upload,
}

/// A task that has its slot, or needs none.
#[derive(Clone, Copy)]
struct Active {
    task: StepId,
    machine: MachineIndex,
    state: TaskState,
    started: f64,
    /// The time at which its worker had a slot for it.
    entered: f64,
    /// Whether the task holds its locks.
    holds: bool,
}

/// Runs the model from start to end.
pub(crate) fn replay(model: &Model) -> Replay {
    replay_with(model, &Order::new(model))
}

/// Runs a model whose order is known.
pub(super) fn replay_with(model: &Model, order: &Order) -> Replay {
    let mut run = Replaying::new(model, order);
    run.finish_all();
    run.stop();
    let placed = model.tasks.indices().map(|task| run.network.as_ref().and_then(|network| network.machine_of(task)));
    Replay {
        wall: run.wall(),
        placed: placed.collect(),
        uses: run.network.as_ref().map_or_else(Vec::new, Network::usage),
        steps: run.times,
    }
}

/// The wall times of a model if each of these steps, in turn, were cached, in nanoseconds.
///
/// Until a step starts its work, such a replay is the one of the unchanged model. So the unchanged model is replayed once, and from the
/// start of each step's work on, the rest is replayed without it. The model must be of one machine.
pub(super) fn walls_without_each(model: &Model, order: &Order, steps: &[StepId]) -> Vec<f64> {
    debug_assert!(model.cluster.is_none(), "the network of several machines refers to the model");
    let mut positions: Indexed<StepId, Option<usize>> = Indexed::filled(None, model.tasks.len());
    steps.iter().enumerate().for_each(|(position, &step)| positions[step] = Some(position));
    let mut walls = vec![None; steps.len()];
    // One model in which each step in turn is cached: copies of the model would take as long as the replays.
    let mut changed = model.clone();
    let least = model.least();
    let (mut run, mut ended) = (Replaying::new(model, order), Vec::new());
    loop {
        run.start();
        run.clocks.advance(&mut ended);
        for &task in &ended {
            let starts = run.active[task].is_some_and(|active| active.state == TaskState::Lag);
            let Some(position) = positions[task].filter(|_| starts) else { continue };
            let cached = changed.tasks[task].cached();
            let task_before = std::mem::replace(&mut changed.tasks[task], cached);
            let mut other = run.with_model(&changed);
            if other.end_work(&ended) {
                other.finish_all();
            }
            let end = other.end();
            // A cached step demands nothing, so the changed model's least time is at most the unchanged one's.
            walls[position] = Some(if end < least { end.max(changed.least()) } else { end });
            changed.tasks[task] = task_before;
        }
        if !run.end_work(&ended) {
            break;
        }
    }
    // A step that never starts does not change the end.
    walls.into_iter().map(|wall| wall.unwrap_or_else(|| run.wall())).collect()
}

#[derive(Clone)]
struct Replaying<'m> {
    model: &'m Model,
    order: &'m Order,
    /// The number of unmet needs of each task.
    needs: Indexed<StepId, u32>,
    /// Tasks that wait for a slot.
    ready: BTreeSet<QueueKey>,
    /// Tasks that are ready and need no slot.
    free: Vec<QueueKey>,
    active: Indexed<StepId, Option<Active>>,
    clocks: Clocks,
    /// `None` if the model has no machines.
    network: Option<Network<'m>>,
    workers: Workers<Active>,
    /// Tasks that have their slot and wait for locks.
    waiting: Vec<Active>,
    /// Whether each lock is held.
    held: Vec<bool>,
    times: Indexed<StepId, Option<Times>>,
}

impl<'m> Replaying<'m> {
    /// The state at the start. The tasks that need nothing are ready.
    fn new(model: &'m Model, order: &'m Order) -> Self {
        let count = model.tasks.len();
        // A fold from 0.0: the sum of an empty iterator is -0.0, which sorts before 0.0.
        let start = model.head.iter().fold(0.0, |sum, work| sum + work.length);
        let mut run = Self {
            model,
            order,
            needs: model.tasks.iter().map(|task| u32::try_from(task.needs.len()).unwrap_or(u32::MAX)).collect(),
            ready: BTreeSet::new(),
            free: Vec::new(),
            active: model.tasks.iter().map(|_| None).collect(),
            clocks: Clocks::new(model, start),
            network: model.cluster.as_ref().map(|cluster| Network::new(model, cluster)),
            workers: Workers::new(model),
            waiting: Vec::new(),
            held: vec![false; model.locks],
            times: Indexed::filled(None, count),
        };
        run.settle(model.tasks.indices().filter(|&task| run.needs[task] == 0).collect());
        run
    }

    /// A copy of the state that goes on with another model. The models may differ in the work of tasks that have not started it.
    fn with_model<'c>(&self, model: &'c Model) -> Replaying<'c>
    where
        'm: 'c,
    {
        Replaying { model, ..self.clone() }
    }

    /// Runs until nothing is left to run, or the build has failed.
    fn finish_all(&mut self) {
        let mut ended = Vec::new();
        loop {
            self.start();
            self.clocks.advance(&mut ended);
            if !self.end_work(&ended) {
                return;
            }
        }
    }

    /// The end of the build if nothing else runs from now on.
    fn end(&self) -> f64 {
        let tail: f64 = self.model.tail.iter().map(|work| work.length).sum();
        let delivery = self.network.as_ref().filter(|_| self.model.failure.is_none()).map_or(0.0, Network::delivery);
        self.clocks.now() + delivery + tail
    }

    /// The wall time if nothing else runs from now on: not less than its processor time takes.
    fn wall(&self) -> f64 {
        self.end().max(self.model.least())
    }

    /// Queues tasks whose needs are met. Those that take no time end at once.
    fn settle(&mut self, mut met: Vec<StepId>) {
        while let Some(task) = met.pop() {
            if !self.model.tasks[task].runs {
                self.meet(task, &mut met);
            } else if self.model.tasks[task].slot {
                self.ready.insert(self.queue_key(task));
            } else {
                self.free.push(self.queue_key(task));
            }
        }
    }

    fn queue_key(&self, task: StepId) -> QueueKey {
        match &self.order.chains {
            Some(chains) => QueueKey { chain: Reverse(chains[task]), ready: Total(0.0), started: Total(0.0), task },
            None => QueueKey {
                chain: Reverse(0),
                ready: Total(self.clocks.now()),
                started: Total(self.model.tasks[task].started.max(0.0)),
                task,
            },
        }
    }

    /// Counts a task as done for its dependents, and adds those that wait for nothing else to `met`.
    fn meet(&mut self, task: StepId, met: &mut Vec<StepId>) {
        for &dependent in self.order.dependents.of(task) {
            self.needs[dependent] -= 1;
            if self.needs[dependent] == 0 {
                met.push(dependent);
            }
        }
    }

    /// Gives slots to ready tasks.
    fn start(&mut self) {
        if self.free.is_empty() && self.ready.is_empty() {
            return;
        }
        let here = |key: QueueKey| (key, MachineIndex::HERE, 0.0);
        let mut started: Vec<_> = std::mem::take(&mut self.free).into_iter().map(here).collect();
        let mut waiting = Vec::new();
        while self.clocks.any_slot()
            && let Some(key) = self.ready.pop_first()
        {
            let Some(machine) = self.machine_for(key.task) else {
                waiting.push(key);
                continue;
            };
            self.clocks.take_slot(machine);
            let trips = self.network.as_mut().map_or(0.0, |network| network.assign(key.task, machine));
            started.push((key, machine, trips));
        }
        self.ready.extend(waiting);
        started.sort_unstable_by_key(|&(key, ..)| key);
        for (QueueKey { task, .. }, machine, trips) in started {
            let now = self.clocks.now();
            let active = Active { task, machine, state: TaskState::Lag, started: now, entered: now, holds: false };
            self.run(active, Resource::Processors, sleep(self.model.tasks[task].lag + trips));
        }
    }

    /// The machine with a free slot that a task goes to.
    fn machine_for(&self, task: StepId) -> Option<MachineIndex> {
        let free = |machine| self.clocks.has_slot(machine);
        match &self.network {
            Some(network) => network.machine_for(task, free),
            None => Some(MachineIndex::HERE).filter(|&here| free(here)),
        }
    }

    /// Starts the next work of a task.
    fn run(&mut self, active: Active, resource: Resource, work: TaskWork) {
        let task = active.task;
        self.clocks.start(active.machine, resource, task, work);
        self.active[task] = Some(active);
    }

    /// Goes on with the tasks whose work has ended. Returns whether the replay goes on: not if nothing was running, or the build has failed.
    fn end_work(&mut self, ended: &[StepId]) -> bool {
        for &task in ended {
            if let Some(active) = self.active[task].take() {
                self.proceed(active);
            }
        }
        self.unlock();
        !ended.is_empty() && self.model.failure.is_none_or(|failed| self.times[failed].is_none())
    }

    /// A task ended a part of its work: it starts the next one.
    fn proceed(&mut self, mut active: Active) {
        match active.state {
            TaskState::Lag => {
                active.started = self.clocks.now();
                self.fetch(active);
            }
            TaskState::Fetch => self.fetched(active),
            TaskState::Arrival => self.enter(active),
            TaskState::Setup => self.work(active, 0),
            TaskState::Work(segment) => {
                if self.model.tasks[active.task].segments[segment].unlocks {
                    self.release(&mut active);
                }
                self.work(active, segment + 1);
            }
            TaskState::Upload => self.finish(active),
        }
    }

    /// Fetches the data that a task needs, or waits until others have fetched it.
    fn fetch(&mut self, active: Active) {
        let Some(network) = &self.network else { return self.enter(active) };
        match network.fetch_time(active.task) {
            Some(time) => self.run(Active { state: TaskState::Fetch, ..active }, Resource::Download, transfer(time)),
            None if network.waits(active.task) => {
                let task = active.task;
                self.active[task] = Some(Active { state: TaskState::Arrival, ..active });
            }
            None => self.enter(active),
        }
    }

    /// A task has fetched its data: it starts, and so do those that waited for the same data.
    fn fetched(&mut self, active: Active) {
        let task = active.task;
        self.active[task] = Some(Active { state: TaskState::Arrival, ..active });
        let complete = self.network.as_mut().map_or_else(Vec::new, |network| network.fetched(task));
        for task in complete {
            // A task that still lags looks for its data when it starts.
            if self.active[task].as_ref().is_some_and(|active| active.state == TaskState::Arrival)
                && let Some(active) = self.active[task].take()
            {
                self.proceed(active);
            }
        }
    }

    /// A task has its data: it starts when its machine has a slot for it.
    fn enter(&mut self, active: Active) {
        if let Some(active) = self.workers.enter(active.machine, active) {
            self.set_up(active);
        }
    }

    /// Starts the worker of a task.
    fn set_up(&mut self, active: Active) {
        let active = Active { entered: self.clocks.now(), state: TaskState::Setup, ..active };
        match self.model.cluster.as_ref().and_then(|cluster| cluster.step_cost(active.task, active.machine)) {
            Some(cost) => self.run(active, Resource::Processors, cost),
            None => self.work(active, 0),
        }
    }

    /// Starts a segment of a task. Before that, it waits for its locks; after the last one, it is done.
    fn work(&mut self, mut active: Active, segment: usize) {
        active.state = TaskState::Work(segment);
        let task = &self.model.tasks[active.task];
        let Some(next) = task.segments.get(segment) else { return self.upload(active) };
        if next.locks && self.locked(active.task) {
            return self.waiting.push(active);
        }
        if next.locks {
            self.take(&mut active);
        }
        self.start_segment(active, segment);
    }

    fn start_segment(&mut self, active: Active, segment: usize) {
        let segment = &self.model.tasks[active.task].segments[segment];
        let work = TaskWork { length: segment.length, demand: segment.demand, kernel: segment.kernel };
        self.run(active, Resource::Processors, work);
    }

    /// Uploads the result of a task that ran on another machine.
    fn upload(&mut self, mut active: Active) {
        self.release(&mut active);
        match self.network.as_mut().and_then(|network| network.upload_time(active.task)) {
            Some(time) => self.run(Active { state: TaskState::Upload, ..active }, Resource::Upload, transfer(time)),
            None => self.finish(active),
        }
    }

    /// Whether another task holds one of the task's locks.
    fn locked(&self, task: StepId) -> bool {
        self.model.tasks[task].locks.iter().any(|lock| self.held[lock.index()])
    }

    fn take(&mut self, active: &mut Active) {
        active.holds = true;
        self.model.tasks[active.task].locks.iter().for_each(|lock| self.held[lock.index()] = true);
    }

    fn release(&mut self, active: &mut Active) {
        if std::mem::take(&mut active.holds) {
            self.model.tasks[active.task].locks.iter().for_each(|lock| self.held[lock.index()] = false);
        }
    }

    fn finish(&mut self, active: Active) {
        let (start, end) = (active.started, self.clocks.now());
        self.times[active.task] = Some(Times { start, end });
        if let Some(network) = &mut self.network {
            network.ended(active.task, end - start, end - active.entered);
        }
        if let Some(next) = self.workers.leave(active.machine) {
            self.set_up(next);
        }
        if self.model.tasks[active.task].slot {
            self.clocks.free_slot(active.machine);
        }
        let mut met = Vec::new();
        self.meet(active.task, &mut met);
        self.settle(met);
    }

    /// Ends the tasks that still run: the failure of another one cancels them.
    fn stop(&mut self) {
        let end = self.clocks.now();
        let waiting = self.waiting.drain(..).chain(self.workers.drain());
        for active in self.active.iter_mut().filter_map(Option::take).chain(waiting) {
            self.times[active.task] = Some(Times { start: active.started, end });
        }
    }

    /// Gives locks that are free now to the tasks that wait for them.
    fn unlock(&mut self) {
        if self.model.chains_first {
            self.waiting.sort_by_key(|waiting| waiting.task);
        }
        let mut next = 0;
        while let Some(waiting) = self.waiting.get(next) {
            if self.locked(waiting.task) {
                next += 1;
                continue;
            }
            let mut active = self.waiting.remove(next);
            self.take(&mut active);
            if let TaskState::Work(segment) = active.state {
                self.start_segment(active, segment);
            }
        }
    }
}

/// Time in which a task demands no processor.
fn sleep(length: f64) -> TaskWork {
    TaskWork { length, demand: 0.0, kernel: false }
}

/// Data on a link. All concurrent transfers on it together proceed at the pace of one, like work that the kernel serialises.
fn transfer(length: f64) -> TaskWork {
    TaskWork { length, demand: 0.0, kernel: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Need;
    use crate::index::Index;
    use crate::whatif::model::{LockIndex, Task, WorkSegment};
    use buildscope_record::EdgeKind;
    use proptest::prelude::*;

    type Work = (u32, u32, bool);

    /// A task: the mask of the earlier tasks that it needs, its work (length, quarters of processors, serialised), whether it holds one of
    /// two locks, and its lag.
    fn task(number: usize, (needs, work, lock, lag): (u32, Vec<Work>, Option<bool>, u32)) -> Task {
        let needed = (0..number).filter(|need| needs >> need & 1 == 1);
        let segment = |(at, (length, quarters, kernel)): (usize, Work)| WorkSegment {
            length: f64::from(length),
            demand: f64::from(quarters) / 4.0,
            locks: at == 0,
            kernel,
            ..WorkSegment::default()
        };
        Task {
            runs: number % 7 != 6,
            slot: number % 5 != 4,
            lag: f64::from(lag),
            segments: work.into_iter().enumerate().map(segment).collect(),
            locks: lock.into_iter().map(|lock| LockIndex::from_index(usize::from(lock))).collect(),
            needs: needed.map(|need| Need { step: StepId::from_index(need), kind: EdgeKind::Data }).collect(),
            started: f64::from(needs % 50),
            ..Task::default()
        }
    }

    proptest! {
        /// Each rest of a replay ends as the whole replay of the changed model, to the last bit.
        #[test]
        fn a_replay_without_a_step_ends_as_the_whole_one(
            tasks in prop::collection::vec(
                (any::<u32>().prop_map(|mask| mask & mask >> 7 & mask >> 13),
                 prop::collection::vec((0u32..90, 0u32..9, any::<bool>()), 0..4), any::<Option<bool>>(), 0u32..3),
                1..16),
            slots in prop::option::of(1usize..4),
            cpus in prop::option::of(1u32..4),
            chains_first in any::<bool>(),
            failure in prop::option::of(0usize..16),
        ) {
            let tasks: Indexed<StepId, Task> = tasks.into_iter().enumerate().map(|(number, of)| task(number, of)).collect();
            let model = Model {
                failure: failure.filter(|&failed| failed < tasks.len()).map(StepId::from_index),
                tasks, slots, cpus: cpus.map(f64::from), chains_first, locks: 2,
                ..Model::default()
            };
            let order = Order::new(&model);
            let steps: Vec<StepId> = model.tasks.indices().collect();
            for (&step, wall) in steps.iter().zip(walls_without_each(&model, &order, &steps)) {
                let mut changed = model.clone();
                changed.tasks[step] = changed.tasks[step].cached();
                prop_assert_eq!(wall.to_bits(), replay(&changed).wall.to_bits(), "{:?}", step);
            }
        }
    }
}
