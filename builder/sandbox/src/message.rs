//! The messages between the builder and a step's init.

use super::spec::{Privileges, RawSockets};
use super::wire::{Bytes, Wire, wire_struct};

impl Wire for Privileges {
    fn put(&self, out: &mut Vec<u8>) {
        (*self == Self::Insecure).put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(input)? { Self::Insecure } else { Self::Docker })
    }
}

/// An index into the descriptors that are sent together with a message.
pub(super) type FdIndex = u32;

/// A resource limit: (RLIMIT number, (soft, hard)).
pub(super) type Rlimit = (u32, (u64, u64));

/// The message to a step's init: everything that it needs to run the step.
#[derive(Debug, Default)]
pub(super) struct InitMessage {
    pub(super) args: Vec<Bytes>,
    pub(super) env: Vec<Bytes>,
    pub(super) workdir: Bytes,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) hostname: Bytes,
    /// The content of `/etc/hosts`; `None` means the common one.
    pub(super) hosts: Option<Bytes>,
    /// The content of `/etc/resolv.conf`; `None` means the host's.
    pub(super) resolv_conf: Option<Bytes>,
    pub(super) mounts: Vec<MountMessage>,
    pub(super) network: NetworkMessage,
    pub(super) privileges: Privileges,
    /// Bytes.
    pub(super) shm_size: u64,
    pub(super) rlimits: Vec<Rlimit>,
    /// The `tasks` files of the version 1 cgroups to join.
    pub(super) join: Vec<FdIndex>,
    /// Whether the step fails if it cannot join them. This is set if they hold its limits, not only its accounting.
    pub(super) must_join: bool,
    pub(super) stdin: Option<FdIndex>,
    pub(super) stdout: FdIndex,
    pub(super) stderr: FdIndex,
    pub(super) rootfs: FdIndex,
    /// The stock runtime that makes the inner sandbox, if any; then `args` and `env` are those of the runtime.
    pub(super) runtime: Option<RuntimeMessage>,
}

wire_struct!(InitMessage {
    args,
    env,
    workdir,
    uid,
    gid,
    groups,
    hostname,
    hosts,
    resolv_conf,
    mounts,
    network,
    privileges,
    shm_size,
    rlimits,
    join,
    must_join,
    stdin,
    stdout,
    stderr,
    rootfs,
    runtime,
});

/// The network of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum NetworkMessage {
    /// The host's network, which the init is in.
    #[default]
    Host,
    /// The host's network without raw sockets.
    HostWithoutRawSockets,
    /// A new network namespace with only a loopback device, which the init is in.
    Loopback,
    /// A network namespace to enter.
    Enter(FdIndex),
}

impl NetworkMessage {
    /// Whether the step sees the host's network devices.
    pub(super) fn is_host(self) -> bool {
        matches!(self, Self::Host | Self::HostWithoutRawSockets)
    }

    pub(super) fn raw_sockets(self) -> RawSockets {
        match self {
            Self::HostWithoutRawSockets => RawSockets::Refused,
            Self::Host | Self::Loopback | Self::Enter(_) => RawSockets::Allowed,
        }
    }
}

impl Wire for NetworkMessage {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Host => 0_u8.put(out),
            Self::HostWithoutRawSockets => 1_u8.put(out),
            Self::Loopback => 2_u8.put(out),
            Self::Enter(namespace) => (3_u8, *namespace).put(out),
        }
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(input)? {
            0 => Self::Host,
            1 => Self::HostWithoutRawSockets,
            2 => Self::Loopback,
            3 => Self::Enter(Wire::take(input)?),
            _ => return None,
        })
    }
}

/// The additional data for a stock runtime.
#[derive(Debug)]
pub(super) struct RuntimeMessage {
    /// A detached copy of the whole tree of the host's mounts, in which the runtime runs.
    pub(super) host: FdIndex,
    /// The content of `config.json`.
    pub(super) config: Bytes,
    /// Whether `/sys/fs/cgroup` shows the runtime the step's own version 2 cgroup instead of the host's cgroups.
    pub(super) cgroup2: bool,
}

wire_struct!(RuntimeMessage { host, config, cgroup2 });

