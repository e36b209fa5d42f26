//! Several machines that share the steps of one build.
//!
//! *Takes* a record, a model and the machines of a scenario. *Gives* the model the data that each step reads and makes, and the machines on
//! which it can run. The replay gets clocks and slots for each machine, and the location of all data. *Must never know* how steps are sent:
//! a step on another machine costs round trips, and its data the time on a link.
//!
//! The first machine is the one that builds ("here"). It has the base images, the context and all results from the cache, and gets the
//! image in the end. The others are equal to it. Each has a link of its own, with the same bandwidth in both directions.

mod bandwidth;
mod clocks;
pub(super) mod cluster;
mod data;
mod network;
mod on_machines;
mod placement;
mod step_cost;
#[cfg(test)]
mod tests;
mod workers;

pub use bandwidth::{Bandwidth, InvalidBandwidth};
pub use cluster::Stay;
pub use on_machines::{MachineUse, OnMachines, Verdict};

pub(super) use clocks::{Clocks, Resource};
pub(super) use network::Network;
pub(super) use on_machines::on_machines;
pub(super) use workers::Workers;

use crate::index::Index;
use buildscope_record::Nanos;

/// The machines that share a build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machines {
    /// The number of machines, including the one that builds.
    pub count: u32,
    /// The bandwidth of each machine's link, in each direction. `None` moves data in no time.
    pub bandwidth: Option<Bandwidth>,
    /// The time of a round trip between any two machines.
    pub rtt: Nanos,
    /// The additional cost of a step on another machine. `None` takes it from the record, or if the record has no such steps,
    /// [`STEP_COST`](Self::STEP_COST) and a time for each byte of the result.
    pub step_cost: Option<Nanos>,
    /// The processors that the scenario counts.
    pub processors: Processors,
    /// The steps that the machine that builds runs itself.
    pub here: Here,
    /// The machines that have the base images at the start.
    pub base_images: BaseImages,
}

/// The machines that have the base images at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaseImages {
    /// The machine that builds. Each other machine fetches a base image before its first step on it.
    #[default]
    Here,
    /// All machines: they have run steps on these base images before.
    Everywhere,
}

/// The steps that the machine that builds runs itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Here {
    /// Its share of all steps.
    #[default]
    Shares,
    /// Only the steps that have to run there, as in a build with `--remote` and a server on each machine. Results stay where they were
    /// made, and get to another machine through this one.
    OnlyBuilds,
}

/// The processors that a scenario counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processors {
    /// The processors of each machine.
    #[default]
    OfEach,
    /// The processors of one host, which all machines share: virtual machines, or containers.
    OfHost,
}

impl Machines {
    /// The cost of a step on another machine without a record of one. See docs/design/remote.md.
    pub const STEP_COST: Nanos = Nanos(22_000_000);
    /// The largest number that can be replayed: the replay keeps clocks for each.
    pub const MOST: u32 = 100;
}

/// The index of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MachineIndex(usize);

impl MachineIndex {
    /// The machine that builds.
    pub(crate) const HERE: Self = Self(0);
}

impl Index for MachineIndex {
    fn from_index(index: usize) -> Self {
        Self(index)
    }

    fn index(self) -> usize {
        self.0
    }
}
