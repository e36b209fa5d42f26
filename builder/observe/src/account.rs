//! The account of one program in one process: what it did at each instant, summed.
//!
//! A process is on a processor while one of its threads is, else runnable while one of them could run, else blocked.
//! What it is blocked on is known from a sample that was taken in that interval.

use buildscope_record::{Blocked, Cause, Nanos, ProcessTime, Timeline};

/// What a process does at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Runnable,
    Blocked(Cause),
}

/// The letters of [`Timeline::states`], by [`State::index`].
const LETTERS: [char; 8] = ['c', 'r', 'd', 'n', 'w', 'l', 's', 'u'];

impl State {
    fn index(self) -> usize {
        match self {
            Self::Running => 0,
            Self::Runnable => 1,
            Self::Blocked(cause) => 2 + cause_index(cause),
        }
    }
}

fn cause_index(cause: Cause) -> usize {
    Cause::ALL.iter().position(|&one| one == cause).unwrap_or(Cause::ALL.len() - 1)
}

/// The sums of one program in one process.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Up to when it is summed.
    since: u64,
    /// Threads on a processor, and threads that could be.
    running: u32,
    ready: u32,
    cpu: u64,
    runnable: u64,
    blocked: [u64; 6],
    /// Blocked time in which no sample was taken.
    unresolved: u64,
    /// The last sample: when it was taken, and what the process was blocked on.
    sample: Option<(u64, Cause)>,
    samples: u32,
    /// The number of running children.
    children: u32,
    lane: Lane,
}

impl Account {
    pub(crate) fn new(start: u64, running: u32, ready: u32) -> Self {
        Self {
            since: start,
            running,
            ready,
            cpu: 0,
            runnable: 0,
            blocked: [0; 6],
            unresolved: 0,
            sample: None,
            samples: 0,
            children: 0,
            lane: Lane::new(start),
        }
    }

    /// Sums up to `time`; what changes then is said by the caller after it.
    fn advance(&mut self, time: u64) {
        let length = time.saturating_sub(self.since);
        let state = if self.running > 0 {
            State::Running
        } else if self.ready > 0 {
            self.runnable += length;
            State::Runnable
        } else {
            let sampled = self.sample.filter(|&(at, _)| at <= time);
            if sampled.is_some() {
                self.sample = None;
            }
            let seen = sampled.filter(|&(at, _)| at >= self.since).map(|(_, cause)| cause);
            // Without a sample, a process that has children most probably waits for one of them.
            let cause = seen.or((self.children > 0).then_some(Cause::Child));
            match cause {
                Some(cause) => self.blocked[cause_index(cause)] += length,
                None => self.unresolved += length,
            }
            State::Blocked(cause.unwrap_or(Cause::Unknown))
        };
        self.lane.add(self.since, time, state);
        self.since = self.since.max(time);
    }

    /// A thread changes: how many more are on a processor, and how many more could be.
    pub(crate) fn change(&mut self, time: u64, running: i32, ready: i32) {
        self.advance(time);
        self.running = self.running.saturating_add_signed(running);
        self.ready = self.ready.saturating_add_signed(ready);
    }

    /// It executes a program: one thread is left, on a processor.
    pub(crate) fn settle(&mut self, time: u64) {
        self.advance(time);
        (self.running, self.ready) = (1, 0);
    }

    /// A child is started or ends.
    pub(crate) fn child(&mut self, time: u64, started: bool) {
        self.advance(time);
        self.children = if started { self.children + 1 } else { self.children.saturating_sub(1) };
    }

    /// A thread was on a processor for this long.
    pub(crate) fn ran(&mut self, length: u64) {
        self.cpu += length;
    }

    /// Its time on processors so far, while it waits: else it may have more by now.
    pub(crate) fn cpu_at_rest(&self) -> Option<u64> {
        (self.running == 0 && self.ready == 0).then_some(self.cpu)
    }

    /// The time that its threads were on a processor.
    pub(crate) fn cpu(&self) -> u64 {
        self.cpu
    }

    /// The time that it waited for a processor, by the events.
    pub(crate) fn runnable(&self) -> u64 {
        self.runnable
    }

