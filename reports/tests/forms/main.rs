//! The ways in which people keep a build's log, made from builds whose timing is known. `scripts/log-forms` prints how many are read
//! rightly, and does the same with logs of one's own.

#![expect(clippy::print_stdout, reason = "scripts/log-forms reads it")]

mod builds;
mod ways;

use builds::Case;
use buildscope_record::{Record, Step};
use buildscope_reports::import::import;
use ways::{Times, Way};

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

/// The facts about a step: its stage, its text, its outcome and how long it took.
type Said = (String, String, String, u64);

fn said(record: &Record) -> Vec<Said> {
    let stage = |step: &Step| step.stage.map(|stage| record.stages[stage.0 as usize].name.clone()).unwrap_or_default();
    let each = |step: &Step| (stage(step), step.text.clone(), format!("{:?}", step.outcome), length(step));
    // Steps that begin at the same time may change places.
    let mut steps: Vec<Said> = record.steps.iter().map(each).collect();
    steps.sort();
    steps
}

/// The differences between what two records say.
fn differences(record: &Record, original: &Record, times: Times) -> Vec<String> {
    let tolerance = match times {
        Times::Fine => 150,
        Times::Seconds => 1100,
        Times::Lost => 0,
    };
    let mut faults = Vec::new();
    let (wall, expected) = (record.wall.0 / 1_000_000, original.wall.0 / 1_000_000);
    if wall.abs_diff(expected) > tolerance {
        faults.push(format!("{wall} ms, not {expected}"));
    }
    if record.steps.len() != original.steps.len() {
        faults.push(format!("{} steps, not {}", record.steps.len(), original.steps.len()));
    }
    if (record.succeeded, record.unfinished) != (original.succeeded, original.unfinished) {
        faults.push(format!("succeeded {}, unfinished {}", record.succeeded, record.unfinished));
    }
    for (own, known) in said(record).into_iter().zip(said(original)) {
        if (&own.0, &own.1, &own.2) != (&known.0, &known.1, &known.2) || own.3.abs_diff(known.3) > tolerance {
            faults.push(format!("{own:?}, not {known:?}"));
        }
    }
    faults
}

/// A log: its lines, and whether each has a time before it.
struct Own {
    lines: Vec<builds::Line>,
    timed: bool,
}

impl Own {
    fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = |line: &str| {
            let (time, text) = line.split_once(' ').unwrap_or((line, ""));
            Some((time.parse::<jiff::Timestamp>().ok()?.as_millisecond(), text.to_owned()))
        };
        let lines: Vec<(i64, String)> = text.lines().filter_map(line).collect();
        if lines.is_empty() {
            // Times of lines that have their own do not matter.
            let lines = text.lines().enumerate().map(|(number, text)| (number as u64, text.to_owned())).collect();
            return Self { lines, timed: false };
        }
        let first = lines.first().map_or(0, |(at, _)| *at);
        let lines = lines.into_iter().map(|(at, text)| ((at - first).unsigned_abs(), text)).collect();
        Self { lines, timed: true }
    }
}

#[test]
fn own_logs_give_the_same_times_in_every_way() {
    let paths = std::env::var("BUILDSCOPE_LOGS").unwrap_or_default();
    let mut wrong = Vec::new();
    let kept = |name: &str, own: &Own| {
        let way = ways::all().find(|way| way.name == name).expect("a way");
        import(&(way.keep)(&own.lines)).unwrap()
    };
    for path in paths.split(':').filter(|path| !path.is_empty()) {
        let own = Own::read(path);
        let (plain, timed) = (kept("as it is", &own), kept("RFC 3339", &own));
        let rawjson = path.ends_with("rawjson");
        let ways: Vec<&Way> = ways::all().filter(|way| own.timed || rawjson || way.times == Times::Lost).collect();
        let before = wrong.len();
        for way in &ways {
            let lost = rawjson || way.times == Times::Lost;
            let (original, times) = if lost { (&plain, Times::Lost) } else { (&timed, way.times) };
            let faults = match import((way.keep)(&own.lines).as_slice()) {
                Ok(record) => differences(&record, original, times),
                Err(error) => vec![error.to_string()],
            };
            if !faults.is_empty() {
                wrong.push(format!("{path}, {}: {}", way.name, faults.join("; ")));
            }
        }
        println!("{path}: {} of {} ways are read rightly", ways.len() - (wrong.len() - before), ways.len());
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
fn every_builders_log_is_read_in_every_form() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for way in ways::all() {
        for case in [builds::plain(), builds::classic(), builds::buildah(), builds::kaniko(), builds::rawjson()] {
            count += 1;
            let faults = check(&case, way);
            if !faults.is_empty() {
                wrong.push(format!("{} of {}: {}", way.name, case.builder, faults.join("; ")));
            }
        }
    }
    println!("{} of {count} logs ({} ways) are read rightly", count - wrong.len(), ways::all().count());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
