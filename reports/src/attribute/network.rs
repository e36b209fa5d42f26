//! The steps as an activity network: longest paths, drag and slack of every step at once.
//!
//! Drag (Devaux 1999): how much sooner the end would come if the activity took no time. The textbook finds it
//! by comparing an activity with those parallel to it; here it falls out of one sweep: in topological order, each
//! path from begin to end that avoids a step has exactly one edge that jumps over the step's place, and the longest
//! path over an edge is known from one pass in each direction. The longest path that avoids a step is so the
//! greatest value among the edges that span its place: a heap gives it for all steps in O((V + E) log E).

use super::activity::{Activities, Interval};
use super::deferred::{Deferred, deferred};
use crate::graph::{Grouped, topological};
use buildscope_record::{EdgeKind, Nanos, StepId, WaitKind};
use std::collections::{BinaryHeap, HashMap};

/// An edge between two activities. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The delay between that instant and `to`.
    pub(crate) lag: i128,
    /// How much of `from` comes after the instant that sets `to` free.
    pub(crate) rest: i128,
    /// How much of `to` comes before that instant.
    pub(crate) ahead: i128,
}

/// Activities and what they wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// How long each activity is.
    pub(crate) lengths: Vec<i128>,
    /// How long after the begin each may start, as far as it waits for nobody.
    pub(crate) starts: Vec<i128>,
    /// From the last activity's end to the end of all.
    pub(crate) tail: i128,
    /// What waits for what: without cycles.
    pub(crate) links: Vec<Link>,
}

/// What a network says of its activities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Analysis {
    /// The longest path's length: lags, activities and tail.
    pub(crate) length: i128,
    /// The activities on it, first to last.
    pub(crate) path: Vec<usize>,
    /// By activity: how much shorter all would be if it took no time.
    pub(crate) drag: Vec<i128>,
    /// By activity: how much longer it may take before all becomes longer.
    pub(crate) slack: Vec<i128>,
}

impl Network {
    /// Drops the links from `sure` on if they close a cycle; those before it must not.
    fn break_cycles(&mut self, sure: usize) {
        if self.order().len() < self.lengths.len() {
            self.links.truncate(sure);
        }
    }

    fn order(&self) -> Vec<StepId> {
        let id = |index: usize| StepId(u32::try_from(index).unwrap_or(u32::MAX));
        let after = Grouped::new(self.lengths.len(), self.links.iter().map(|link| (link.from, id(link.to))));
        topological(self.lengths.len(), |step| after.of(step).iter().copied())
    }

    /// Analyses the network.
    pub(crate) fn analyse(&self) -> Analysis {
        let count = self.lengths.len();
        let before = Grouped::new(count, self.links.iter().enumerate().map(|(place, link)| (link.to, place)));
        let after = Grouped::new(count, self.links.iter().enumerate().map(|(place, link)| (link.from, place)));
        let order: Vec<usize> = self.order().into_iter().map(StepId::index).collect();

        // `free`: when an activity may begin, were it of no length; `head`: when it ends; `cause`: through which link.
        let (mut free, mut head, mut cause) = (vec![0; count], vec![0; count], vec![None; count]);
        for &at in &order {
            (free[at], head[at]) = (self.starts[at], self.starts[at] + self.lengths[at]);
            for &place in before.of(at) {
                let link = &self.links[place];
                let arrival = head[link.from] - link.rest + link.lag;
                free[at] = free[at].max(arrival);
                let end = arrival + self.lengths[at] - link.ahead;
                // Of equals the link is preferred: a path should say whom it came from.
                if end >= head[at] {
                    (head[at], cause[at]) = (end, Some(link.from));
                }
            }
        }
        // `leave`: from an activity's end to the end of all; `leave_free`: the same were it of no length.
        let (mut leave, mut leave_free) = (vec![self.tail; count], vec![self.tail; count]);
        for &at in order.iter().rev() {
            for &place in after.of(at) {
                let link = &self.links[place];
                let onward = link.lag + self.lengths[link.to] - link.ahead + leave[link.to];
                leave[at] = leave[at].max(onward - link.rest);
                leave_free[at] = leave_free[at].max(onward);
            }
        }
        let last = order.iter().copied().max_by_key(|&at| head[at]);
        let length = last.map_or(self.tail, |at| head[at] + self.tail);
        let mut path = Vec::new();
        let mut at = last;
        while let Some(activity) = at {
            path.push(activity);
            at = cause[activity];
        }
        path.reverse();

        let avoiding = self.longest_avoiding(&order, &head, &leave);
        let drag = (0..count).map(|at| (length - avoiding[at].max(free[at] + leave_free[at])).max(0)).collect();
        let slack = (0..count).map(|at| (length - head[at] - leave[at]).max(0)).collect();
        Analysis { length, path, drag, slack }
    }

