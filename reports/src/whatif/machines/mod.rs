//! Several machines that share the steps of one build.
//!
//! *Takes* a record, a model and the machines of a scenario. *Gives* the model what each step reads and makes, and where it can run; the
//! replay gets clocks and slots for each machine, and an account of what is where. *Must never know* how steps are sent: that a step on
//! another machine costs a round trip, and its data the time on a link, is all.
//!
//! The first machine is the one that builds ("here"). It has the base images, the context and all results from the cache, and gets the
//! image in the end. The others are equal to it. Each has a link of its own, with the same bandwidth in both directions.

mod bandwidth;
mod clocks;
mod data;
mod network;
mod on_machines;
mod place;
#[cfg(test)]
mod tests;

pub use bandwidth::{Bandwidth, InvalidBandwidth};
pub use data::Stay;
pub use on_machines::{MachineUse, OnMachines, Verdict};

pub(super) use clocks::{Clocks, Resource};
pub(super) use network::Network;
pub(super) use on_machines::on_machines;

use super::model::Model;
use crate::index::{Index, Indexed};
use buildscope_record::{Nanos, Record, StepId};
use data::{Data, StepData, Where};

/// The machines that share a build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machines {
    /// How many there are, with the one that builds.
    pub count: u32,
    /// The bandwidth of each machine's link, in each direction. `None` moves data in no time.
    pub bandwidth: Option<Bandwidth>,
    /// The time of a round trip between any two.
    pub rtt: Nanos,
    /// What the machine that builds runs itself.
    pub here: Here,
}

/// What the machine that builds runs itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Here {
    /// Its share of the steps.
    #[default]
    Shares,
    /// Only what has to run there, as in a build with `--remote`.
    OnlyBuilds,
}

impl Machines {
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

/// The machines of a model, and the data of its steps.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// How many machines there are.
    pub(super) count: usize,
    /// The bandwidth of a link in bytes per nanosecond; infinite if data moves in no time.
    bandwidth: f64,
    /// The time of a round trip, in nanoseconds.
    rtt: f64,
    here: Here,
    steps: Indexed<StepId, StepData>,
    /// The steps whose results the image consists of.
    wanted: Vec<StepId>,
}

impl Cluster {
    /// Gives a model the machines, with the data of its record. With several, what takes next to no time needs no slot: it would send
    /// steps to other machines.
    pub(super) fn join(record: &Record, model: &mut Model, machines: Machines) {
        let Data { steps, wanted } = Data::of(record, model);
        let count = machines.count.max(1) as usize;
        if count > 1 {
            for (data, task) in steps.iter().zip(model.tasks.iter_mut()) {
                task.slot &= data.place != Where::Base && !task.segments.is_empty();
            }
        }
        let bandwidth = machines.bandwidth.map_or(f64::INFINITY, |bandwidth| bandwidth.bytes_per_second() / 1e9);
        let (rtt, here) = (machines.rtt.0 as f64, machines.here);
        model.cluster = Some(Self { count, bandwidth, rtt, here, steps, wanted });
    }

    /// How long that many bytes take on a link that nothing else uses, in nanoseconds.
    fn transfer(&self, bytes: f64) -> f64 {
        bytes / self.bandwidth
    }
}
