//! The ways in which people keep a build's log, made from builds whose timing is known. `scripts/log-forms` prints how many are read
//! rightly, and does the same with logs of one's own.

#![allow(clippy::print_stdout, reason = "scripts/log-forms reads it")]

mod builds;
mod ways;

use builds::Case;
use buildscope_record::{Record, Step};
use buildscope_reports::import::import;
use ways::{Times, WAYS, Way};

fn length(step: &Step) -> u64 {
    let (Some(start), Some(end)) = (step.start, step.end) else { return 0 };
    (end.0 - start.0) / 1_000_000
}

/// What is wrong with a record, in words; nothing if it is right.
fn faults(record: &Record, case: &Case, times: Times) -> Vec<String> {
    let mut faults = Vec::new();
    let near = |got: u64, expected: u64, tolerance: u64| got.abs_diff(expected) <= tolerance;
    // Durations of plain progress have tenths of seconds; some logs have whole seconds.
    let tolerance = match times {
        Times::Fine => 150,
        Times::Seconds => 1000,
        Times::Lost => 100,
    };
    let timed = times != Times::Lost || case.own_times;
    let wall = record.wall.0 / 1_000_000;
    if timed && !near(wall, case.wall, tolerance) {
        faults.push(format!("{wall} ms, not {}", case.wall));
    }
    if !record.succeeded {
        faults.push("said to have failed".to_owned());
    }
    for &(text, took) in case.steps {
        let found: Vec<&Step> = record.steps.iter().filter(|step| step.text.contains(text)).collect();
        match found[..] {
            [step] if timed && !near(length(step), took, tolerance) => {
                faults.push(format!("`{text}` took {} ms, not {took}", length(step)));
            }
            [_] => {}
            _ => faults.push(format!("`{text}` is {} steps", found.len())),
        }
    }
    let foreign = |step: &&Step| {
        ["login", "history", "vertex", "issue", "building with"].iter().any(|word| step.text.contains(word))
    };
    faults.extend(record.steps.iter().find(foreign).map(|step| format!("`{}` is a step", step.text)));
    faults
}

/// The differences between what two records say about times.
fn differences(record: &Record, original: &Record, times: Times) -> Vec<String> {
    let tolerance = if times == Times::Fine { 150 } else { 1100 };
    let mut faults = Vec::new();
    let (wall, expected) = (record.wall.0 / 1_000_000, original.wall.0 / 1_000_000);
    if wall.abs_diff(expected) > tolerance {
        faults.push(format!("{wall} ms, not {expected}"));
    }
    if record.steps.len() != original.steps.len() {
        faults.push(format!("{} steps, not {}", record.steps.len(), original.steps.len()));
    }
    // Steps that begin at the same time may change places.
    let sorted = |record: &Record| {
        let mut steps: Vec<(String, u64)> = record.steps.iter().map(|step| (step.text.clone(), length(step))).collect();
        steps.sort();
        steps
    };
    for ((text, took), (expected_text, expected)) in sorted(record).into_iter().zip(sorted(original)) {
        if text != expected_text || took.abs_diff(expected) > tolerance {
            faults.push(format!("`{text}` took {took} ms, not {expected}"));
        }
    }
    faults
}

/// The lines of a log that has a time before each, in milliseconds since the first.
fn own_log(path: &str) -> Vec<builds::Line> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = |line: &str| {
        let (time, text) = line.split_once(' ').unwrap_or((line, ""));
        Some((time.parse::<jiff::Timestamp>().ok()?.as_millisecond(), text.to_owned()))
    };
    let lines: Vec<(i64, String)> = text.lines().filter_map(line).collect();
    let first = lines.first().map_or(0, |(at, _)| *at);
    lines.into_iter().map(|(at, text)| ((at - first).unsigned_abs(), text)).collect()
}

#[test]
fn own_logs_give_the_same_times_in_every_way() {
    let paths = std::env::var("BUILDSCOPE_LOGS").unwrap_or_default();
    let mut wrong = Vec::new();
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        let lines = own_log(path);
        let plain = |name: &&Way| name.name == "RFC 3339";
        let original = import(&(WAYS.iter().find(plain).expect("a way with times").keep)(&lines)).unwrap();
        let timed: Vec<&Way> = WAYS.iter().filter(|way| way.times != Times::Lost).collect();
        let before = wrong.len();
        for way in &timed {
            let faults = match import((way.keep)(&lines).as_slice()) {
                Ok(record) => differences(&record, &original, way.times),
                Err(error) => vec![error.to_string()],
            };
            if !faults.is_empty() {
                wrong.push(format!("{path}, {}: {}", way.name, faults.join("; ")));
            }
        }
        println!("{path}: {} of {} ways are read rightly", timed.len() - (wrong.len() - before), timed.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Case, way: &Way) -> Vec<String> {
    match import((way.keep)(&case.lines).as_slice()) {
        Ok(record) => faults(&record, case, way.times),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn every_builders_log_is_read_in_every_way_it_is_kept() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for way in WAYS {
        for case in [builds::plain(), builds::classic(), builds::buildah(), builds::kaniko(), builds::rawjson()] {
            count += 1;
            let faults = check(&case, way);
            if !faults.is_empty() {
                wrong.push(format!("{} of {}: {}", way.name, case.builder, faults.join("; ")));
            }
        }
    }
    println!("{} of {count} logs ({} ways) are read rightly", count - wrong.len(), WAYS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
