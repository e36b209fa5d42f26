//! The system as a step sees it.

use super::{Entry, RUNTIMES, StepSpec, World, rootfs, runtimes, step};
use buildscope_sandbox::{Credentials, Limits, MountSource, SandboxMount, Status, StepNetwork, detached};
use buildscope_testing::Need;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Devices, of which most machines have at least one.
const NODES: &[&str] = &["/dev/net/tun", "/dev/fuse", "/dev/kmsg", "/dev/loop-control"];
const DEVICES: &[Need] = &[Need::AnyDevice(NODES)];

pub(crate) const TRIALS: &[Entry] = &[
    ("mountpoints_leave_no_trace", no_trace, &[]),
    ("dev_proc_and_sys_are_dockers", file_systems, &[]),
    ("dockers_masked_and_read_only_paths_apply", hidden, &[]),
    ("steps_have_namespaces_and_the_zygote_one_thread", namespaces, &[]),
    ("a_step_is_at_the_root_of_its_cgroups", cgroups, &[]),
    ("names_and_umask_are_buildkits", names, &[]),
    ("a_missing_working_directory_belongs_to_the_user", workdir, &[]),
    ("secrets_are_read_only_with_mode_and_owner", secrets, &[]),
    ("mounts_are_attached_in_order", own_mounts, &[]),
    ("an_oci_runtime_runs_the_same_step", oci_runtime, RUNTIMES),
    ("an_oci_runtime_enforces_limits", oci_limits, RUNTIMES),
    ("limits_are_set", limits, &[]),
    ("default_limits_are_dockers", default_limits, &[]),
    ("host_devices_cannot_be_changed", devices, DEVICES),
    ("standard_input_is_given_or_empty", standard_input, &[]),
];

fn no_trace(world: &World) {
    let root = rootfs();
    let before = listing(root.path());
    let script = "test -e /etc/resolv.conf && test -e /etc/hosts && test -d /deep/er/dir && test -e /single";
    let mut spec = step(root.path(), &["sh", "-c", script]);
    spec.mounts.push(SandboxMount { target: "/deep/er/dir".into(), source: MountSource::Tmpfs { size: None } });
    let secret = MountSource::Secret { content: b"secret".into(), mode: 0o400, uid: 0, gid: 0 };
    spec.mounts.push(SandboxMount { target: "/single".into(), source: secret });
    world.succeed(spec);
    assert_eq!(listing(root.path()), before);
    world.sh("true");
    // A file that the step makes next to a new mountpoint stays.
    let mut spec = step(root.path(), &["touch", "/deep/kept"]);
    spec.mounts.push(SandboxMount { target: "/deep/er/dir".into(), source: MountSource::Tmpfs { size: None } });
    world.succeed(spec);
    assert!(root.path().join("deep/kept").exists() && !root.path().join("deep/er").exists());
}

/// The paths below a directory with their modification times.
fn listing(root: &Path) -> Vec<(PathBuf, SystemTime)> {
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
    // These are docker's standard devices and links (OCI runtime specification, "Default Devices"), without a console.
    let nodes = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ";
    assert_eq!(world.sh("ls /dev | tr '\\n' ' '"), nodes);
    let script = "test -c /dev/null && echo x > /dev/null && head -c 1 /dev/urandom > /dev/null && test -e /dev/fd/0 \
        && touch /dev/shm/x /dev/mine && test -d /proc/self && ls -d /sys/class && grep -c ' / ' /proc/mounts";
    assert_eq!(world.sh(script), "/sys/class\n1\n");
    assert_eq!(world.sh("test ! -e /dev/mine && test ! -e /dev/shm/x && echo private"), "private\n");
}

/// The paths are docker's (moby's default OCI specification). Paths that this machine lacks are skipped.
fn hidden(world: &World) {
    let script = "for p in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats; do \
            echo /proc/$p; done > /tmp/list; \
        ls -d /sys/firmware /sys/devices/virtual/powercap /sys/devices/system/cpu/cpu*/thermal_throttle >> /tmp/list 2> /dev/null; \
        for p in $(cat /tmp/list); do \
            if test -d $p; then ls -A $p; else test -e $p && head -c 1 $p; fi; \
        done; \
        for p in bus fs irq sys sysrq-trigger; do \
            test ! -e /proc/$p || grep -q \" /proc/$p proc ro,\" /proc/mounts || echo \"/proc/$p can be written to\"; \
        done; true";
    assert!(
        Path::new("/proc/timer_list").exists() || Path::new("/proc/interrupts").exists(),
        "this machine has no path to mask"
    );
    let root = rootfs();
    for network in [StepNetwork::Host, StepNetwork::None] {
        let spec = || StepSpec { network: network.clone(), ..step(root.path(), &["sh", "-c", script]) };
        for (name, ended, output) in world.by_all(spec) {
            assert_eq!((ended.unwrap().status, &*output), (Status::Code(0), ""), "{name} {network:?}");
        }
    }
}

