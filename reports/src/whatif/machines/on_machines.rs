//! A prediction on several machines: the use of each machine, and whether more machines pay.

use super::cluster::{Added, Cluster, Stay, Where, inputs};
use super::{Bandwidth, Machines};
use crate::index::Index;
use crate::whatif::baseline::Baseline;
use crate::whatif::model::Model;
use crate::whatif::replay::{Replay, replay};
use crate::whatif::scenario::Scenario;
use buildscope_record::{ByteSize, Nanos, Record, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The least gain, as a share of the time on one machine, at which more machines pay. Smaller ones are within the error of a
/// prediction.
const LEAST_GAIN: f64 = 0.02;

/// The use of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineUse {
    /// The number of steps that the machine runs.
    pub steps: u32,
    /// The summed length of its steps, with the waits for their data.
    pub busy: Nanos,
    /// The layers and base images that it fetches. For the machine that builds, also the image in the end.
    pub fetched: ByteSize,
    /// The results that it uploads.
    pub uploaded: ByteSize,
}

/// Whether more machines pay, or the reason why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The build is faster than on one such machine.
    Pays,
    /// One machine takes little more than the longest path of steps that need each other.
    Path,
    /// The transfer of data takes too long.
    Data,
    /// What a step costs on another machine, and giving its result away, takes too long.
    Cost,
    /// The steps that have to run on the machine that builds take most of the time.
    Stays,
}

/// A prediction on several machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnMachines {
    /// How many there are, with the one that builds.
    pub machines: u32,
    /// The bandwidth of each machine's link, in bytes per second; `None` if data moves in no time.
    pub bandwidth: Option<f64>,
    /// The time of a round trip.
    pub rtt: Nanos,
    /// The wall time on one such machine.
    pub one: Nanos,
    /// The wall time if data moved in no time.
    pub instant: Nanos,
    /// The wall time if in addition a step on another machine cost nothing.
    pub free: Nanos,
    /// The wall time with slots and processors for all steps: the longest path.
    pub path: Nanos,
    /// Whether more machines pay; `None` for one machine.
    pub verdict: Option<Verdict>,
    /// The use of each machine. The first is the one that builds.
    pub uses: Vec<MachineUse>,
    /// The machine of each step, counted from 0; `None` for a step that needs no slot.
    pub placed: Vec<Option<u32>>,
    /// The number of RUN steps that stay on the machine that builds, by reason.
    pub stay: BTreeMap<Stay, u32>,
}

/// Compares the replay on several machines with others; `None` if the scenario has no machines.
pub(in crate::whatif) fn on_machines(
    record: &Record,
    base: &Baseline,
    scenario: &Scenario,
    (changed_model, changed): (&Model, &Replay),
) -> Option<OnMachines> {
    let machines = scenario.machines?;
    let model = |machines| Scenario { machines, ..scenario.clone() }.apply(record, &base.model);
    let wall = |model: &Model| base.predicted(record, replay(model).wall);
    let alone = model(None);
    let one = wall(&alone);
    let at_once = Machines { bandwidth: None, rtt: Nanos::ZERO, ..machines };
    let instant = wall(&model(Some(at_once)));
    let free = wall(&model(Some(Machines { step_cost: Some(Nanos::ZERO), ..at_once })));
    let path = wall(&Model { slots: None, cpus: None, ..alone.clone() });
    let gains = |wall: Nanos| (wall.0 as f64) < one.0 as f64 * (1.0 - LEAST_GAIN);
    let verdict = if gains(base.predicted(record, changed.wall)) {
        Verdict::Pays
    } else if gains(instant) {
        Verdict::Data
    } else if gains(free) {
        Verdict::Cost
    } else if gains(path) {
        Verdict::Stays
    } else {
        Verdict::Path
    };
    Some(OnMachines {
        machines: machines.count,
        bandwidth: machines.bandwidth.map(Bandwidth::bytes_per_second),
        rtt: machines.rtt,
        one,
        instant,
        free,
        path,
        verdict: (machines.count > 1).then_some(verdict),
        uses: changed.uses.clone(),
        placed: changed
            .placed
            .iter()
            .take(record.steps.len())
            .map(|machine| machine.and_then(|machine| u32::try_from(machine.index()).ok()))
            .collect(),
        stay: changed_model.cluster.as_ref().map(|cluster| cluster.staying(changed_model)).unwrap_or_default(),
    })
}

impl Cluster {
    /// The number of RUN steps with work that have to run on the machine that builds, by reason.
    fn staying(&self, model: &Model) -> BTreeMap<Stay, u32> {
        let mut found = BTreeMap::new();
        for (step, data) in self.steps.entries() {
            let task = &model.tasks[step];
            if let Where::Stays(reason) = data.machine
                && task.slot
                && !task.segments.is_empty()
            {
                *found.entry(reason).or_default() += 1;
            }
        }
        found
    }

    /// The number of layers and base images without a size that a step on another machine would fetch.
    fn unknown_sizes(&self, model: &Model) -> usize {
        let fetches = |step: &StepId| {
            let task = &model.tasks[*step];
            matches!(self.steps[*step].machine, Where::Anywhere | Where::WithData)
                && task.slot
                && !task.segments.is_empty()
        };
        let fetched = self.steps.indices().filter(fetches).flat_map(|step| inputs(&self.steps, step));
        fetched.filter(|&item| self.steps[item].added == Added::Unknown).collect::<BTreeSet<_>>().len()
    }

    /// The assumptions of a prediction with these machines.
    pub(in crate::whatif) fn caveats(&self, model: &Model) -> Vec<String> {
        let mut caveats = Vec::new();
        match self.unknown_sizes(model) {
            0 => {}
            1 => caveats.push("the size of one layer or base image is not in the record: moving it is assumed to take a round trip".into()),
            several => caveats.push(format!(
                "the sizes of {several} layers and base images are not in the record: moving them is assumed to take a round trip"
            )),
        }
        if self.bandwidth.is_infinite() {
            caveats.push("without --bandwidth, data moves between the machines in no time".into());
        }
        let processors = if self.shares_processors() { ", and to share the processors of one host" } else { "" };
        caveats.push(format!("the machines are assumed to be equal, to have links of their own{processors}"));
        caveats
    }
}
