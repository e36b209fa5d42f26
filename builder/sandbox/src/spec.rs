//! What a step needs of its box.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Everything a step's process needs. File systems come as detached mounts (`fsmount`,
/// `open_tree(OPEN_TREE_CLONE)`): they are attached in the step's own mount namespace and end with it.
#[derive(Debug)]
pub struct StepSpec {
    /// The root file system: a detached, writable mount.
    pub rootfs: OwnedFd,
    /// Program and arguments; the program is looked up in the `PATH` of `env`.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Absolute; must exist.
    pub workdir: PathBuf,
    /// Who it runs as.
    pub user: Credentials,
    /// Attached in this order.
    pub mounts: Vec<SandboxMount>,
    /// Its network.
    pub network: NetworkMode,
    /// Without capability limits, seccomp and masked paths.
    pub insecure: bool,
    /// Host devices, already allowed.
    pub devices: Vec<PathBuf>,
    /// What it reads from standard input; none is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Its host name.
    pub hostname: String,
    /// Lines for `/etc/hosts`: (name, address).
    pub extra_hosts: Vec<(String, String)>,
    /// Its limits.
    pub limits: Limits,
}

/// Numeric identity of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A mount inside the box.
#[derive(Debug)]
pub struct SandboxMount {
    /// Absolute; made if missing, resolved inside the root: no symlink leads out of it.
    pub target: PathBuf,
    /// What is mounted.
    pub source: MountSource,
}

/// What is mounted.
#[derive(Debug)]
pub enum MountSource {
    /// A detached mount of a directory or a file.
    Detached {
        /// The mount.
        mount: OwnedFd,
        /// Not writable.
        readonly: bool,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes.
        size: Option<u64>,
    },
    /// A file in memory that never touches a disk; executed only if its mode allows that.
    Secret {
        /// Its bytes.
        content: Vec<u8>,
        /// Its mode.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

/// The network of a box.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NetworkMode {
    /// The host's.
    #[default]
    Host,
    /// Loopback only, and up.
    None,
    /// Its own, connected through pasta or slirp4netns.
    Isolated,
}

/// Limits of a box; none is the host's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// Bytes of `/dev/shm`; docker's default is 64 MiB.
    pub shm_size: Option<u64>,
    /// `nofile` and its like: (soft, hard). Without: docker's 1024:524288 open files and any number of processes, as far as
    /// whoever builds may give them, and no core files; all others are the builder's own.
    pub ulimits: BTreeMap<String, (u64, u64)>,
    /// Wall time.
    pub timeout: Option<std::time::Duration>,
}

/// `/etc/hosts` of a step: BuildKit's two lines, then those asked for by `--add-host`.
pub(super) fn hosts(extra: &[(String, String)]) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra {
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text
}
