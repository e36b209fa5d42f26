//! The steps as an activity network: longest paths, drag and slack of every step at once.
//!
//! Drag (Devaux 1999) is the time by which the end would come earlier if the activity took no time. Textbooks compare an activity with
//! those parallel to it. Here one sweep finds it for all activities. In topological order, each path from the start to the end that avoids
//! an activity has exactly one edge that passes over the activity's position, and the longest path through an edge is known from one pass
//! in each direction. So the longest path that avoids an activity is the maximum over the edges that pass over its position. A heap gives
//! it for all activities in O((V + E) log E).

use super::activity::Activities;
use super::deferred::{Deferred, Waiter, deferred};
use super::holders::ActivityWait;
use super::interval::Interval;
use crate::graph::topological;
use crate::index::{Grouped, Index, Indexed};
use buildscope_record::{EdgeKind, Nanos, StepId, WaitKind};
use std::collections::{BinaryHeap, HashMap};

/// An edge between two activities. Times are nanoseconds; they are signed and wide, because sums of lags and lengths of any
/// record must not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NetworkLink {
    pub(crate) from: StepId,
    pub(crate) to: StepId,
    /// The delay between the instant that releases `to` and the instant at which `to` continues.
    pub(crate) lag: i128,
    /// The part of `from` after the instant that releases `to`.
    pub(crate) rest: i128,
    /// The part of `to` before that instant.
    pub(crate) ahead: i128,
}

/// The index of a link in [`Network::links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkIndex(usize);

impl Index for LinkIndex {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}

/// A length in the form of a record: a negative one becomes zero, one above 64 bits becomes the largest.
pub(crate) fn nanos(length: i128) -> Nanos {
    Nanos(u64::try_from(length.max(0)).unwrap_or(u64::MAX))
}

/// Activities (one for each step) and the links between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// The length of each activity.
    pub(crate) lengths: Indexed<StepId, i128>,
    /// The earliest start of each activity without waits for others, since the start of all.
    pub(crate) starts: Indexed<StepId, i128>,
    /// The time from the end of the last activity to the end of all.
    pub(crate) tail: i128,
    /// The activity whose end is that of all, followed by the tail: the step that failed. By default the last one to end.
    pub(crate) last: Option<StepId>,
    /// The links, without cycles.
    pub(crate) links: Vec<NetworkLink>,
}

/// The length of a path that does not exist. Sums with lengths of any record stay far below zero.
const NO_PATH: i128 = i128::MIN / 4;

/// The paths of a network, with the drag and slack of its activities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathAnalysis {
    /// The length of the longest path: lags, activities and tail.
    pub(crate) length: i128,
    /// The activities on that path, first to last.
    pub(crate) path: Vec<StepId>,
    /// The length by which the longest path would be shorter if the activity took no time.
    pub(crate) drag: Indexed<StepId, i128>,
    /// The time by which the activity may take longer before the longest path becomes longer.
    pub(crate) slack: Indexed<StepId, i128>,
}

/// The longest paths up to each activity.
struct Arrivals {
    /// The earliest end of an activity without a length.
    free: Indexed<StepId, i128>,
    /// The earliest end of an activity.
    head: Indexed<StepId, i128>,
    /// The activity whose link determines `head`.
    cause: Indexed<StepId, Option<StepId>>,
}

/// The longest paths from each activity to the end of all.
struct Departures {
    /// From the activity's end.
    leave: Indexed<StepId, i128>,
    /// From the activity's start, if it had no length.
    leave_free: Indexed<StepId, i128>,
}

/// An edge in the topological order: it passes over the activities between its ends.
struct Jump {
    /// The first position that was skipped.
    first: usize,
    /// The position after the last one passed over.
    end: usize,
    /// The length of the longest path through the edge.
    length: i128,
}

impl Network {
    /// Removes links from index `sure` on that close a cycle. The links before it must have no cycle.
    fn break_cycles(&mut self, sure: usize) {
        if self.order().len() < self.lengths.len() {
            self.links.truncate(sure);
        }
    }

    fn order(&self) -> Vec<StepId> {
        let after = Grouped::new(self.lengths.len(), self.links.iter().map(|link| (link.from, link.to)));
        topological(self.lengths.len(), &after)
    }