    /// Adds a sample that was taken at `time`: the process was blocked on this cause.
    pub(crate) fn blocked_on(&mut self, time: u64, cause: Cause) {
        self.sample = Some((time, cause));
        self.samples = self.samples.saturating_add(1);
    }

    /// Whether a sample is worth its cost: the process has been blocked for a while, or often and briefly. A sample costs as much as
    /// some system calls, so the more samples were taken, the longer a wait must be for another one. A process with children most
    /// probably waits for one of them, which events show.
    pub(crate) fn wants_sample(&self, now: u64) -> bool {
        const WHILE: u64 = 1_000_000;
        const LONGEST: u64 = 10_000_000;
        const OFTEN: u64 = 2_000_000;
        if self.running > 0 || self.ready > 0 {
            return self.unresolved > OFTEN && self.unresolved * 20 > self.blocked.iter().sum::<u64>();
        }
        let patience = if self.children > 0 { LONGEST } else { (WHILE << (self.samples / 32).min(4)).min(LONGEST) };
        now.saturating_sub(self.since) > patience && self.sample.is_none_or(|(at, _)| at < self.since)
    }

    /// Some of the time that seems blocked was spent waiting for a processor after the wait was over: the kernel's own sum of
    /// all such times is larger than what context switches show.
    fn corrected(&self, delayed: Option<u64>) -> (u64, [u64; 6], u64) {
        let late = delayed.unwrap_or(0).saturating_sub(self.runnable);
        let all = self.blocked.iter().sum::<u64>() + self.unresolved;
        let late = late.min(all);
        let rest = |part: u64| part - (u128::from(part) * u128::from(late)).checked_div(all.into()).unwrap_or(0) as u64;
        let (blocked, unresolved) = (self.blocked.map(rest), rest(self.unresolved));
        let moved = all - blocked.iter().sum::<u64>() - unresolved;
        (self.runnable + moved, blocked, unresolved)
    }

    /// The account at its end. `delayed` is what the kernel says of all times it waited for a processor, where known.
    pub(crate) fn end(&mut self, time: u64, delayed: Option<u64>) -> ProcessTime {
        self.advance(time);
        let (runnable, blocked, unresolved) = self.corrected(delayed);
        ProcessTime {
            cpu: Nanos(self.cpu),
            runnable: Nanos(runnable),
            blocked: resolve(blocked, unresolved),
            ..ProcessTime::default()
        }
    }

    /// Whether it has running children.
    pub(crate) fn has_children(&self) -> bool {
        self.children > 0
    }

    /// The states over time, for a process that was long enough. Waits without a sample count as the most frequent kind.
    pub(crate) fn timeline(&self, blocked: Blocked) -> Option<Timeline> {
        let known = Cause::ALL.into_iter().filter(|&cause| cause != Cause::Child);
        let most = known.max_by_key(|&cause| blocked[cause]).unwrap_or(Cause::Unknown);
        let mut timeline = self.lane.timeline()?;
        timeline.states = timeline.states.replace(LETTERS[7], &LETTERS[State::Blocked(most).index()].to_string());
        Some(timeline)
    }
}

/// Divides the waits without a sample in proportion to those with one.
fn resolve(blocked: [u64; 6], unresolved: u64) -> Blocked {
    let mut resolved = Blocked::default();
    for (cause, part) in Cause::ALL.into_iter().zip(blocked) {
        resolved[cause] = Nanos(part);
    }
    // Waits for children are known without a sample.
    let seen: u64 = blocked.iter().sum::<u64>() - blocked[cause_index(Cause::Child)];
    if seen == 0 {
        resolved.unknown += Nanos(unresolved);
        return resolved;
    }
    let mut left = unresolved;
    for cause in Cause::ALL.into_iter().filter(|&cause| cause != Cause::Child) {
        let part = (u128::from(unresolved) * u128::from(blocked[cause_index(cause)]) / u128::from(seen)) as u64;
        resolved[cause] += Nanos(part);
        left -= part;
    }
    resolved.unknown += Nanos(left);
    resolved
}

/// What a process did in equal parts of its time. Long processes have longer parts, so that the number of parts is bounded.
#[derive(Clone, Debug)]
struct Lane {
    start: u64,
    every: u64,
    /// Microseconds in each state.
    parts: Vec<[u32; 8]>,
}

