//! The numbers of steps that were active, ready, held or blocked over time.

use super::activity::Activities;
use super::interval::Interval;
use buildscope_record::{EdgeKind, Nanos, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers of steps by state. A step is, in this order: *blocked* while a result that it needs is missing, *held* while only the
/// order of the policy delays it, *ready* while it could run but has no slot, *active*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Levels {
    /// Steps that run.
    pub active: f64,
    /// Steps that wait for a slot.
    pub ready: f64,
    /// Steps that wait only because of the order of the policy.
    pub held: f64,
    /// Steps that wait for results.
    pub blocked: f64,
}

/// The numbers of steps by state over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parallelism {
    /// Means over the whole build.
    pub mean: Levels,
    /// The length of each interval of `over_time`; the last may be shorter.
    pub interval: Nanos,
    /// Means over consecutive intervals from the build's start.
    pub over_time: Vec<Levels>,
}

/// The number of intervals of [`Parallelism::over_time`].
const INTERVALS: u64 = 200;

/// Computes the numbers of steps by state over time.
pub(crate) fn parallelism(activities: &Activities<'_>) -> Parallelism {
    let wall = activities.record.wall;
    if wall == Nanos::ZERO {
        return Parallelism::default();
    }
    let interval = wall.0.div_ceil(INTERVALS);
    let count = usize::try_from(wall.0.div_ceil(interval)).unwrap_or(0);
    let mut levels = [(); 4].map(|()| StepCount::new(interval, count));
    for step in activities.steps() {
        let Some(active) = activities.interval(step) else { continue };
        let free = |kinds: fn(EdgeKind) -> bool| {
            let needs = activities.graph.before(step).iter().filter(|need| kinds(need.kind));
            let settled = needs.filter_map(|need| activities.settled(need.step)).max();
            settled.unwrap_or(Nanos::ZERO).min(active.start)
        };
        let released = free(|_| true);
        // A policy does not order the builder's own work.
        let staged = activities.record.steps[step.index()].stage.is_some();
        let unblocked = if staged { free(|kind| kind != EdgeKind::Order) } else { released };
        let instants = [Nanos::ZERO, unblocked, released, active.start, active.end];
        for (level, pair) in [3, 2, 1, 0].into_iter().zip(instants.windows(2)) {
            levels[level].add(Interval { start: pair[0], end: pair[1] });
        }
    }
    let [active, ready, held, blocked] = levels.map(|level| level.means(wall));
    let at = |index: usize| Levels {
        active: active.1[index],
        ready: ready.1[index],
        held: held.1[index],
        blocked: blocked.1[index],
    };
    Parallelism {
        mean: Levels { active: active.0, ready: ready.0, held: held.0, blocked: blocked.0 },
        interval: Nanos(interval),
        over_time: (0..count).map(at).collect(),
    }
}

/// The time in which the step could have run and was delayed only by the order of the policy.
pub(crate) fn held(activities: &Activities<'_>, step: StepId) -> Nanos {
    let staged = activities.record.steps[step.index()].stage.is_some();
    let Some(active) = activities.interval(step).filter(|_| staged) else { return Nanos::ZERO };
    let needs = activities.graph.before(step).iter();
    let data = needs.filter(|need| need.kind != EdgeKind::Order).filter_map(|need| activities.settled(need.step)).max();
    active.start.saturating_sub(data.unwrap_or(Nanos::ZERO).min(active.start))
}

/// A count of steps over time, as step-nanoseconds by interval. Whole intervals are stored as differences, so that adding a step
/// takes constant time.
struct StepCount {
    interval: u64,
    partial: Vec<i128>,
    changes: Vec<i128>,
}

impl StepCount {
    fn new(interval: u64, count: usize) -> Self {
        Self { interval, partial: vec![0; count + 1], changes: vec![0; count + 2] }
    }

    fn add(&mut self, time: Interval) {
        let Interval { start, end } = time;
        if start >= end {
            return;
        }
        let whole = i128::from(self.interval);
        let split = |at: Nanos| ((at.0 / self.interval) as usize, i128::from(at.0 % self.interval));
        let ((first, into_first), (last, into_last)) = (split(start), split(end));
        // From the start of `first` to the start of `last`, minus the part before `start`, plus the part before `end`.
        self.changes[first] += whole;
        self.changes[last] -= whole;
        self.partial[first] -= into_first;
        self.partial[last] += into_last;
    }

    /// The mean over the build, and over each interval.
    fn means(self, wall: Nanos) -> (f64, Vec<f64>) {
        let count = self.partial.len() - 1;
        let (mut running, mut total) = (0, 0);
        let mut means = Vec::with_capacity(count);
        for index in 0..count {
            running += self.changes[index];
            let sum = running + self.partial[index];
            total += sum;
            let length = self.interval.min(wall.0 - index as u64 * self.interval);
            means.push(sum as f64 / length as f64);
        }
        (total as f64 / wall.0 as f64, means)
    }
}
