//! The location of data during a replay, and the transfers.

use super::cluster::{Added, Cluster, StepData, Where, contents, inputs};
use super::on_machines::MachineUse;
use super::{BaseImages, Here, MachineIndex};
use crate::index::{Index, Indexed};
use crate::whatif::model::{Model, WorkSegment};
use buildscope_record::{ByteSize, Mean, Nanos, SMALL_LAYER, StepId, Strands};

/// The round trips of a step on another machine: a question and the execution.
pub(super) const STEP_TRIPS: f64 = 2.0;
/// The round trips before the first step on a server: the connection, and the question which base layers it has.
const FIRST_TRIPS: f64 = 2.0;

/// Whether a machine has the layer or base image that a step adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holding {
    #[default]
    Absent,
    /// This step is fetching the data.
    Coming(StepId),
    Held,
}

/// The data and the load of a machine.
#[derive(Clone, Debug)]
pub(super) struct MachineState {
    /// The data by the step that adds it.
    pub(super) data: Indexed<StepId, Holding>,
    /// The bytes on the way to the machine.
    pub(super) coming: f64,
    /// The processors that its running steps demand.
    pub(super) demand: f64,
    /// The number of steps that the machine got and that have not ended.
    pub(super) steps: usize,
    usage: MachineUse,
}

/// The fetch of a step, and the steps that wait for it.
#[derive(Clone, Debug, Default)]
struct Fetch {
    machine: Option<MachineIndex>,
    /// The steps whose data it fetches itself.
    items: Vec<StepId>,
    bytes: f64,
    /// The number of fetches, of this step and of others, that the step still waits for.
    awaits: usize,
    /// The steps that wait for the data that it fetches.
    others: Vec<StepId>,
}

/// The computation of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLoad {
    /// In nanoseconds.
    pub(super) length: f64,
    /// The processors that it demands on average.
    pub(super) demand: f64,
}

/// The data of all machines.
#[derive(Clone)]
pub(in crate::whatif) struct Network<'m> {
    pub(super) model: &'m Model,
    pub(super) cluster: &'m Cluster,
    /// The machines that were used so far.
    pub(super) machines: Indexed<MachineIndex, MachineState>,
    pub(super) loads: Indexed<StepId, StepLoad>,
    /// The machine of each strand.
    pub(super) strands: Strands<MachineIndex>,
    /// The lengths of the RUN steps that have ended on other machines, in nanoseconds.
    lengths: Mean,
    /// The sizes of the layers that were made on other machines, in bytes.
    results: Mean,
    fetches: Indexed<StepId, Fetch>,
}

impl<'m> Network<'m> {
    /// The machine that builds has the base images, and the results of all steps that do not run.
    pub(in crate::whatif) fn new(model: &'m Model, cluster: &'m Cluster) -> Self {
        let load = |segments: &[WorkSegment]| {
            let length: f64 = segments.iter().map(|segment| segment.length).sum();
            let cpu: f64 = segments.iter().map(|segment| segment.length * segment.demand).sum();
            StepLoad { length, demand: if length > 0.0 { cpu / length } else { 0.0 } }
        };
        let mut network = Self {
            model,
            cluster,
            machines: Indexed::default(),
            loads: model.tasks.iter().map(|task| load(&task.segments)).collect(),
            strands: cluster.strands.clone(),
            lengths: Mean::default(),
            results: Mean::default(),
            fetches: Indexed::filled(Fetch::default(), model.tasks.len()),
        };
        network.open(MachineIndex::HERE);
        for (step, task) in model.tasks.entries() {
            if !task.runs || cluster.steps[step].machine == Where::Base {
                network.machines[MachineIndex::HERE].data[step] = Holding::Held;
            }
        }
        network
    }

    fn open(&mut self, machine: MachineIndex) {
        while self.machines.len() <= machine.index() {
            let mut data = Indexed::filled(Holding::Absent, self.model.tasks.len());
            if self.cluster.base_images == BaseImages::Everywhere {
                let bases = self.cluster.steps.entries().filter(|(_, step)| step.machine == Where::Base);
                bases.for_each(|(step, _)| data[step] = Holding::Held);
            }
            self.machines.push(MachineState { data, coming: 0.0, demand: 0.0, steps: 0, usage: MachineUse::default() });
        }
    }

