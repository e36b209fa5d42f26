//! The record of a bake: its targets, and what the other commands say about each.

use crate::bake::{ONE_FAILS, bake, recorded, stderr, stdout, succeeded};
use crate::world::World;
use buildscope_record::{StepId, TargetOutcome};
use buildscope_testing::test;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

/// Two targets that share a base: `quick` takes about a second, and `slow` about two.
const FILE: &str = r#"
group "default" { targets = ["slow", "quick"] }
target "slow" { dockerfile-inline = "FROM busybox\nRUN sleep 0.5; echo base > /base\nRUN sleep 1.5; echo slow > /slow\n" }
target "quick" { dockerfile-inline = "FROM busybox\nRUN sleep 0.5; echo base > /base\nRUN sleep 0.2; echo quick > /quick\n" }
"#;

fn world() -> World {
    let world = World::empty();
    world.write("docker-bake.hcl", FILE);
    world
}

/// Runs another command on the world's store.
fn run(world: &World, args: &[&str]) -> Output {
    let program = world.command(&[]).get_program().to_owned();
    Command::new(program).args(args).env("BUILDSCOPE_ROOT", &world.store).output().unwrap()
}

#[test]
fn the_record_has_each_target_with_its_steps_and_its_end() {
    let record = recorded(&world(), &[]);
    let names: BTreeSet<_> = record.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["quick", "slow"]));
    let target = |name: &str| record.targets.iter().find(|target| target.name == name).unwrap();
    let (slow, quick) = (target("slow"), target("quick"));
    assert_eq!([slow.outcome, quick.outcome], [TargetOutcome::Built; 2]);
    for target in [slow, quick] {
        let last = target.steps.iter().map(|step| record.steps[step.index()].end.unwrap()).max().unwrap();
        let (start, end) = (target.start.unwrap(), target.end.unwrap());
        assert!(start <= end && last <= end && end <= record.wall, "{last} {start} {end} {}", record.wall);
    }
    let text = |id: &StepId| record.steps[id.index()].text.clone();
    let needed = record.steps_of_targets();
    let shared: Vec<String> = needed[0].intersection(&needed[1]).map(text).collect();
    assert_eq!(shared, ["FROM busybox", "RUN sleep 0.5; echo base > /base"]);
    assert!(slow.image.as_ref().unwrap().starts_with("sha256:"));
}

#[test]
fn a_bake_is_kept_and_explained_as_a_whole_and_by_target() {
    let world = world();
    let built = bake(&world, &[]);
    let summary = stderr(&built);
    succeeded(built);
    assert!(
        summary.contains(" ended last") && summary.contains("6 steps of 2 targets are 4 in one graph"),
        "{summary}"
    );
    let whole = run(&world, &["explain", "last"]);
    let text = stdout(&whole);
    assert!(text.contains("Targets") && text.contains("quick") && text.contains("built"), "{text}{}", stderr(&whole));
    let one = stdout(&run(&world, &["explain", "--target", "quick"]));
    assert!(one.contains("RUN sleep 0.2; echo quick") && !one.contains("echo slow"), "{one}");
    let predicted = run(&world, &["whatif", "last", "--target", "quick", "--jobs", "1", "--json"]);
    let predicted: Json = serde_json::from_slice(&predicted.stdout).unwrap();
    // The three steps of `quick`, which ended with its delivery.
    let record = run(&world, &["builds", "export", "last", "-"]);
    let record = buildscope_record::Record::from_json(&record.stdout).unwrap();
    let quick = record.targets.iter().find(|target| target.name == "quick").unwrap();
    assert_eq!(predicted["measured"].as_u64(), quick.end.map(|end| end.0), "{predicted}");
    assert_eq!(predicted["steps"].as_array().unwrap().len(), 3, "{predicted}");
    let unknown = run(&world, &["explain", "--target", "quik"]);
    assert!(stderr(&unknown).contains("no target `quik`"), "{}", stderr(&unknown));
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn the_timeline_has_a_track_group_for_each_target() {
    let world = world();
    let path = world.path("timeline.json");
    succeeded(bake(&world, &["--trace", path.to_str().unwrap()]));
    let timeline: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let events = timeline["traceEvents"].as_array().unwrap();
    let group = |name: &str| {
        let named = |event: &&Json| event["name"] == "process_name" && event["args"]["name"] == name;
        events.iter().find(named).unwrap()["pid"].clone()
    };
    let slices = |pid: Json| -> BTreeSet<String> {
        let own = events.iter().filter(|event| event["ph"] == "X" && event["pid"] == pid);
        own.map(|event| event["name"].as_str().unwrap().to_owned()).collect()
    };
    let (slow, quick) = (slices(group("target slow")), slices(group("target quick")));
    assert!(slow.contains("RUN sleep 1.5; echo slow > /slow") && !slow.contains("RUN sleep 0.2; echo quick > /quick"));
    assert!(quick.contains("RUN sleep 0.2; echo quick > /quick") && quick.contains("delivery"), "{quick:?}");
    assert!(slow.contains("RUN sleep 0.5; echo base > /base") && quick.contains("RUN sleep 0.5; echo base > /base"));
}

#[test]
fn a_bake_has_a_budget_and_names_what_missed_the_cache() {
    let world = world();
    let late = bake(&world, &["--budget", "1s"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(stderr(&late).contains("more than its budget of 1.00 s"), "{}", stderr(&late));
    succeeded(bake(&world, &["--budget", "600s", "--expect-cached"]));
    world.write("docker-bake.hcl", &FILE.replace("echo quick", "echo quicker"));
    let missed = bake(&world, &["--expect-cached"]);
    assert_eq!(missed.status.code(), Some(1));
    let message = stderr(&missed);
    assert!(message.contains("1 steps ran") && message.contains("echo quicker"), "{message}");
}

#[test]
fn a_failed_target_is_in_the_record_with_its_error() {
    let world = World::empty();
    world.write("docker-bake.hcl", ONE_FAILS);
    let path = world.path("record.json");
    bake(&world, &["--keep-going", "--record", path.to_str().unwrap()]);
    let record = buildscope_record::Record::read(fs::File::open(path).unwrap()).unwrap();
    let outcomes: Vec<_> = record.targets.iter().map(|target| (target.name.as_str(), target.outcome)).collect();
    let expected = [("bad", TargetOutcome::Failed), ("good", TargetOutcome::Built), ("a-user", TargetOutcome::Skipped)];
    assert_eq!(
        BTreeSet::from_iter(outcomes.iter().map(|(name, _)| name)),
        BTreeSet::from_iter(expected.iter().map(|(name, _)| name))
    );
    for (name, outcome) in expected {
        assert!(outcomes.contains(&(name, outcome)), "{outcomes:?}");
    }
    let error = record.targets.iter().find(|target| target.name == "bad").unwrap().error.as_ref().unwrap();
    assert!(error.contains("exit code: 7"), "{error}");
    assert!(!record.succeeded);
}
