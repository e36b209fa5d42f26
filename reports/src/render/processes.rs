//! The processes inside steps as tracks of the timeline: a track group a step, in it the processes, each below its parent.

use super::instant;
use crate::inside::{folded_count, total_name, unseen};
use buildscope_record::{Folded, Nanos, Observed, Process, Processes, Record, Step};
use serde::Serialize;
use serde_json::{Value, json};

/// The events of all steps whose processes were observed. `group` gives a step's track group, by the step's index.
pub(super) fn tracks(record: &Record, group: impl Fn(usize) -> u64) -> Vec<Value> {
    let mut events = Vec::new();
    for (index, step) in record.steps.iter().enumerate() {
        if let Some(seen) = &step.processes {
            let group = group(index);
            let metadata =
                |name: &str, args: Value| json!({"ph": "M", "pid": group, "tid": 0, "name": name, "args": args});
            events.push(metadata("process_name", json!({"name": name(record, step)})));
            events.push(metadata("process_sort_index", json!({"sort_index": group})));
            if let Some(labels) = labels(seen) {
                events.push(metadata("process_labels", json!({"labels": labels})));
            }
            let lanes = lanes(&seen.list);
            let first = lanes.iter().max().map_or(0, |last| last + 1);
            for lane in 0..first {
                let name = if lane == 0 { "processes".to_owned() } else { format!("processes ({})", lane + 1) };
                events.push(track(group, lane, &name));
            }
            for (process, lane) in seen.list.iter().zip(lanes) {
                events.push(slice(process, group, lane, record.wall));
            }
            for (folded, track) in largest(&seen.folded).into_iter().zip(first..) {
                events.extend([self::track(group, track, "totals"), total(folded, group, track, record.wall)]);
            }
        }
    }
    events
}

fn track(group: u64, track: u64, name: &str) -> Value {
    json!({"ph": "M", "pid": group, "tid": track, "name": "thread_name", "args": {"name": name}})
}

/// The method of observation, and what is unknown of the processes; `None` if there is nothing to say.
fn labels(seen: &Processes) -> Option<String> {
    let sampled = (seen.observed == Observed::Sampled).then(|| "sampled".to_owned());
    let unseen = unseen(seen).into_iter().map(|unseen| format!("not seen: {unseen}"));
    let labels: Vec<String> = sampled.into_iter().chain(unseen).collect();
    (!labels.is_empty()).then(|| labels.join("; "))
}

/// The number of totals of a step that have a track.
const TOTALS: usize = 20;

/// The totals of the longest time.
fn largest(folded: &[Folded]) -> Vec<&Folded> {
    let mut largest: Vec<&Folded> = folded.iter().collect();
    largest.sort_by_key(|folded| std::cmp::Reverse(folded.duration));
    largest.truncate(TOTALS);
    largest
}

fn name(record: &Record, step: &Step) -> String {
    let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
    stage.map(|stage| format!("{}: {}", stage.name, step.text)).unwrap_or_else(|| step.text.clone())
}

/// A lane for each process: that of its parent where it fits below it, else the first that is free.
fn lanes(list: &[Process]) -> Vec<u64> {
    // The open slices of each lane, outermost first.
    let mut open: Vec<Vec<u32>> = Vec::new();
    let mut lanes: Vec<u64> = Vec::with_capacity(list.len());
    for process in list {
        for lane in &mut open {
            while lane.last().is_some_and(|&last| list[last as usize].end <= process.start) {
                lane.pop();
            }
        }
        let fits = |lane: &Vec<u32>| {
            lane.last().is_none_or(|&last| Some(last) == process.parent && list[last as usize].end >= process.end)
        };
        let parents = process.parent.map(|parent| lanes[parent as usize] as usize);
        let lane = parents.filter(|&lane| fits(&open[lane])).or_else(|| open.iter().position(fits));
        let lane = lane.unwrap_or_else(|| {
            open.push(Vec::new());
            open.len() - 1
        });
        open[lane].push(lanes.len() as u32);
        lanes.push(lane as u64);
    }
    lanes
}

/// Processes of one program that were kept as totals: from the beginning of the first to the end of the last.
fn total(folded: &Folded, group: u64, track: u64, wall: Nanos) -> Value {
    let event = json!({
        "pid": group, "tid": track, "name": total_name(folded), "cat": "process",
        "args": {
            "runs": folded.count, "failed": folded.failed, "duration_ms": folded.duration.as_millis_f64(),
            "cpu_ms": folded.time.cpu.as_millis_f64(), "runnable_ms": folded.time.runnable.as_millis_f64(),
        },
    });
    instant::placed(event, folded.start.min(wall), folded.end.min(wall))
}

/// The number of processes of a step that are drawn on the page, the longest ones.
const DRAWN: usize = 400;

/// The processes of a step for the page.
#[derive(Serialize)]
pub(super) struct Lanes<'a> {
    start: Nanos,
    end: Nanos,
    /// The number of all programs, including those that are not drawn.
    of: u64,
    list: Vec<Bar<'a>>,
}

