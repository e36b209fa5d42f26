//! Work that shares processors: the task that ends next, and its end.
//!
//! Processors are shared max-min fairly, as the kernel's scheduler does among control groups of equal weight: a task that
//! demands less than the fair share gets its demand, and the others share the rest. Work that the kernel serialises proceeds
//! at the pace of one task, shared by all that do it.
//!
//! All work of a kind proceeds at one pace. Each kind has a clock that runs at that pace, and the end of a task is an instant
//! on that clock, so a change of pace does not change the stored ends. An event thus costs O(log n) for n running tasks
//! instead of O(n).

use super::total::Total;
use crate::index::Indexed;
use buildscope_record::StepId;
use std::collections::BTreeSet;

/// Remaining work below this length, in nanoseconds, counts as done, so that the rounding of `f64` does not keep it alive.
const DONE: f64 = 0.01;

/// Work of one task. Undisturbed, it takes `length` nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskWork {
    pub(super) length: f64,
    /// The number of processors that it demands.
    pub(super) demand: f64,
    /// Whether the kernel serialises it.
    pub(super) kernel: bool,
}

/// The pace at which work proceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WorkPace {
    /// Real time: a second of work takes a second.
    Full,
    /// Shared by all serialised work: real time divided by the number of such tasks.
    Kernel,
    /// The fair share of the processors. The clock counts CPU time, of which each such task gets the same.
    Share,
}

/// The work that ends first.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextEnd {
    pace: WorkPace,
    /// The time until the end, in nanoseconds from now.
    pub(super) after: f64,
}

#[derive(Clone, Copy, Debug)]
struct Going {
    work: TaskWork,
    pace: WorkPace,
    /// The end on the clock of the pace.
    end: f64,
    /// The position in the order of starts.
    order: u64,
}

/// Tasks in the order of a number.
///
/// Few tasks run at a time, and then a sorted list is faster than a tree: it keeps its memory when it is empty. The least is last: it is
/// the one that is removed most often. Inserting into a long list takes too long, so many tasks are in a tree.
#[derive(Clone, Debug)]
enum ByNumber {
    Few(Vec<(Total, StepId)>),
    Many(BTreeSet<(Total, StepId)>),
}

/// The length from which on a list becomes a tree. It does not become a list again.
const MANY: usize = 512;

impl Default for ByNumber {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl ByNumber {
    fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(tree) => tree.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn first(&self) -> Option<&(Total, StepId)> {
        match self {
            Self::Few(list) => list.last(),
            Self::Many(tree) => tree.first(),
        }
    }

    fn last(&self) -> Option<&(Total, StepId)> {
        match self {
            Self::Few(list) => list.first(),
            Self::Many(tree) => tree.last(),
        }
    }

    /// The position of an entry in a list, or where it has to be inserted.
    fn position(list: &[(Total, StepId)], entry: (Total, StepId)) -> Result<usize, usize> {
        list.binary_search_by(|other| entry.cmp(other))
    }

    fn insert(&mut self, entry: (Total, StepId)) {
        match self {
            Self::Few(list) if list.len() == MANY => {
                let mut tree: BTreeSet<_> = list.drain(..).collect();
                tree.insert(entry);
                *self = Self::Many(tree);
            }
            Self::Few(list) => {
                if let Err(position) = Self::position(list, entry) {
                    list.insert(position, entry);
                }
            }
            Self::Many(tree) => {
                tree.insert(entry);
            }
        }
    }

    /// Returns whether the entry existed.
    fn remove(&mut self, entry: (Total, StepId)) -> bool {
        match self {
            Self::Few(list) => Self::position(list, entry).map(|position| list.remove(position)).is_ok(),
            Self::Many(tree) => tree.remove(&entry),
        }
    }

    fn pop_first(&mut self) {
        match self {
            Self::Few(list) => {
                list.pop();
            }
            Self::Many(tree) => {
                tree.pop_first();
            }
        }
    }

