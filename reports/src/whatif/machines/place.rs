//! Which machine a step goes to: the one on which it is expected to end first, as in list scheduling for unequal machines (HEFT,
//! Topcuoglu 2002).

use super::cluster::{Where, inputs};
use super::network::{Holding, Network};
use super::{Here, MachineIndex};
use crate::index::Index;
use crate::whatif::total::Total;
use buildscope_record::StepId;

/// Demands of processors that exceed them by less than this share count as met, so that the rounding of sums moves no step.
const ROUNDING: f64 = 1e-9;

impl Network<'_> {
    /// The machine that the step goes to, among those with a free slot; `None` if it has to wait for one. Of two machines that are
    /// equally good, the step goes to the one to which fewer bytes have to be moved, and then to the first.
    pub(in crate::whatif) fn place(&self, step: StepId, free: impl Fn(MachineIndex) -> bool) -> Option<MachineIndex> {
        let here_only = self.cluster.steps[step].place != Where::Anywhere || self.loads[step].length <= 0.0;
        // All machines without steps so far are equal, so one of them is enough.
        let known = if here_only { 1 } else { (self.machines.len() + 1).min(self.cluster.count) };
        let only_others = self.cluster.here == Here::OnlyBuilds && !here_only && self.cluster.count > 1;
        let first = usize::from(only_others);
        let candidates = (first..known).map(MachineIndex::from_index).filter(|&machine| free(machine));
        let inputs = if here_only { Vec::new() } else { inputs(&self.cluster.steps, step) };
        candidates.min_by_key(|&machine| {
            let (delay, moved) = self.delay(step, &inputs, machine);
            (Total(delay), Total(moved), machine)
        })
    }

    /// How much later than on an idle machine with all of its data the step is expected to end on that machine, in nanoseconds, and how
    /// many bytes have to be moved for it.
    fn delay(&self, step: StepId, inputs: &[StepId], machine: MachineIndex) -> (f64, f64) {
        let cluster = self.cluster;
        let state = (machine.index() < self.machines.len()).then(|| &self.machines[machine]);
        let (mut absent, mut fetches, mut coming) = (0.0, false, false);
        for &item in inputs {
            match state.map_or(Holding::Absent, |state| state.data[item]) {
                Holding::Absent => (absent, fetches) = (absent + self.moved(item, machine), true),
                Holding::Coming(_) => coming = true,
                Holding::Held => {}
            }
        }
        let before = state.map_or(0.0, |state| state.coming);
        let fetch = match (fetches, coming) {
            (false, false) => 0.0,
            (false, true) => cluster.transfer(before),
            (true, _) => cluster.rtt + cluster.transfer(before + absent),
        };
        let away = match machine {
            MachineIndex::HERE => 0.0,
            _ if cluster.here == Here::OnlyBuilds => cluster.rtt,
            _ => cluster.rtt + cluster.transfer(cluster.steps[step].added.bytes()),
        };
        let load = self.loads[step];
        let demand = load.demand + state.map_or(0.0, |state| state.demand);
        let excess = self.model.cpus.map_or(1.0, |cpus| demand / cpus);
        let contended = load.demand > 0.0 && excess > 1.0 + ROUNDING;
        let stretch = if contended { load.length * (excess - 1.0) } else { 0.0 };
        (fetch + away + stretch, absent)
    }
}
