//! Steps by crun and runc: how they end, and that nothing of them stays.

use super::ends::{TREE, alive, holdings, soon};
use super::{Entry, RUNTIMES, World, rootfs, runtimes, step};
use buildscope_record::Probe;
use buildscope_sandbox::{Limits, LogLine, SandboxError, Status, StepSpec};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const TRIALS: &[Entry] = &[
    ("exit_codes_and_signals_are_told_apart_by_every_executor", exit_codes, RUNTIMES),
    ("what_a_runtime_says_is_in_the_error", refused, RUNTIMES),
    ("oci_steps_leave_nothing_however_they_end", nothing_left, RUNTIMES),
    ("a_killed_builder_leaves_nothing_of_a_runtimes", killed_builder, RUNTIMES),
];

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

/// An exit with a number above 128 is no death by a signal, whoever boxes the step.
fn exit_codes(world: &World) {
    let root = rootfs();
    let cases = [
        ("exit 0", Status::Code(0)),
        ("exit 37", Status::Code(37)),
        ("exit 128", Status::Code(128)),
        ("exit 137", Status::Code(137)),
        ("exit 192", Status::Code(192)),
        ("exit 255", Status::Code(255)),
        ("kill -9 $$", Status::Signal(9)),
        ("kill -TERM $$", Status::Signal(15)),
        // The shell lives on and says so as shells do.
        ("sh -c 'kill -9 $$'; exit $?", Status::Code(137)),
    ];
    for (script, expected) in cases {
        let spec = || step(root.path(), &["sh", "-c", script]);
        assert_eq!(world.status(spec()), expected, "{script}");
        for runtime in runtimes() {
            let (exit, output) = world.run_by(&runtime, spec());
            assert_eq!(exit.unwrap().status, expected, "{}: {script}: {output}", runtime.program.display());
        }
    }
}

/// What the runtime says about a program that is not there is in the error.
fn refused(world: &World) {
    for runtime in runtimes() {
        let root = rootfs();
        let before = mounts();
        let error = world.run_by(&runtime, step(root.path(), &["/no/such/program"])).0.err().unwrap();
        let name = runtime.program.display();
        assert!(matches!(error, SandboxError::Runtime { .. }), "{name}: {error}");
        let said = error.to_string().to_lowercase();
        assert!(said.contains(&name.to_string()) && said.contains("no such file or directory"), "{said}");
        assert_eq!(mounts(), before);
    }
}

/// A process of its own that is killed while a step runs, by each runtime.
fn killed_builder(_: &World) {
    for runtime in runtimes() {
        let place = tempfile::tempdir().unwrap();
        let name = runtime.program.file_name().unwrap().to_str().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--victim", name])
            .env("TMPDIR", place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        let (helper, sleep, root) = (next(), next(), next());
        assert_eq!(next(), "running", "{name}");
        let called = format!("buildscope-{}-", child.id());
        let running = || processes(&sleep) + processes(&called);
        assert!(running() > 0, "{name}: a step runs");
        child.kill().unwrap();
        child.wait().unwrap();
        soon(&format!("{name}: the step is gone"), || running() == 0 && !alive(&helper));
        for hierarchy in [".", "unified", "memory", "cpu", "pids", "devices", "systemd"] {
            for called in [format!("buildscope-{}", child.id()), format!("buildscope-{}-0", child.id())] {
                let path = Path::new("/sys/fs/cgroup").join(hierarchy).join(called);
                soon(&format!("{name}: {} is gone", path.display()), || !path.exists());
            }
        }
        // The root file system is the test's own, and whoever is killed removes nothing; else there is nothing.
        std::fs::remove_dir_all(&root).unwrap();
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

/// What that process does.
pub(crate) fn sleeping_victim(world: &World, root: &Path, name: &str) {
    let runtime = runtimes().into_iter().find(|runtime| runtime.program.ends_with(name)).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}\n{}", world.zygote.pid(), sleep(), root.display()).unwrap();
    let log = |line: LogLine<'_>| {
        let mut out = std::io::stdout();
        writeln!(out, "{}", String::from_utf8_lossy(line.text)).unwrap();
    };
    let script = format!("trap '' TERM HUP; setsid sleep {0} & echo running; sleep {0}; true", sleep());
    let spec = step(root, &["sh", "-c", &script]);
    let probe = Probe::disabled();
    let _ = world.runtime.block_on(runtime.run(&world.zygote, spec, log, CancellationToken::new(), &probe));
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
    processes(&sleep())
}

/// Processes with that in their command line.
fn processes(what: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    lines.filter(|line| String::from_utf8_lossy(line).contains(what)).count()
}

/// What is mounted, but for the bundles of tests that run beside this one.
fn mounts() -> String {
    let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.split_inclusive('\n').filter(|line| !line.contains("/buildscope-") || line.contains(&mine())).collect()
}

fn cancelled(world: &World) {
    for runtime in runtimes() {
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
    for runtime in runtimes() {
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