    /// By activity, the longest path that does not go through it.
    fn longest_avoiding(&self, order: &[usize], head: &[i128], leave: &[i128]) -> Vec<i128> {
        let count = order.len();
        let mut place = vec![0; count];
        order.iter().enumerate().for_each(|(position, &at)| place[at] = position);
        // (first place jumped over, first place no longer jumped over, length of the longest path over the edge).
        // The begin stands before all places and leads to each; each leads to the end, which stands after all.
        let mut jumps: Vec<(usize, usize, i128)> = Vec::with_capacity(2 * count + self.links.len());
        for at in 0..count {
            jumps.push((0, place[at], self.starts[at] + self.lengths[at] + leave[at]));
            jumps.push((place[at] + 1, count, head[at] + self.tail));
        }
        jumps.extend(self.links.iter().map(|link| {
            let onward = link.lag + self.lengths[link.to] - link.ahead + leave[link.to];
            (place[link.from] + 1, place[link.to], head[link.from] - link.rest + onward)
        }));
        jumps.sort_unstable_by_key(|&(first, ..)| first);
        let mut avoiding = vec![0; count];
        let (mut next, mut open) = (0, BinaryHeap::new());
        for (position, &at) in order.iter().enumerate() {
            while let Some(&(first, last, length)) = jumps.get(next).filter(|jump| jump.0 <= position) {
                if last > first {
                    open.push((length, last));
                }
                next += 1;
            }
            while open.peek().is_some_and(|&(_, last)| last <= position) {
                open.pop();
            }
            avoiding[at] = open.peek().map_or(0, |&(length, _)| length);
        }
        avoiding
    }
}

