//! The processes inside a step on another machine, in the times of this one.

use buildscope_record::{Nanos, Processes};
use std::time::Instant;

/// Processes inside a step on another machine, and when that machine started to work for the step.
#[derive(Clone, Debug)]
pub struct RemoteProcesses {
    pub(super) processes: Processes,
    pub(super) begin: Instant,
}

impl RemoteProcesses {
    /// The processes with times of a record whose time zero is `epoch`.
    pub(super) fn in_record(&self, epoch: Instant) -> Processes {
        let shift = Nanos::from(self.begin.saturating_duration_since(epoch));
        let mut processes = self.processes.clone();
        let mut times: Vec<&mut Nanos> = vec![&mut processes.start, &mut processes.end];
        times.extend(processes.list.iter_mut().flat_map(|one| [&mut one.start, &mut one.end]));
        times.extend(processes.folded.iter_mut().flat_map(|one| [&mut one.start, &mut one.end]));
        times.into_iter().for_each(|time| *time += shift);
        processes
    }
}
