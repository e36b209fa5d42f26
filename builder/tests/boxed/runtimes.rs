//! Steps by crun and runc: how they end, and that nothing of them stays.

use super::ends::{TREE, holdings, soon};
use super::{Test, World, rootfs, runtimes, step};
use buildscope_builder::execute::sandbox::{Limits, SandboxError, Status, StepSpec};
use std::process::Command;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const TRIALS: &[(&str, Test)] =
    &[("oci_exit_codes_and_signals_are_told", exit_codes), ("oci_steps_leave_nothing_however_they_end", nothing_left)];

/// In a process of its own, since other tests run beside this one.
fn nothing_left(_: &World) {
    let output = Command::new(std::env::current_exe().unwrap()).args(["--victim", "runtimes"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What that process does.
pub(crate) fn victim(world: &World) {
    cancelled(world);
    hundred(world);
}

fn exit_codes(world: &World) {
    for runtime in runtimes(world) {
        let root = rootfs();
        for (script, expected) in [
            ("exit 37", Status::Code(37)),
            ("exit 128", Status::Code(128)),
            ("exit 193", Status::Code(193)),
            ("exit 255", Status::Code(255)),
            // Process 1 dies of no signal that it sends itself; its child does, and the shell says so as shells do.
            ("sh -c 'kill -9 $$'; exit $?", Status::Signal(9)),
        ] {
            let (exit, output) = world.run_by(&runtime, step(root.path(), &["sh", "-c", script]));
            assert_eq!(exit.unwrap().status, expected, "{}: {script}: {output}", runtime.program.display());
        }
    }
}

/// How this process's bundles are called.
fn mine() -> String {
    format!("buildscope-{}-", std::process::id())
}

/// Bundles on disk.
fn bundles() -> usize {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mine())).count()
}

/// How long the processes of the tree sleep: a number of this process's own, by which they are found.
fn sleep() -> String {
    format!("1{:07}", std::process::id())
}

/// Processes that sleep for that long, or a shell that has them do so.
fn sleepers() -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&sleep())).count()
}

/// What is mounted, but for the bundles of tests that run beside this one.
fn mounts() -> String {
    let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.split_inclusive('\n').filter(|line| !line.contains("/buildscope-") || line.contains(&mine())).collect()
}

fn cancelled(world: &World) {
    for runtime in runtimes(world) {
        let root = rootfs();
        let tree = TREE.replace("1000", &sleep());
        let before = mounts();
        let cancel = CancellationToken::new();
        let program = runtime.program.display();
        let (exit, output) = std::thread::scope(|scope| {
            // Cancels at its end, also should the tree not stand in time.
            let guard = cancel.clone().drop_guard();
            scope.spawn(move || {
                let _guard = guard;
                soon("the tree stands", || sleepers() >= 3);
            });
            world.run_by_until(&runtime, step(root.path(), &["sh", "-c", &tree]), cancel)
        });
        assert!(matches!(exit, Err(SandboxError::Cancelled)), "{program}: {output}");
        soon("the step is gone", || sleepers() == 0);
        assert_eq!((mounts(), bundles()), (before.clone(), 0), "{program}");

        let limits = Limits { timeout: Some(Duration::from_millis(300)), ..Limits::default() };
        let spec = StepSpec { limits, ..step(root.path(), &["sh", "-c", &tree]) };
        let error = world.run_by(&runtime, spec).0.err().unwrap();
        assert!(error.to_string().contains("stopped after 0.3 s"), "{program}: {error}");
        soon("the step is gone", || sleepers() == 0);
        assert_eq!((mounts(), bundles()), (before, 0), "{program}");
    }
}

fn hundred(world: &World) {
    for runtime in runtimes(world) {
        let root = rootfs();
        let run = || {
            let (exit, output) = world.run_by(&runtime, step(root.path(), &["true"]));
            assert_eq!(exit.unwrap().status, Status::Code(0), "{output}");
        };
        run();
        let before = holdings(world.zygote.pid());
        (0..100).for_each(|_| run());
        soon("everything is given back", || {
            holdings(world.zygote.pid()).into_iter().all(|(what, count)| count <= before[what]) && bundles() == 0
        });
    }
}