/// A mount that the step asks for.
#[derive(Debug)]
pub(super) struct MountMessage {
    pub(super) target: Bytes,
    pub(super) source: SourceMessage,
}

wire_struct!(MountMessage { target, source });

/// The source of a mount.
#[derive(Debug)]
pub(super) enum SourceMessage {
    Detached {
        mount: FdIndex,
        readonly: bool,
    },
    /// A detached mount of one of the host's device nodes.
    Device {
        mount: FdIndex,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        content: Bytes,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

impl Wire for SourceMessage {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Detached { mount, readonly } => (0_u8, (*mount, *readonly)).put(out),
            Self::Tmpfs { size } => (1_u8, *size).put(out),
            Self::Device { mount } => (3_u8, *mount).put(out),
            Self::Secret { content, mode, uid, gid } => {
                (2_u8, (*mode, (*uid, *gid))).put(out);
                content.put(out);
            }
        }
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(input)? {
            0 => Self::Detached { mount: Wire::take(input)?, readonly: Wire::take(input)? },
            1 => Self::Tmpfs { size: Wire::take(input)? },
            3 => Self::Device { mount: Wire::take(input)? },
            2 => {
                let (mode, (uid, gid)) = Wire::take(input)?;
                Self::Secret { content: Wire::take(input)?, mode, uid, gid }
            }
            _ => return None,
        })
    }
}

/// A mountpoint that was missing in the root file system and was made.
#[derive(Debug)]
pub(super) struct Mountpoint {
    /// The path below the root.
    pub(super) path: Bytes,
    /// Whether it is a directory, not a file.
    pub(super) directory: bool,
}

wire_struct!(Mountpoint { path, directory });

/// A message from a step's init. The first is one of the first four variants; after `Running` comes `Ended`.
#[derive(Debug)]
pub(super) enum InitReport {
    /// The sandbox could not be set up: the operation that failed, and errno.
    Failed { what: Bytes, errno: i32 },
    /// The program could not be executed.
    NotExecuted { errno: i32 },
    /// The runtime did not start the program. This is the last line of its log, in JSON.
    Refused { reason: Bytes },
    /// The program runs. `made` has the mountpoints that were missing, in the order of their creation.
    Running { made: Vec<Mountpoint> },
    /// The program has ended.
    Ended(StepExit),
}

/// The exit of a step's program and the resource usage of the step.
#[derive(Debug, Default)]
pub(super) struct StepExit {
    /// The status as in `waitpid(2)`.
    pub(super) status: i32,
    /// Whether the init, which is about to exit, is the last process of the step.
    pub(super) alone: bool,
    /// User CPU time in microseconds.
    pub(super) user: u64,
    /// System CPU time in microseconds.
    pub(super) system: u64,
    /// The peak memory of the largest process, in bytes.
    pub(super) peak: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    /// Input in blocks of 512 bytes.
    pub(super) blocks_in: u64,
    /// Output in blocks of 512 bytes.
    pub(super) blocks_out: u64,
    /// The number of tasks that were started in the step's pid namespace.
    pub(super) tasks: Option<u64>,
}

wire_struct!(StepExit { status, alone, user, system, peak, minor_faults, major_faults, blocks_in, blocks_out, tasks });

impl Wire for InitReport {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Failed { what, errno } => {
                (0_u8, *errno).put(out);
                what.put(out);
            }
            Self::NotExecuted { errno } => (1_u8, *errno).put(out),
            Self::Running { made } => {
                2_u8.put(out);
                made.put(out);
            }
            Self::Ended(ending) => {
                3_u8.put(out);
                ending.put(out);
            }
            Self::Refused { reason } => {
                4_u8.put(out);
                reason.put(out);
            }
        }
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(input)? {
            0 => {
                let errno = Wire::take(input)?;
                Self::Failed { what: Wire::take(input)?, errno }
            }
            1 => Self::NotExecuted { errno: Wire::take(input)? },
            2 => Self::Running { made: Wire::take(input)? },
            3 => Self::Ended(Wire::take(input)?),
            4 => Self::Refused { reason: Wire::take(input)? },
            _ => return None,
        })
    }
}