impl Lane {
    const SHORTEST: u64 = 4_000_000;
    const PARTS: usize = 64;

    fn new(start: u64) -> Self {
        Self { start, every: Self::SHORTEST, parts: Vec::new() }
    }

    fn add(&mut self, from: u64, until: u64, state: State) {
        let (mut from, until) = (from.max(self.start), until);
        while until.saturating_sub(self.start) > self.every * Self::PARTS as u64 {
            self.every *= 2;
            self.parts = self
                .parts
                .chunks(2)
                .map(|pair| std::array::from_fn(|state| pair.iter().map(|part| part[state]).sum()))
                .collect();
        }
        while from < until {
            let part = ((from - self.start) / self.every) as usize;
            let end = until.min(self.start + (part as u64 + 1) * self.every);
            if self.parts.len() <= part {
                self.parts.resize(part + 1, [0; 8]);
            }
            self.parts[part][state.index()] += ((end - from) / 1000) as u32;
            from = end;
        }
    }

    fn timeline(&self) -> Option<Timeline> {
        const LONG_ENOUGH: usize = 8;
        let letter = |part: &[u32; 8]| {
            let most = part.iter().enumerate().max_by_key(|&(index, time)| (time, std::cmp::Reverse(index)));
            most.map_or('u', |(index, _)| LETTERS[index])
        };
        (self.parts.len() >= LONG_ENOUGH)
            .then(|| Timeline { every: Nanos(self.every), states: self.parts.iter().map(letter).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn each_instant_counts_once() {
        let mut account = Account::new(0, 0, 1);
        account.change(MS, 1, -1);
        account.ran(4 * MS);
        account.change(5 * MS, -1, 0);
        account.blocked_on(7 * MS, Cause::Network);
        account.change(15 * MS, 1, 0);
        account.ran(MS);
        account.change(16 * MS, -1, 1);
        let time = account.end(20 * MS, None);
        assert_eq!(time.cpu, Nanos(5 * MS));
        assert_eq!(time.runnable, Nanos(5 * MS));
        assert_eq!(time.blocked, Blocked { network: Nanos(10 * MS), ..Blocked::default() });
    }

    #[test]
    fn a_sample_counts_only_for_the_wait_in_which_it_was_taken() {
        let mut account = Account::new(0, 0, 0);
        account.blocked_on(12 * MS, Cause::Disk);
        account.change(10 * MS, 1, 0);
        account.change(11 * MS, -1, 0);
        // The sample was taken in this wait. The first wait had ended.
        account.change(13 * MS, 1, 0);
        let time = account.end(13 * MS, None);
        // 10 ms of unknown waits are then taken for waits of the known kind.
        assert_eq!(time.blocked.disk, Nanos(12 * MS));
        assert_eq!(resolve([0; 6], 10 * MS).unknown, Nanos(10 * MS));
    }

    #[test]
    fn unobserved_waits_with_children_are_for_the_children() {
        let mut account = Account::new(0, 0, 0);
        account.child(0, true);
        account.child(5 * MS, false);
        let time = account.end(6 * MS, None);
        assert_eq!((time.blocked.child, time.blocked.unknown), (Nanos(5 * MS), Nanos(MS)));
    }

    #[test]
    fn waking_up_late_is_waiting_for_a_processor() {
        let mut account = Account::new(0, 0, 0);
        account.blocked_on(MS, Cause::Sleep);
        account.change(10 * MS, 1, 0);
        let time = account.end(10 * MS, Some(3 * MS));
        assert_eq!((time.runnable, time.blocked.sleep), (Nanos(3 * MS), Nanos(7 * MS)));
    }

    #[test]
    fn a_lane_keeps_few_parts_and_the_most_frequent_state() {
        let mut lane = Lane::new(0);
        lane.add(0, 500 * MS, State::Running);
        lane.add(500 * MS, 1000 * MS, State::Blocked(Cause::Disk));
        let timeline = lane.timeline().unwrap();
        assert_eq!(timeline.every, Nanos(16 * MS));
        assert_eq!(timeline.states.len(), 63);
        assert!(timeline.states.starts_with("cccc") && timeline.states.ends_with("dddd"));
        assert_eq!(Lane::new(0).timeline(), None);
    }
}