    /// Gives a step to a machine. Returns the time until its work or its fetch can start, in nanoseconds: the round trips if the machine is
    /// not this one, and one more for a fetch.
    pub(in crate::whatif) fn assign(&mut self, step: StepId, machine: MachineIndex) -> f64 {
        self.open(machine);
        self.strands.put(step, machine);
        let state = &mut self.machines[machine];
        state.demand += self.loads[step].demand;
        state.steps += 1;
        state.usage.steps += 1;
        let mut fetch = Fetch { machine: Some(machine), ..Fetch::default() };
        let mut from: Vec<StepId> = Vec::new();
        // A step from the cache reads nothing.
        let works = self.loads[step].length > 0.0;
        for item in works.then(|| inputs(&self.cluster.steps, step)).into_iter().flatten() {
            match state.data[item] {
                Holding::Absent => {
                    state.data[item] = Holding::Coming(step);
                    fetch.items.push(item);
                }
                Holding::Coming(other) => from.push(other),
                Holding::Held => {}
            }
        }
        from.sort_unstable();
        from.dedup();
        fetch.bytes = fetch.items.iter().map(|&item| self.moved(item, machine)).sum();
        self.machines[machine].coming += fetch.bytes;
        let first = self.cluster.only_builds() && self.machines[machine].usage.steps == 1;
        let trips = match machine {
            MachineIndex::HERE => 0.0,
            _ => STEP_TRIPS + if first { FIRST_TRIPS } else { 0.0 },
        };
        let fetches = !fetch.items.is_empty();
        let alone = fetch.items.iter().any(|&item| !self.comes_along(item, machine));
        fetch.awaits = from.len() + usize::from(fetches);
        from.into_iter().for_each(|other| self.fetches[other].others.push(step));
        fetch.others.append(&mut self.fetches[step].others);
        self.fetches[step] = fetch;
        let trips = trips + f64::from(u8::from(alone));
        trips * self.cluster.rtt
    }

    /// The time of the step's own fetch on an otherwise unused link, in nanoseconds; `None` if it fetches nothing.
    pub(in crate::whatif) fn fetch_time(&self, step: StepId) -> Option<f64> {
        let fetch = &self.fetches[step];
        (!fetch.items.is_empty()).then(|| self.cluster.transfer(fetch.bytes))
    }

    /// Whether the step waits for data.
    pub(in crate::whatif) fn waits(&self, step: StepId) -> bool {
        self.fetches[step].awaits > 0
    }

    /// Ends a fetch. Returns the steps that waited for nothing else.
    pub(in crate::whatif) fn fetched(&mut self, step: StepId) -> Vec<StepId> {
        let fetch = &mut self.fetches[step];
        let machine = fetch.machine.unwrap_or(MachineIndex::HERE);
        let (items, bytes) = (std::mem::take(&mut fetch.items), fetch.bytes);
        let waiting = [step].into_iter().chain(std::mem::take(&mut fetch.others));
        let state = &mut self.machines[machine];
        state.coming = (state.coming - bytes).max(0.0);
        state.usage.fetched.0 += bytes as u64;
        items.iter().for_each(|&item| state.data[item] = Holding::Held);
        if self.cluster.here == Here::OnlyBuilds {
            let here = &mut self.machines[MachineIndex::HERE].data;
            items.iter().for_each(|&item| here[item] = Holding::Held);
        }
        let mut complete = Vec::new();
        for waiting in waiting {
            self.fetches[waiting].awaits -= 1;
            if self.fetches[waiting].awaits == 0 {
                complete.push(waiting);
            }
        }
        complete
    }

    /// The time of the upload of a result on an otherwise unused link, in nanoseconds; `None` if there is nothing to upload.
    pub(in crate::whatif) fn upload_time(&mut self, step: StepId) -> Option<f64> {
        let machine = self.machine_of(step).filter(|&machine| machine != MachineIndex::HERE)?;
        if self.cluster.here == Here::OnlyBuilds {
            return None;
        }
        let bytes = self.cluster.steps[step].added.bytes();
        self.machines[machine].usage.uploaded.0 += bytes as u64;
        (bytes > 0.0).then(|| self.cluster.transfer(bytes))
    }

