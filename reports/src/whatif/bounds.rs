//! Lower bounds of the build's time, from the work of the [model](super::model) without any waits.

use super::model::Model;
use crate::attribute::{Activities, Deferred, deferred, head, nanos, tail, work_until};
use crate::index::{Grouped, Index, Indexed};
use buildscope_record::{EdgeKind, Nanos, StepId, WaitKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The wall time that no schedule can beat, and the wall time that was achieved. The names are those of work-span analysis (Brent
/// 1974).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// T1: the summed length of all steps without any waits: for slots, locks, processors or other builds.
    pub work: Nanos,
    /// T∞: the longest chain of steps that need each other's results, without those waits.
    pub span: Nanos,
    /// The build's own time before the first step and after the last one, which the order of the steps does not change.
    pub outside: Nanos,
    /// P: the limit of slots; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// The largest of `outside + max(T1 / P, T∞, L)` and the CPU time divided by the processors, where L is the summed work under the most
    /// demanded exclusive lock. It is at most `achieved`.
    pub least: Nanos,
    /// The wall time.
    pub achieved: Nanos,
    /// The summed length of all steps with the waits for processors, over the time between the first step's start and the last one's
    /// end: how many steps ran at once on average.
    pub parallelism: f64,
    /// The CPU time of the build, or else of its steps; `None` if neither was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Nanos>,
    /// The CPU time as a share of the capacity of all processors: 1.0 if all were busy all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_use: Option<f64>,
}

/// Computes the bounds of a record. `own` is the working time of each step. Of a failed build, only the steps that lead to the failure
/// count.
///
/// The bound cannot exceed the wall time: a step's least length lies within its interval, a chain has only edges whose first step ended
/// before the second started, or before the second stopped waiting for it, and the slots are at least as many as steps ran at once.
pub(crate) fn bounds(activities: &Activities<'_>, model: &Model, own: &Indexed<StepId, Nanos>) -> Bounds {
    let record = activities.record;
    let achieved = record.wall;
    let outside = nanos(head(activities) + tail(activities)).min(achieved);
    let counts = relevant(activities);
    let later = deferred(activities);
    let lengths = least_lengths(activities, model, &later);
    let all = || activities.steps().filter(|&step| counts[step]);
    let work: Nanos = all().map(|step| lengths[step]).sum();
    // In an imported record, a step that leads to the failure may end after it.
    let span = longest_chain(activities, &lengths, &later, &counts).min(achieved.saturating_sub(outside));
    let slots = record.options.jobs.filter(|&jobs| jobs > 0);
    let share = slots.map_or(Nanos::ZERO, |slots| {
        let slotted: Vec<StepId> = all().filter(|&step| model.tasks[step].slot).collect();
        let total: Nanos = slotted.iter().map(|&step| lengths[step]).sum();
        Nanos(total.0 / u64::from(slots.max(most_at_once(activities, &slotted))))
    });
    let measured: Vec<Nanos> =
        record.steps.iter().filter_map(|step| step.resources).map(|used| used.cpu_user + used.cpu_system).collect();
    let cpu = record.cpu.or_else(|| (!measured.is_empty()).then(|| measured.into_iter().sum::<Nanos>()));
    let cpus = record.host.cpus.filter(|&cpus| cpus > 0);
    let computing = cpu.zip(cpus).filter(|_| model.failure.is_none());
    let computing = computing.map_or(Nanos::ZERO, |(cpu, cpus)| Nanos(cpu.0 / u64::from(cpus)).min(achieved));
    let capacity = cpus.map(|cpus| f64::from(cpus) * achieved.as_secs_f64()).filter(|&capacity| capacity > 0.0);
    // Neither steps that overlap under one lock because of another clock count, nor work after the failure.
    let fits = |length: Nanos| if outside + length <= achieved { length } else { Nanos::ZERO };
    let locked = under_one_lock(model, &counts).max().unwrap_or(Nanos::ZERO);
    let least = (outside + fits(share).max(span).max(fits(locked))).max(computing);
    debug_assert!(least <= achieved, "the bound {least} exceeds the wall time {achieved}");
    Bounds {
        work,
        span,
        outside,
        slots,
        least: least.min(achieved),
        achieved,
        parallelism: ratio(own.iter().copied().sum(), achieved.saturating_sub(outside)),
        cpu,
        cpu_use: cpu.zip(capacity).map(|(cpu, capacity)| cpu.as_secs_f64() / capacity),
    }
}

/// The steps that the end of the build needs: all steps, or if a step failed, that step and its needs.
fn relevant(activities: &Activities<'_>) -> Indexed<StepId, bool> {
    let count = activities.steps().count();
    let Some(failed) = activities.failure() else { return Indexed::filled(true, count) };
    let mut found = Indexed::filled(false, count);
    let mut open = vec![failed];
    while let Some(step) = open.pop() {
        if !std::mem::replace(&mut found[step], true) {
            open.extend(met_needs(activities, step));
            open.extend(waits_within(activities, step).map(|(need, _)| need));
        }
    }
    found
}

/// The steps whose results a step needs, and which existed when it started. Other needs come from a wrong clock.
fn met_needs(activities: &Activities<'_>, step: StepId) -> impl Iterator<Item = StepId> {
    let start = activities.interval(step).map(|interval| interval.start);
    let met = move |need: StepId| start.is_none_or(|start| activities.settled(need).is_some_and(|end| end <= start));
    let needs = activities.graph.before(step).iter().filter(|need| need.kind != EdgeKind::Order);
    needs.map(|need| need.step).filter(move |&need| met(need))
}

/// The steps whose results a step waited for after its own start, each with the end of that wait. Calls of Dagger wait in this way.
fn waits_within(activities: &Activities<'_>, step: StepId) -> impl Iterator<Item = (StepId, Nanos)> {
    let active = activities.interval(step);
    let within = move |at: Nanos| active.is_some_and(|active| active.start < at && at <= active.end);
    let began = move |on: StepId, at: Nanos| activities.interval(on).is_some_and(|on| on.start < at);
    let needed = move |on: StepId| {
        activities.graph.before(step).iter().any(|need| need.step == on && need.kind != EdgeKind::Order)
    };
    let waits = activities.inner_waits(step).filter(|wait| wait.kind == WaitKind::Dependency);
    let found = waits.filter_map(|wait| Some((wait.on?, wait.end)));
    found.filter(move |&(on, until)| within(until) && began(on, until) && needed(on))
}

/// The least length of each step, with deferred work in the step that waited for it.
fn least_lengths(
    activities: &Activities<'_>,
    model: &Model,
    later: &HashMap<StepId, Deferred>,
) -> Indexed<StepId, Nanos> {
    let mut lengths: Indexed<StepId, Nanos> = model.tasks.iter().map(|task| task.least).collect();
    for work in later.values() {
        let most = activities.interval(work.asker).map_or(Nanos::ZERO, |interval| interval.length());
        lengths[work.asker] = (lengths[work.asker] + work.length).min(most);
    }
    lengths
}

fn longest_chain(
    activities: &Activities<'_>,
    lengths: &Indexed<StepId, Nanos>,
    later: &HashMap<StepId, Deferred>,
    counts: &Indexed<StepId, bool>,
) -> Nanos {
    let mut ends: Indexed<StepId, Nanos> = Indexed::filled(Nanos::ZERO, lengths.len());
    let begin = nanos(head(activities));
    // The steps that waited for deferred work which another step had requested, with the work.
    let others: Vec<_> =
        later.iter().flat_map(|(&on, work)| work.others.iter().map(move |other| (other, on, work))).collect();
    let others =
        Grouped::new(lengths.len(), others.iter().map(|&(other, on, work)| (other.step, (*other, on, work.length))));
    for &step in activities.graph.order() {
        let ready = met_needs(activities, step).map(|need| ends[need]).max().unwrap_or(Nanos::ZERO);
        ends[step] = ready + lengths[step];
        let after = |step: StepId, until: Nanos| lengths[step].saturating_sub(work_until(activities, step, until));
        for (on, until) in waits_within(activities, step) {
            // What the other step did after the wait does not count, and the chain is not later than the wait was.
            let waited = ends[on].saturating_sub(after(on, until)).min(until.saturating_sub(begin));
            ends[step] = ends[step].max(waited + after(step, until));
        }
        for &(waiter, on, length) in others.of(step) {
            ends[step] = ends[step].max(ends[on] + length + after(step, waiter.until));
        }
    }
    activities.steps().filter(|&step| counts[step]).map(|step| ends[step]).max().unwrap_or(Nanos::ZERO)
}

/// For each exclusive lock, the summed least length of the work of the steps that held it.
fn under_one_lock(model: &Model, counts: &Indexed<StepId, bool>) -> impl Iterator<Item = Nanos> {
    let holders = |lock: usize| {
        let steps = counts.indices().filter(|&step| counts[step]);
        steps.map(|step| &model.tasks[step]).filter(move |task| task.locks.iter().any(|held| held.index() == lock))
    };
    (0..model.locks).map(move |lock| {
        // A float-to-integer `as` rounds towards zero.
        Nanos(holders(lock).map(|task| task.under_locks() as u64).sum())
    })
}

/// The largest number of these steps that were active at the same time.
fn most_at_once(activities: &Activities<'_>, steps: &[StepId]) -> u32 {
    let intervals = steps.iter().filter_map(|&step| activities.interval(step));
    // At the same instant, ends sort before starts.
    let mut changes: Vec<(Nanos, bool)> =
        intervals.flat_map(|interval| [(interval.start, true), (interval.end, false)]).collect();
    changes.sort_unstable();
    let (mut active, mut most) = (0_u32, 0);
    for (_, starts) in changes {
        active = if starts { active + 1 } else { active.saturating_sub(1) };
        most = most.max(active);
    }
    most
}

fn ratio(part: Nanos, whole: Nanos) -> f64 {
    if whole == Nanos::ZERO { 0.0 } else { part.0 as f64 / whole.0 as f64 }
}