/// Lane, start, end, program, arguments, length of a part, what it did in each part (the letters of a record's timeline).
type Bar<'a> = (u64, Nanos, Nanos, &'a str, String, Nanos, String);

impl<'a> Lanes<'a> {
    pub(super) fn of(seen: &'a Processes) -> Self {
        let mut kept: Vec<usize> = (0..seen.list.len()).collect();
        kept.sort_by_key(|&index| std::cmp::Reverse(seen.list[index].duration()));
        kept.truncate(DRAWN);
        kept.sort_unstable();
        // Bars do not nest as slices do: each process has a lane of its own while it lives.
        let alone = |&index: &usize| {
            let process = &seen.list[index];
            Process { start: process.start, end: process.end, ..Process::default() }
        };
        let list: Vec<Process> = kept.iter().map(alone).collect();
        let bar = |(&index, lane): (&usize, u64)| {
            let process = &seen.list[index];
            let (every, states) = match &process.timeline {
                Some(timeline) => (timeline.every, timeline.states.clone()),
                None => (Nanos::ZERO, mostly(process).to_string()),
            };
            (lane, process.start, process.end, &*process.program, process.arguments.join(" "), every, states)
        };
        let of = seen.list.len() as u64 + folded_count(seen);
        Self { start: seen.start, end: seen.end, of, list: kept.iter().zip(lanes(&list)).map(bar).collect() }
    }
}

/// The most frequent state of a process, as a letter.
fn mostly(process: &Process) -> char {
    let blocked = process.time.blocked;
    let parts = [
        ('c', process.running()),
        ('r', process.time.runnable),
        ('d', blocked.disk),
        ('n', blocked.network),
        ('w', blocked.child),
        ('l', blocked.lock),
        ('s', blocked.sleep),
        ('u', blocked.unknown),
    ];
    parts.into_iter().max_by_key(|&(_, time)| time).map_or('u', |(letter, _)| letter)
}

fn slice(process: &Process, group: u64, lane: u64, wall: Nanos) -> Value {
    let millis = |time: Nanos| time.as_millis_f64();
    let blocked = process.time.blocked;
    let event = json!({
        "pid": group, "tid": lane, "name": process.program, "cat": "process",
        "args": {
            "arguments": process.arguments.join(" "), "pid": process.pid, "threads": process.threads,
            "cpu_ms": millis(process.time.cpu), "runnable_ms": millis(process.time.runnable),
            "disk_ms": millis(blocked.disk), "network_ms": millis(blocked.network), "child_ms": millis(blocked.child),
            "lock_ms": millis(blocked.lock), "sleep_ms": millis(blocked.sleep), "unknown_wait_ms": millis(blocked.unknown),
        },
    });
    instant::placed(event, process.start.min(wall), process.end.min(wall))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(parent: Option<u32>, start: u64, end: u64) -> Process {
        Process { parent, start: Nanos(start), end: Nanos(end), ..Process::default() }
    }

    #[test]
    fn children_are_below_their_parents_and_nothing_overlaps() {
        let list = [
            process(None, 0, 100),
            process(Some(0), 10, 50),
            process(Some(0), 20, 60),
            process(Some(1), 30, 40),
            process(Some(0), 55, 90),
            process(Some(0), 70, 120),
        ];
        assert_eq!(lanes(&list), [0, 0, 1, 0, 0, 1]);
    }

    /// The timeline of a step of which 9 processes were kept as totals.
    #[test]
    fn totals_have_a_track_and_a_note() {
        use buildscope_record::{Fidelity, Source, StepId, Tool};
        let folded = Folded {
            parent: Some(0),
            program: "cc1".into(),
            count: 9,
            start: Nanos(1000),
            end: Nanos(5000),
            duration: Nanos(3000),
            ..Folded::default()
        };
        let seen = Processes {
            list: vec![process(None, 0, 9000), process(Some(0), 10, 50)],
            folded: vec![folded],
            unseen: vec!["exit codes".into()],
            ..Processes::of(Observed::Sampled, Nanos(0), Nanos(9000))
        };
        let step = Step { processes: Some(seen), ..Step::of(StepId(0), "RUN", "RUN make") };
        let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        let record = Record { steps: vec![step], wall: Nanos(9000), ..Record::of(source) };
        let events = tracks(&record, |_| 7);
        let labels = events.iter().find(|event| event["name"] == "process_labels").unwrap();
        let said = "sampled; not seen: exit codes; not seen: 9 short processes one by one: only their totals were kept";
        assert_eq!(labels["args"]["labels"], said);
        let total = events.iter().find(|event| event["name"] == "cc1 ×9").unwrap();
        assert_eq!((&total["tid"], &total["ts"], &total["dur"]), (&json!(1), &json!(1.0), &json!(4.0)));
        let tracks = events.iter().filter(|event| event["name"] == "thread_name");
        let tracks: Vec<_> = tracks.map(|event| (event["tid"].clone(), event["args"]["name"].clone())).collect();
        assert_eq!(tracks, [(json!(0), json!("processes")), (json!(1), json!("totals"))]);
    }
}
