//! The states of a process over time, in parts of equal length.

use buildscope_record::{Cause, Nanos, Timeline};

/// The state of a process at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Running,
    Runnable,
    Blocked(Cause),
}

/// The letters of [`Timeline::states`], by [`ProcessState::index`].
const LETTERS: [char; 8] = ['c', 'r', 'd', 'n', 'w', 'l', 's', 'u'];
const UNKNOWN: usize = 7;

impl ProcessState {
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

/// The states of a process in equal parts of its time. Long processes have longer parts, so that the number of parts is bounded.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    start: u64,
    every: u64,
    /// The microseconds in each state, for each part.
    parts: Vec<[u32; 8]>,
}

impl Lane {
    const SHORTEST: u64 = 4_000_000;
    const PARTS: usize = 64;

    pub(crate) fn new(start: u64) -> Self {
        Self { start, every: Self::SHORTEST, parts: Vec::new() }
    }

    pub(crate) fn add(&mut self, from: u64, until: u64, state: ProcessState) {
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

    /// The states over time; `None` for a short process. Waits of unknown cause count as waits for `open`.
    pub(crate) fn timeline(&self, open: Cause) -> Option<Timeline> {
        const LONG_ENOUGH: usize = 8;
        let letter = |part: &[u32; 8]| {
            let most = part.iter().enumerate().max_by_key(|&(index, time)| (time, std::cmp::Reverse(index)));
            match most.map_or(UNKNOWN, |(index, _)| index) {
                UNKNOWN => LETTERS[ProcessState::Blocked(open).index()],
                index => LETTERS[index],
            }
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
    fn a_lane_keeps_few_parts_and_the_most_frequent_state() {
        let mut lane = Lane::new(0);
        lane.add(0, 500 * MS, ProcessState::Running);
        lane.add(500 * MS, 1000 * MS, ProcessState::Blocked(Cause::Disk));
        lane.add(1000 * MS, 1020 * MS, ProcessState::Blocked(Cause::Unknown));
        let timeline = lane.timeline(Cause::Lock).unwrap();
        assert_eq!(timeline.every, Nanos(16 * MS));
        assert_eq!(timeline.states.len(), 64);
        assert!(timeline.states.starts_with("cccc") && timeline.states.ends_with("dddl"));
        assert_eq!(Lane::new(0).timeline(Cause::Lock), None);
    }
}
