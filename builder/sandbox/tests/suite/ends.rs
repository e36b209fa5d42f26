//! The exit of steps, their cost, and the removal of everything that they used.

use super::{Entry, StepSpec, World, mode, rootfs, step};
use buildscope_record::{Nanos, Probe};
use buildscope_sandbox::{Limits, LogLine, SandboxError, Status, StepNetwork};
use buildscope_testing::until;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub(crate) const TRIALS: &[Entry] = &[
    ("exit_codes_and_signals_are_reported", exit_codes, &[]),
    ("a_missing_program_is_an_error", missing_program, &[]),
    ("cancelling_kills_the_whole_tree", cancelled, &[]),
    ("dropping_a_step_kills_it", dropped, &[]),
    ("a_step_over_its_time_limit_dies", timed_out, &[]),
    ("daemons_end_with_the_program", daemons, &[]),
    ("orphans_are_reaped", orphans, &[]),
    ("an_out_of_memory_kill_is_reported", out_of_memory, &[]),
    ("processors_are_limited", processors, &[]),
    ("resource_usage_is_measured", account, &[]),
    ("a_hundred_megabytes_of_output_lose_no_line", output, &[]),
    ("a_thousand_steps_leave_nothing", thousand, &[]),
    ("a_killed_builder_leaves_nothing", killed_builder, &[]),
];

fn exit_codes(world: &World) {
    let root = rootfs();
    let run = |script: &str| world.status(step(root.path(), &["sh", "-c", script]));
    assert_eq!(run("exit 37"), Status::Code(37));
    assert_eq!(run("kill -9 $$"), Status::Signal(9));
    assert_eq!(run("kill -SEGV $$").to_string(), "exit code: 139: killed by SIGSEGV");
}

fn missing_program(world: &World) {
    let root = rootfs();
    let error = world.run(step(root.path(), &["/no/such/program"])).err().unwrap();
    assert!(matches!(&error, SandboxError::Exec { program, .. } if program == "/no/such/program"), "{error}");
    let text = root.path().join("bin/text");
    std::fs::write(&text, "not a program").unwrap();
    std::fs::set_permissions(&text, mode(0o755)).unwrap();
    let error = world.run(step(root.path(), &["text"])).err().unwrap();
    assert!(error.to_string().contains("exec format error"), "{error}");
}

/// The number of live children of the zygote: one per running step and the spare sandbox. The last one that ended may still be a
/// zombie.
fn steps_of(zygote: u32) -> usize {
    let children = std::fs::read_to_string(format!("/proc/{zygote}/task/{zygote}/children")).unwrap_or_default();
    children.split_ascii_whitespace().filter(|pid| alive(pid)).count()
}

pub(crate) const TREE: &str = "trap '' INT TERM; (trap '' TERM; setsid sh -c 'sleep 1000' & sleep 1000) & sleep 1000";

fn cancelled(world: &World) {
    let root = rootfs();
    let cancel = CancellationToken::new();
    let canceller = cancel.clone();
    let timer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        canceller.cancel();
    });
    let error = world.run_until(marked_step(root.path(), &["sh", "-c", TREE]), cancel).err().unwrap();
    assert!(matches!(error, SandboxError::Cancelled), "{error}");
    timer.join().unwrap();
    until("the step is gone", || marked(root.path()) == 0);
}

/// A step with a mark in its environment, which its processes inherit.
fn marked_step(root: &Path, args: &[&str]) -> StepSpec {
    let mut spec = step(root, args);
    spec.env.push(format!("MARK={}", root.display()));
    spec
}

/// The number of processes with that mark.
fn marked(root: &Path) -> usize {
    let mark = format!("MARK={}", root.display());
    let mine = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(mine).count()
}

