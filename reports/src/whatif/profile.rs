//! The demand of a step for processors over its time, from what its processes did.
//!
//! *Takes* the observed processes. *Gives* pieces of the step's time, each with one demand. *Must never know* what a replay does with them.
//!
//! A step that sleeps for a second and computes for another one does not use half a processor for two seconds: what it leaves to other steps,
//! and what it takes from them, depends on the time.

use buildscope_record::{Nanos, Process, Processes, Timeline};

/// What the processes of a step did in a part of its time, as numbers of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Activity {
    /// On a processor.
    pub(super) running: f64,
    /// Waiting for a processor.
    pub(super) runnable: f64,
}

/// A part of a step's time with one activity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ActivePiece {
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) activity: Activity,
}

/// Shorter pieces than one of this many parts of the step are joined with their neighbours.
const SHORTEST: u64 = 256;

/// Pieces are joined where that moves less processor time than one of this many parts of the step.
const EXACT: f64 = 200.0;

/// The times of the step from the start of its program to its end, at most `most` of them, in order and without gaps.
pub(super) fn pieces(seen: &Processes, most: usize) -> Vec<ActivePiece> {
    let (start, end) = (seen.start, seen.end.max(seen.start));
    let length = (end - start).0;
    let mut found = short_joined(&changes(seen, length), (start, end));
    let moved = |one: &ActivePiece, next: &ActivePiece| {
        let [first, second] = [one, next].map(|piece| (piece.end.0 - piece.start.0) as f64);
        let apart = (one.activity.running - next.activity.running).abs()
            + (one.activity.runnable - next.activity.runnable).abs();
        apart * first * second / (first + second).max(1.0)
    };
    loop {
        let costs = found.windows(2).map(|pair| moved(&pair[0], &pair[1]));
        let Some((at, cost)) = costs.enumerate().min_by(|one, other| one.1.total_cmp(&other.1)) else { break };
        if found.len() <= most.max(1) && cost * EXACT > length as f64 {
            break;
        }
        let next = found.remove(at + 1);
        found[at] = joined(&found[at], &next);
    }
    found
}

fn joined(one: &ActivePiece, next: &ActivePiece) -> ActivePiece {
    let [first, second] = [one, next].map(|piece| (piece.end.0 - piece.start.0) as f64);
    let mean = |one: f64, next: f64| (one * first + next * second) / (first + second).max(1.0);
    let activity = Activity {
        running: mean(one.activity.running, next.activity.running),
        runnable: mean(one.activity.runnable, next.activity.runnable),
    };
    ActivePiece { start: one.start, end: next.end, activity }
}

/// A change of the activity at an instant.
type Change = (Nanos, Activity);

/// The changes of the activity, in the order of time.
fn changes(seen: &Processes, length: u64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut add = |from: Nanos, to: Nanos, running: f64, runnable: f64| {
        let (from, to, whole) = (from.max(seen.start), to.min(seen.end), (to.0.saturating_sub(from.0)) as f64);
        if from < to && running + runnable > 0.0 {
            let activity = Activity { running: running / whole, runnable: runnable / whole };
            changes.push((from, activity));
            changes.push((to, Activity { running: -activity.running, runnable: -activity.runnable }));
        }
    };
    for process in &seen.list {
        let (running, runnable) = (process.time.cpu.0 as f64, process.time.runnable.0 as f64);
        match process.timeline.as_ref().filter(|_| process.duration().0 > length / 64) {
            Some(timeline) => {
                for (from, to, share) in spread(process, timeline) {
                    add(from, to, running * share[0], runnable * share[1]);
                }
            }
            None => add(process.start, process.end, running, runnable),
        }
    }
    for total in &seen.folded {
        add(total.start, total.end, total.time.cpu.0 as f64, total.time.runnable.0 as f64);
    }
    changes.sort_by_key(|&(at, _)| at);
    changes
}

/// The parts of a process's time in which its timeline shows one state, with the part's share of the time on a processor, and of the waits
/// for one.
fn spread(process: &Process, timeline: &Timeline) -> Vec<(Nanos, Nanos, [f64; 2])> {
    let mut parts: Vec<(Nanos, Nanos, char)> = Vec::new();
    for (number, letter) in (0..).zip(timeline.states.chars()) {
        let from = process.start + Nanos(timeline.every.0.saturating_mul(number));
        let to = (from + timeline.every).min(process.end);
        match parts.last_mut().filter(|last| last.2 == letter) {
            Some(last) => last.1 = to,
            None if from < to => parts.push((from, to, letter)),
            None => {}
        }
    }
    let time = |letter: Option<char>| -> f64 {
        let of = parts.iter().filter(|part| letter.is_none_or(|letter| part.2 == letter));
        of.map(|part| (part.1.0 - part.0.0) as f64).sum()
    };
    let all = time(None);
    // The time of a state is in the parts that show it, and the rest of it evenly in the others.
    let shares = |letter: char, whole: Nanos| {
        let (whole, shown) = (whole.0 as f64, time(Some(letter)));
        let inside = if all <= shown || whole <= shown { 1.0 } else { shown / whole };
        let inside = if shown > 0.0 { inside } else { 0.0 };
        move |part: &(Nanos, Nanos, char)| {
            let length = (part.1.0 - part.0.0) as f64;
            if part.2 == letter { inside * length / shown } else { (1.0 - inside) * length / (all - shown).max(1.0) }
        }
    };
    let (running, runnable) = (shares('c', process.running()), shares('r', process.time.runnable));
    parts.iter().map(|part| (part.0, part.1, [running(part), runnable(part)])).collect()
}

