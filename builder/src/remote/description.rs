//! The description of a step for another machine: everything that its result depends on.

use super::copy::DescribedCopy;
use crate::plan::{self, CopyFrom, Mount, MountKind, Run, Sharing, Variable};
use crate::steps::run::{MountOrigin, NetworkMode, RunOptions};
use buildscope_record::DiffId;
use buildscope_sandbox::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of the form. A worker refuses any other.
pub(super) const FORMAT: u32 = 2;

/// A step for another machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub(super) format: u32,
    /// The layers below the step, lowest first.
    pub(super) below: Vec<DiffId>,
    /// The size of each layer that the step needs.
    pub(super) sizes: BTreeMap<DiffId, u64>,
    pub(super) work: DescribedWork,
}

/// The work of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DescribedWork {
    /// A RUN.
    Run(DescribedRun),
    /// A COPY from a stage.
    Copy(DescribedCopy),
}

/// A RUN for another machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DescribedRun {
    args: Vec<String>,
    env: Vec<String>,
    workdir: String,
    user: String,
    hostname: Option<String>,
    mounts: Vec<DescribedMount>,
    settings: Settings,
}

/// The options of the command line that a step's result may depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    network: DescribedNetwork,
    extra_hosts: Vec<(String, String)>,
    memory: Option<u64>,
    cpus: Option<f64>,
    pids: Option<u64>,
    shm_size: Option<u64>,
    ulimits: BTreeMap<String, (u64, u64)>,
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DescribedNetwork {
    Default,
    Isolated,
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct DescribedMount {
    target: Option<String>,
    mount: MountDescription,
}

/// A mount that another machine can make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MountDescription {
    /// A directory or file of layers.
    Bind {
        /// The layers, lowest first.
        layers: Vec<DiffId>,
        /// The path in them.
        source: String,
        /// Whether the mount is writable.
        writable: bool,
    },
    /// A directory that the worker keeps between steps.
    Cache {
        /// The name of the cache.
        id: String,
        /// The rule for concurrent use.
        sharing: Sharing,
        /// The initial content: layers, lowest first, and the path in them.
        from: Option<(Vec<DiffId>, String)>,
        /// Whether the mount is read-only.
        readonly: bool,
        /// The mode of a new directory.
        mode: u32,
        /// The owner and the group of a new directory.
        owner: (u32, u32),
    },
    /// A file system in memory.
    Tmpfs {
        /// The maximum size in bytes.
        size: Option<u64>,
    },
    /// A file with this content.
    Inline {
        /// The content.
        content: String,
        /// The mode.
        mode: u32,
    },
}

impl Settings {
    /// The settings of a step. `None` if it needs this machine's network.
    pub(crate) fn of(op: &Run, options: &RunOptions) -> Option<Self> {
        let network = match (op.network, options.network) {
            (plan::Network::None, _) | (plan::Network::Default, NetworkMode::None) => DescribedNetwork::None,
            (plan::Network::Host, _) | (plan::Network::Default, NetworkMode::Host) => return None,
            (plan::Network::Default, NetworkMode::Isolated) => DescribedNetwork::Isolated,
            (plan::Network::Default, NetworkMode::Default) => DescribedNetwork::Default,
        };
        let Limits { memory, cpus, pids, shm_size, ulimits, timeout } = options.limits.clone();
        Some(Self { network, extra_hosts: options.extra_hosts.clone(), memory, cpus, pids, shm_size, ulimits, timeout })
    }

    fn options(&self) -> RunOptions {
        let Self { network, extra_hosts, memory, cpus, pids, shm_size, ulimits, timeout } = self.clone();
        RunOptions {
            network: match network {
                DescribedNetwork::Default => NetworkMode::Default,
                DescribedNetwork::Isolated => NetworkMode::Isolated,
                DescribedNetwork::None => NetworkMode::None,
            },
            extra_hosts,
            limits: Limits { memory, cpus, pids, shm_size, ulimits, timeout },
            ..RunOptions::default()
        }
    }
}

impl Description {
    /// Describes a step.
    pub(crate) fn of(work: DescribedWork, below: &[DiffId], sizes: BTreeMap<DiffId, u64>) -> Self {
        Self { format: FORMAT, below: below.to_vec(), sizes, work }
    }

    /// The JSON form.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and digests always serialise.
        serde_json::to_vec(self).expect("plain data")
    }

    /// The layers of all mounts and below the step.
    pub(super) fn layers(&self) -> impl Iterator<Item = (DiffId, u64)> {
        self.sizes.iter().map(|(layer, size)| (*layer, *size))
    }

    /// The time limit of the step.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match &self.work {
            DescribedWork::Run(run) => run.settings.timeout,
            DescribedWork::Copy(_) => None,
        }
    }
}

impl DescribedRun {
    /// Describes a RUN. There is a description for each of its mounts, in their order.
    pub(crate) fn of(op: &Run, mounts: Vec<MountDescription>, settings: Settings) -> Self {
        let mut env = op.env.to_vec();
        env.extend(op.unkeyed_env.iter().cloned());
        let mounts = op.mounts.iter().zip(mounts);
        Self {
            args: op.args.clone(),
            env,
            workdir: op.workdir.clone(),
            user: op.user.clone(),
            hostname: op.hostname.clone(),
            mounts: mounts.map(|(of, mount)| DescribedMount { target: of.target.clone(), mount }).collect(),
            settings,
        }
    }

    /// The step with its options, and the sources of its mounts.
    pub(super) fn step(&self) -> (Run, RunOptions, BTreeMap<String, MountOrigin<'static>>) {
        let mut origins = BTreeMap::new();
        let mount = |(number, described): (usize, &DescribedMount)| {
            let mut origin = |layers| {
                origins.insert(number.to_string(), MountOrigin::Layers(layers));
                CopyFrom::NamedContext(number.to_string())
            };
            let kind = match described.mount.clone() {
                MountDescription::Bind { layers, source, writable } => {
                    MountKind::Bind { from: origin(layers), source, writable }
                }
                MountDescription::Cache { id, sharing, from, readonly, mode, owner: (uid, gid) } => {
                    let from = from.map(|(layers, source)| (origin(layers), source));
                    MountKind::Cache { id, sharing, from, readonly, mode, uid, gid }
                }
                MountDescription::Tmpfs { size } => MountKind::Tmpfs { size },
                MountDescription::Inline { content, mode } => MountKind::Inline { content, mode },
            };
            Mount { target: described.target.clone(), kind }
        };
        let mounts = self.mounts.iter().enumerate().map(mount).collect();
        let mut env = plan::Environment::default();
        for variable in &self.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            env.set(Variable { name: name.into(), value: value.into(), argument: false });
        }
        let run = Run {
            args: self.args.clone(),
            env,
            unkeyed_env: Vec::new(),
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            mounts,
            network: plan::Network::Default,
            insecure: false,
            devices: Vec::new(),
            hostname: self.hostname.clone(),
            options: BTreeMap::new(),
            origins: Vec::new(),
        };
        (run, self.settings.options(), origins)
    }
}