    fn grouped(&self, key: impl Fn(&NetworkLink) -> StepId) -> Grouped<StepId, LinkIndex> {
        let links: Vec<_> = self.links.iter().enumerate().map(|(index, link)| (key(link), LinkIndex(index))).collect();
        Grouped::new(self.lengths.len(), links.into_iter())
    }

    fn link(&self, index: LinkIndex) -> &NetworkLink {
        &self.links[index.0]
    }

    /// The time from the instant that releases the link's target to the end of all.
    fn onward(&self, link: &NetworkLink, leave: &Indexed<StepId, i128>) -> i128 {
        link.lag + self.lengths[link.to] - link.ahead + leave[link.to]
    }

    /// Analyses the network.
    pub(crate) fn analyse(&self) -> PathAnalysis {
        let order = self.order();
        let Arrivals { free, head, cause } = self.arrivals(&order);
        let Departures { leave, leave_free } = self.departures(&order);
        let last = self.last.or_else(|| order.iter().copied().max_by_key(|&at| head[at]));
        let length = last.map_or(self.tail, |at| head[at] + self.tail);
        let mut path: Vec<StepId> = std::iter::successors(last, |&at| cause[at]).collect();
        path.reverse();

        let avoiding = self.longest_avoiding(&order, &head, &leave);
        let steps = self.lengths.indices();
        let drag = steps.clone().map(|at| (length - avoiding[at].max(free[at] + leave_free[at])).max(0)).collect();
        // An activity that does not lead to the end may take as long as the whole build, or longer.
        let slack = steps.map(|at| (length - head[at] - leave[at]).clamp(0, length.max(0))).collect();
        PathAnalysis { length, path, drag, slack }
    }

    fn arrivals(&self, order: &[StepId]) -> Arrivals {
        let count = self.lengths.len();
        let before = self.grouped(|link| link.to);
        let mut free = Indexed::filled(0, count);
        let mut head = Indexed::filled(0, count);
        let mut cause = Indexed::filled(None, count);
        for &at in order {
            (free[at], head[at]) = (self.starts[at], self.starts[at] + self.lengths[at]);
            for &index in before.of(at) {
                let link = self.link(index);
                let arrival = head[link.from] - link.rest + link.lag;
                free[at] = free[at].max(arrival);
                let end = arrival + self.lengths[at] - link.ahead;
                // At equal times the link is preferred to the start, so that the path shows its predecessor.
                if end >= head[at] {
                    (head[at], cause[at]) = (end, Some(link.from));
                }
            }
        }
        Arrivals { free, head, cause }
    }

    /// The time from the end of an activity to the end of all, if no other activity comes between.
    fn tail_after(&self, at: StepId) -> i128 {
        if self.last.is_none_or(|last| last == at) { self.tail } else { NO_PATH }
    }

    fn departures(&self, order: &[StepId]) -> Departures {
        let after = self.grouped(|link| link.from);
        let mut leave: Indexed<StepId, i128> = self.lengths.indices().map(|at| self.tail_after(at)).collect();
        let mut leave_free = leave.clone();
        for &at in order.iter().rev() {
            for &index in after.of(at) {
                let link = self.link(index);
                let onward = self.onward(link, &leave);
                leave[at] = leave[at].max(onward - link.rest);
                leave_free[at] = leave_free[at].max(onward);
            }
        }
        Departures { leave, leave_free }
    }