fn namespaces(world: &World) {
    const KINDS: [&str; 7] = ["mnt", "pid", "ipc", "uts", "cgroup", "net", "user"];
    let root = rootfs();
    let threads = || std::fs::read_dir(format!("/proc/{}/task", world.zygote.pid().unwrap())).unwrap().count();
    let own = KINDS.map(|kind| std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string());
    for (network, common) in [(StepNetwork::Host, &["net", "user"][..]), (StepNetwork::None, &["user"])] {
        let script = format!("for kind in {}; do readlink /proc/self/ns/$kind; done", KINDS.join(" "));
        let spec = || StepSpec { network: network.clone(), ..step(root.path(), &["sh", "-c", &script]) };
        for (name, ended, output) in world.by_all(spec) {
            assert_eq!(ended.unwrap().status, Status::Code(0), "{name}: {output}");
            let same = KINDS.iter().zip(output.lines().zip(&own)).filter(|(_, (inner, outer))| inner == outer);
            let same: Vec<_> = same.map(|(kind, _)| *kind).collect();
            assert_eq!((output.lines().count(), &*same), (KINDS.len(), common), "{name}: {output}");
            assert_eq!(threads(), 1);
        }
    }
}

/// A step does not see the host's paths of its cgroups (cgroup_namespaces(7)).
fn cgroups(world: &World) {
    let script = "cut -d : -f 3 /proc/self/cgroup | sort -u";
    assert_eq!(world.sh(script), "/\n");
    for runtime in runtimes() {
        let root = rootfs();
        let (exit, output) = world.run_by(&runtime, step(root.path(), &["sh", "-c", script]));
        assert_eq!((exit.unwrap().status, &*output), (Status::Code(0), "/\n"), "{}", runtime.program.display());
    }
}

fn names(world: &World) {
    assert_eq!(world.sh("umask; hostname; pwd"), "0022\nbuildkitsandbox\n/\n");
    let hosts = "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    assert_eq!(world.sh("cat /etc/hosts"), hosts);
    let root = rootfs();
    let mut spec = step(root.path(), &["cat", "/etc/hosts"]);
    spec.extra_hosts.push(("registry".into(), "10.1.2.3".into()));
    assert_eq!(world.succeed(spec), format!("{hosts}10.1.2.3\tregistry\n"));
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    assert_eq!(world.sh("cat /etc/resolv.conf"), host);
    assert!(world.sh("echo x > /etc/resolv.conf || echo refused").contains("refused"));
}

fn workdir(world: &World) {
    let root = rootfs();
    let user = Credentials { uid: 5, gid: 6, groups: vec![6] };
    let spec = StepSpec { workdir: "/new/dir".into(), user, ..step(root.path(), &["sh", "-c", "pwd; touch mine"]) };
    assert_eq!(world.succeed(spec), "/new/dir\n");
    let seen = world.succeed(step(root.path(), &["stat", "-c", "%u %g %a", "/new", "/new/dir", "/new/dir/mine"]));
    assert_eq!(seen, "5 6 755\n5 6 755\n5 6 644\n");
}

fn secrets(world: &World) {
    let script = "cat /run/s; stat -c '%a %u %g' /run/s; (echo x > /run/s) 2>/dev/null || echo refused; \
        grep ' /run/s ' /proc/mounts | cut -d ' ' -f 4 | tr , '\\n' | grep -E '^(ro|nosuid|nodev|noexec)$' | sort | tr '\\n' ' '";
    let root = rootfs();
    let spec = |mode, content: &str, script| {
        let mut spec = step(root.path(), &["sh", "-c", script]);
        let source = MountSource::Secret { content: content.into(), mode, uid: 5, gid: 6 };
        spec.mounts.push(SandboxMount { target: "/run/s".into(), source });
        spec
    };
    for (name, ended, output) in world.by_all(|| spec(0o440, "hush\n", script)) {
        let expected = "hush\n440 5 6\nrefused\nnodev noexec nosuid ro ";
        assert_eq!((ended.unwrap().status, output.trim_end()), (Status::Code(0), expected.trim_end()), "{name}");
    }
    // As in BuildKit, a secret with an execute bit can be executed.
    for (name, ended, output) in world.by_all(|| spec(0o555, "#!/bin/sh\necho ran\n", "/run/s")) {
        assert_eq!((ended.unwrap().status, &*output), (Status::Code(0), "ran\n"), "{name}");
    }
    assert!(!root.path().join("run").exists());
}

