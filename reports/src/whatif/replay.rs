//! Runs a model: a discrete-event simulation with slots, locks and [shared processors](super::share).

use super::model::Model;
use super::share::{Shared, Work};
use super::total::Total;
use crate::graph::topological;
use crate::index::{Grouped, Index, Indexed};
use buildscope_record::StepId;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The result of a replay. Times are nanoseconds since the start of the build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) wall: f64,
    /// By step; `None` for a step that did not run.
    pub(crate) steps: Indexed<StepId, Option<Times>>,
}

/// When a step ran in the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Times {
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// The position of a ready task in the queue for slots: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueueKey {
    /// The number of tasks on the longest chain from the task on; 0 if the builder does not order by chains.
    chain: Reverse<u32>,
    /// When the task became ready; 0 if the builder orders by chains.
    ready: Total,
    /// When the task really started; 0 if the builder orders by chains.
    started: Total,
    task: StepId,
}

/// A task that has its slot, or needs none.
struct Active {
    task: StepId,
    /// The index of the segment that the task is in; `None` before the first, while it lags.
    segment: Option<usize>,
    started: f64,
    /// Whether the task holds its locks.
    holds: bool,
}

/// Runs the model from start to end.
pub(crate) fn replay(model: &Model) -> Replay {
    replay_with(model, &Order::new(model))
}

/// The order in which a model's tasks may run: the same for models that differ only in the work of their tasks.
#[derive(Clone, Debug)]
pub(super) struct Order {
    dependents: Grouped<StepId, StepId>,
    /// By task, [`QueueKey::chain`]; `None` if the builder does not order by chains.
    chains: Option<Indexed<StepId, u32>>,
}

impl Order {
    pub(super) fn new(model: &Model) -> Self {
        let count = model.tasks.len();
        let edges =
            model.tasks.indices().flat_map(|task| model.tasks[task].needs.iter().map(move |need| (need.step, task)));
        let dependents = Grouped::new(count, edges);
        Self { chains: model.chains_first.then(|| chains(count, &dependents)), dependents }
    }
}

/// Runs a model whose order is known.
pub(super) fn replay_with(model: &Model, order: &Order) -> Replay {
    let mut run = Replaying::new(model, order);
    run.settle(model.tasks.indices().filter(|&task| run.needs[task] == 0).collect());
    loop {
        run.start();
        if !run.advance() || model.failure.is_some_and(|failed| run.times[failed].is_some()) {
            break;
        }
    }
    run.stop();
    let tail: f64 = model.tail.iter().map(|work| work.length).sum();
    Replay { wall: (run.shared.now() + tail).max(model.least()), steps: run.times }
}

struct Replaying<'m> {
    model: &'m Model,
    order: &'m Order,
    /// By task: how many of its needs are not met yet.
    needs: Indexed<StepId, u32>,
    /// Tasks that wait for a slot.
    ready: BTreeSet<QueueKey>,
    /// Tasks that are ready and need no slot.
    free: Vec<QueueKey>,
    active: Indexed<StepId, Option<Active>>,
    shared: Shared,
    /// Tasks that have their slot and wait for locks.
    waiting: Vec<Active>,
    /// By lock.
    held: Vec<bool>,
    used_slots: usize,
    times: Indexed<StepId, Option<Times>>,
}

impl<'m> Replaying<'m> {
    fn new(model: &'m Model, order: &'m Order) -> Self {
        let count = model.tasks.len();
        // A fold from 0.0: the sum of nothing is -0.0, which sorts before 0.0.
        let start = model.head.iter().fold(0.0, |sum, work| sum + work.length);
        Self {
            model,
            order,
            needs: model.tasks.iter().map(|task| u32::try_from(task.needs.len()).unwrap_or(u32::MAX)).collect(),
            ready: BTreeSet::new(),
            free: Vec::new(),
            active: model.tasks.iter().map(|_| None).collect(),
            shared: Shared::new(model.cpus, count, start),
            waiting: Vec::new(),
            held: vec![false; model.locks],
            used_slots: 0,
            times: Indexed::filled(None, count),
        }
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
                ready: Total(self.shared.now()),
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
        let mut started = std::mem::take(&mut self.free);
        while self.model.slots.is_none_or(|slots| self.used_slots < slots)
            && let Some(key) = self.ready.pop_first()
        {
            self.used_slots += 1;
            started.push(key);
        }
        started.sort_unstable();
        for QueueKey { task, .. } in started {
            let lag = Work { length: self.model.tasks[task].lag, demand: 0.0, kernel: false };
            self.shared.start(task, lag);
            self.active[task] = Some(Active { task, segment: None, started: self.shared.now(), holds: false });
        }
    }

    /// Advances to the next instant at which something ends. Returns false when nothing is left to end.
    fn advance(&mut self) -> bool {
        let ended = self.shared.advance();
        let any = !ended.is_empty();
        for task in ended {
            if let Some(active) = self.active[task].take() {
                self.proceed(active);
            }
        }
        self.unlock();
        any
    }

    /// Starts the segment that the task has come to.
    fn start_segment(&mut self, active: Active) {
        if let Some(segment) = active.segment.map(|segment| &self.model.tasks[active.task].segments[segment]) {
            let work = Work { length: segment.length, demand: segment.demand, kernel: segment.kernel };
            self.shared.start(active.task, work);
        }
        let task = active.task;
        self.active[task] = Some(active);
    }

    /// A task ended a segment: it starts the next one, waits for its locks before that, or is done.
    fn proceed(&mut self, mut active: Active) {
        let task = &self.model.tasks[active.task];
        if active.segment.is_none() {
            active.started = self.shared.now();
        }
        if active.segment.is_some_and(|segment| task.segments[segment].unlocks) {
            self.release(&mut active);
        }
        let next = active.segment.map_or(0, |segment| segment + 1);
        let Some(segment) = task.segments.get(next) else { return self.finish(active) };
        active.segment = Some(next);
        if segment.locks && self.locked(active.task) {
            return self.waiting.push(active);
        }
        if segment.locks {
            self.take(&mut active);
        }
        self.start_segment(active);
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

    fn finish(&mut self, mut active: Active) {
        self.release(&mut active);
        self.times[active.task] = Some(Times { start: active.started, end: self.shared.now() });
        self.used_slots -= usize::from(self.model.tasks[active.task].slot);
        let mut met = Vec::new();
        self.meet(active.task, &mut met);
        self.settle(met);
    }

    /// Ends the tasks that still run: the failure of another one cancels them.
    fn stop(&mut self) {
        let end = self.shared.now();
        let waiting = self.waiting.drain(..);
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
            self.start_segment(active);
        }
    }
}

/// By task, the number of tasks on the longest chain from it to a task without dependents.
fn chains(count: usize, dependents: &Grouped<StepId, StepId>) -> Indexed<StepId, u32> {
    let mut chains = Indexed::filled(1, count);
    for task in topological(count, dependents).into_iter().rev() {
        chains[task] = 1 + dependents.of(task).iter().map(|&next| chains[next]).max().unwrap_or(0);
    }
    chains
}
