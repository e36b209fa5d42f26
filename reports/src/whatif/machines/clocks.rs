//! The clocks and slots of the machines in a replay.

use super::MachineIndex;
use super::cluster::Cluster;
use crate::index::{Index, Indexed};
use crate::whatif::model::Model;
use crate::whatif::share::{RunningTasks, TaskWork};
use buildscope_record::StepId;

/// A resource of a machine that its steps share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::whatif) enum Resource {
    Processors,
    /// The link to the machine.
    Download,
    /// The link from the machine.
    Upload,
}

/// The clocks and slots of all machines. Clocks of a machine exist from its first use on.
#[derive(Clone)]
pub(in crate::whatif) struct Clocks {
    cpus: Option<f64>,
    tasks: usize,
    /// The limit of slots of each machine. `None` is unlimited.
    slots: Option<usize>,
    machines: usize,
    /// Whether the workers of other machines limit the running steps there, and steps are sent before a slot is free.
    queues: bool,
    /// Whether all machines use the processors of the first.
    shares_processors: bool,
    used_slots: Indexed<MachineIndex, usize>,
    /// The processors of each machine. With several machines, their two links follow.
    shared: Vec<RunningTasks>,
}

impl Clocks {
    /// All clocks at the instant `now`.
    pub(in crate::whatif) fn new(model: &Model, now: f64) -> Self {
        let (tasks, cluster) = (model.tasks.len(), model.cluster.as_ref());
        Self {
            cpus: model.cpus,
            tasks,
            slots: model.slots,
            machines: cluster.map_or(1, |cluster| cluster.count),
            queues: cluster.is_some_and(Cluster::only_builds),
            shares_processors: cluster.is_some_and(Cluster::shares_processors),
            used_slots: Indexed::filled(0, 1),
            shared: vec![RunningTasks::new(model.cpus, tasks, now)],
        }
    }

    pub(in crate::whatif) fn now(&self) -> f64 {
        self.shared[0].now()
    }

    /// Whether the machine has a free slot.
    pub(in crate::whatif) fn has_slot(&self, machine: MachineIndex) -> bool {
        let used = if machine.index() < self.used_slots.len() { self.used_slots[machine] } else { 0 };
        self.slots.is_none_or(|slots| used < slots)
    }

    /// Whether any machine has a free slot.
    pub(in crate::whatif) fn any_slot(&self) -> bool {
        let unused = self.used_slots.len() < self.machines && self.slots != Some(0);
        self.queues || unused || self.used_slots.indices().any(|machine| self.has_slot(machine))
    }

    pub(in crate::whatif) fn take_slot(&mut self, machine: MachineIndex) {
        while self.used_slots.len() <= machine.index() {
            self.used_slots.push(0);
        }
        self.used_slots[machine] += 1;
    }

    pub(in crate::whatif) fn free_slot(&mut self, machine: MachineIndex) {
        self.used_slots[machine] -= 1;
    }

    /// Starts work of a task, which must not have other work running.
    pub(in crate::whatif) fn start(&mut self, machine: MachineIndex, resource: Resource, task: StepId, work: TaskWork) {
        let position = match resource {
            Resource::Processors if self.shares_processors => 0,
            Resource::Processors => machine.index() * 3,
            Resource::Download => machine.index() * 3 + 1,
            Resource::Upload => machine.index() * 3 + 2,
        };
        let now = self.now();
        while self.shared.len() <= position {
            let cpus = self.cpus.filter(|_| self.shared.len().is_multiple_of(3));
            self.shared.push(RunningTasks::new(cpus, self.tasks, now));
        }
        self.shared[position].start(task, work);
    }

    /// Advances to the next instant at which work ends. Replaces `ended` by the tasks whose work ended, by machine in the order of their
    /// starts. It is empty if nothing is running.
    pub(in crate::whatif) fn advance(&mut self, ended: &mut Vec<StepId>) {
        ended.clear();
        if let [only] = &mut self.shared[..] {
            if let Some(next) = only.next_end() {
                only.pass(next.after, Some(next), ended);
            }
            return;
        }
        let next: Vec<_> = self.shared.iter_mut().map(RunningTasks::next_end).collect();
        let first = next.iter().flatten().map(|next| next.after).min_by(f64::total_cmp);
        let Some(after) = first else { return };
        self.shared.iter_mut().zip(next).for_each(|(shared, next)| shared.pass(after, next, ended));
    }
}