fn own_mounts(world: &World) {
    let (root, given) = (rootfs(), tempfile::tempdir().unwrap());
    std::fs::write(given.path().join("file"), "given\n").unwrap();
    let mount = |path: &Path, readonly| MountSource::Detached { mount: detached(path).unwrap(), readonly };
    let mut spec = step(root.path(), &["sh", "-c", "cat /m/file /m/t/one; touch /m/new || echo refused; touch /w/new"]);
    spec.mounts.push(SandboxMount { target: "/m".into(), source: MountSource::Tmpfs { size: Some(1 << 20) } });
    spec.mounts.push(SandboxMount { target: "/m/t/one".into(), source: mount(&given.path().join("file"), true) });
    spec.mounts.push(SandboxMount { target: "/m/file".into(), source: mount(&given.path().join("file"), true) });
    spec.mounts.push(SandboxMount { target: "/w".into(), source: mount(given.path(), false) });
    assert_eq!(world.succeed(spec), "given\ngiven\n");
    assert_eq!(std::fs::metadata(given.path().join("new")).unwrap().uid(), 0);
    let mut spec = step(root.path(), &["sh", "-c", "touch /m/new 2>/dev/null || echo refused"]);
    spec.mounts.push(SandboxMount { target: "/m".into(), source: mount(given.path(), true) });
    assert!(world.succeed(spec).ends_with("refused\n"));
}

fn oci_limits(world: &World) {
    for runtime in runtimes() {
        let root = rootfs();
        let run = |script: &str, limits| {
            world.run_by(&runtime, StepSpec { limits, ..step(root.path(), &["sh", "-c", script]) })
        };
        let what = runtime.program.display();
        let ulimits = [("nofile".to_owned(), (100, 200))].into();
        let limits = Limits { shm_size: Some(1 << 20), ulimits, ..Limits::default() };
        let script = "ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}'";
        let (exit, output) = run(script, limits);
        assert_eq!((exit.unwrap().status, &*output), (Status::Code(0), "100\n200\n1024\n"), "{what}");
        let hungry = "head -c 300m /dev/zero | tail -n 1 | wc -c | grep -q 314572800";
        match run(hungry, Limits { memory: Some(32 << 20), ..Limits::default() }) {
            (Ok(exit), output) => assert!(!exit.status.success(), "{what}: {output}"),
            (Err(error), _) => {
                assert!(!world.has_cgroups() && error.to_string().contains("--memory"), "{what}: {error}")
            }
        }
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let start = std::time::Instant::now();
        match run(busy, Limits { cpus: Some(0.1), ..Limits::default() }) {
            // The loop needs more than 50 ms of CPU time, so it takes more than 500 ms with a tenth of a processor.
            (Ok(exit), _) => {
                let lasted = start.elapsed();
                assert!(exit.status.success() && lasted.as_millis() > 400, "{what}: {lasted:?}");
            }
            (Err(error), _) => assert!(!world.has_cgroups() && error.to_string().contains("--cpus"), "{what}: {error}"),
        }
    }
}

fn oci_runtime(world: &World) {
    for runtime in runtimes() {
        let root = rootfs();
        let before = listing(root.path());
        let script = "cat /run/s; id; umask; hostname; pwd; grep CapEff /proc/self/status | cut -f 2; grep Seccomp: /proc/self/status | cut -f 2; ls /dev/shm; exit 3";
        let mut spec = step(root.path(), &["sh", "-c", script]);
        let secret = MountSource::Secret { content: b"hush\n".into(), mode: 0o400, uid: 0, gid: 0 };
        spec.mounts.push(SandboxMount { target: "/run/s".into(), source: secret });
        let (exit, output) = world.run_by(&runtime, spec);
        let expected = "hush\nuid=0(root) gid=0\n0022\nbuildkitsandbox\n/\n00000000a80425fb\n2\n";
        assert_eq!(output, expected, "{}", runtime.program.display());
        assert_eq!(exit.unwrap().status, Status::Code(3));
        assert_eq!(listing(root.path()), before);
    }
}

