//! Runs a step with a stock OCI runtime, crun or runc (`--executor oci`), for users whose policy demands one.
//!
//! The runtime makes the inner sandbox: root, mounts, capabilities, seccomp, masks. It runs in an outer sandbox of ours, a pid
//! namespace with a step's init ([`init`](super::init)) and a [`bundle`] in memory. So the init is the parent of the
//! processes that the runtime starts, reports the exit in the same way as without a runtime, and no process outlives the
//! builder.

use super::bundle;
use super::cgroup::StepCgroup;
use super::error::SandboxError;
use super::exit::Exit;
use super::isolate::initial_user_namespace;
use super::logs::LogSink;
use super::message::{InitMessage, RuntimeMessage};
use super::spec::{MountSource, Privileges, SHM_SIZE, StepNetwork, StepSpec};
use super::wire::Bytes;
use super::zygote::Zygote;
use super::{filesystem, masks, mounts, privileges, profile, rlimits};
use buildscope_record::Probe;
use rustix::fs::CWD;
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// A stock OCI runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciRuntime {
    /// The path or name of crun, runc, or a program with their command line.
    pub program: PathBuf,
}

impl OciRuntime {
    /// Runs a step to its end, as [`Zygote::run`](super::Zygote::run) does.
    ///
    /// # Errors
    /// The same as for [`Zygote::run`](super::Zygote::run). Also fails if the runtime does not start the program.
    pub async fn run(
        &self,
        zygote: &Zygote,
        spec: StepSpec,
        log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Exit, SandboxError> {
        zygote.run_by(Some(self), spec, log, cancel, probe).await
    }

    fn is_crun(&self) -> bool {
        self.program.file_name().is_some_and(|name| name == "crun")
    }

    /// Turns a message that starts a program into one that starts the runtime with that program.
    pub(super) fn take_over(
        &self,
        message: &mut InitMessage,
        fds: &mut Vec<OwnedFd>,
        config: &Value,
        cgroup: &StepCgroup,
    ) -> Result<(), SandboxError> {
        // The runtime is a program of the host and needs the host's files.
        let host = filesystem::clone(CWD, Path::new("/")).map_err(SandboxError::errno("cloning the host's mounts"))?;
        message.runtime = Some(RuntimeMessage {
            host: fds.len() as u32,
            config: config.to_string().into(),
            // The directories of version 1 belong to the host, and an ordinary user cannot write to them.
            cgroup2: cgroup.clone_into().is_some() || !initial_user_namespace(),
        });
        fds.push(host);
        let program = match self.program.components().count() {
            1 => self.program.clone(),
            _ => std::path::absolute(&self.program).map_err(SandboxError::io("resolving the runtime's path"))?,
        };
        let mut args: Vec<Bytes> = vec![program.as_os_str().as_bytes().into()];
        // The step is already in its cgroup. crun would otherwise need permission to make another one.
        args.extend(self.is_crun().then(|| "--cgroup-manager=disabled".into()));
        args.extend(
            ["--root", &in_bundle("state"), "--log", &in_bundle(bundle::LOG), "--log-format=json"].map(Bytes::from),
        );
        args.extend(["run", "--detach", "--pid-file", &in_bundle(bundle::PID)].map(Bytes::from));
        args.extend(["--bundle", bundle::PATH, &name(cgroup)].map(Bytes::from));
        message.args = args;
        // Both runtimes put a copy of themselves into this directory. crun would otherwise use /tmp.
        message.env = vec![format!("_LIBCONTAINER_STATEDIR={}", bundle::PATH).into()];
        message.env.extend(std::env::var_os("PATH").map(|path| [b"PATH=", path.as_bytes()].concat().into()));
        Ok(())
    }

    /// The step's `config.json`.
    pub(super) fn config(&self, spec: &StepSpec) -> Value {
        let crun = self.is_crun();
        // The pid and network namespaces are those of the init.
        let namespaces = ["ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
        let capabilities = privileges::names(spec.privileges, spec.network.raw_sockets());
        // A process of another user than root has capabilities only in its bounding set.
        let held = if spec.user.uid == 0 { capabilities.clone() } else { Vec::new() };
        let limits = rlimits::named(&spec.limits).into_iter().map(|(name, (soft, hard))| {
            json!({"type": format!("RLIMIT_{}", name.to_ascii_uppercase()), "soft": soft, "hard": hard})
        });
        let mut all = Vec::new();
        // crun mounts the root again without `nodev`, so a remount with that option comes first. A user namespace does not need
        // it, because no device node can be made there.
        if crun && initial_user_namespace() && spec.privileges == Privileges::Docker {
            all.push(json!({"destination": "/.", "type": "bind", "source": in_bundle("rootfs"),
                "options": ["bind", "remount", "nodev"]}));
        }
        all.extend(standard_mounts(spec.limits.shm_size, &spec.network, spec.privileges));
        // runc binds the nodes itself if it cannot make them.
        if crun || initial_user_namespace() {
            all.extend(mounts::NODES.iter().map(node));
        }
        all.extend(["resolv.conf", "hosts"].map(|name| bind(&format!("/etc/{name}"), name, "ro")));
        // The numbers are those of the bundle: devices first, then mounts, in the order of the specification.
        let devices = spec.devices.len();
        all.extend(spec.devices.iter().enumerate().map(|(number, path)| {
            json!({"destination": path, "type": "bind", "source": in_bundle(&bundle::mount_name(number)), "options": NODE})
        }));
        all.extend(spec.mounts.iter().enumerate().map(|(number, mount)| {
            let target = mount.target.to_string_lossy();
            let name = bundle::mount_name(devices + number);
            match &mount.source {
                MountSource::Detached { readonly, .. } => bind(&target, &name, if *readonly { "ro" } else { "rw" }),
                MountSource::Secret { mode, .. } => {
                    let mut bind = bind(&target, &name, "ro");
                    // As in the native sandbox, the file is executable only if its mode allows that.
                    if let (0, Some(options)) = (mode & 0o111, bind["options"].as_array_mut()) {
                        options.push("noexec".into());
                    }
                    bind
                }
                MountSource::Tmpfs { size } => {
                    let size = size.map(|size| format!("size={size}"));
                    let options = ["nosuid", "nodev", "mode=1777"].map(str::to_owned).into_iter().chain(size);
                    json!({"destination": target, "type": "tmpfs", "source": "tmpfs",
                        "options": options.collect::<Vec<_>>()})
                }
            }
        }));
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": spec.user.uid, "gid": spec.user.gid, "additionalGids": spec.user.groups, "umask": 0o022},
                "args": spec.args, "env": spec.env, "cwd": spec.workdir, "noNewPrivileges": false,
                "capabilities": {"bounding": capabilities, "effective": held, "permitted": held},
                "rlimits": limits.collect::<Vec<_>>(),
            },
            "root": {"path": "rootfs", "readonly": false},
            "hostname": spec.hostname,
            "mounts": all,
            "linux": {
                "namespaces": namespaces,
                // No cgroup path is set: a runtime that may not make a cgroup then runs without one.
                "resources": {},
            },
        });
        if spec.privileges == Privileges::Docker {
            config["linux"]["maskedPaths"] = json!(masks::masked_paths());
            config["linux"]["readonlyPaths"] = json!(masks::readonly_paths());
            config["linux"]["seccomp"] = profile::seccomp(spec.network.raw_sockets());
        }
        config
    }
}