/// The pieces between the changes; several short ones become one.
fn short_joined(changes: &[Change], (start, end): (Nanos, Nanos)) -> Vec<ActivePiece> {
    let least = ((end - start).0 / SHORTEST).max(1);
    let mut found: Vec<ActivePiece> = Vec::new();
    let mut short: Option<ActivePiece> = None;
    let (mut at, mut activity) = (start, Activity::default());
    for (next, change) in changes.iter().copied().chain([(end, Activity::default())]) {
        if next > at {
            // The sum of what was added and taken away again is not exactly zero.
            let none_below = |number: f64| if number < 1e-9 { 0.0 } else { number };
            let activity = Activity { running: none_below(activity.running), runnable: none_below(activity.runnable) };
            let piece = ActivePiece { start: at, end: next, activity };
            if (next - at).0 < least {
                let all = short.take().map_or(piece, |before| joined(&before, &piece));
                if (all.end - all.start).0 < least { short = Some(all) } else { found.push(all) }
            } else {
                found.extend(short.take());
                found.push(piece);
            }
            at = next;
        }
        activity.running += change.running;
        activity.runnable += change.runnable;
    }
    found.extend(short);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::{Folded, Observed, ProcessTime};

    const MS: u64 = 1_000_000;

    fn process(from: u64, to: u64, cpu: u64, runnable: u64) -> Process {
        let time = ProcessTime { cpu: Nanos(cpu * MS), runnable: Nanos(runnable * MS), ..ProcessTime::default() };
        Process { start: Nanos(from * MS), end: Nanos(to * MS), time, threads: 1, ..Process::default() }
    }

    /// The pieces in milliseconds, with the numbers of running and of waiting processes in hundredths.
    fn shown(list: Vec<Process>, end: u64, most: usize) -> Vec<(u64, u64, u64, u64)> {
        let seen = Processes { list, ..Processes::of(Observed::Events, Nanos(0), Nanos(end * MS)) };
        let hundredths = |number: f64| (number * 100.0).round() as u64;
        let shown = |piece: &ActivePiece| {
            let Activity { running, runnable } = piece.activity;
            (piece.start.0 / MS, piece.end.0 / MS, hundredths(running), hundredths(runnable))
        };
        pieces(&seen, most).iter().map(shown).collect()
    }

    #[test]
    fn a_piece_has_what_its_processes_did() {
        let list = vec![
            process(0, 1000, 0, 0),
            process(0, 400, 400, 0),
            process(200, 400, 100, 100),
            process(700, 1000, 30, 0),
        ];
        let expected = [(0, 200, 100, 0), (200, 400, 150, 50), (400, 700, 0, 0), (700, 1000, 10, 0)];
        assert_eq!(shown(list.clone(), 1000, 9), expected);
        // The two that differ least are one: 400 ms of the first process and 100 of the third in 400 ms, 100 of waiting.
        assert_eq!(shown(list.clone(), 1000, 3), [(0, 200, 100, 0), (200, 400, 150, 50), (400, 1000, 5, 0)]);
        assert_eq!(shown(list, 1000, 1), [(0, 1000, 53, 10)]);
    }

    /// A process on a processor in the middle of its time. A fifth of its time on a processor is in the parts that show something else.
    #[test]
    fn a_timeline_says_when_a_process_ran() {
        let timeline = |states: &str| Some(Timeline { every: Nanos(100 * MS), states: states.into() });
        let with = |states: &str, cpu, runnable| {
            vec![Process { timeline: timeline(states), ..process(0, 1000, cpu, runnable) }]
        };
        let blocked = |mut list: Vec<Process>, sleep: u64| {
            list[0].time.blocked.sleep = Nanos(sleep * MS);
            list
        };
        let halves = blocked(with("sssssccccc", 500, 0), 500);
        assert_eq!(shown(halves, 1000, 9), [(0, 500, 0, 0), (500, 1000, 100, 0)]);
        let middle = blocked(with("ssscccrrss", 375, 150), 475);
        assert_eq!(
            shown(middle, 1000, 9),
            [(0, 300, 11, 0), (300, 600, 100, 0), (600, 800, 11, 75), (800, 1000, 11, 0)]
        );
        // Two threads: twice the processor time in the same parts.
        let threads = blocked(with("sssssccccc", 1000, 0), 500);
        assert_eq!(shown(threads, 1000, 9), [(0, 500, 0, 0), (500, 1000, 200, 0)]);
    }

    #[test]
    fn many_short_processes_are_few_pieces() {
        let short = (0..5_000).map(|number| process(number, number + 1, 1, 0));
        let list: Vec<Process> = short.chain([process(5_000, 10_000, 0, 0)]).collect();
        assert_eq!(shown(list, 10_000, 16), [(0, 5_000, 100, 0), (5_000, 10_000, 0, 0)]);
    }

    #[test]
    fn totals_are_spread_over_their_time() {
        let time = ProcessTime { cpu: Nanos(300 * MS), ..ProcessTime::default() };
        let total = Folded { start: Nanos(400 * MS), end: Nanos(1000 * MS), time, ..Folded::default() };
        let seen = Processes { folded: vec![total], ..Processes::of(Observed::Events, Nanos(0), Nanos(1000 * MS)) };
        let found: Vec<f64> = pieces(&seen, 9).iter().map(|piece| piece.activity.running).collect();
        assert_eq!(found, [0.0, 0.5]);
    }
}
