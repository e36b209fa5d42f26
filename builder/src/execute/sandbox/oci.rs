//! The same step by a stock runtime: an OCI bundle for crun or runc (`--executor oci`).
//!
//! Where policy demands it. The runtime builds the box; what is in it is as in the native one, but that the
//! step is process 1.

use super::cgroup::{Cgroups, StepCgroup};
use super::error::SandboxError;
use super::logs::{self, LogSink};
use super::place::{self, Kind, Root};
use super::request::{SHM_SIZE, memory_file};
use super::spec::{Limits, MountSource, NetworkMode, StepSpec, hosts};
use super::step::{Exit, Status, expired};
use super::zygote::Zygote;
use super::{cgroup, mounts, privileges, profile, sys};
use buildscope_record::{Phase, Probe, Resources};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags};
use serde_json::{Value, json};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};
use tokio_util::sync::CancellationToken;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A stock runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciRuntime {
    /// crun or runc, or a program with their command line.
    pub program: PathBuf,
}

impl OciRuntime {
    /// Runs a step to its end, as [`Zygote::run`](super::Zygote::run) does.
    ///
    /// # Errors
    /// As there; and for what only the native executor does: an isolated network, insecure steps, devices.
    pub async fn run(
        &self,
        zygote: &Zygote,
        spec: StepSpec,
        mut log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Exit, SandboxError> {
        let unsupported = |what: &str| {
            Err(SandboxError::Setup { what: format!("{what} with --executor oci"), errno: Errno::OPNOTSUPP })
        };
        if spec.insecure {
            return unsupported("--security=insecure");
        }
        if spec.network == NetworkMode::Isolated || !spec.devices.is_empty() {
            return unsupported("an isolated network or a device");
        }
        let setup = probe.phase(Phase::SandboxSetup);
        let limit = spec.limits.timeout;
        let mut grave = Grave { cgroups: &zygote.helper.cgroups, cgroup: zygote.helper.cgroups.step() };
        grave.cgroups.limit(&mut grave.cgroup, &spec.limits)?;
        let must_join = spec.limits.memory.is_some() || spec.limits.cpus.is_some();
        let bundle = Bundle::new(spec, self.is_crun())?;
        let (stdout, write_out) = pipe()?;
        let (stderr, write_err) = pipe()?;
        let stdin = match &bundle.stdin {
            Some(content) => Stdio::from(memory_file(content).map_err(SandboxError::errno("standard input"))?),
            None => Stdio::null(),
        };
        let mut command = self.command(&bundle);
        sys::join(&mut command, grave.cgroup.procs(), must_join);
        let mut child = command
            .args(["run", "--bundle"])
            .arg(&bundle.path)
            .arg(&bundle.id)
            .stdin(stdin)
            .stdout(Stdio::from(write_out))
            .stderr(Stdio::from(write_err))
            .kill_on_drop(true)
            .spawn()
            .map_err(SandboxError::io("starting the OCI runtime"))?;
        // It has our copies of the pipes' other ends.
        drop(command);
        setup.end();
        let process = probe.phase(Phase::Process);
        let watch = async {
            let ended = tokio::select! {
                status = child.wait() => status.map_err(SandboxError::io("waiting for the OCI runtime")),
                () = cancel.cancelled() => Err(SandboxError::Cancelled),
                limit = expired(limit) => Err(SandboxError::TimedOut(limit)),
            };
            if ended.is_err() {
                self.kill(&bundle).await;
                grave.cgroup.kill();
                let _ = child.wait().await;
            }
            ended
        };
        let (ended, logged) = tokio::join!(watch, logs::pump(stdout, stderr, &mut log));
        process.end();
        let _teardown = probe.phase(Phase::SandboxTeardown);
        let code = ended?.code().unwrap_or(128 + libc::SIGKILL);
        logged.map_err(SandboxError::io("reading the step's output"))?;
        // Runtimes give a signal as a shell does; signals end at 64 (signal(7)).
        let status = if (129..=192).contains(&code) { Status::Signal(code - 128) } else { Status::Code(code) };
        let mut resources = Resources::default();
        grave.cgroup.account(&mut resources, true);
        Ok(Exit { status, oom: !status.success() && grave.cgroup.oom(), resources })
    }

    fn is_crun(&self) -> bool {
        self.program.file_name().is_some_and(|name| name == "crun")
    }

    fn command(&self, bundle: &Bundle) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.arg("--root").arg(bundle.path.join("state"));
        if self.is_crun() {
            // An ordinary user has no cgroups to give, and crun refuses hosts with both versions if it sees them.
            command.arg("--cgroup-manager=disabled");
            if Path::new("/sys/fs/cgroup/unified").exists() {
                sys::hide(&mut command, c"/sys/fs/cgroup/unified");
            }
        }
        command
    }

    async fn kill(&self, bundle: &Bundle) {
        let deleted = self.command(bundle).args(["delete", "--force", &bundle.id]).stderr(Stdio::null()).status();
        // A runtime that cannot even delete is killed with its child by the drop of both.
        let _ = deleted.await;
    }
}