fn limits(world: &World) {
    let root = rootfs();
    let mut limits = Limits { shm_size: Some(1 << 20), ..Limits::default() };
    limits.ulimits.insert("nofile".into(), (100, 200));
    limits.ulimits.insert("core".into(), (0, 0));
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; df -k /dev/shm | tail -1 | awk '{print $2}'";
    let spec = StepSpec { limits, ..step(root.path(), &["sh", "-c", script]) };
    assert_eq!(world.succeed(spec), "100\n200\n0\n1024\n");
    let mut limits = Limits::default();
    limits.ulimits.insert("teapots".into(), (1, 1));
    let spec = StepSpec { limits, ..step(root.path(), &["true"]) };
    assert!(world.run(spec).err().unwrap().to_string().contains("teapots"));
    // A limit above the kernel's maximum for all users (proc_sys_fs(5)).
    let most: u64 = std::fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse().unwrap();
    for (name, ended, _) in world.by_all(|| {
        let ulimits = [("nofile".to_owned(), (100, most + 1))].into();
        StepSpec { limits: Limits { ulimits, ..Limits::default() }, ..step(root.path(), &["true"]) }
    }) {
        let error = ended.err().unwrap().to_string();
        assert!(error.contains("`nofile`") && error.contains("the highest allowed value"), "{name}: {error}");
    }
}

/// Runs a separate process from a shell with other limits.
fn default_limits(_: &World) {
    let shell = "ulimit -Ss 4096; ulimit -Sc unlimited; ulimit -Sn 300; ulimit -Hn 700; exec \"$0\" --victim limits";
    let mut victim = std::process::Command::new("/bin/busybox");
    let output = victim.args(["sh", "-c", shell]).arg(std::env::current_exe().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The separate process of [`default_limits`]. The number of open files is systemd's default, which docker's daemon passes on
/// (systemd-system.conf(5)). A process without CAP_SYS_RESOURCE on the machine, which may even be root, cannot set more than its
/// own limit (getrlimit(2)). The limit of the stack is the builder's.
pub(crate) fn limits_victim(world: &World, root: &Path) {
    use rustix::process::{Resource, getrlimit};
    let held = rustix::thread::capabilities(None).unwrap().effective;
    let raises = world.privileged() && held.contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
    let files = if raises { "1024 524288" } else { "700 700" };
    let or_any = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let own = |resource| or_any(if raises { None } else { getrlimit(resource).maximum });
    let (core, processes) = (own(Resource::Core), own(Resource::Nproc));
    let stack = or_any(getrlimit(Resource::Stack).maximum);
    let expected = format!(
        "Max stack size 4194304 {stack} bytes\nMax core file size 0 {core} bytes\n\
         Max processes {processes} {processes} processes\nMax open files {files} files\n"
    );
    let script = "grep -E '^Max (stack|core|processes|open)' /proc/self/limits | tr -s ' ' | sed 's/ $//'";
    for (name, ended, output) in world.by_all(|| step(root, &["sh", "-c", script])) {
        assert_eq!((ended.unwrap().status, output), (Status::Code(0), expected.clone()), "{name}");
    }
}

/// A user that may open a device outside may open it inside. The mode of the host's node cannot be changed.
fn devices(world: &World) {
    let (root, other) = (rootfs(), rootfs());
    let device = NODES.iter().find(|device| std::fs::File::open(device).is_ok()).unwrap();
    let script = format!("test -c {device} && : < {device} && ! chmod 600 {device} 2> /dev/null && cat /secret");
    for (name, ended, output) in world.by_all(|| StepSpec {
        devices: vec![(*device).into()],
        mounts: vec![SandboxMount {
            target: "/secret".into(),
            source: MountSource::Secret { content: b"secret\n".into(), mode: 0o444, uid: 0, gid: 0 },
        }],
        ..step(root.path(), &["sh", "-c", &script])
    }) {
        assert_eq!((ended.unwrap().status, &*output), (Status::Code(0), "secret\n"), "{name}: {device}");
    }
    assert_eq!(listing(root.path()).len(), listing(other.path()).len(), "the mountpoints stay");
    for (name, ended, output) in world.by_all(|| step(root.path(), &["sh", "-c", &format!("test ! -e {device}")])) {
        assert_eq!(ended.unwrap().status, Status::Code(0), "{name}: {output}");
    }
}

fn standard_input(world: &World) {
    let root = rootfs();
    assert_eq!(world.succeed(step(root.path(), &["cat"])), "");
    let spec = StepSpec { stdin: Some(b"given\n".into()), ..step(root.path(), &["cat"]) };
    assert_eq!(world.succeed(spec), "given\n");
}
