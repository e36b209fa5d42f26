//! Runs a model: a discrete-event simulation with slots, locks and processor sharing.
//!
//! Processors are shared max-min fairly among the active tasks, as the kernel's scheduler does among control groups of
//! equal weight: a task that wants less than its fair share gets what it wants, the others share the rest. What the kernel
//! does under one lock (making sandboxes) goes at the pace of one, shared by all who want it.

use super::model::Model;
use std::collections::BTreeSet;

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    /// In nanoseconds.
    pub(crate) wall: f64,
    /// Begin and end of each task that ran.
    pub(crate) steps: Vec<Option<(f64, f64)>>,
}

/// A length below which a stretch is done, in nanoseconds: rounding of `f64` must not keep it alive.
const DONE: f64 = 0.01;

struct Active {
    task: usize,
    /// The stretch that it is in; before the first, it lags.
    stretch: Option<usize>,
    left: f64,
    began: f64,
    /// Whether it has its locks now.
    holds: bool,
}

/// Runs the model from begin to end.
pub(crate) fn replay(model: &Model) -> Replay {
    let mut run = Run::new(model);
    run.settle((0..model.tasks.len()).filter(|&task| run.needs[task] == 0).collect());
    loop {
        run.start();
        if !run.advance() {
            break;
        }
    }
    let tail: f64 = model.tail.iter().map(|(_, length)| length).sum();
    Replay { wall: (run.now + tail).max(model.least()), steps: run.times }
}

struct Run<'m> {
    model: &'m Model,
    now: f64,
    needs: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// How many tasks the longest chain from each one on has; empty where chains do not count.
    heights: Vec<u64>,
    /// Ready for a slot, in the order in which they get one: by the chain behind them, or by readiness and when they
    /// really began.
    ready: BTreeSet<(u64, u64, usize)>,
    active: Vec<Active>,
    /// Waiting, within their slot, for locks.
    waiting: Vec<Active>,
    held: Vec<bool>,
    used: usize,
    times: Vec<Option<(f64, f64)>>,
}

impl<'m> Run<'m> {
    fn new(model: &'m Model) -> Self {
        let mut dependents = vec![Vec::new(); model.tasks.len()];
        for (task, needs) in model.tasks.iter().map(|task| &task.needs).enumerate() {
            needs.iter().for_each(|&(need, _)| dependents[need].push(task));
        }
        let needs: Vec<usize> = model.tasks.iter().map(|task| task.needs.len()).collect();
        Self {
            model,
            heights: if model.chains_first { heights(&dependents, needs.clone()) } else { Vec::new() },
            now: model.head.iter().map(|(_, length)| length).sum(),
            needs,
            dependents,
            ready: BTreeSet::new(),
            active: Vec::new(),
            waiting: Vec::new(),
            held: vec![false; model.locks],
            used: 0,
            times: vec![None; model.tasks.len()],
        }
    }

    /// Tasks whose needs are met queue; those that take no time are done at once.
    fn settle(&mut self, mut met: Vec<usize>) {
        while let Some(task) = met.pop() {
            if self.model.tasks[task].runs {
                // Times are not negative: their bits sort as they do.
                let began = self.model.tasks[task].began.max(0.0);
                self.ready.insert(match self.heights.get(task) {
                    Some(height) => (u64::MAX - height, 0, task),
                    None => (self.now.to_bits(), began.to_bits(), task),
                });
            } else {
                self.meet(task, &mut met);
            }
        }
    }

    fn meet(&mut self, task: usize, met: &mut Vec<usize>) {
        for place in 0..self.dependents[task].len() {
            let dependent = self.dependents[task][place];
            self.needs[dependent] -= 1;
            if self.needs[dependent] == 0 {
                met.push(dependent);
            }
        }
    }

    /// Gives slots to ready tasks.
    fn start(&mut self) {
        let full = |used: usize| self.model.slots.is_some_and(|slots| used >= slots);
        let (mut started, mut used) = (Vec::new(), self.used);
        for &key in &self.ready {
            let slot = self.model.tasks[key.2].slot;
            if slot && full(used) {
                continue;
            }
            used += usize::from(slot);
            started.push(key);
        }
        self.used = used;
        for key in started {
            self.ready.remove(&key);
            let lag = self.model.tasks[key.2].lag;
            self.active.push(Active { task: key.2, stretch: None, left: lag, began: self.now, holds: false });
        }
    }

