//! The specification of a step: the input of the sandbox.

use super::network::IsolatedNetwork;
use buildscope_record::Network;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that a step's process needs. File systems come as detached mounts (`fsmount`, `open_tree(OPEN_TREE_CLONE)`). They
/// are attached in the step's own mount namespace and end with it.
#[derive(Debug)]
pub struct StepSpec {
    /// The root file system, a detached, writable mount.
    pub rootfs: OwnedFd,
    /// The program and its arguments. The program is looked up in the `PATH` of `env`.
    pub args: Vec<String>,
    /// The environment as `NAME=value`.
    pub env: Vec<String>,
    /// The absolute path of the working directory. It is made if it is missing.
    pub workdir: PathBuf,
    /// The user and groups of the process.
    pub user: Credentials,
    /// Additional mounts, attached in this order.
    pub mounts: Vec<SandboxMount>,
    /// The network that the step sees.
    pub network: StepNetwork,
    /// The capabilities, the seccomp filter and the masked paths of the step.
    pub privileges: Privileges,
    /// The host devices that the step gets. The caller has checked that they are allowed.
    pub devices: Vec<PathBuf>,
    /// The content of standard input; `None` means `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// The host name that the step sees.
    pub hostname: String,
    /// Additional lines of `/etc/hosts` as (name, address).
    pub extra_hosts: Vec<(String, String)>,
    /// The resource limits of the step.
    pub limits: Limits,
}

/// The privileges of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Privileges {
    /// docker's default capabilities, seccomp profile, masked and read-only paths.
    #[default]
    Docker,
    /// Every capability of the builder and none of these restrictions: `--security=insecure`.
    Insecure,
}

/// The numeric identity of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The ids of the supplementary groups.
    pub groups: Vec<u32>,
}

/// A mount inside the sandbox.
#[derive(Debug)]
pub struct SandboxMount {
    /// The absolute path of the mountpoint. It is resolved inside the root, so symbolic links cannot leave it, and made if it is
    /// missing.
    pub target: PathBuf,
    /// The file system or file to mount.
    pub source: MountSource,
}

/// The source of a mount.
#[derive(Debug)]
pub enum MountSource {
    /// A detached mount of a directory or a file.
    Detached {
        /// The descriptor of the mount.
        mount: OwnedFd,
        /// Whether the step must not write to it.
        readonly: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// The size limit in bytes; `None` means the kernel's default.
        size: Option<u64>,
    },
    /// A file in memory that is never written to a disk. It is executable only if its mode allows that.
    Secret {
        /// The content of the file.
        content: Vec<u8>,
        /// The permission bits of the file.
        mode: u32,
        /// The id of the file's owner.
        uid: u32,
        /// The id of the file's group.
        gid: u32,
    },
}

/// The network of a step.
#[derive(Clone, Debug)]
pub enum StepNetwork {
    /// The host's network.
    Host,
    /// The host's network without `CAP_NET_RAW` and packet sockets: the step cannot watch or forge the host's packets.
    HostWithoutRawSockets,
    /// A network with only a loopback device, which is up.
    None,
    /// A network that is connected through slirp4netns or pasta. Steps can share it.
    Isolated(Arc<IsolatedNetwork>),
}

impl StepNetwork {
    /// The kind of network, for the build record.
    pub fn kind(&self) -> Network {
        match self {
            Self::Host => Network::Host,
            Self::HostWithoutRawSockets => Network::HostWithoutRawSockets,
            Self::None => Network::None,
            Self::Isolated(_) => Network::Isolated,
        }
    }

    /// Whether raw sockets see only this network's own packets.
    pub(super) fn raw_sockets(&self) -> RawSockets {
        match self {
            Self::HostWithoutRawSockets => RawSockets::Refused,
            Self::Host | Self::None | Self::Isolated(_) => RawSockets::Allowed,
        }
    }
}

/// Whether a step may open raw and packet sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum RawSockets {
    #[default]
    Allowed,
    Refused,
}

/// The limits of a sandbox. A missing limit means that the host's applies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The memory limit in bytes.
    pub memory: Option<u64>,
    /// The limit of CPU time in processors.
    pub cpus: Option<f64>,
    /// The limit of processes and threads.
    pub pids: Option<u64>,
    /// The size of `/dev/shm` in bytes; `None` means docker's default of 64 MiB.
    pub shm_size: Option<u64>,
    /// Resource limits by docker's names (such as `nofile`): (soft, hard). The defaults are docker's 1024:524288 open files and
    /// any number of processes, as far as the builder may set them, and no core files. All others are the builder's own.
    pub ulimits: BTreeMap<String, (u64, u64)>,
    /// The limit of wall time.
    pub timeout: Option<std::time::Duration>,
}

impl Limits {
    /// Whether a cgroup has to enforce one of them.
    pub(super) fn need_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpus.is_some() || self.pids.is_some()
    }
}

/// docker's default for `--shm-size`, in bytes.
pub(super) const SHM_SIZE: u64 = 64 << 20;

/// The content of a step's `/etc/hosts`: BuildKit's two lines, then those of `--add-host`.
pub(super) fn hosts(extra: &[(String, String)]) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra {
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text
}
