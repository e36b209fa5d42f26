//! The machines of a model, and the data that its steps read and make.

use super::step_cost::StepCost;
use super::{BaseImages, Here, MachineIndex, Processors};
use crate::import::names::flags;
use crate::index::Indexed;
use crate::whatif::share::TaskWork;
use buildscope_record::{StepId, Strands};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machines of a model, and the data of its steps.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// The number of machines.
    pub(in crate::whatif) count: usize,
    /// The bandwidth of a link in bytes per nanosecond; infinite if data moves in no time.
    pub(super) bandwidth: f64,
    /// The time of a round trip, in nanoseconds.
    pub(super) rtt: f64,
    /// The additional cost of a step on another machine.
    pub(super) step_cost: StepCost,
    pub(super) here: Here,
    pub(super) base_images: BaseImages,
    pub(super) processors: Processors,
    pub(super) steps: Indexed<StepId, StepData>,
    /// The steps whose results the image consists of.
    pub(super) wanted: Vec<StepId>,
    /// Which results a later step needs together.
    pub(super) strands: Strands<MachineIndex>,
}

impl Cluster {
    /// Whether the machine that builds runs only what has to run there.
    pub(in crate::whatif) fn only_builds(&self) -> bool {
        self.here == Here::OnlyBuilds && self.count > 1
    }

    /// Whether all machines share the processors of one host.
    pub(in crate::whatif) fn shares_processors(&self) -> bool {
        self.processors == Processors::OfHost
    }

    /// The cost of running a step on that machine; `None` if it has none.
    pub(in crate::whatif) fn step_cost(&self, step: StepId, machine: MachineIndex) -> Option<TaskWork> {
        let StepData { added, is_away, .. } = &self.steps[step];
        if machine == MachineIndex::HERE || *is_away {
            return None;
        }
        Some(self.step_cost.work(added.bytes(), self.processors)).filter(|work| work.length > 0.0)
    }

    /// The time of a transfer of that many bytes on an otherwise unused link, in nanoseconds.
    pub(super) fn transfer(&self, bytes: f64) -> f64 {
        bytes / self.bandwidth
    }
}

/// The reason why a RUN stays on the machine that builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stay {
    /// A cache mount is a directory of one machine.
    CacheMount,
    /// A secret must not leave the machine.
    Secret,
    /// An SSH agent belongs to one machine.
    Ssh,
    /// The step uses the host's network.
    HostNetwork,
    /// The step uses a device of the host.
    Device,
    /// The step runs without isolation.
    Insecure,
}

impl Stay {
    /// The reason in the words of a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheMount => "cache mount",
            Self::Secret => "secret",
            Self::Ssh => "SSH agent",
            Self::HostNetwork => "host network",
            Self::Device => "device",
            Self::Insecure => "no isolation",
        }
    }

    /// The first reason in the text of a RUN.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mount = |mount: &str| match mount.split(',').find_map(|part| part.strip_prefix("type="))? {
            "cache" => Some(Self::CacheMount),
            "secret" => Some(Self::Secret),
            "ssh" => Some(Self::Ssh),
            _ => None,
        };
        let is = |name: &str, value: &str| flags(text, name).any(|given| given == value);
        let other = || {
            let network = is("network", "host").then_some(Self::HostNetwork);
            let device = || flags(text, "device").next().map(|_| Self::Device);
            network.or_else(device).or_else(|| is("security", "insecure").then_some(Self::Insecure))
        };
        flags(text, "mount").find_map(mount).or_else(other)
    }
}

/// The machines on which a step can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Where {
    /// The machine that builds: the step reads the context, or takes almost no time.
    #[default]
    Here,
    /// The machine that builds, because it has the base image from the start.
    Base,
    /// The machine that builds, although the step is a RUN.
    Stays(Stay),
    /// The machine that builds if all data of the step is there, otherwise any machine: a COPY from a stage.
    WithData,
    Anywhere,
}

/// The data that a step adds to the file system: a layer, or a base image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Added {
    #[default]
    Nothing,
    Bytes(f64),
    /// Data of unknown size.
    Unknown,
}

impl Added {
    pub(super) fn of(bytes: Option<f64>) -> Self {
        match bytes {
            Some(0.0) => Self::Nothing,
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Unknown,
        }
    }

    /// The size; zero if it is unknown.
    pub(super) fn bytes(self) -> f64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Nothing | Self::Unknown => 0.0,
        }
    }
}

/// The data of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct StepData {
    pub(super) added: Added,
    /// The next step below it that adds something.
    pub(super) below: Option<StepId>,
    /// The steps whose file systems it reads in addition: COPY --from and bind mounts.
    pub(super) sources: Vec<StepId>,
    /// Whether it reads the file system below it.
    pub(super) reads_below: bool,
    pub(super) machine: Where,
    /// Whether another machine ran the step in the record, so that its length includes the cost of that.
    pub(super) is_away: bool,
}

/// The last step up to this one that added something.
pub(super) fn top(steps: &Indexed<StepId, StepData>, step: StepId) -> Option<StepId> {
    let data = &steps[step];
    if data.added == Added::Nothing { data.below } else { Some(step) }
}

/// The steps whose layers and base image form the file system after a step.
pub(super) fn contents(steps: &Indexed<StepId, StepData>, step: StepId) -> impl Iterator<Item = StepId> {
    std::iter::successors(top(steps, step), |&at| steps[at].below)
}

/// The data that a step reads, each layer once.
pub(super) fn inputs(steps: &Indexed<StepId, StepData>, step: StepId) -> Vec<StepId> {
    let data = &steps[step];
    let below = data.below.filter(|_| data.reads_below);
    let below = std::iter::successors(below, |&at| steps[at].below);
    let mut inputs: Vec<StepId> =
        below.chain(data.sources.iter().flat_map(|&source| contents(steps, source))).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}