    /// Goes on to the next instant at which something ends; false when nothing is left to end.
    fn advance(&mut self) -> bool {
        let speeds = self.speeds();
        let next =
            self.active.iter().zip(&speeds).map(|(active, speed)| active.left / speed).fold(f64::INFINITY, f64::min);
        if !next.is_finite() {
            return false;
        }
        self.now += next;
        for (active, speed) in self.active.iter_mut().zip(&speeds) {
            active.left -= next * speed;
        }
        let (ended, going): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.active).into_iter().partition(|active| active.left <= DONE);
        self.active = going;
        ended.into_iter().for_each(|active| self.proceed(active));
        self.unlock();
        true
    }

    /// How fast each active task goes: 1 with all the processors that it wants.
    fn speeds(&self) -> Vec<f64> {
        let demand = |active: &Active| {
            active.stretch.map_or(0.0, |stretch| self.model.tasks[active.task].stretches[stretch].demand)
        };
        let mut demands: Vec<f64> = self.active.iter().map(demand).collect();
        let total: f64 = demands.iter().sum();
        let share = match self.model.cpus.filter(|&cpus| total > cpus) {
            Some(cpus) => fair_share(&demands, cpus),
            None => f64::INFINITY,
        };
        let kernel = |active: &Active| {
            active.stretch.is_some_and(|stretch| self.model.tasks[active.task].stretches[stretch].kernel)
        };
        let in_kernel = self.active.iter().filter(|active| kernel(active)).count();
        for (active, speed) in self.active.iter().zip(&mut demands) {
            *speed = match *speed {
                _ if kernel(active) => 1.0 / in_kernel as f64,
                demand if demand > share => share / demand,
                _ => 1.0,
            };
        }
        demands
    }

    /// A task ended a stretch: it goes on with the next, waits for its locks before it, or is done.
    fn proceed(&mut self, mut active: Active) {
        let task = &self.model.tasks[active.task];
        if active.stretch.is_none() {
            active.began = self.now;
        }
        if active.stretch.is_some_and(|stretch| task.stretches[stretch].unlocks) {
            self.release(&mut active);
        }
        let next = active.stretch.map_or(0, |stretch| stretch + 1);
        let Some(stretch) = task.stretches.get(next) else { return self.finish(active) };
        (active.stretch, active.left) = (Some(next), stretch.length);
        let locked = stretch.locks && task.locks.iter().any(|&lock| self.held[lock]);
        if locked {
            return self.waiting.push(active);
        }
        if stretch.locks {
            self.take(&mut active);
        }
        self.active.push(active);
    }

    fn take(&mut self, active: &mut Active) {
        active.holds = true;
        self.model.tasks[active.task].locks.iter().for_each(|&lock| self.held[lock] = true);
    }

    fn release(&mut self, active: &mut Active) {
        if std::mem::take(&mut active.holds) {
            self.model.tasks[active.task].locks.iter().for_each(|&lock| self.held[lock] = false);
        }
    }

    fn finish(&mut self, mut active: Active) {
        self.release(&mut active);
        self.times[active.task] = Some((active.began, self.now));
        self.used -= usize::from(self.model.tasks[active.task].slot);
        let mut met = Vec::new();
        self.meet(active.task, &mut met);
        self.settle(met);
    }

    /// Gives locks that are free now to those that wait for them.
    fn unlock(&mut self) {
        if self.model.chains_first {
            self.waiting.sort_by_key(|waiting| waiting.task);
        }
        let mut place = 0;
        while let Some(waiting) = self.waiting.get(place) {
            let locks = &self.model.tasks[waiting.task].locks;
            if locks.iter().any(|&lock| self.held[lock]) {
                place += 1;
                continue;
            }
            let mut active = self.waiting.remove(place);
            self.take(&mut active);
            self.active.push(active);
        }
    }
}

/// The number of tasks on the longest chain from each task to one that nobody needs. `needs` are counted down.
fn heights(dependents: &[Vec<usize>], mut needs: Vec<usize>) -> Vec<u64> {
    let mut order: Vec<usize> = (0..needs.len()).filter(|&task| needs[task] == 0).collect();
    let mut place = 0;
    while let Some(&task) = order.get(place) {
        for &next in &dependents[task] {
            needs[next] -= 1;
            if needs[next] == 0 {
                order.push(next);
            }
        }
        place += 1;
    }
    let mut heights = vec![1; dependents.len()];
    for &task in order.iter().rev() {
        heights[task] = 1 + dependents[task].iter().map(|&next| heights[next]).max().unwrap_or(0);
    }
    heights
}

/// The share that those get who want more than it: water-filling.
fn fair_share(demands: &[f64], cpus: f64) -> f64 {
    let mut sorted: Vec<f64> = demands.iter().copied().filter(|&demand| demand > 0.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (mut left, mut count) = (cpus, sorted.len());
    for demand in sorted {
        let share = left / count as f64;
        if demand >= share {
            return share;
        }
        left -= demand;
        count -= 1;
    }
    f64::INFINITY
}
