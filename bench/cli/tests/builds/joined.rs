//! Several builds that need the same step at the same time: one runs it, the others wait.

use crate::world::{World, steps};
use buildscope_record::Outcome::{Cached, Executed, Joined};
use buildscope_record::{Record, WaitKind};
use buildscope_testing::test;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A step that ends when its cache directory contains a certain file.
const GATE: &str = "FROM busybox\n\
    RUN --mount=type=cache,id=gate,target=/gate until [ -e /gate/go ]; do sleep 0.02; done; echo made > /made\n";
const STEP: &str =
    "RUN --mount=type=cache,id=gate,target=/gate until [ -e /gate/go ]; do sleep 0.02; done; echo made > /made";

/// Waits for an event.
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let mut last = None;
    buildscope_testing::until(what, || {
        last = found();
        last.is_some()
    });
    last.unwrap()
}

fn start(world: &World, record: &str) -> (Child, PathBuf) {
    let record = world.path(record);
    let mut command = world.command(&["--record", record.to_str().unwrap()]);
    (command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(), record)
}

/// Starts a build, and a second one while the first runs its step. Returns them when the second waits.
fn two_builds(world: &World) -> [(Child, PathBuf); 2] {
    let first = start(world, "first.json");
    let listed = |dir: &str| fs::read_dir(world.path("store").join(dir)).ok()?.next()?.ok();
    // With a cache directory the step runs, and the only lock is that of the step.
    until("the step's cache directory", || listed("mounts"));
    let lock = until("the lock of the step", || listed("claims"));
    let second = start(world, "second.json");
    // proc_locks(5): a blocked lock is listed with an arrow, and with the inode at the end of `device:inode`.
    let inode = format!(":{} ", lock.metadata().unwrap().ino());
    until("the second build", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode)).then_some(())
    });
    [first, second]
}

fn open_the_gate(world: &World) {
    let mounts = fs::read_dir(world.path("store/mounts")).unwrap().map(|entry| entry.unwrap().path());
    for mount in mounts.filter(|path| path.is_dir()) {
        fs::write(mount.join("go"), "").unwrap();
    }
}

fn read(record: &PathBuf) -> Record {
    Record::read(fs::File::open(record).unwrap()).unwrap()
}

#[test]
fn one_of_two_builds_runs_the_shared_step() {
    let world = World::new(GATE);
    let [(mut first, one), (mut second, other)] = two_builds(&world);
    open_the_gate(&world);
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert!(steps(&read(&one), Executed).contains(&STEP));
    let other = read(&other);
    assert_eq!(steps(&other, Joined), [STEP]);
    let step = other.steps.iter().find(|step| step.text == STEP).unwrap();
    let waits: Vec<_> = other.waits.iter().filter(|wait| wait.step == step.id && wait.kind == WaitKind::Lock).collect();
    assert!(matches!(&waits[..], [wait] if wait.end > wait.start), "{waits:?}");
    assert_eq!(fs::read_dir(world.path("store/claims")).unwrap().count(), 0, "step locks leave no files");
}

#[test]
fn a_waiting_build_takes_over_after_a_kill() {
    let world = World::new(GATE);
    let [(mut first, _), (mut second, other)] = two_builds(&world);
    first.kill().unwrap();
    first.wait().unwrap();
    open_the_gate(&world);
    assert!(second.wait().unwrap().success());
    assert!(steps(&read(&other), Executed).contains(&STEP));
}

#[test]
fn equal_steps_of_one_build_run_once() {
    let stage = |name: &str| format!("FROM busybox AS {name}\nRUN sleep 0.2; echo same > /same\n");
    let world = World::new(&format!(
        "{}{}FROM scratch\nCOPY --from=a /same /a\nCOPY --from=b /same /b\n",
        stage("a"),
        stage("b")
    ));
    for (args, others) in
        [(&[][..], &[Joined, Cached][..]), (&["--no-cache"], &[Joined]), (&["--no-cache", "--jobs", "1"], &[Joined])]
    {
        world.forget();
        let record = world.build(args).record();
        let of = |outcome| steps(&record, outcome).iter().filter(|text| text.starts_with("RUN")).count();
        assert_eq!(of(Executed), 1, "{args:?}");
        assert_eq!(others.iter().map(|&outcome| of(outcome)).sum::<usize>(), 1, "{args:?}");
    }
}

/// A store of a version without step locks can be used unchanged.
#[test]
fn a_store_without_step_locks_gets_them() {
    let world = World::new("FROM busybox\nRUN echo 1\n");
    world.build(&[]).record();
    fs::remove_dir(world.path("store/claims")).unwrap();
    world.build(&["--no-cache"]).record();
}
