//! Records the waits of steps as the scheduler reports them.

use buildscope_record::{Phase, PhaseSpan, Probe, StepId, WaitSpan};
use buildscope_schedule::Observer;
use parking_lot::{Mutex, MutexGuard};
use petgraph::graph::NodeIndex;

/// Opens and closes the spans of each step: the wait for its dependencies, the wait for a slot, and the dispatch, which
/// lasts as long as the step has its slot.
pub(super) struct Waits {
    probe: Probe,
    /// The step of each node of the scheduler.
    ids: Vec<StepId>,
    open: Mutex<Vec<OpenWait>>,
}

#[derive(Debug)]
enum OpenWait {
    Nothing,
    Wait(WaitSpan),
    Dispatch(PhaseSpan),
}

impl Waits {
    /// Starts the wait for dependencies of all steps. The scheduler reports a step without any as ready at once.
    pub(super) fn new(ids: Vec<StepId>, probe: &Probe) -> Self {
        let open = ids.iter().map(|&id| OpenWait::Wait(probe.at(id, None).wait_dependency())).collect();
        Self { probe: probe.clone(), ids, open: Mutex::new(open) }
    }

    /// The probe for the phases of a started step: they are inside its dispatch.
    pub(super) fn inside(&self, node: NodeIndex, slot: u32) -> Probe {
        match &self.open()[node.index()] {
            OpenWait::Dispatch(span) => span.probe(),
            OpenWait::Nothing | OpenWait::Wait(_) => self.probe.at(self.ids[node.index()], Some(slot)),
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<OpenWait>> {
        // A panic while a span is replaced leaves the vector intact.
        self.open.lock()
    }
}

impl Observer for Waits {
    fn ready(&self, node: NodeIndex, last: Option<NodeIndex>) {
        let slot = self.probe.at(self.ids[node.index()], None).wait_slot();
        let waited = std::mem::replace(&mut self.open()[node.index()], OpenWait::Wait(slot));
        if let (OpenWait::Wait(wait), Some(last)) = (waited, last) {
            wait.on(self.ids[last.index()]);
        }
    }

    fn started(&self, node: NodeIndex, slot: u32, freed_by: Option<NodeIndex>) {
        let dispatch = self.probe.at(self.ids[node.index()], Some(slot)).phase(Phase::Dispatch);
        let waited = std::mem::replace(&mut self.open()[node.index()], OpenWait::Dispatch(dispatch));
        if let (OpenWait::Wait(wait), Some(by)) = (waited, freed_by) {
            wait.on(self.ids[by.index()]);
        }
    }

    fn finished(&self, node: NodeIndex) {
        if let OpenWait::Dispatch(span) = std::mem::replace(&mut self.open()[node.index()], OpenWait::Nothing) {
            span.end();
        }
    }
}
