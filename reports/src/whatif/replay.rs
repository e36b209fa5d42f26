//! Runs a model: a discrete-event simulation with slots, locks and [shared processors](super::share).

use super::model::Model;
use super::share::{Shared, Work};
use std::collections::BTreeSet;

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replay {
    /// In nanoseconds.
    pub(crate) wall: f64,
    /// Begin and end of each task that ran.
    pub(crate) steps: Vec<Option<(f64, f64)>>,
}

/// Where a ready task stands in the queue: what counts first, what then, and the task.
type Place = (u64, u64, usize);

/// A task that has its slot, or needs none.
struct Active {
    task: usize,
    /// The stretch that it is in; before the first, it lags.
    stretch: Option<usize>,
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
    Replay { wall: (run.shared.now() + tail).max(model.least()), steps: run.times }
}

struct Run<'m> {
    model: &'m Model,
    needs: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    /// How many tasks the longest chain from each one on has; empty where chains do not count.
    heights: Vec<u64>,
    /// Ready for a slot, in the order in which they get one: by the chain behind them, or by readiness and when they
    /// really began.
    ready: BTreeSet<Place>,
    /// Ready, and in need of no slot.
    free: Vec<Place>,
    /// By task.
    active: Vec<Option<Active>>,
    shared: Shared,
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
            needs,
            dependents,
            ready: BTreeSet::new(),
            free: Vec::new(),
            active: model.tasks.iter().map(|_| None).collect(),
            // A sum of nothing is -0.0, whose bits come after all others.
            shared: Shared::new(
                model.cpus,
                model.tasks.len(),
                model.head.iter().map(|(_, length)| length).sum::<f64>() + 0.0,
            ),
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
                let place = match self.heights.get(task) {
                    Some(height) => (u64::MAX - height, 0, task),
                    None => (self.shared.now().to_bits(), began.to_bits(), task),
                };
                match self.model.tasks[task].slot {
                    true => drop(self.ready.insert(place)),
                    false => self.free.push(place),
                }
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
        let mut started = std::mem::take(&mut self.free);
        while self.model.slots.is_none_or(|slots| self.used < slots)
            && let Some(place) = self.ready.pop_first()
        {
            self.used += 1;
            started.push(place);
        }
        started.sort_unstable();
        for (.., task) in started {
            let lag = Work { length: self.model.tasks[task].lag, demand: 0.0, kernel: false };
            self.shared.begin(task, lag);
            self.active[task] = Some(Active { task, stretch: None, began: self.shared.now(), holds: false });
        }
    }

    /// Goes on to the next instant at which something ends; false when nothing is left to end.
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

    /// Begins with the stretch that the task has come to.
    fn go_on(&mut self, active: Active) {
        if let Some(stretch) = active.stretch.map(|stretch| &self.model.tasks[active.task].stretches[stretch]) {
            let work = Work { length: stretch.length, demand: stretch.demand, kernel: stretch.kernel };
            self.shared.begin(active.task, work);
        }
        let task = active.task;
        self.active[task] = Some(active);
    }

    /// A task ended a stretch: it goes on with the next, waits for its locks before it, or is done.
    fn proceed(&mut self, mut active: Active) {
        let task = &self.model.tasks[active.task];
        if active.stretch.is_none() {
            active.began = self.shared.now();
        }
        if active.stretch.is_some_and(|stretch| task.stretches[stretch].unlocks) {
            self.release(&mut active);
        }
        let next = active.stretch.map_or(0, |stretch| stretch + 1);
        let Some(stretch) = task.stretches.get(next) else { return self.finish(active) };
        active.stretch = Some(next);
        let locked = stretch.locks && task.locks.iter().any(|&lock| self.held[lock]);
        if locked {
            return self.waiting.push(active);
        }
        if stretch.locks {
            self.take(&mut active);
        }
        self.go_on(active);
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
        self.times[active.task] = Some((active.began, self.shared.now()));
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
            self.go_on(active);
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
