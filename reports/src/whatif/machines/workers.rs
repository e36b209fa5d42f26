//! The slots of the workers of other machines. A step that was given to a machine waits there until a slot is free.

use super::MachineIndex;
use crate::index::{Index, Indexed};
use crate::whatif::model::Model;
use std::collections::VecDeque;

/// The workers of all machines but the one that builds. `T` is a step that waits.
#[derive(Clone)]
pub(in crate::whatif) struct Workers<T> {
    /// The slots of each machine; `None` is unlimited.
    slots: Option<usize>,
    machines: Indexed<MachineIndex, WorkerSlots<T>>,
}

#[derive(Clone)]
struct WorkerSlots<T> {
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Workers<T> {
    /// Only a machine to which steps are sent before it has a free slot needs a limit here.
    pub(in crate::whatif) fn new(model: &Model) -> Self {
        let limited = model.cluster.as_ref().is_some_and(|cluster| cluster.only_builds());
        Self { slots: model.slots.filter(|_| limited), machines: Indexed::default() }
    }

    fn worker(&mut self, machine: MachineIndex) -> &mut WorkerSlots<T> {
        while self.machines.len() <= machine.index() {
            self.machines.push(WorkerSlots { running: 0, waiting: VecDeque::new() });
        }
        &mut self.machines[machine]
    }

    /// Takes a slot for a step. Returns the step if a slot was free; otherwise it waits.
    pub(in crate::whatif) fn enter(&mut self, machine: MachineIndex, step: T) -> Option<T> {
        let slots = self.slots.filter(|_| machine != MachineIndex::HERE);
        let worker = self.worker(machine);
        if slots.is_some_and(|slots| worker.running >= slots) {
            worker.waiting.push_back(step);
            return None;
        }
        worker.running += 1;
        Some(step)
    }

    /// Frees the slot of a step. Returns the step that gets it.
    pub(in crate::whatif) fn leave(&mut self, machine: MachineIndex) -> Option<T> {
        let worker = self.worker(machine);
        let next = worker.waiting.pop_front();
        worker.running -= usize::from(next.is_none());
        next
    }

    /// Takes the steps that still wait.
    pub(in crate::whatif) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.machines).into_iter().flat_map(|worker| worker.waiting)
    }
}
