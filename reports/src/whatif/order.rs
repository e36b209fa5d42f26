//! The order in which the tasks of a model may run, and in which they get slots.

use super::model::Model;
use super::total::Total;
use crate::graph::topological;
use crate::index::{Grouped, Indexed};
use buildscope_record::StepId;
use std::cmp::Reverse;

/// The order in which a model's tasks may run: the same for models that differ only in the work of their tasks.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) dependents: Grouped<StepId, StepId>,
    /// By task, [`QueueKey::chain`]; `None` if the builder does not order by chains.
    pub(super) chains: Option<Indexed<StepId, u32>>,
}

impl Order {
    pub(super) fn new(model: &Model) -> Self {
        let count = model.tasks.len();
        let edges =
            model.tasks.indices().flat_map(|task| model.tasks[task].needs.iter().map(move |need| (need.step, task)));
        let dependents = Grouped::new(count, edges);
        Self { chains: model.chains_first.then(|| chains(count, &dependents)), dependents }
    }
}

/// The position of a ready task in the queue for slots: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    /// The number of tasks on the longest chain from the task on; 0 if the builder does not order by chains.
    pub(super) chain: Reverse<u32>,
    /// The time at which the task became ready; 0 if the builder orders by chains.
    pub(super) ready: Total,
    /// The recorded start of the task; 0 if the builder orders by chains.
    pub(super) started: Total,
    pub(super) task: StepId,
}

/// For each task, the number of tasks on the longest chain from it to a task without dependents.
fn chains(count: usize, dependents: &Grouped<StepId, StepId>) -> Indexed<StepId, u32> {
    let mut chains = Indexed::filled(1, count);
    for task in topological(count, dependents).into_iter().rev() {
        chains[task] = 1 + dependents.of(task).iter().map(|&next| chains[next]).max().unwrap_or(0);
    }
    chains
}