    /// Whether a layer needs no round trip of its own: it is small, and the machine that builds has it.
    fn comes_along(&self, item: StepId, to: MachineIndex) -> bool {
        let is_small = self.cluster.steps[item].added.bytes() <= SMALL_LAYER as f64;
        let is_here = self.machines[MachineIndex::HERE].data[item] == Holding::Held;
        self.cluster.only_builds() && to != MachineIndex::HERE && is_small && is_here
    }

    /// Ends a step. Its machine has its result, and so has the machine that builds if it is small.
    pub(in crate::whatif) fn ended(&mut self, step: StepId, busy: f64, ran: f64) {
        let placed = self.machine_of(step);
        let state = &mut self.machines[placed.unwrap_or(MachineIndex::HERE)];
        state.data[step] = Holding::Held;
        if placed.is_some() {
            state.demand = (state.demand - self.loads[step].demand).max(0.0);
            state.steps -= 1;
            // A float-to-integer `as` saturates.
            state.usage.busy += Nanos(busy.round() as u64);
        }
        if placed.is_some_and(|machine| machine != MachineIndex::HERE) {
            let small = |added: Added| matches!(added, Added::Bytes(bytes) if bytes <= SMALL_LAYER as f64);
            if self.cluster.only_builds() && small(self.cluster.steps[step].added) {
                self.machines[MachineIndex::HERE].data[step] = Holding::Held;
            }
            let &StepData { machine, added, .. } = &self.cluster.steps[step];
            if machine == Where::Anywhere {
                self.lengths.add(ran);
            }
            if added != Added::Nothing {
                self.results.add(added.bytes());
            }
        }
    }

    /// The bytes that a machine's fetch of what a step adds moves over a link. With a server on each machine, a result of another
    /// machine comes through this one.
    pub(super) fn moved(&self, item: StepId, to: MachineIndex) -> f64 {
        let is_here = to == MachineIndex::HERE || self.machines[MachineIndex::HERE].data[item] == Holding::Held;
        let relayed = self.cluster.here == Here::OnlyBuilds && !is_here;
        self.cluster.steps[item].added.bytes() * if relayed { 2.0 } else { 1.0 }
    }

    /// The mean length of the RUN steps that ended on other machines, in nanoseconds; `None` before the first one.
    pub(super) fn mean_length(&self) -> Option<f64> {
        self.lengths.get()
    }

    /// The mean size of the layers that were made on other machines, in bytes; `None` before the first one.
    pub(super) fn mean_result(&self) -> Option<f64> {
        self.results.get()
    }

    /// The machine that a step was given to.
    pub(in crate::whatif) fn machine_of(&self, step: StepId) -> Option<MachineIndex> {
        self.fetches[step].machine
    }

    /// The bytes of the image that this machine does not have when all steps have ended.
    pub(in crate::whatif) fn missing_here(&self) -> f64 {
        let mut missing: Vec<StepId> =
            self.cluster.wanted.iter().flat_map(|&step| contents(&self.cluster.steps, step)).collect();
        missing.sort_unstable();
        missing.dedup();
        let here = &self.machines[MachineIndex::HERE].data;
        missing.retain(|&item| here[item] != Holding::Held);
        missing.into_iter().map(|item| self.cluster.steps[item].added.bytes()).fold(0.0, |sum, bytes| sum + bytes)
    }

    /// The time that the missing bytes of the image take to get here, in nanoseconds.
    pub(in crate::whatif) fn delivery(&self) -> f64 {
        match self.missing_here() {
            0.0 => 0.0,
            bytes => self.cluster.rtt + self.cluster.transfer(bytes),
        }
    }

    /// The use of each machine.
    pub(in crate::whatif) fn usage(&self) -> Vec<MachineUse> {
        let mut all: Vec<MachineUse> = self.machines.iter().map(|state| state.usage).collect();
        all[0].fetched = ByteSize(all[0].fetched.0 + self.missing_here() as u64);
        all.resize(self.cluster.count, MachineUse::default());
        all
    }
}
