//! Steps with crun and runc: their exit, and the removal of everything that they used.

use super::ends::{TREE, alive, holdings};
use super::{Entry, RUNTIMES, World, rootfs, runtimes, step};
use buildscope_record::Probe;
use buildscope_sandbox::{Limits, LogLine, SandboxError, Status, StepSpec};
use buildscope_testing::until;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const TRIALS: &[Entry] = &[
    ("every_executor_distinguishes_exit_codes_and_signals", exit_codes, RUNTIMES),
    ("a_runtimes_message_is_in_the_error", refused, RUNTIMES),
    ("steps_of_oci_runtimes_leave_nothing", nothing_left, RUNTIMES),
    ("a_killed_builder_leaves_nothing_of_runtimes", killed_builder, RUNTIMES),
];

/// This runs in a separate process, because other tests run at the same time.
fn nothing_left(_: &World) {
    let output = Command::new(std::env::current_exe().unwrap()).args(["--victim", "runtimes"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The separate process of [`nothing_left`].
pub(crate) fn victim(world: &World) {
    cancelled(world);
    hundred(world);
}

/// With every executor, an exit code above 128 differs from a death by a signal.
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
        // The shell survives and reports the signal as an exit code.
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

/// The error contains the runtime's message about a missing program.
fn refused(world: &World) {
    for runtime in runtimes() {
        let root = rootfs();
        let before = mounts();
        let error = world.run_by(&runtime, step(root.path(), &["/no/such/program"])).0.err().unwrap();
        let name = runtime.program.display();
        assert!(matches!(error, SandboxError::Runtime { .. }), "{name}: {error}");
        let message = error.to_string().to_lowercase();
        assert!(message.contains(&name.to_string()) && message.contains("no such file or directory"), "{message}");
        assert_eq!(mounts(), before);
    }
}

/// For each runtime, kills a separate process while a step runs.
fn killed_builder(_: &World) {
    for runtime in runtimes() {
        let temporary = tempfile::tempdir().unwrap();
        let name = runtime.program.file_name().unwrap().to_str().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--victim", name])
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        let (zygote, sleep, root) = (next(), next(), next());
        assert_eq!(next(), "running", "{name}");
        let container = format!("buildscope-{}-", child.id());
        let running = || processes(&sleep) + processes(&container);
        assert!(running() > 0, "{name}: a step runs");
        child.kill().unwrap();
        child.wait().unwrap();
        until(&format!("{name}: the step is gone"), || running() == 0 && !alive(&zygote));
        for hierarchy in [".", "unified", "memory", "cpu", "pids", "devices", "systemd"] {
            for name in [format!("buildscope-{}", child.id()), format!("buildscope-{}-0", child.id())] {
                let path = Path::new("/sys/fs/cgroup").join(hierarchy).join(name);
                until(&format!("{} is gone", path.display()), || !path.exists());
            }
        }
        // The killed process did not remove the test's root file system. There must be no other file.
        std::fs::remove_dir_all(&root).unwrap();
        let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

/// The separate process of [`killed_builder`].
pub(crate) fn sleeping_victim(world: &World, root: &Path, name: &str) {
    let runtime = runtimes().into_iter().find(|runtime| runtime.program.ends_with(name)).unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}\n{}", world.zygote.pid().unwrap(), sleep(), root.display()).unwrap();
    let log = |line: LogLine<'_>| {
        let mut out = std::io::stdout();
        writeln!(out, "{}", String::from_utf8_lossy(line.text)).unwrap();
    };
    let script = format!("trap '' TERM HUP; setsid sleep {0} & echo running; sleep {0}; true", sleep());
    let spec = step(root, &["sh", "-c", &script]);
    let probe = Probe::disabled();
    let _ = world.runtime.block_on(runtime.run(&world.zygote, spec, log, CancellationToken::new(), &probe));
}

/// The prefix of the names of this process's bundles.
fn mine() -> String {
    format!("buildscope-{}-", std::process::id())
}

/// The number of bundles on disk.
fn bundles() -> usize {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mine())).count()
}

/// The time in seconds for which the processes of the tree sleep. It is unique to this process, so that they can be found by it.
fn sleep() -> String {
    format!("1{:07}", std::process::id())
}

/// The number of processes that sleep for that time, including the shells that started them.
fn sleepers() -> usize {
    processes(&sleep())
}

/// The number of processes with a text in their command line.
fn processes(what: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    lines.filter(|line| String::from_utf8_lossy(line).contains(what)).count()
}

/// The mounts of this process, except for the bundles of other tests that run at the same time.
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
            // Cancels at its end, even if the tree does not run in time.
            let guard = cancel.clone().drop_guard();
            scope.spawn(move || {
                let _guard = guard;
                until("the tree runs", || sleepers() >= 3);
            });
            world.run_by_until(&runtime, step(root.path(), &["sh", "-c", &tree]), cancel)
        });
        assert!(matches!(exit, Err(SandboxError::Cancelled)), "{program}: {output}");
        until("the step is gone", || sleepers() == 0);
        assert_eq!((mounts(), bundles()), (before.clone(), 0), "{program}");

        let limits = Limits { timeout: Some(Duration::from_millis(300)), ..Limits::default() };
        let spec = StepSpec { limits, ..step(root.path(), &["sh", "-c", &tree]) };
        let error = world.run_by(&runtime, spec).0.err().unwrap();
        assert!(error.to_string().contains("stopped after 0.3 s"), "{program}: {error}");
        until("the step is gone", || sleepers() == 0);
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
        let before = holdings(world.zygote.pid().unwrap());
        (0..100).for_each(|_| run());
        until("everything is released", || {
            holdings(world.zygote.pid().unwrap()).into_iter().all(|(what, count)| count <= before[what])
                && bundles() == 0
        });
    }
}