/// The network of what happened: data, order, slot and lock, with the delays that were seen. Its length is the wall
/// time.
pub(crate) fn observed(activities: &Activities<'_>) -> Network {
    let wall = activities.record.wall;
    let mut network = Network { tail: tail(activities), ..Network::default() };
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
        let own = Own::new(activities, step, active);
        let after = later.get(&step).map_or(Nanos::ZERO, |work| work.length);
        network.lengths.push(int(own.work_until(active.end) + after));
        let link = |from: StepId, release: Nanos| {
            let source = activities.interval(from).or_else(|| moment(activities.settled(from)?))?;
            let release = release.min(source.end).min(active.end);
            // Released before it began: what was observed contradicts the order, and cannot have held it back.
            let sound = release >= source.start && from != step;
            let work = later.get(&from).filter(|work| !work.holds(step)).map_or(Nanos::ZERO, |work| work.length);
            let (rest, ahead) = (int(source.end.saturating_sub(release) + work), int(own.work_until(release)));
            sound.then_some((release, Link { from: from.index(), to: step.index(), lag: 0, rest, ahead }))
        };
        let mut needs: Vec<_> =
            activities.graph.before(step).iter().filter_map(|&(from, _)| link(from, wall)).collect();
        let mut holds = Vec::new();
        for wait in activities.waits(step).filter(|wait| wait.kind != WaitKind::Dependency) {
            let on = wait.on.filter(|on| on.index() < activities.record.steps.len());
            let joined = on.and_then(|on| later.get(&on)).is_some_and(|work| work.others.contains(&(step, wait.end)));
            holds.extend(on.filter(|_| !joined).and_then(|on| link(on, wait.end)));
        }
        // What was free before the step began held its start back, and the last of them all but for the lag.
        let early = needs.iter().chain(&holds).map(|&(release, _)| release).filter(|&release| release <= active.start);
        let lag = active.start.saturating_sub(early.max().unwrap_or(Nanos::ZERO));
        // What the wait for another's later work took beyond that work.
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

/// What holds those back that waited for a step's later work and were not the first to ask: from the step to the middle of
/// each. As it was seen that work began some time after the step's end; where nothing but needs counts, at once.
fn joins(activities: &Activities<'_>, later: &HashMap<StepId, Deferred>, seen: bool) -> Vec<Link> {
    let mut links = Vec::new();
    for (&step, work) in later {
        let Some(source) = activities.interval(step) else { continue };
        for &(other, until) in &work.others {
            let Some(active) = activities.interval(other) else { continue };
            let ahead = int(Own::new(activities, other, active).work_until(until));
            let lag = if seen { int(until.saturating_sub(source.end + work.length)) } else { 0 };
            links.push(Link { from: step.index(), to: other.index(), lag, rest: 0, ahead });
        }
    }
    links
}

/// The network of what the steps need, with the same lengths: endless slots, no locks, no policy, no delays but the
/// build's own before the first step and after the last.
pub(crate) fn dependency(activities: &Activities<'_>, lengths: &[i128]) -> Network {
    let (head, tail) = (head(activities), tail(activities));
    let mut network = Network { lengths: lengths.to_vec(), tail, ..Network::default() };
    let later = deferred(activities);
    for step in activities.steps() {
        let needs = activities.graph.before(step).iter().filter(|(_, kind)| *kind == EdgeKind::Data);
        let links = network.links.len();
        network.links.extend(needs.map(|&(from, _)| {
            let work = later.get(&from).filter(|work| !work.holds(step)).map_or(Nanos::ZERO, |work| work.length);
            Link { from: from.index(), to: step.index(), lag: 0, rest: int(work), ahead: 0 }
        }));
        network.starts.push(if network.links.len() == links { head } else { 0 });
    }
    let sure = network.links.len();
    network.links.extend(joins(activities, &later, false));
    network.break_cycles(sure);
    network
}

/// From the build's start to the first step's.
pub(crate) fn head(activities: &Activities<'_>) -> i128 {
    let starts = activities.steps().filter_map(|step| activities.interval(step));
    starts.map(|interval| int(interval.start)).min().unwrap_or(0)
}

/// From the last step's end to the build's.
pub(crate) fn tail(activities: &Activities<'_>) -> i128 {
    let ends = activities.steps().filter_map(|step| activities.interval(step));
    int(activities.record.wall) - ends.map(|interval| int(interval.end)).max().unwrap_or(0)
}

fn moment(at: Nanos) -> Option<Interval> {
    Some(Interval { start: at, end: at })
}

fn int(nanos: Nanos) -> i128 {
    nanos.0.into()
}

/// A step's interval without the waits in it.
struct Own {
    active: Interval,
    /// Disjoint and in order.
    waits: Vec<Interval>,
}

impl Own {
    fn new(activities: &Activities<'_>, step: StepId, active: Interval) -> Self {
        let within = activities.waits(step).map(|wait| (wait.start.max(active.start), wait.end.min(active.end)));
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

    /// How much it worked from its start to `at`.
    fn work_until(&self, at: Nanos) -> Nanos {
        let at = at.min(self.active.end);
        let waited: Nanos = self.waits.iter().map(|wait| wait.end.min(at).saturating_sub(wait.start)).sum();
        at.saturating_sub(self.active.start).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(lengths: &[i128], links: &[(usize, usize)]) -> Network {
        let links = links.iter().map(|&(from, to)| Link { from, to, lag: 0, rest: 0, ahead: 0 }).collect();
        Network { lengths: lengths.to_vec(), starts: vec![0; lengths.len()], tail: 0, links }
    }

    #[test]
    fn drag_and_slack_of_a_diamond() {
        // a(2) -> b(5) -> d(1), a -> c(3) -> d: 8 long; without b, a-c-d is 6 long.
        let analysis = network(&[2, 5, 3, 1], &[(0, 1), (0, 2), (1, 3), (2, 3)]).analyse();
        assert_eq!((analysis.length, analysis.path), (8, vec![0, 1, 3]));
        assert_eq!(analysis.drag, [2, 2, 0, 1]);
        assert_eq!(analysis.slack, [0, 0, 2, 0]);
    }

    #[test]
    fn parallel_equals_have_no_drag() {
        let analysis = network(&[4, 4], &[]).analyse();
        assert_eq!((analysis.length, analysis.drag, analysis.slack), (4, vec![0, 0], vec![0, 0]));
    }

    prop_compose! {
        fn networks()(count in 1usize..8)(
            lengths in prop::collection::vec(0i128..20, count),
            starts in prop::collection::vec(0i128..5, count),
            tail in 0i128..5,
            edges in prop::collection::vec((0..count, 0..count, 0i128..3, 0i128..100, 0i128..100), 0..16),
        ) -> Network {
            let links = edges.into_iter().filter(|(a, b, ..)| a != b).map(|(a, b, lag, rest, ahead)| {
                let (from, to) = (a.min(b), a.max(b));
                // Some links are in the middle of their activities, as locks are.
                let part = |of: i128, share: i128| if share < 50 { 0 } else { of * (share - 50) / 50 };
                Link { from, to, lag, rest: part(lengths[from], rest), ahead: part(lengths[to], ahead) }
            }).collect();
            Network { lengths, starts, tail, links }
        }
    }

    proptest! {
        #[test]
        fn drag_is_what_removal_gains(network in networks()) {
            let analysis = network.analyse();
            for at in 0..network.lengths.len() {
                let mut without = network.clone();
                without.lengths[at] = 0;
                for link in &mut without.links {
                    link.rest = if link.from == at { 0 } else { link.rest };
                    link.ahead = if link.to == at { 0 } else { link.ahead };
                }
                let gain = analysis.length - without.analyse().length;
                // A link in a step's middle that leaves before another one enters makes removal longer: no drag.
                prop_assert_eq!(analysis.drag[at], gain.max(0), "step {}", at);
            }
        }

        #[test]
        fn slack_is_how_much_longer_it_may_take(network in networks(), more in 1i128..4) {
            let analysis = network.analyse();
            for at in 0..network.lengths.len() {
                let longer = |by| {
                    let mut network = network.clone();
                    network.lengths[at] += by;
                    network.analyse().length
                };
                if network.links.iter().all(|link| link.rest == 0) {
                    prop_assert_eq!(longer(analysis.slack[at]), analysis.length);
                    prop_assert_eq!(longer(analysis.slack[at] + more), analysis.length + more);
                }
            }
        }
    }
}
