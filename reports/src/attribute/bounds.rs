//! How short the build could have been, and how many steps were active, ready or blocked over time.

use super::activity::{Activities, Interval};
use super::network::{self, nanos};
use crate::index::Indexed;
use buildscope_record::{EdgeKind, Nanos, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The wall time that no schedule can beat, and the wall time that was achieved. The names are those of work-span analysis (Brent
/// 1974).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// T1: the summed length of all steps without their waits.
    pub work: Nanos,
    /// T∞: the longest chain of steps that need each other's results.
    pub span: Nanos,
    /// The build's own time before the first step and after the last one, which the order of the steps does not change.
    pub outside: Nanos,
    /// P: the limit of slots; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// `outside + max(T1 / P, T∞)`.
    pub least: Nanos,
    /// The wall time.
    pub achieved: Nanos,
    /// T1 over the time between the first step's start and the last one's end: how many steps ran at once on average.
    pub parallelism: f64,
    /// The CPU time of the build, or else of its steps; `None` if neither was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// The CPU time as a share of the capacity of all processors: 1.0 if all were busy all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_use: Option<f64>,
}

/// Computes the bounds from the lengths of the steps and of the longest path of the dependency network.
pub(crate) fn bounds(activities: &Activities<'_>, lengths: &Indexed<StepId, i128>, dependency: i128) -> Bounds {
    let record = activities.record;
    let outside = network::head(activities) + network::tail(activities);
    let work: i128 = lengths.iter().sum();
    let span = dependency - outside;
    let slots = record.options.jobs.filter(|&jobs| jobs > 0);
    let share = slots.map_or(0, |slots| work / i128::from(slots));
    let achieved = record.wall;
    let between = nanos(i128::from(achieved.0) - outside);
    let measured: Vec<Nanos> =
        record.steps.iter().filter_map(|step| step.resources).map(|used| used.cpu_user + used.cpu_system).collect();
    let cpu = record.cpu.or_else(|| (!measured.is_empty()).then(|| measured.into_iter().sum::<Nanos>()));
    let capacity =
        record.host.cpus.map(|cpus| f64::from(cpus) * achieved.as_secs_f64()).filter(|&capacity| capacity > 0.0);
    Bounds {
        work: nanos(work),
        span: nanos(span),
        outside: nanos(outside),
        slots,
        least: nanos(outside + share.max(span)),
        achieved,
        parallelism: ratio(nanos(work), between),
        cpu,
        cpu_use: cpu.zip(capacity).map(|(cpu, capacity)| cpu.as_secs_f64() / capacity),
    }
}

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
    let mut levels = [(); 4].map(|()| Level::new(interval, count));
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
        let unblocked = if staged { free(|kind| kind == EdgeKind::Data) } else { released };
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

/// How long the step could have run and was delayed only by the order of the policy.
pub(crate) fn held(activities: &Activities<'_>, step: StepId) -> Nanos {
    let staged = activities.record.steps[step.index()].stage.is_some();
    let Some(active) = activities.interval(step).filter(|_| staged) else { return Nanos::ZERO };
    let needs = activities.graph.before(step).iter();
    let data = needs.filter(|need| need.kind == EdgeKind::Data).filter_map(|need| activities.settled(need.step)).max();
    active.start.saturating_sub(data.unwrap_or(Nanos::ZERO).min(active.start))
}

/// A count of steps over time, as step-nanoseconds by interval. Whole intervals are stored as differences, so that adding a step
/// takes constant time.
struct Level {
    interval: u64,
    partial: Vec<i128>,
    changes: Vec<i128>,
}

impl Level {
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

fn ratio(part: Nanos, whole: Nanos) -> f64 {
    if whole == Nanos::ZERO { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}