    /// For each activity, the length of the longest path that avoids it.
    fn longest_avoiding(
        &self,
        order: &[StepId],
        head: &Indexed<StepId, i128>,
        leave: &Indexed<StepId, i128>,
    ) -> Indexed<StepId, i128> {
        let count = order.len();
        let mut position = Indexed::filled(0, self.lengths.len());
        order.iter().enumerate().for_each(|(index, &at)| position[at] = index);
        // The start of all comes before every position and leads to each activity; each leads to the end of all, which
        // comes after every position.
        let mut jumps: Vec<Jump> = Vec::with_capacity(2 * count + self.links.len());
        for at in self.lengths.indices() {
            let length = self.starts[at] + self.lengths[at] + leave[at];
            jumps.push(Jump { first: 0, end: position[at], length });
            jumps.push(Jump { first: position[at] + 1, end: count, length: head[at] + self.tail_after(at) });
        }
        jumps.extend(self.links.iter().map(|link| Jump {
            first: position[link.from] + 1,
            end: position[link.to],
            length: head[link.from] - link.rest + self.onward(link, leave),
        }));
        jumps.sort_unstable_by_key(|jump| jump.first);
        let mut avoiding = Indexed::filled(0, self.lengths.len());
        // The longest jump that passes over the current position is on top; jumps that ended are removed when they get to the top.
        let (mut next, mut open) = (0, BinaryHeap::new());
        for (at_position, &at) in order.iter().enumerate() {
            while let Some(jump) = jumps.get(next).filter(|jump| jump.first <= at_position) {
                if jump.end > jump.first {
                    open.push((jump.length, jump.end));
                }
                next += 1;
            }
            while open.peek().is_some_and(|&(_, end)| end <= at_position) {
                open.pop();
            }
            avoiding[at] = open.peek().map_or(0, |&(length, _)| length);
        }
        avoiding
    }
}

/// The observed network, with data, order, slots, locks and the observed delays. Its longest path is as long as the wall time.
pub(crate) fn observed(activities: &Activities<'_>) -> Network {
    let wall = activities.record.wall;
    let mut network = Network { tail: tail(activities), last: activities.failure(), ..Network::default() };
    let mut waits = Vec::new();
    let mut edges = Vec::new();
    let later = deferred(activities);
    let delays: HashMap<StepId, Nanos> = later.values().map(|work| (work.asker, work.delay)).collect();
    for step in activities.steps() {
        let interval = activities.interval(step).or_else(|| moment(activities.settled(step)?));
        let Some(active) = interval else {
            network.lengths.push(0);
            network.starts.push(0);
            continue;
        };
        let own = OwnLinks::new(activities.inner_waits(step), active);
        let after = later.get(&step).map_or(Nanos::ZERO, |work| work.length);
        network.lengths.push(int(own.work_until(active.end) + after));
        let link = |from: StepId, release: Nanos| {
            let source = activities.interval(from).or_else(|| moment(activities.settled(from)?))?;
            let release = release.min(source.end).min(active.end);
            // A release before the start of `from` contradicts the order: it cannot have delayed the step.
            let sound = release >= source.start && from != step;
            let work = later.get(&from).filter(|work| !work.holds(step)).map_or(Nanos::ZERO, |work| work.length);
            let (rest, ahead) = (int(source.end.saturating_sub(release) + work), int(own.work_until(release)));
            sound.then_some((release, NetworkLink { from, to: step, lag: 0, rest, ahead }))
        };
        let mut needs: Vec<_> = activities.graph.before(step).iter().filter_map(|need| link(need.step, wall)).collect();
        let mut holds = Vec::new();
        for wait in activities.inner_waits(step).filter(|wait| wait.kind != WaitKind::Dependency) {
            let on = wait.on;
            let joined = on
                .and_then(|on| later.get(&on))
                .is_some_and(|work| work.others.contains(&Waiter { step, until: wait.end }));
            holds.extend(on.filter(|_| !joined).and_then(|on| link(on, wait.end)));
        }
        // Links that were released before the start of the step delayed the start. After the last of them only the lag remains.
        let early = needs.iter().chain(&holds).map(|&(release, _)| release).filter(|&release| release <= active.start);
        let lag = active.start.saturating_sub(early.max().unwrap_or(Nanos::ZERO));
        // The part of a wait for deferred work that the work itself does not explain.
        let lag = lag + delays.get(&step).copied().unwrap_or(Nanos::ZERO);
        for (release, link) in needs.iter_mut().chain(&mut holds) {
            link.lag = if *release <= active.start { int(lag) } else { 0 };
        }
        network.starts.push(int(lag));
        edges.extend(needs.into_iter().map(|(_, link)| link));
        waits.extend(holds.into_iter().map(|(_, link)| link));
    }
    let sure = edges.len();
    network.links = edges;
    network.links.extend(waits);
    network.links.extend(joins(activities, &later, true));
    network.break_cycles(sure);
    network
}

