//! Steps in the sandbox, as whoever runs the tests: root, or an ordinary user in a user namespace.
//!
//! The root file system is a static busybox. What is expected comes from docker's documentation of its defaults,
//! from the conformance kit's observations of BuildKit, and from the manual pages of the calls that must fail.

use buildscope_builder::execute::sandbox::{
    Credentials, Exit, Isolation, Limits, LogLine, MountSource, NetworkMode, SandboxError, SandboxMount, Status,
    StepSpec, Zygote, detached, isolate_process,
};
use buildscope_record::Probe;
use libtest_mimic::{Arguments, Trial};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

fn main() -> std::process::ExitCode {
    let isolation = isolate_process().expect("this machine has namespaces");
    let zygote = Zygote::start().expect("a helper");
    let world = Arc::new(World {
        isolation,
        zygote,
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    });
    if std::env::args().any(|arg| arg == "--step-cost") {
        step_cost(&world);
        return std::process::ExitCode::SUCCESS;
    }
    let trials = TRIALS.iter().map(|&(name, test)| {
        let world = Arc::clone(&world);
        Trial::test(name, move || {
            test(&world);
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// What all tests share.
struct World {
    isolation: Isolation,
    zygote: Zygote,
    runtime: tokio::runtime::Runtime,
}

/// A step's end and its output.
struct Ran {
    exit: Exit,
    output: String,
}

/// A directory with a busybox as `/bin`, and what the tests need of `/etc`.
fn rootfs() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for name in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir(path(name)).unwrap();
    }
    std::fs::copy("/bin/busybox", path("bin/busybox")).expect("busybox-static is installed");
    let list = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|&applet| applet != "busybox") {
        std::os::unix::fs::symlink("busybox", path("bin").join(applet)).unwrap();
    }
    std::fs::write(path("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    root
}

fn step(root: &Path, args: &[&str]) -> StepSpec {
    StepSpec {
        rootfs: detached(root).unwrap(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec!["PATH=/bin".into(), "HOME=/root".into()],
        workdir: "/".into(),
        user: Credentials::default(),
        mounts: Vec::new(),
        network: NetworkMode::Host,
        insecure: false,
        devices: Vec::new(),
        stdin: None,
        hostname: "buildkitsandbox".into(),
        extra_hosts: Vec::new(),
        limits: Limits::default(),
    }
}

impl World {
    fn try_run(&self, spec: StepSpec) -> Result<Ran, SandboxError> {
        let output = Mutex::new(String::new());
        let log = |line: LogLine<'_>| {
            let mut output = output.lock().unwrap();
            output.push_str(&String::from_utf8_lossy(line.text));
            output.push_str(if line.ended { "\n" } else { "" });
        };
        let probe = Probe::disabled();
        let run = self.zygote.run(spec, log, CancellationToken::new(), &probe);
        let exit = self.runtime.block_on(run)?;
        Ok(Ran { exit, output: output.into_inner().unwrap() })
    }

    /// Runs a shell script in a fresh root; it must succeed.
    fn sh(&self, script: &str) -> String {
        let root = rootfs();
        self.sh_in(root.path(), script)
    }

    fn sh_in(&self, root: &Path, script: &str) -> String {
        let ran = self.try_run(step(root, &["sh", "-c", script])).unwrap();
        assert_eq!(ran.exit.status, Status::Code(0), "{script}: {}", ran.output);
        ran.output
    }
}

type Test = fn(&World);

const TRIALS: &[(&str, Test)] = &[
    ("exit_codes_and_signals_are_told", exit_codes),
    ("a_missing_program_is_an_error", missing_program),
    ("the_environment_is_the_steps_alone", environment),
    ("mountpoints_leave_no_trace", no_trace),
    ("files_systems_are_docker_like", file_systems),
];

fn exit_codes(world: &World) {
    let root = rootfs();
    let run = |script: &str| world.try_run(step(root.path(), &["sh", "-c", script])).unwrap().exit.status;
    assert_eq!(run("exit 37"), Status::Code(37));
    assert_eq!(run("kill -9 $$"), Status::Signal(9));
    assert_eq!(run("kill -SEGV $$").to_string(), "exit code: 139: killed by SIGSEGV");
}

fn missing_program(world: &World) {
    let root = rootfs();
    let error = world.try_run(step(root.path(), &["/no/such/program"])).err().unwrap();
    assert!(matches!(&error, SandboxError::Exec { program, .. } if program == "/no/such/program"), "{error}");
    let text = root.path().join("bin/text");
    std::fs::write(&text, "no program").unwrap();
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = world.try_run(step(root.path(), &["text"])).err().unwrap();
    assert!(error.to_string().contains("exec format error"), "{error}");
}

fn environment(world: &World) {
    assert_eq!(world.sh("unset OLDPWD; env | sort"), "HOME=/root\nPATH=/bin\nPWD=/\nSHLVL=1\n");
    assert_eq!(world.sh("umask; hostname; pwd"), "0022\nbuildkitsandbox\n/\n");
    // The init's memory is a copy of the helper's: not to be read, and emptied besides.
    assert!(world.sh("cat /proc/1/environ 2>&1 || true").contains("Permission denied"));
}

fn no_trace(world: &World) {
    let root = rootfs();
    let before = listing(root.path());
    let mut spec =
        step(root.path(), &["sh", "-c", "test -e /etc/resolv.conf && test -e /etc/hosts && test -d /deep/er/dir"]);
    spec.mounts.push(SandboxMount { target: "/deep/er/dir".into(), source: MountSource::Tmpfs { size: None } });
    assert!(world.try_run(spec).unwrap().exit.status.success());
    assert_eq!(listing(root.path()), before);
}

/// Every path below a directory with its modification time.
fn listing(root: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = vec![(root.to_owned(), std::fs::symlink_metadata(root).unwrap().modified().unwrap())];
    let mut at = 0;
    while at < found.len() {
        let path = found[at].0.clone();
        if path.symlink_metadata().unwrap().is_dir() {
            let entries = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            let timed = entries.map(|path| (path.clone(), path.symlink_metadata().unwrap().modified().unwrap()));
            found.extend(timed);
        }
        at += 1;
    }
    found.sort();
    found
}

fn file_systems(world: &World) {
    let _ = &world.isolation;
    let script = "test -c /dev/null && test -c /dev/urandom && test -d /dev/shm && test -e /dev/fd/0 && echo x > /dev/null \
        && head -c 1 /dev/zero > /dev/null && test -d /proc/self && ls -d /sys/class && grep -c ' / ' /proc/mounts";
    assert_eq!(world.sh(script), "/sys/class\n1\n");
}

fn step_cost(world: &World) {
    let root = rootfs();
    // As in most base images, the mountpoints exist.
    for directory in ["proc", "sys", "dev"] {
        std::fs::create_dir(root.path().join(directory)).unwrap();
    }
    for file in ["hosts", "resolv.conf"] {
        std::fs::write(root.path().join("etc").join(file), "").unwrap();
    }
    let probe = Probe::disabled();
    for (what, network, args) in [
        ("true", NetworkMode::Host, &["/bin/true"][..]),
        ("sh -c :", NetworkMode::Host, &["/bin/sh", "-c", ":"]),
        ("none", NetworkMode::None, &["/bin/true"]),
    ] {
        let mut times: Vec<f64> = (0..300)
            .map(|_| {
                let spec = StepSpec { network, ..step(root.path(), args) };
                let start = std::time::Instant::now();
                let run = world.zygote.run(spec, |_: LogLine<'_>| (), CancellationToken::new(), &probe);
                world.runtime.block_on(run).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        eprintln!("{what}: min {:.3} p25 {:.3} median {:.3} p90 {:.3} ms", times[0], times[75], times[150], times[270]);
    }
}
