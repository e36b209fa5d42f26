//! Admission of steps by the memory that they are expected to need.

use crate::world::World;
use buildscope_record::{Digest, Instruction, Outcome, Phase, Record, Span};
use buildscope_testing::test;
use serde_json::{Map, Value as Json, json};
use std::fs;

const STAGES: u32 = 4;

/// The step of a stage.
fn step(stage: u32, seconds: u32) -> String {
    format!("RUN sleep {seconds}; echo {stage} > /{stage}")
}

/// Independent stages with a step each, which takes that many seconds and once needed that much memory.
fn world(seconds: u32, peak: u64) -> World {
    let stages: String = (0..STAGES).map(|n| format!("FROM busybox AS s{n}\n{}\n", step(n, seconds))).collect();
    let copies: String = (0..STAGES).map(|n| format!("COPY --from=s{n} /{n} /\n")).collect();
    let world = World::new(&format!("{stages}FROM busybox\n{copies}"));
    // By stage and text.
    let name = |n: u32| Digest::of(format!("text s{n} {}", step(n, seconds))).hex()[..32].to_owned();
    let peaks: Map<String, Json> = (0..STAGES).map(|n| (name(n), json!({ "bytes": peak, "at": 1 }))).collect();
    fs::create_dir_all(&world.store).unwrap();
    fs::write(world.store.join("peaks.json"), json!({ "version": 1, "peaks": peaks }).to_string()).unwrap();
    world
}

fn total_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

/// The intervals of the processes of RUN steps.
fn processes(record: &Record) -> Vec<&Span> {
    let of_run =
        |span: &&Span| span.step.is_some_and(|step| record.steps[step.index()].instruction == Instruction::Run);
    record.spans.iter().filter(|span| span.phase == Phase::Process).filter(of_run).collect()
}

/// The most processes that ran at a time.
fn most_at_once(record: &Record) -> usize {
    let spans = processes(record);
    let running = |at| spans.iter().filter(|span| span.start <= at && at < span.end).count();
    spans.iter().map(|span| running(span.start)).max().unwrap_or_default()
}

#[test]
fn steps_whose_peaks_do_not_fit_together_run_one_after_the_other() {
    // Two of them are more than there is, whatever else runs on this machine.
    let world = world(1, total_memory() / 10 * 6);
    let record = world.build(&["--no-cache"]).record();
    assert_eq!((processes(&record).len(), most_at_once(&record)), (STAGES as usize, 1));
    let waits = record.waits.iter().filter(|wait| wait.name.as_deref() == Some("memory"));
    assert_eq!(waits.count(), STAGES as usize - 1);
    assert!(record.steps.iter().all(|step| step.outcome == Outcome::Executed || step.instruction == Instruction::From));
}

#[test]
fn with_slots_alone_memory_does_not_matter() {
    let world = world(4, total_memory() / 10 * 6);
    let record = world.build(&["--no-cache", "--admission", "slots"]).record();
    assert!(most_at_once(&record) > 1, "{:?}", processes(&record));
    assert!(record.waits.iter().all(|wait| wait.name.as_deref() != Some("memory")));
}

#[test]
fn a_build_measures_what_the_next_one_expects() {
    let world = World::new("FROM busybox AS build\nRUN head -c 50000000 /dev/zero | tail -c 1 > /x\n");
    world.build(&[]).record();
    let peaks: Json = serde_json::from_slice(&fs::read(world.store.join("peaks.json")).unwrap()).unwrap();
    let name = Digest::of("text build RUN head -c 50000000 /dev/zero | tail -c 1 > /x").hex()[..32].to_owned();
    assert!(peaks["peaks"][&name]["bytes"].as_u64().unwrap() > 0, "{peaks}");
    // With the cache, nothing runs and nothing is measured.
    fs::remove_file(world.store.join("peaks.json")).unwrap();
    world.build(&[]).record();
    assert!(!world.store.join("peaks.json").exists());
}
