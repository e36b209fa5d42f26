//! The flame graph of a step on the page: programs below those that started them, functions and states below programs, each as wide as
//! its time.

use crate::inside::stacks;
use buildscope_record::Processes;
use serde::Serialize;

/// A frame of less than this part of the whole is not drawn.
const LEAST: u64 = 500;

/// The frames of a step, those that are drawn.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Flame(Vec<Frame>);

/// Depth, start, length, name. Start and length are in microseconds of all stacks, one after the other.
type Frame = (usize, u64, u64, String);

impl Flame {
    pub(super) fn of(seen: &Processes) -> Self {
        let stacks = stacks(seen);
        // Stacks with the same beginning have to be neighbours.
        let mut list: Vec<(Vec<&str>, u64)> =
            stacks.iter().map(|(stack, micros)| (stack.split(';').collect(), *micros)).collect();
        list.sort_unstable();
        let (mut frames, mut open, mut at) = (Vec::new(), Vec::<(&str, u64)>::new(), 0);
        for (stack, micros) in &list {
            let same = open.iter().zip(stack).take_while(|((open, _), name)| open == *name).count();
            close(&mut open, same, at, &mut frames);
            open.extend(stack[same..].iter().map(|name| (*name, at)));
            at += micros;
        }
        close(&mut open, 0, at, &mut frames);
        frames.retain(|(_, _, length, _)| length * LEAST >= at && *length > 0);
        frames.sort_unstable();
        Self(frames)
    }
}

/// Ends the open frames from this depth on.
fn close(open: &mut Vec<(&str, u64)>, depth: usize, at: u64, frames: &mut Vec<Frame>) {
    for (number, (name, since)) in open.drain(depth..).enumerate() {
        frames.push((depth + number, since, at - since, name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{Nanos, Observed, Process};

    fn process(program: &str, parent: Option<u32>, millis: u64, waits: u64) -> Process {
        let mut process =
            Process { program: program.into(), parent, end: Nanos(millis * 1_000_000), ..Process::default() };
        process.time.blocked.child = Nanos(waits * 1_000_000);
        process
    }

    #[test]
    fn frames_are_as_wide_as_their_children() {
        let list = vec![
            process("sh", None, 10, 9),
            process("cc", Some(0), 4, 0),
            process("cc", Some(0), 2, 0),
            process("c", Some(0), 3, 0),
        ];
        let seen = Processes { list, ..Processes::of(Observed::Events, Nanos::ZERO, Nanos(10_000_000)) };
        let on = "[on a processor]";
        let expected = [
            (0, 0, 10_000, "sh"),
            (1, 0, 1000, on),
            (1, 1000, 3000, "c"),
            (1, 4000, 6000, "cc"),
            (2, 1000, 3000, on),
            (2, 4000, 6000, on),
        ];
        let expected = expected.map(|(depth, at, length, name)| (depth, at, length, name.to_owned()));
        assert_eq!(Flame::of(&seen), Flame(expected.to_vec()));
    }
}
