//! The parts that the sandbox's tests share: a root file system, and ways to run a step in it.

pub(crate) mod accounts;
pub(crate) mod ends;
pub(crate) mod escapes;
pub(crate) mod networks;
pub(crate) mod runtimes;
pub(crate) mod views;

use buildscope_record::Probe;
use buildscope_sandbox::{
    Credentials, Exit, IsolatedNetwork, Isolation, Limits, LogLine, OciRuntime, Privileges, SandboxError, Status,
    StepNetwork, StepSpec, Zygote, detached,
};
use buildscope_testing::Need;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A test: its name, its function, and its requirements.
pub(crate) type Entry = (&'static str, fn(&World), &'static [Need]);

/// The requirement of at least one stock OCI runtime.
pub(crate) const RUNTIMES: &[Need] = &[Need::AnyProgram(&["crun", "runc"])];

/// The process that the tests run in.
pub(crate) struct World {
    pub(crate) isolation: Isolation,
    pub(crate) zygote: Zygote,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// A step's exit and its output, with both streams in the order in which they were read.
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) output: String,
}

impl World {
    pub(crate) fn new(isolation: Isolation, zygote: Zygote) -> Self {
        // Idle blocking threads end after a second: the default of ten seconds would look like a leak.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_keep_alive(Duration::from_secs(1)).enable_all().build().unwrap();
        Self { isolation, zygote, runtime }
    }

    /// Whether this is root of the machine, which has all ids, and not root of a user namespace in which the tests run.
    pub(crate) fn privileged(&self) -> bool {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        self.isolation == Isolation::Root && map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
    }

    /// Whether memory and CPU limits work: as root, or if `BUILDSCOPE_TEST_CGROUPS` says that the user has delegated cgroups.
    pub(crate) fn has_cgroups(&self) -> bool {
        self.privileged() || std::env::var_os("BUILDSCOPE_TEST_CGROUPS").is_some()
    }

    pub(crate) fn run(&self, spec: StepSpec) -> Result<Ran, SandboxError> {
        self.run_until(spec, CancellationToken::new())
    }

    pub(crate) fn run_until(&self, spec: StepSpec, cancel: CancellationToken) -> Result<Ran, SandboxError> {
        let output = Mutex::new(String::new());
        let log = |line: LogLine<'_>| {
            let mut output = output.lock().unwrap();
            output.push_str(&String::from_utf8_lossy(line.text));
            output.push_str(if line.ended { "\n" } else { "" });
        };
        let probe = Probe::disabled();
        let exit = self.runtime.block_on(self.zygote.run(spec, log, cancel, &probe))?;
        Ok(Ran { exit, output: output.into_inner().unwrap() })
    }

    /// Runs a step with a stock runtime.
    pub(crate) fn run_by(&self, runtime: &OciRuntime, spec: StepSpec) -> (Result<Exit, SandboxError>, String) {
        self.run_by_until(runtime, spec, CancellationToken::new())
    }

    pub(crate) fn run_by_until(
        &self,
        runtime: &OciRuntime,
        spec: StepSpec,
        cancel: CancellationToken,
    ) -> (Result<Exit, SandboxError>, String) {
        let output = Mutex::new(String::new());
        let log = |line: LogLine<'_>| {
            let mut output = output.lock().unwrap();
            output.push_str(&String::from_utf8_lossy(line.text));
            output.push('\n');
        };
        let probe = Probe::disabled();
        let exit = self.runtime.block_on(runtime.run(&self.zygote, spec, log, cancel, &probe));
        (exit, output.into_inner().unwrap())
    }

    /// Runs the same step with every available executor. Returns the executor's name, the step's exit and its output.
    pub(crate) fn by_all(&self, spec: impl Fn() -> StepSpec) -> Vec<(String, Result<Exit, SandboxError>, String)> {
        let native = match self.run(spec()) {
            Ok(Ran { exit, output }) => ("native".to_owned(), Ok(exit), output),
            Err(error) => ("native".to_owned(), Err(error), String::new()),
        };
        let by_runtime = runtimes().into_iter().map(|runtime| {
            let (exit, output) = self.run_by(&runtime, spec());
            (runtime.program.display().to_string(), exit, output)
        });
        [native].into_iter().chain(by_runtime).collect()
    }

    /// Connects a network for steps.
    pub(crate) fn isolated(&self) -> Result<StepNetwork, SandboxError> {
        self.runtime.block_on(IsolatedNetwork::connect()).map(|network| StepNetwork::Isolated(Arc::new(network)))
    }

    /// Runs a shell script in a new root file system. The script must succeed.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.succeed(step(rootfs().path(), &["sh", "-c", script]))
    }

    pub(crate) fn succeed(&self, spec: StepSpec) -> String {
        let what = spec.args.join(" ");
        let ran = self.run(spec).unwrap();
        assert_eq!(ran.exit.status, Status::Code(0), "{what}: {}", ran.output);
        ran.output
    }

    pub(crate) fn status(&self, spec: StepSpec) -> Status {
        self.run(spec).unwrap().exit.status
    }
}

/// The stock runtimes that are installed.
pub(crate) fn runtimes() -> Vec<OciRuntime> {
    let programs = ["/usr/bin/crun", "/usr/bin/runc", "/usr/sbin/runc"].map(std::path::PathBuf::from);
    // On systems with merged directories `/usr/bin` and `/usr/sbin` are the same.
    let mut found: Vec<OciRuntime> = Vec::new();
    for program in programs.into_iter().filter(|program| program.exists()) {
        if !found.iter().any(|other| other.program.file_name() == program.file_name()) {
            found.push(OciRuntime { program });
        }
    }
    found
}

/// A directory with a busybox as `/bin` and the files of `/etc` that the tests need. It has no `/proc`, `/sys` and `/dev`.
pub(crate) fn rootfs() -> tempfile::TempDir {
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
    std::fs::set_permissions(root.path(), mode(0o755)).unwrap();
    std::fs::set_permissions(path("tmp"), mode(0o1777)).unwrap();
    root
}

pub(crate) fn mode(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

pub(crate) fn step(root: &Path, args: &[&str]) -> StepSpec {
    StepSpec {
        rootfs: detached(root).unwrap(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec!["PATH=/bin".into(), "HOME=/root".into()],
        workdir: "/".into(),
        user: Credentials::default(),
        mounts: Vec::new(),
        network: StepNetwork::Host,
        privileges: Privileges::Docker,
        devices: Vec::new(),
        stdin: None,
        hostname: "buildkitsandbox".into(),
        extra_hosts: Vec::new(),
        limits: Limits::default(),
    }
}