/// The path of a file of the bundle, as the runtime sees it.
fn in_bundle(name: &str) -> String {
    format!("{}/{name}", bundle::PATH)
}

/// The container id that the runtime gets for the step.
fn name(cgroup: &StepCgroup) -> String {
    format!("buildscope-{}-{}", std::process::id(), cgroup.name())
}

/// The message of a line of a runtime's log: its `msg` if it is JSON, else the whole line.
pub(super) fn log_message(line: &[u8]) -> String {
    let reason = serde_json::from_slice::<Value>(line).ok();
    let reason = reason.as_ref().and_then(|reason| reason.get("msg")?.as_str()).map(str::to_owned);
    match reason.unwrap_or_else(|| String::from_utf8_lossy(line).into_owned()) {
        nothing if nothing.is_empty() => "it gave no reason".into(),
        reason => reason,
    }
}

/// A bind mount of a file or directory of the bundle. `access` is `ro` or `rw`.
fn bind(target: &str, name: &str, access: &str) -> Value {
    json!({"destination": target, "type": "bind", "source": in_bundle(name),
        "options": ["rbind", access, "nosuid", "nodev"]})
}

/// The options of the host's device nodes, which are mounted one by one. On a file system that allows devices, a step could
/// open the nodes that it makes.
const NODE: [&str; 4] = ["bind", "ro", "nosuid", "noexec"];

/// A bind mount of a device node that every step has.
fn node(name: &&str) -> Value {
    let path = format!("/dev/{name}");
    json!({"destination": path, "type": "bind", "source": path, "options": NODE})
}

/// The mounts that every step has, as docker's default specification lists them.
fn standard_mounts(shm_size: Option<u64>, network: &StepNetwork, privileges: Privileges) -> [Value; 6] {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let (device, write) = match privileges {
        Privileges::Docker => ("nodev", "ro"),
        Privileges::Insecure => ("dev", "rw"),
    };
    let shm = format!("size={}", shm_size.unwrap_or(SHM_SIZE));
    // A user namespace may mount a sysfs only over a network namespace of its own.
    let sys = match network {
        StepNetwork::Host | StepNetwork::HostWithoutRawSockets
            if privileges == Privileges::Docker || !initial_user_namespace() =>
        {
            json!({"destination": "/sys", "type": "none", "source": in_bundle("sys"),
            "options": ["rbind", "ro", "nosuid", "noexec", "nodev"]})
        }
        _ => mount("/sys", "sysfs", &[write, "nosuid", "noexec", "nodev"]),
    };
    [
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", device, "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys,
    ]
}
