//! Chooses the machine of a step. If the machine that builds runs only the steps that have to run there, the rule of the builder decides
//! ([`best_machine`]). If it shares the steps, a step goes to the machine on which it is expected to end first, as in list scheduling for
//! unequal machines (HEFT, Topcuoglu 2002).

use super::MachineIndex;
use super::cluster::{Where, inputs};
use super::network::{Holding, Network, STEP_TRIPS};
use crate::index::Index;
use crate::whatif::total::Total;
use buildscope_record::{Candidate, StepId, best_machine};

/// The data of a step that a machine lacks.
#[derive(Clone, Copy, Debug, Default)]
struct Lack {
    /// The bytes that have to be moved.
    bytes: f64,
    /// Whether anything has to be fetched.
    fetches: bool,
    /// Whether anything is on the way.
    coming: bool,
    /// Whether the step waits for a fetch or for data on the way.
    awaits: bool,
}

/// Demands of processors that exceed them by less than this share count as met, so that rounding errors move no step.
const ROUNDING: f64 = 1e-9;

impl Network<'_> {
    /// The machine that the step goes to; `None` if it has to wait for a free slot.
    pub(in crate::whatif) fn machine_for(
        &self,
        step: StepId,
        free: impl Fn(MachineIndex) -> bool,
    ) -> Option<MachineIndex> {
        let inputs = inputs(&self.cluster.steps, step);
        if self.stays(step, &inputs) {
            Some(MachineIndex::HERE).filter(|&here| self.cluster.only_builds() || free(here))
        } else if self.cluster.only_builds() {
            self.as_builder(step, &inputs)
        } else {
            self.first_to_end(step, &inputs, free)
        }
    }

    /// Whether the step has to run on the machine that builds.
    fn stays(&self, step: StepId, inputs: &[StepId]) -> bool {
        match self.cluster.steps[step].machine {
            _ if self.loads[step].length <= 0.0 => true,
            Where::Anywhere => false,
            Where::WithData => self.cluster.only_builds() && self.fetched_sooner(inputs),
            Where::Here | Where::Base | Where::Stays(_) => true,
        }
    }

    /// Whether the machine that builds has all of these, or fetches them in less time than a step on another machine costs.
    fn fetched_sooner(&self, inputs: &[StepId]) -> bool {
        let Lack { bytes, fetches, .. } = self.lack(inputs, MachineIndex::HERE);
        // A fetch takes one round trip, a step on another machine two.
        !fetches || self.cluster.transfer(bytes) < self.cluster.step_cost.each + self.cluster.rtt
    }

    /// The number of machines that can differ: all without steps so far are equal, so one of them is enough.
    fn known(&self) -> usize {
        (self.machines.len() + 1).min(self.cluster.count)
    }

    /// The machine that the builder chooses, among all but the one that builds. The machine may be busy.
    fn as_builder(&self, step: StepId, inputs: &[StepId]) -> Option<MachineIndex> {
        let others = (1..self.known()).map(MachineIndex::from_index);
        // A builder without a limit counts as many slots as a worker has processors.
        let slots = self.model.slots.or(self.model.cpus.map(|cpus| cpus.ceil() as usize));
        let meeting = self.cluster.transfer(2.0 * self.mean_result().unwrap_or_default());
        let candidate = |machine: MachineIndex| {
            let state = (machine.index() < self.machines.len()).then(|| &self.machines[machine]);
            let Lack { bytes: lacking, awaits, .. } = self.lack(inputs, machine);
            let coming = state.filter(|_| awaits).map_or(0.0, |state| state.coming);
            let (steps, transfer) = (state.map_or(0, |state| state.steps), self.cluster.transfer(lacking + coming));
            let candidate = Candidate { steps, slots, lacking, transfer, meeting, ..Candidate::default() };
            if self.cluster.steps[step].machine != Where::Anywhere {
                return (machine, candidate);
            }
            let (partner, reserved) = (self.strands.partner(step, machine), self.strands.reserved(step, machine));
            (machine, Candidate { partner, reserved, ..candidate })
        };
        best_machine(others.map(candidate), self.mean_length()).map(|(machine, _)| machine)
    }

    /// The machine with a free slot on which the step is expected to end first. Of two that are equally good, it is the one to which
    /// fewer bytes have to be moved, and then the first.
    fn first_to_end(
        &self,
        step: StepId,
        inputs: &[StepId],
        free: impl Fn(MachineIndex) -> bool,
    ) -> Option<MachineIndex> {
        let candidates = (0..self.known()).map(MachineIndex::from_index).filter(|&machine| free(machine));
        candidates.min_by_key(|&machine| {
            let (delay, moved) = self.delay(step, inputs, machine);
            (Total(delay), Total(moved), machine)
        })
    }

    /// The part of these data that a machine lacks.
    fn lack(&self, inputs: &[StepId], machine: MachineIndex) -> Lack {
        let state = (machine.index() < self.machines.len()).then(|| &self.machines[machine]);
        let mut lack = Lack::default();
        for &item in inputs {
            match state.map_or(Holding::Absent, |state| state.data[item]) {
                Holding::Absent => (lack.bytes, lack.fetches) = (lack.bytes + self.moved(item, machine), true),
                Holding::Coming(_) => lack.coming = true,
                Holding::Held => {}
            }
        }
        lack.awaits = lack.fetches || lack.coming;
        lack
    }

    /// The expected delay of a step on that machine, in nanoseconds, compared with an idle machine that has all of its data; and the number
    /// of bytes that have to be moved.
    fn delay(&self, step: StepId, inputs: &[StepId], machine: MachineIndex) -> (f64, f64) {
        let cluster = self.cluster;
        let state = (machine.index() < self.machines.len()).then(|| &self.machines[machine]);
        let Lack { bytes: absent, fetches, coming, .. } = self.lack(inputs, machine);
        let before = state.map_or(0.0, |state| state.coming);
        let fetch = match (fetches, coming) {
            (false, false) => 0.0,
            (false, true) => cluster.transfer(before),
            (true, _) => cluster.rtt + cluster.transfer(before + absent),
        };
        let away = match machine {
            MachineIndex::HERE => 0.0,
            _ => {
                STEP_TRIPS * cluster.rtt
                    + cluster.step_cost(step, machine).map_or(0.0, |work| work.length)
                    + cluster.transfer(cluster.steps[step].added.bytes())
            }
        };
        let load = self.loads[step];
        let demand = load.demand + state.map_or(0.0, |state| state.demand);
        let excess = self.model.cpus.map_or(1.0, |cpus| demand / cpus);
        let contended = load.demand > 0.0 && excess > 1.0 + ROUNDING;
        let stretch = if contended { load.length * (excess - 1.0) } else { 0.0 };
        (fetch + away + stretch, absent)
    }
}