fn dropped(world: &World) {
    let root = rootfs();
    for wait in [0, 1, 2, 5, 30_000] {
        let probe = Probe::disabled();
        let spec = marked_step(root.path(), &["sh", "-c", TREE]);
        let run = world.zygote.run(spec, |_: LogLine<'_>| (), CancellationToken::new(), &probe);
        world.runtime.block_on(async {
            let start = Instant::now();
            let enough = async {
                while start.elapsed() < Duration::from_millis(wait) && marked(root.path()) < 4 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                _ = run => panic!("the step ended early"),
                () = enough => {}
            }
        });
    }
    until("the steps are gone", || marked(root.path()) == 0);
}

fn timed_out(world: &World) {
    let root = rootfs();
    let limits = Limits { timeout: Some(Duration::from_millis(200)), ..Limits::default() };
    let error = world.run(StepSpec { limits, ..marked_step(root.path(), &["sh", "-c", TREE]) }).err().unwrap();
    until("the step is gone", || marked(root.path()) == 0);
    assert!(error.to_string().contains("stopped after 0.2 s"), "{error}");
}

fn daemons(world: &World) {
    let start = Instant::now();
    assert_eq!(world.sh("(setsid sleep 1000 >/dev/null 2>&1 &) ; sleep 1000 & echo done"), "done\n");
    assert!(start.elapsed() < Duration::from_secs(500), "a daemon kept the pipe open");
}

fn orphans(world: &World) {
    let script = "for i in 1 2 3 4 5 6 7 8 9; do (true &); done; i=0; \
        while [ $i -lt 600 ] && grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do sleep 0.1; i=$((i+1)); done; \
        grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    assert_eq!(world.sh(script), "0\n");
}

fn out_of_memory(world: &World) {
    let root = rootfs();
    let limits = Limits { memory: Some(24 << 20), ..Limits::default() };
    // tail keeps all of a line that does not end.
    let script = "head -c 300m /dev/zero | tail -n 1 | wc -c; exit ${PIPESTATUS:-137}";
    let spec = StepSpec { limits, ..step(root.path(), &["sh", "-c", script]) };
    match world.run(spec) {
        Ok(ran) => assert!(ran.exit.oom, "{}: {}", ran.exit.status, ran.output),
        // Without delegated cgroups the limit cannot be enforced, which must be an error.
        Err(error) => assert!(!world.has_cgroups() && error.to_string().contains("--memory"), "{error}"),
    }
}

fn processors(world: &World) {
    let root = rootfs();
    let limits = Limits { cpus: Some(0.5), ..Limits::default() };
    let busy = "i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done";
    let start = Instant::now();
    match world.run(StepSpec { limits, ..step(root.path(), &["sh", "-c", busy]) }) {
        // Half a processor takes twice as long. Half of the first period of 100 ms may run at full speed.
        Ok(ran) => {
            let used = (ran.exit.resources.cpu_user + ran.exit.resources.cpu_system).as_secs_f64();
            let lasted = start.elapsed().as_secs_f64();
            assert!(used > 0.15 && lasted > 2.0 * used - 0.1, "{used} s of CPU time in {lasted} s");
        }
        Err(error) => assert!(!world.has_cgroups() && error.to_string().contains("--cpus"), "{error}"),
    }
}

fn account(world: &World) {
    let root = rootfs();
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; true | true | true";
    let resources = world.run(step(root.path(), &["sh", "-c", busy])).unwrap().exit.resources;
    assert!(resources.cpu_user + resources.cpu_system > Nanos(50_000_000), "{resources:?}");
    assert!(resources.cpu_user + resources.cpu_system < Nanos(30_000_000_000), "{resources:?}");
    // The shell and two or three parts of the pipeline.
    assert!((3..=5).contains(&resources.processes.unwrap()), "{resources:?}");
    assert!(resources.minor_faults > 50 && resources.peak_memory.0 > 100 << 10, "{resources:?}");
    // 64 MB in one process count in full, with cgroups and with rusage.
    let hungry = "head -c 64m /dev/zero | tail -n 1 > /dev/null";
    let resources = world.run(step(root.path(), &["sh", "-c", hungry])).unwrap().exit.resources;
    assert!(resources.peak_memory.0 > 60 << 20, "{resources:?}");
}

fn output(world: &World) {
    let root = rootfs();
    let text = "x".repeat(93);
    let script = format!("yes {text} | head -n 1000000 | cat -n; seq 1 1000 >&2");
    let (mut out, mut err) = (0_u64, 0_u64);
    let log = |line: LogLine<'_>| {
        let text = std::str::from_utf8(line.text).unwrap();
        let number: u64 = text.split_ascii_whitespace().next().unwrap().parse().unwrap();
        let seen = if text.len() > 90 { &mut out } else { &mut err };
        *seen += 1;
        assert_eq!(number, *seen, "lines are complete and in order");
    };
    let before = peak_memory();
    let probe = Probe::disabled();
    let run = world.zygote.run(step(root.path(), &["sh", "-c", &script]), log, CancellationToken::new(), &probe);
    assert!(world.runtime.block_on(run).unwrap().status.success());
    assert_eq!((out, err), (1_000_000, 1000));
    assert!(peak_memory() - before < 32 << 10, "from {before} to {} kB", peak_memory());
}

/// The peak memory of this process so far, in kB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Counts everything that a process can leak.
pub(crate) fn holdings(zygote: u32) -> BTreeMap<&'static str, usize> {
    let entries = |path: String| std::fs::read_dir(path).map_or(0, Iterator::count);
    let mine = format!("buildscope-{}", std::process::id());
    let cgroups = ["unified", "memory", "cpu", "."].map(|name| {
        let path = format!("/sys/fs/cgroup/{name}/{mine}");
        let directories =
            std::fs::read_dir(path).map(|entries| entries.flatten().filter(|entry| entry.path().is_dir()).count());
        directories.unwrap_or(0)
    });
    BTreeMap::from([
        ("descriptors", entries("/proc/self/fd".into())),
        ("threads", entries("/proc/self/task".into())),
        ("mounts", std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()),
        (
            "the zygote's mounts",
            std::fs::read_to_string(format!("/proc/{zygote}/mountinfo")).map_or(0, |text| text.lines().count()),
        ),
        ("the zygote's descriptors", entries(format!("/proc/{zygote}/fd"))),
        ("the zygote's children", steps_of(zygote)),
        ("cgroups", cgroups.iter().sum()),
    ])
}

