//! The data that the steps of a record read and make, in bytes, and the steps that can run on another machine.

use super::Machines;
use super::cluster::{Added, Cluster, Stay, StepData, Where, top};
use super::step_cost::StepCost;
use crate::graph::Graph;
use crate::index::Indexed;
use crate::whatif::model::Model;
use buildscope_record::{
    EdgeKind, Instruction, Outcome, Phase, Record, Step, StepId, StepMachine, StrandStep, Strands,
};
use std::collections::HashMap;

/// The data of all steps of a record.
pub(super) struct StepsData {
    pub(super) steps: Indexed<StepId, StepData>,
    /// The steps whose results no other step uses: the image consists of them and of the layers below them.
    pub(super) wanted: Vec<StepId>,
    pub(super) strand_steps: Vec<StrandStep>,
}

impl Cluster {
    /// Gives a model the machines, with the data of its record. With several machines, steps that take almost no time need no slot: they
    /// would displace other steps.
    pub(in crate::whatif) fn join(record: &Record, model: &mut Model, machines: Machines) {
        let StepsData { steps, wanted, strand_steps } = StepsData::of(record, model);
        let count = machines.count.max(1) as usize;
        if count > 1 {
            for (data, task) in steps.iter().zip(model.tasks.iter_mut()) {
                task.slot &= data.machine != Where::Base && !task.segments.is_empty();
            }
        }
        let bandwidth = machines.bandwidth.map_or(f64::INFINITY, |bandwidth| bandwidth.bytes_per_second() / 1e9);
        let (rtt, step_cost) = (machines.rtt.0 as f64, StepCost::of(record, machines.step_cost));
        let Machines { here, processors, base_images, .. } = machines;
        let strands = Strands::new(&strand_steps);
        model.cluster =
            Some(Self { count, bandwidth, rtt, step_cost, here, processors, base_images, steps, wanted, strands });
    }
}

impl StepsData {
    pub(super) fn of(record: &Record, model: &Model) -> Self {
        let graph = Graph::new(record);
        let sizes = Sizes::of(record);
        let steps = Indexed::filled(StepData::default(), model.tasks.len());
        let mut found =
            Self { steps, wanted: Vec::new(), strand_steps: vec![StrandStep::default(); model.tasks.len()] };
        let mut used = Indexed::filled(false, record.steps.len());
        let mut images: HashMap<&str, StepId> = HashMap::new();
        for &id in graph.order() {
            let step = &record.steps[id.index()];
            let needs = graph.before(id).iter().filter(|need| need.kind == EdgeKind::Data).map(|need| need.step);
            let (own, others): (Vec<_>, Vec<_>) =
                needs.partition(|need| step.stage.is_some() && record.steps[need.index()].stage == step.stage);
            own.iter().chain(&others).for_each(|&need| used[need] = true);
            let needs = own.iter().chain(&others).copied().collect();
            found.strand_steps[id.index()] = StrandStep { needs, runs: step.instruction == Instruction::Run };
            let data = match step.instruction {
                Instruction::From => found.base(record, step, &others, &mut images, &sizes),
                _ => found.result(record, step, &own, others),
            };
            found.steps[id] = data;
        }
        found.wanted = used.indices().filter(|&step| !used[step]).collect();
        found.moved(record, model);
        found
    }

    /// The file system after a FROM: that of another stage, or of an image. FROM instructions with the same image share it.
    fn base<'r>(
        &self,
        record: &'r Record,
        step: &Step,
        others: &[StepId],
        images: &mut HashMap<&'r str, StepId>,
        sizes: &Sizes,
    ) -> StepData {
        let data = StepData { machine: Where::Base, ..StepData::default() };
        if let Some(&stage) = others.last() {
            return StepData { below: self.top(stage), ..data };
        }
        let stage = step.stage.and_then(|stage| record.stages.get(stage.index()));
        let name = stage.map_or("", |stage| stage.base.as_str());
        match images.get(name) {
            _ if name == "scratch" || step.outcome == Outcome::Pruned => data,
            Some(&same) if !name.is_empty() => StepData { below: self.top(same), ..data },
            _ => {
                images.insert(name, step.id);
                StepData { added: Added::of(sizes.of_base(step)), ..data }
            }
        }
    }

    /// The file system after another instruction.
    fn result(&self, record: &Record, step: &Step, own: &[StepId], mut others: Vec<StepId>) -> StepData {
        let (below, more) = own.split_last().map_or((None, &[][..]), |(&last, more)| (self.top(last), more));
        others.extend(more);
        let made = matches!(step.outcome, Outcome::Executed | Outcome::Cached | Outcome::Joined);
        let adds = step.layer.is_some() || made && step.instruction.adds_layer();
        let added = if adds { Added::of(step.layer.map(|layer| layer.bytes.0 as f64)) } else { Added::Nothing };
        let of_stages = !others.is_empty() && others.iter().all(|other| record.steps[other.index()].stage.is_some());
        let machine = match &step.instruction {
            Instruction::Run => Stay::of(&step.text).map_or(Where::Anywhere, Where::Stays),
            Instruction::Copy if of_stages => Where::WithData,
            _ => Where::Here,
        };
        // A COPY looks up owners and follows links in the files below it.
        let reads_below = step.instruction == Instruction::Run || machine == Where::WithData;
        let is_away = step.ran_on.as_ref().is_some_and(StepMachine::is_away);
        StepData { added, below, sources: others, reads_below, machine, is_away }
    }

    /// Commands that a scenario moves to a stage of their own run on its base.
    fn moved(&mut self, record: &Record, model: &Model) {
        for task in model.tasks.indices().skip(record.steps.len()) {
            let base = model.tasks[task].needs.first().map(|need| need.step);
            let below = base.filter(|base| base.index() < record.steps.len()).and_then(|base| self.top(base));
            self.steps[task] = StepData { below, reads_below: true, machine: Where::Anywhere, ..StepData::default() };
        }
    }

    /// The last step that added something to the file system after a step.
    fn top(&self, step: StepId) -> Option<StepId> {
        top(&self.steps, step)
    }
}

/// The sizes that a record has.
struct Sizes {
    /// The bytes that each FROM pulled or unpacked, for records without the size of the base image.
    pulled: HashMap<StepId, u64>,
}

impl Sizes {
    fn of(record: &Record) -> Self {
        let mut pulled = HashMap::new();
        for span in record.spans.iter().filter(|span| matches!(span.phase, Phase::Pull | Phase::Unpack)) {
            if let (Some(step), Some(&bytes)) = (span.step, span.fields.get("bytes_read")) {
                *pulled.entry(step).or_default() += bytes;
            }
        }
        Self { pulled }
    }

    fn of_base(&self, step: &Step) -> Option<f64> {
        let known = step.base.map(|base| base.bytes.0).or_else(|| self.pulled.get(&step.id).copied());
        known.or(step.layer.map(|layer| layer.bytes.0)).map(|bytes| bytes as f64)
    }
}