/// A step's cgroups, in which the runtime is started: what it does is limited and accounted there. Dropped, they are gone.
struct Grave<'a> {
    cgroups: &'a Cgroups,
    cgroup: StepCgroup,
}

impl Drop for Grave<'_> {
    fn drop(&mut self) {
        // Nobody is left in them, unless the step was dropped as it ran.
        self.cgroup.kill();
        self.cgroups.bury(&self.cgroup);
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(SandboxError::errno("a pipe"))
}

/// A bundle on disk, with its mounts in the builder's own mount namespace. Dropped, it is gone.
struct Bundle {
    id: String,
    path: PathBuf,
    rootfs: OwnedFd,
    made: Vec<(super::wire::Bytes, bool)>,
    stdin: Option<Vec<u8>>,
    attached: Vec<PathBuf>,
}

impl Bundle {
    /// runc makes a cgroup of its own, perhaps beside ours: it has to be told the limits.
    fn new(spec: StepSpec, crun: bool) -> Result<Self, SandboxError> {
        let resources = if crun { json!({}) } else { cgroup_limits(&spec.limits) };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("buildscope-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(&id);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(SandboxError::io("a bundle"))?;
        let mut bundle =
            Self { id, path, rootfs: spec.rootfs, made: Vec::new(), stdin: spec.stdin, attached: Vec::new() };
        let rootfs = bundle.attach("rootfs", None)?;
        let mut inner = Vec::new();
        let text = |name: &str, content: &[u8], mode| file(&bundle.path.join(name), content, mode, (0, 0));
        let resolver = fs::read("/etc/resolv.conf").unwrap_or_default();
        inner.push(("/etc/resolv.conf".into(), text("resolv.conf", &resolver, 0o644)?, true));
        inner.push(("/etc/hosts".into(), text("hosts", hosts(&spec.extra_hosts).as_bytes(), 0o644)?, true));
        // Alone: a recursive bind would give the step what the host mounts below it (tracefs, debugfs, cgroups), writable. A
        // user namespace must not take it apart (mount_namespaces(7)), but nothing below it is its user's to write.
        let sys = match mounts::detached(Path::new("/sys")) {
            Ok(alone) if spec.network == NetworkMode::Host => bundle.attach("sys", Some(alone))?,
            _ => PathBuf::from("/sys"),
        };
        let mut entries = Vec::new();
        for (number, mount) in spec.mounts.into_iter().enumerate() {
            let name = format!("mount-{number}");
            match mount.source {
                MountSource::Detached { mount: source, readonly } => {
                    inner.push((mount.target, bundle.attach(&name, Some(source))?, readonly));
                }
                MountSource::Secret { content, mode, uid, gid } => {
                    let source = bundle.secret(&name, &content, mode, (uid, gid))?;
                    inner.push((mount.target, source, true));
                }
                MountSource::Tmpfs { size } => {
                    let size = size.map(|size| format!("size={size}"));
                    let options = ["nosuid", "nodev", "mode=1777"].map(str::to_owned).into_iter().chain(size);
                    entries.push(json!({"destination": mount.target, "type": "tmpfs", "source": "tmpfs",
                        "options": options.collect::<Vec<_>>()}));
                    bundle.place(&rootfs, &mount.target, Kind::Directory)?;
                }
            }
        }
        for target in ["/proc", "/sys", "/dev"] {
            bundle.place(&rootfs, Path::new(target), Kind::Directory)?;
        }
        for (target, source, readonly) in inner {
            let kind = if source.is_dir() { Kind::Directory } else { Kind::File };
            bundle.place(&rootfs, &target, kind)?;
            let access = if readonly { "ro" } else { "rw" };
            entries.push(json!({"destination": target, "type": "bind", "source": source,
                "options": ["rbind", access, "nosuid", "nodev"]}));
        }
        let mut namespaces = vec!["pid", "ipc", "uts", "mount", "cgroup"];
        if spec.network == NetworkMode::None {
            namespaces.push("network");
        }
        let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({"type": kind})).collect();
        let capabilities = privileges::names();
        // An ordinary user's process has none but in its bounding set.
        let held = if spec.user.uid == 0 { capabilities.clone() } else { Vec::new() };
        let limits = spec.limits.ulimits.iter().map(|(name, (soft, hard))| {
            json!({"type": format!("RLIMIT_{}", name.to_ascii_uppercase()), "soft": soft, "hard": hard})
        });
        // crun mounts the root once more, without that option: it is given again before the step begins. In a user namespace
        // no node can be made.
        let hooks = match crun && initial_user_namespace() {
            true => json!([{"path": "/bin/mount", "args": ["mount", "-o", "remount,bind,nodev", &rootfs]}]),
            false => json!([]),
        };
        let config = json!({
            "ociVersion": "1.0.2",
            "hooks": {"createContainer": hooks},
            "process": {
                "terminal": false,
                "user": {"uid": spec.user.uid, "gid": spec.user.gid, "additionalGids": spec.user.groups, "umask": 0o022},
                "args": spec.args, "env": spec.env, "cwd": spec.workdir, "noNewPrivileges": false,
                "capabilities": {"bounding": capabilities, "effective": held, "permitted": held},
                "rlimits": limits.collect::<Vec<_>>(),
            },
            "root": {"path": "rootfs", "readonly": false},
            "hostname": spec.hostname,
            "mounts": standard_mounts(spec.limits.shm_size, spec.network, &sys).into_iter().chain(entries).collect::<Vec<_>>(),
            "linux": {
                "namespaces": namespaces,
                "maskedPaths": mounts::masked_paths(),
                "readonlyPaths": mounts::readonly_paths(),
                "seccomp": profile::seccomp(),
                "resources": resources,
            },
        });
        fs::write(bundle.path.join("config.json"), config.to_string()).map_err(SandboxError::io("a bundle"))?;
        Ok(bundle)
    }

