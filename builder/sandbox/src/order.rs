//! What the helper is told to do, and what it answers.

use super::wire::{Bytes, Wire, wire_struct};

/// Descriptors travel beside an order; an index says which one is meant.
pub(super) type FdIndex = u32;

/// A resource limit: (RLIMIT number, (soft, hard)).
pub(super) type Rlimit = (u32, (u64, u64));

/// A step, ready for the helper.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub(super) args: Vec<Bytes>,
    pub(super) env: Vec<Bytes>,
    pub(super) workdir: Bytes,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) hostname: Bytes,
    /// The content of `/etc/hosts`; none is that of all steps.
    pub(super) hosts: Option<Bytes>,
    /// The content of `/etc/resolv.conf`; none is the host's.
    pub(super) resolv_conf: Option<Bytes>,
    pub(super) mounts: Vec<MountOrder>,
    pub(super) own_network: bool,
    /// A network namespace to enter.
    pub(super) namespace: Option<FdIndex>,
    pub(super) insecure: bool,
    pub(super) shm_size: u64,
    pub(super) rlimits: Vec<Rlimit>,
    /// `tasks` files of version 1 cgroups to join.
    pub(super) join: Vec<FdIndex>,
    /// Whether a step that cannot join them must not run: they hold its limits, not only its account.
    pub(super) must_join: bool,
    pub(super) stdin: Option<FdIndex>,
    pub(super) stdout: FdIndex,
    pub(super) stderr: FdIndex,
    pub(super) rootfs: FdIndex,
    /// Who makes the rest of the box, where that is not the init; then `args` and `env` are its own.
    pub(super) runtime: Option<RuntimeOrder>,
}

wire_struct!(Order {
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
    own_network,
    namespace,
    insecure,
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

/// What a stock runtime needs besides.
#[derive(Debug)]
pub(super) struct RuntimeOrder {
    /// A detached copy of the whole tree of the host's mounts, in which the runtime runs.
    pub(super) host: FdIndex,
    /// `config.json`.
    pub(super) config: Bytes,
    /// Whether it sees the step's own version 2 cgroup, and only that, in place of the host's.
    pub(super) cgroup2: bool,
}

wire_struct!(RuntimeOrder { host, config, cgroup2 });

/// A mount of the step's own.
#[derive(Debug)]
pub(super) struct MountOrder {
    pub(super) target: Bytes,
    pub(super) source: SourceOrder,
}

wire_struct!(MountOrder { target, source });

/// What is mounted.
#[derive(Debug)]
pub(super) enum SourceOrder {
    Detached {
        mount: FdIndex,
        readonly: bool,
    },
    /// The one node of a device of the host's.
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

impl Wire for SourceOrder {
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

/// What the step's init says, in this order: one of the first four, then perhaps `Ended`.
#[derive(Debug)]
pub(super) enum Report {
    /// The box could not be built: what was tried, and errno.
    Failed { what: Bytes, errno: i32 },
    /// The program could not be executed.
    NotExecuted { errno: i32 },
    /// The runtime did not start the program; the last line of its log, in JSON.
    Refused { said: Bytes },
    /// The program runs. These mountpoints had to be made, in the order of their creation: (path, is a directory).
    Running { made: Vec<(Bytes, bool)> },
    /// The program has ended.
    Ended(Ending),
}

/// The end of a step's program.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// As `waitpid(2)` gives it.
    pub(super) status: i32,
    /// No process of the step is left but its init, which is leaving.
    pub(super) alone: bool,
    /// Microseconds.
    pub(super) user: u64,
    /// Microseconds.
    pub(super) system: u64,
    /// Bytes of the largest process.
    pub(super) peak: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    /// Blocks of 512 bytes.
    pub(super) blocks_in: u64,
    /// Blocks of 512 bytes.
    pub(super) blocks_out: u64,
    /// Tasks started in the step's pid namespace.
    pub(super) tasks: Option<u64>,
}

wire_struct!(Ending { status, alone, user, system, peak, minor_faults, major_faults, blocks_in, blocks_out, tasks });

impl Wire for Report {
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
            Self::Refused { said } => {
                4_u8.put(out);
                said.put(out);
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
            4 => Self::Refused { said: Wire::take(input)? },
            _ => return None,
        })
    }
}
