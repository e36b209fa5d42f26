//! Waits with the step that ended them.
//!
//! Records of earlier versions name a lock and not its holder. An exclusive lock passes from one step to the next, so the holder is the
//! step that acquired it last before the wait ended.

use super::interval::Interval;
use crate::index::Indexed;
use buildscope_record::{Nanos, Phase, Record, StepId, WaitKind};
use std::collections::{BTreeMap, HashMap};

/// A wait for a step, a slot or a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActivityWait {
    pub(crate) kind: WaitKind,
    /// The step of this record that was waited for.
    pub(crate) on: Option<StepId>,
    /// Whether something outside of this build had the lock.
    pub(crate) outside: bool,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
}

/// The waits of a record with their steps, in the order of the record.
pub(crate) fn waits(record: &Record, intervals: &Indexed<StepId, Option<Interval>>) -> Vec<(StepId, ActivityWait)> {
    let acquired = acquisitions(record, intervals);
    let known = record.waits.iter().filter(|wait| !wait.kind.is_leaf() && wait.step.index() < record.steps.len());
    let resolve = |wait: &buildscope_record::Wait| {
        let named = wait.on.filter(|on| on.index() < record.steps.len());
        let lock = (wait.kind == WaitKind::Lock).then_some(wait.name.as_deref());
        let on = named.or_else(|| {
            // A wait without a name may be for any lock of its step.
            let own = record.steps[wait.step.index()].locks.iter().map(String::as_str);
            let locks = own.filter(|own| lock.is_some_and(|lock| lock.is_none_or(|lock| lock == *own)));
            let before = |name: &str| {
                let times = acquired.get(name)?;
                let before = &times[..times.partition_point(|&(at, _)| at < wait.end)];
                before.iter().rev().find(|(_, holder)| *holder != wait.step).copied()
            };
            let (_, holder) = locks.filter_map(before).max()?;
            // A lock that was free before the wait started was held by another build.
            (intervals[holder]?.end > wait.start).then_some(holder)
        });
        let outside = wait.kind == WaitKind::Lock && on.is_none();
        (wait.step, ActivityWait { kind: wait.kind, on, outside, start: wait.start, end: wait.end })
    };
    known.map(resolve).collect()
}

/// The times at which each step acquired each exclusive lock, in order: at the end of its last wait for it, or, without a wait, when its
/// process started.
fn acquisitions<'r>(
    record: &'r Record,
    intervals: &Indexed<StepId, Option<Interval>>,
) -> BTreeMap<&'r str, Vec<(Nanos, StepId)>> {
    let mut found: BTreeMap<&str, Vec<(Nanos, StepId)>> = BTreeMap::new();
    if record.waits.iter().all(|wait| wait.kind != WaitKind::Lock || wait.on.is_some()) {
        return found;
    }
    let mut waited: HashMap<(StepId, &str), Nanos> = HashMap::new();
    for wait in record.waits.iter().filter(|wait| wait.kind == WaitKind::Lock) {
        let own = record.steps.get(wait.step.index()).map_or(&[][..], |step| &step.locks);
        for lock in own.iter().filter(|own| wait.name.as_ref().is_none_or(|name| name == *own)) {
            let end = waited.entry((wait.step, lock)).or_default();
            *end = wait.end.max(*end);
        }
    }
    let mut began: HashMap<StepId, Nanos> = HashMap::new();
    for span in record.spans.iter().filter(|span| span.phase == Phase::Process) {
        if let Some(step) = span.step {
            let start = began.entry(step).or_insert(span.start);
            *start = span.start.min(*start);
        }
    }
    for (step, interval) in record.steps.iter().zip(intervals.iter()) {
        let Some(interval) = interval else { continue };
        for lock in &step.locks {
            let waited = waited.get(&(step.id, lock.as_str())).copied();
            let at = waited.or_else(|| began.get(&step.id).copied()).unwrap_or(interval.start);
            found.entry(lock).or_default().push((at, step.id));
        }
    }
    found.values_mut().for_each(|times| times.sort_unstable());
    found
}