    fn pop_last(&mut self) {
        match self {
            Self::Few(list) if !list.is_empty() => {
                list.remove(0);
            }
            Self::Few(_) => {}
            Self::Many(tree) => {
                tree.pop_last();
            }
        }
    }
}

/// The running tasks.
#[derive(Clone)]
pub(super) struct RunningTasks {
    cpus: Option<f64>,
    now: f64,
    kernel: f64,
    share: f64,
    going: Indexed<StepId, Option<Going>>,
    began: u64,
    full_ends: ByNumber,
    kernel_ends: ByNumber,
    share_ends: ByNumber,
    /// Tasks whose demand is fully met, by demand. Tasks without demand are excluded.
    content: ByNumber,
    /// The sum of the demands in `content`.
    wanted: f64,
    /// Tasks that get the fair share, by demand.
    short: ByNumber,
    /// The tasks that [`Self::end`] collects; empty otherwise. It is kept for its memory.
    ending: Vec<(u64, StepId)>,
}

impl RunningTasks {
    /// Shares `cpus` processors (none: unlimited) among up to `tasks` tasks, from the instant `now` on.
    pub(super) fn new(cpus: Option<f64>, tasks: usize, now: f64) -> Self {
        Self {
            cpus,
            now,
            kernel: 0.0,
            share: 0.0,
            going: Indexed::filled(None, tasks),
            began: 0,
            full_ends: ByNumber::default(),
            kernel_ends: ByNumber::default(),
            share_ends: ByNumber::default(),
            content: ByNumber::default(),
            wanted: 0.0,
            short: ByNumber::default(),
            ending: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> f64 {
        self.now
    }

    /// Starts work of a task, which must not have other work running.
    pub(super) fn start(&mut self, task: StepId, work: TaskWork) {
        let pace = if work.kernel { WorkPace::Kernel } else { WorkPace::Full };
        self.going[task] = Some(Going { work, pace, end: 0.0, order: self.began });
        self.began += 1;
        self.enqueue(task, work.length);
        if work.demand > 0.0 && self.cpus.is_some() {
            self.content.insert((Total(work.demand), task));
            self.wanted += work.demand;
        }
    }

    /// The work that ends first; `None` if nothing is running.
    pub(super) fn next_end(&mut self) -> Option<NextEnd> {
        self.divide();
        let (in_kernel, fair) = (self.kernel_ends.len() as f64, self.fair_share());
        let first = |ends: &ByNumber| ends.first().map(|&(end, _)| end.0);
        let next = [
            (WorkPace::Full, first(&self.full_ends).map(|end| end - self.now)),
            (WorkPace::Kernel, first(&self.kernel_ends).map(|end| (end - self.kernel) * in_kernel)),
            (WorkPace::Share, first(&self.share_ends).map(|end| (end - self.share) / fair)),
        ];
        let next = next.into_iter().filter_map(|(pace, after)| Some(NextEnd { pace, after: after?.max(0.0) }));
        next.min_by(|one, other| one.after.total_cmp(&other.after))
    }

    /// Lets `after` nanoseconds pass, in which nothing ends before `next`, the result of [`Self::next_end`]. Adds the tasks whose work
    /// ended to `ended`, in the order of their starts.
    pub(super) fn pass(&mut self, after: f64, next: Option<NextEnd>, ended: &mut Vec<StepId>) {
        self.now += after;
        if !self.kernel_ends.is_empty() {
            self.kernel += after / self.kernel_ends.len() as f64;
        }
        if !self.share_ends.is_empty() {
            self.share += after * self.fair_share();
        }
        self.end(next.filter(|next| next.after <= after).map(|next| next.pace), ended);
    }

    /// The number of processors of each task whose demand is not met.
    fn fair_share(&self) -> f64 {
        match (self.cpus, self.short.len()) {
            (Some(cpus), short) if short > 0 => (cpus - self.wanted) / short as f64,
            _ => f64::INFINITY,
        }
    }

    /// Divides the processors. Each change makes the fair share larger, so a task whose demand is met stays so.
    fn divide(&mut self) {
        let Some(cpus) = self.cpus else { return };
        while let Some(&(demand, task)) = self.content.last()
            && (self.short.is_empty() && self.wanted > cpus || demand.0 > self.fair_share())
        {
            self.content.pop_last();
            self.wanted = if self.content.is_empty() { 0.0 } else { self.wanted - demand.0 };
            self.short.insert((demand, task));
            self.change_pace(task, WorkPace::Share);
        }
        while let Some(&(demand, task)) = self.short.first()
            && demand.0 <= self.fair_share()
        {
            self.change_pace(task, WorkPace::Full);
            self.short.pop_first();
            self.content.insert((demand, task));
            self.wanted += demand.0;
        }
    }

    /// Serialised work demands processors, but always proceeds at the pace of the kernel.
    fn change_pace(&mut self, task: StepId, pace: WorkPace) {
        let Some(going) = self.going[task].filter(|going| going.pace != WorkPace::Kernel) else { return };
        let left = self.left(&going);
        self.ends(going.pace).remove((Total(going.end), task));
        self.going[task] = Some(Going { pace, ..going });
        self.enqueue(task, left);
    }

    fn enqueue(&mut self, task: StepId, left: f64) {
        let Some(mut going) = self.going[task] else { return };
        going.end = match going.pace {
            WorkPace::Full => self.now + left,
            WorkPace::Kernel => self.kernel + left,
            WorkPace::Share => self.share + left * going.work.demand,
        };
        self.ends(going.pace).insert((Total(going.end), task));
        self.going[task] = Some(going);
    }

    /// The remaining length, in nanoseconds of undisturbed work.
    fn left(&self, going: &Going) -> f64 {
        match going.pace {
            WorkPace::Full => going.end - self.now,
            WorkPace::Kernel => going.end - self.kernel,
            WorkPace::Share => (going.end - self.share) / going.work.demand,
        }
        .max(0.0)
    }

    fn ends(&mut self, pace: WorkPace) -> &mut ByNumber {
        match pace {
            WorkPace::Full => &mut self.full_ends,
            WorkPace::Kernel => &mut self.kernel_ends,
            WorkPace::Share => &mut self.share_ends,
        }
    }

    /// Removes the work that is done: the first of that pace, and everything that has ended by now.
    fn end(&mut self, first: Option<WorkPace>, ended: &mut Vec<StepId>) {
        let mut ending = std::mem::take(&mut self.ending);
        ending.extend(first.and_then(|pace| self.end_first(pace, f64::INFINITY)));
        for pace in [WorkPace::Full, WorkPace::Kernel, WorkPace::Share] {
            while let Some(task) = self.end_first(pace, DONE) {
                ending.push(task);
            }
        }
        ending.sort_unstable();
        ended.extend(ending.drain(..).map(|(_, task)| task));
        self.ending = ending;
    }

    /// Removes the first work of that pace if no more than `at_most` is left of it. Returns its position in the order of starts and its
    /// task.
    fn end_first(&mut self, pace: WorkPace, at_most: f64) -> Option<(u64, StepId)> {
        let &(_, task) = self.ends(pace).first()?;
        let going = self.going[task].filter(|going| self.left(going) <= at_most)?;
        self.ends(pace).pop_first();
        self.going[task] = None;
        self.forget(task, going.work.demand);
        Some((going.order, task))
    }

    fn forget(&mut self, task: StepId, demand: f64) {
        let key = (Total(demand), task);
        if self.content.remove(key) {
            // Adding and subtracting demands leaves rounding errors: an empty set has a sum of exactly 0.
            self.wanted = if self.content.is_empty() { 0.0 } else { self.wanted - demand };
        } else {
            self.short.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn work(length: f64, demand: f64, kernel: bool) -> TaskWork {
        TaskWork { length, demand, kernel }
    }

    /// The end of each of these, all started at 0.
    fn ends(cpus: Option<f64>, all: &[TaskWork]) -> Vec<f64> {
        let mut shared = RunningTasks::new(cpus, all.len(), 0.0);
        all.iter().enumerate().for_each(|(task, work)| shared.start(StepId::from_index(task), *work));
        let mut ends = vec![f64::NAN; all.len()];
        loop {
            let Some(next) = shared.next_end() else { return ends };
            let mut ended = Vec::new();
            shared.pass(next.after, Some(next), &mut ended);
            ended.into_iter().for_each(|task| ends[task.index()] = shared.now());
        }
    }

    #[test]
    fn small_demands_are_met_and_the_others_share_the_rest() {
        // Two processors: the task that demands half of one gets it, and the others get three quarters each until one ends at 400. The
        // last then gets one and a half of the two that it demands until 1000, and both from then on.
        let all = [work(1000.0, 0.5, false), work(300.0, 1.0, false), work(900.0, 2.0, false)];
        let ends = ends(Some(2.0), &all);
        assert!((ends[1] - 400.0).abs() < 1e-6, "{ends:?}");
        let left = 900.0 - 400.0 * 0.375 - 600.0 * 0.75;
        assert!((ends[0] - 1000.0).abs() < 1e-6 && (ends[2] - (1000.0 + left)).abs() < 1e-6, "{ends:?}");
    }

    #[test]
    fn the_kernel_does_one_thing_at_a_time() {
        let all = [work(10.0, 0.0, true), work(30.0, 0.0, true), work(100.0, 1.0, false)];
        assert_eq!(ends(None, &all), [20.0, 40.0, 100.0]);
    }

    /// The same by the definition: all paces are computed again at each instant.
    fn by_definition(cpus: Option<f64>, all: &[(f64, TaskWork)]) -> Vec<f64> {
        let (mut now, mut left, mut ends) =
            (0.0f64, all.iter().map(|(_, work)| work.length).collect::<Vec<_>>(), vec![f64::NAN; all.len()]);
        loop {
            let going: Vec<usize> = (0..all.len()).filter(|&one| all[one].0 <= now && ends[one].is_nan()).collect();
            let comes = all.iter().map(|(comes, _)| *comes).filter(|&comes| comes > now).fold(f64::INFINITY, f64::min);
            if going.is_empty() && comes.is_infinite() {
                return ends;
            }
            let mut wants: Vec<f64> = going.iter().map(|&one| all[one].1.demand).filter(|&d| d > 0.0).collect();
            wants.sort_unstable_by(f64::total_cmp);
            let mut fair = f64::INFINITY;
            if let Some(cpus) = cpus.filter(|&cpus| wants.iter().sum::<f64>() > cpus) {
                let mut rest = cpus;
                for (index, demand) in wants.iter().enumerate() {
                    let share = rest / (wants.len() - index) as f64;
                    if *demand >= share {
                        fair = share;
                        break;
                    }
                    rest -= demand;
                }
            }
            let in_kernel = going.iter().filter(|&&one| all[one].1.kernel).count() as f64;
            let speed = |one: usize| match all[one].1 {
                TaskWork { kernel: true, .. } => 1.0 / in_kernel,
                TaskWork { demand, .. } if demand > fair => fair / demand,
                _ => 1.0,
            };
            let next = going.iter().map(|&one| left[one] / speed(one)).fold(comes - now, f64::min);
            now += next;
            for &one in &going {
                left[one] -= next * speed(one);
                if left[one] <= DONE {
                    ends[one] = now;
                }
            }
        }
    }

    #[test]
    fn many_tasks_end_in_the_same_order_as_few() {
        // As many as a list has, more, and so many that a list would be moved a quarter of a billion times.
        for tasks in [MANY as u32, MANY as u32 + 9, 30_000] {
            let mut numbers = ByNumber::default();
            let entries = (0..tasks).map(|number| (Total(f64::from(number * 7 % tasks)), StepId(number)));
            entries.clone().for_each(|entry| numbers.insert(entry));
            assert_eq!(numbers.len(), tasks as usize);
            assert_eq!(numbers.last().map(|last| last.0.0), Some(f64::from(tasks - 1)));
            numbers.pop_last();
            assert!(numbers.remove((Total(0.0), StepId(0))) && !numbers.remove((Total(0.5), StepId(0))));
            let mut before = 0.0;
            while let Some(&(Total(number), _)) = numbers.first() {
                assert!(number > before);
                before = number;
                numbers.pop_first();
            }
            assert!(numbers.is_empty());
        }
    }

    proptest! {
        #[test]
        fn paces_follow_the_definition(
            cpus in prop::option::of(0.5..8.0f64),
            all in prop::collection::vec((0u8..4, 1.0..1000.0f64, prop_oneof![Just(0.0), Just(1.0), 0.01..4.0f64], prop::bool::weighted(0.2)), 1..40),
        ) {
            // Four start together, and others start when one of the running ones ends, as in a replay.
            let mut shared = RunningTasks::new(cpus, all.len(), 0.0);
            let works: Vec<TaskWork> = all.iter().map(|&(_, length, demand, kernel)| work(length, demand, kernel)).collect();
            let (mut begun, mut begins, mut ends) = (0, vec![0.0; all.len()], vec![f64::NAN; all.len()]);
            let begin = |shared: &mut RunningTasks, begun: &mut usize, begins: &mut Vec<f64>, many: usize| {
                for _ in 0..many.min(works.len() - *begun) {
                    begins[*begun] = shared.now();
                    shared.start(StepId::from_index(*begun), works[*begun]);
                    *begun += 1;
                }
            };
            begin(&mut shared, &mut begun, &mut begins, 4);
            while let Some(next) = shared.next_end() {
                let mut ended = Vec::new();
            shared.pass(next.after, Some(next), &mut ended);
                for task in ended.into_iter().map(StepId::index) {
                    ends[task] = shared.now();
                    // Up to three tasks start.
                    begin(&mut shared, &mut begun, &mut begins, usize::from(all[task].0));
                }
            }
            let arrivals: Vec<(f64, TaskWork)> = begins.iter().copied().zip(works.iter().copied()).take(begun).collect();
            for (task, (found, expected)) in ends.iter().zip(by_definition(cpus, &arrivals)).enumerate() {
                prop_assert!((found - expected).abs() <= 0.05 + expected * 1e-6, "{task}: {found} and not {expected}");
            }
        }
    }
}