/// This runs in a separate process, because other tests run at the same time.
fn thousand(_: &World) {
    let output = Command::new(std::env::current_exe().unwrap()).args(["--victim", "thousand"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn killed_builder(_: &World) {
    // A killed process does not remove its root file system, so this directory does.
    let temporary = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--victim", "sleep"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let (zygote, ready) = (next(), next());
    assert_eq!(ready, "running");
    let init = std::fs::read_to_string(format!("/proc/{zygote}/task/{zygote}/children")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let pids: Vec<&str> = [zygote.as_str()].into_iter().chain(init.split_ascii_whitespace()).collect();
    assert!(pids.len() > 1, "a step runs");
    until("zygote and step are gone", || pids.iter().all(|pid| !alive(pid)));
    for hierarchy in ["unified", "memory", "."] {
        let path = format!("/sys/fs/cgroup/{hierarchy}/buildscope-{}", child.id());
        until(&format!("{path} is gone"), || !Path::new(&path).exists());
    }
}

/// Whether a process exists and is not a zombie.
pub(crate) fn alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

/// The main function of the separate processes that other tests start.
pub(crate) fn victim(world: &World) -> ExitCode {
    let root = rootfs();
    match std::env::args().nth(2).as_deref() {
        Some("sleep") => {
            let mut out = std::io::stdout();
            writeln!(out, "{}", world.zygote.pid().unwrap()).unwrap();
            let log = |line: LogLine<'_>| {
                let mut out = std::io::stdout();
                writeln!(out, "{}", String::from_utf8_lossy(line.text)).unwrap();
            };
            let probe = Probe::disabled();
            let spec = step(root.path(), &["sh", "-c", "echo running; sleep 1000 & sleep 1000"]);
            let _ = world.runtime.block_on(world.zygote.run(spec, log, CancellationToken::new(), &probe));
        }
        Some("limits") => super::views::limits_victim(world, root.path()),
        Some("traffic") => super::networks::traffic_victim(world, root.path()),
        Some("runtimes") => super::runtimes::victim(world),
        Some(name @ ("crun" | "runc")) => super::runtimes::sleeping_victim(world, root.path(), name),
        Some("isolated") => {
            let script = "head -n 1 /etc/resolv.conf; ip route | grep -c ^default; ls /sys/class/net | wc -l";
            let spec = StepSpec { network: world.isolated().unwrap(), ..step(root.path(), &["sh", "-c", script]) };
            let output = world.succeed(spec);
            let mut out = std::io::stdout();
            write!(out, "{output}").unwrap();
        }
        Some("thousand") => {
            let run = || world.status(step(root.path(), &["true"]));
            (0..10).for_each(|_| assert!(run().success()));
            // The spare sandbox is prepared while the program runs, which may end first.
            until("a spare sandbox is ready", || steps_of(world.zygote.pid().unwrap()) == 1);
            let before = holdings(world.zygote.pid().unwrap());
            (0..1000).for_each(|_| assert!(run().success()));
            let leaked =
                || holdings(world.zygote.pid().unwrap()).into_iter().find(|(what, count)| before[what] < *count);
            until("everything is released", || {
                let leaked = leaked();
                leaked.iter().for_each(|leaked| eprintln!("before {}: {leaked:?}", before[leaked.0]));
                leaked.is_none()
            });
        }
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// Measures the time of a step, including its process: `cargo test --test sandbox -- --step-cost`.
pub(crate) fn step_cost(world: &World) -> ExitCode {
    let root = rootfs();
    // The mountpoints exist, as in most base images.
    for directory in ["proc", "sys", "dev"] {
        std::fs::create_dir(root.path().join(directory)).unwrap();
    }
    for file in ["hosts", "resolv.conf"] {
        std::fs::write(root.path().join("etc").join(file), "").unwrap();
    }
    let isolated = world.isolated().unwrap();
    let kinds = [
        ("/bin/true", StepNetwork::Host, &["/bin/true"][..]),
        ("/bin/sh -c :", StepNetwork::Host, &["/bin/sh", "-c", ":"]),
        ("/bin/true without a network", StepNetwork::None, &["/bin/true"]),
        ("/bin/true in a shared isolated network", isolated, &["/bin/true"]),
    ];
    for (what, network, args) in kinds {
        let once = |_| {
            let spec = StepSpec { network: network.clone(), ..step(root.path(), args) };
            let start = Instant::now();
            world.run(spec).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        };
        let mut times: Vec<f64> = (0..300).map(once).collect();
        times.sort_by(f64::total_cmp);
        let mut out = std::io::stdout();
        let _ =
            writeln!(out, "{what}: median {:.2} ms, 90 % below {:.2}, least {:.2}", times[150], times[270], times[0]);
    }
    ExitCode::SUCCESS
}