    /// Attaches the root (`None`) or another mount in the bundle.
    fn attach(&mut self, name: &str, mount: Option<OwnedFd>) -> Result<PathBuf, SandboxError> {
        let path = self.path.join(name);
        let fd = mount.as_ref().unwrap_or(&self.rootfs);
        let directory = rustix::fs::fstat(fd)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory);
        let made = if directory { fs::create_dir(&path) } else { fs::write(&path, "") };
        made.map_err(SandboxError::io("a bundle"))?;
        // No device cgroup keeps a step from opening a node that it has made.
        sys::mount_setattr(fd.as_fd(), MountAttrFlags::MOUNT_ATTR_NODEV, MountAttrFlags::empty(), true)
            .map_err(SandboxError::errno("a mount's options"))?;
        mounts::attach(fd.as_fd(), CWD, &path).map_err(SandboxError::errno("a mount of the bundle"))?;
        self.attached.push(path.clone());
        Ok(path)
    }

    /// A secret's file, on a tmpfs: its bytes never touch a disk.
    fn secret(&mut self, name: &str, content: &[u8], mode: u32, owner: (u32, u32)) -> Result<PathBuf, SandboxError> {
        let memory = mounts::memory().map_err(SandboxError::errno("a tmpfs"))?;
        let directory = self.attach(name, Some(memory))?;
        file(&directory.join("secret"), content, mode, owner)
    }

    fn place(&mut self, rootfs: &Path, target: &Path, kind: Kind) -> Result<(), SandboxError> {
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(rootfs, open, Mode::empty()).map_err(SandboxError::errno("the root"))?;
        let mut root = Root::new(top.as_fd());
        root.place(target, kind)
            .map_err(|errno| SandboxError::Setup { what: format!("the mountpoint {}", target.display()), errno })?;
        self.made.extend(root.made());
        Ok(())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        place::remove_made(self.rootfs.as_fd(), &self.made);
        for path in self.attached.iter().rev() {
            let _ = rustix::mount::unmount(path, UnmountFlags::DETACH);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn file(path: &Path, content: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<PathBuf, SandboxError> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        io::Write::write_all(&mut file, content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
    };
    write().map_err(SandboxError::io("a file of the bundle"))?;
    Ok(path.to_owned())
}

/// Whether root here is root of the machine: all ids are themselves (user_namespaces(7)).
fn initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

/// The mounts that every step has, as docker's default specification lists them.
fn standard_mounts(shm_size: Option<u64>, network: NetworkMode, sys: &Path) -> Vec<Value> {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let shm = format!("size={}", shm_size.unwrap_or(SHM_SIZE));
    // A user namespace may mount a sysfs only over a network namespace of its own.
    let sys = match network {
        NetworkMode::Host => json!({"destination": "/sys", "type": "none", "source": sys,
            "options": ["rbind", "ro", "nosuid", "noexec", "nodev"]}),
        _ => mount("/sys", "sysfs", &["ro", "nosuid", "noexec", "nodev"]),
    };
    // The nodes are the host's, each alone: in a file system of devices a step could open those that it makes.
    let node = |name: &&str| {
        let path = format!("/dev/{name}");
        json!({"destination": path, "type": "bind", "source": path, "options": ["bind", "ro", "nosuid", "noexec"]})
    };
    let mut standard = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "nodev", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys,
    ];
    standard.extend(mounts::NODES.iter().map(node));
    standard
}

/// `--memory` and `--cpus` in the words of the OCI runtime specification; swap would only make the former soft.
fn cgroup_limits(limits: &Limits) -> Value {
    let mut resources = json!({});
    if let Some(bytes) = limits.memory {
        resources["memory"] = json!({"limit": bytes, "swap": bytes});
    }
    if let Some(cpus) = limits.cpus {
        resources["cpu"] = json!({"quota": cgroup::quota(cpus), "period": cgroup::PERIOD});
    }
    resources
}