/// Links to the steps that waited for deferred work without being the first requester: from the step that did the work to the
/// middle of each waiter. With `seen`, the work starts as late as it was observed; otherwise right after the step's end.
fn joins(activities: &Activities<'_>, later: &HashMap<StepId, Deferred>, seen: bool) -> Vec<NetworkLink> {
    let mut links = Vec::new();
    for (&step, work) in later {
        let Some(source) = activities.interval(step) else { continue };
        for &Waiter { step: other, until } in &work.others {
            let Some(active) = activities.interval(other) else { continue };
            let ahead = int(OwnLinks::new(activities.inner_waits(other), active).work_until(until));
            let lag = if seen { int(until.saturating_sub(source.end + work.length)) } else { 0 };
            links.push(NetworkLink { from: step, to: other, lag, rest: 0, ahead });
        }
    }
    links
}

/// The network of dependencies with the same lengths: unlimited slots, no locks, no policy, and no delays except the build's own before the
/// first step and after the last one.
pub(crate) fn dependency(activities: &Activities<'_>, lengths: &Indexed<StepId, i128>) -> Network {
    let (head, tail) = (head(activities), tail(activities));
    let mut network = Network { lengths: lengths.clone(), tail, last: activities.failure(), ..Network::default() };
    let later = deferred(activities);
    for step in activities.steps() {
        let needs = activities.graph.before(step).iter().filter(|need| need.kind == EdgeKind::Data);
        let links = network.links.len();
        network.links.extend(needs.map(|need| {
            let work = later.get(&need.step).filter(|work| !work.holds(step)).map_or(Nanos::ZERO, |work| work.length);
            NetworkLink { from: need.step, to: step, lag: 0, rest: int(work), ahead: 0 }
        }));
        network.starts.push(if network.links.len() == links { head } else { 0 });
    }
    let sure = network.links.len();
    network.links.extend(joins(activities, &later, false));
    network.break_cycles(sure);
    network
}

/// The time from the start of the build to the start of the first step.
pub(crate) fn head(activities: &Activities<'_>) -> i128 {
    let starts = activities.steps().filter_map(|step| activities.interval(step));
    starts.map(|interval| int(interval.start)).min().unwrap_or(0)
}

/// The time from the end of the last step, or of the one that failed, to the end of the build.
pub(crate) fn tail(activities: &Activities<'_>) -> i128 {
    int(activities.record.wall) - activities.decisive().map_or(0, |(_, end)| int(end))
}

/// The working time of a step before an instant: without waits for other steps, slots and locks.
pub(crate) fn work_until(activities: &Activities<'_>, step: StepId, at: Nanos) -> Nanos {
    let active = activities.interval(step);
    active.map_or(Nanos::ZERO, |active| OwnLinks::new(activities.waits(step), active).work_until(at))
}

/// The working time of a step: without waits for other steps, slots and locks, and with its deferred work.
pub(crate) fn own(activities: &Activities<'_>, later: &HashMap<StepId, Deferred>, step: StepId) -> Nanos {
    let after = later.get(&step).map_or(Nanos::ZERO, |work| work.length);
    work_until(activities, step, activities.record.wall) + after
}

fn moment(at: Nanos) -> Option<Interval> {
    Some(Interval { start: at, end: at })
}

fn int(nanos: Nanos) -> i128 {
    nanos.0.into()
}

/// The interval of a step without the waits in it.
struct OwnLinks {
    active: Interval,
    /// The waits, disjoint and in order.
    waits: Vec<Interval>,
}

impl OwnLinks {
    fn new<'w>(waits: impl Iterator<Item = &'w ActivityWait>, active: Interval) -> Self {
        let within = waits.map(|wait| (wait.start.max(active.start), wait.end.min(active.end)));
        let mut within: Vec<_> = within.filter(|(start, end)| start < end).collect();
        within.sort_unstable();
        let mut waits: Vec<Interval> = Vec::new();
        for (start, end) in within {
            match waits.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = last.end.max(end),
                None => waits.push(Interval { start, end }),
            }
        }
        Self { active, waits }
    }

    /// The working time of the step from its start to `at`.
    fn work_until(&self, at: Nanos) -> Nanos {
        let at = at.min(self.active.end);
        let waited: Nanos = self.waits.iter().map(|wait| wait.end.min(at).saturating_sub(wait.start)).sum();
        at.saturating_sub(self.active.start).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests;
