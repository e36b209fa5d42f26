//! What the steps of a record read and make, in bytes, and which of them can run on another machine.

use crate::graph::Graph;
use crate::import::names::flags;
use crate::index::Indexed;
use crate::whatif::model::Model;
use buildscope_record::{EdgeKind, Instruction, Outcome, Phase, Record, Step, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Why a RUN stays on the machine that builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stay {
    /// A cache mount is a directory of one machine.
    CacheMount,
    /// A secret leaves no machine.
    Secret,
    /// Neither does an SSH agent.
    Ssh,
    /// The step uses the host's network.
    HostNetwork,
    /// The step uses a device of the host.
    Device,
    /// The step runs without isolation.
    Insecure,
}

impl Stay {
    /// The reason in the words of a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheMount => "cache mount",
            Self::Secret => "secret",
            Self::Ssh => "SSH agent",
            Self::HostNetwork => "host network",
            Self::Device => "device",
            Self::Insecure => "no isolation",
        }
    }

    /// The first reason in the text of a RUN.
    fn of(text: &str) -> Option<Self> {
        let mount = |mount: &str| match mount.split(',').find_map(|part| part.strip_prefix("type="))? {
            "cache" => Some(Self::CacheMount),
            "secret" => Some(Self::Secret),
            "ssh" => Some(Self::Ssh),
            _ => None,
        };
        let is = |name: &str, value: &str| flags(text, name).any(|given| given == value);
        let other = || {
            let network = is("network", "host").then_some(Self::HostNetwork);
            let device = || flags(text, "device").next().map(|_| Self::Device);
            network.or_else(device).or_else(|| is("security", "insecure").then_some(Self::Insecure))
        };
        flags(text, "mount").find_map(mount).or_else(other)
    }
}

/// Where a step can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Where {
    /// On the machine that builds: it reads the context, or takes next to no time.
    #[default]
    Here,
    /// On the machine that builds, which has its base image from the start.
    Base,
    /// On the machine that builds, although it is a RUN.
    Stays(Stay),
    Anywhere,
}

/// What a step adds to the file system: a layer, or a base image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Added {
    #[default]
    Nothing,
    Bytes(f64),
    /// The record does not say how much.
    Unknown,
}

impl Added {
    fn of(bytes: Option<f64>) -> Self {
        match bytes {
            Some(0.0) => Self::Nothing,
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Unknown,
        }
    }

    /// The size; zero if it is unknown.
    pub(super) fn bytes(self) -> f64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Nothing | Self::Unknown => 0.0,
        }
    }
}

/// The data of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct StepData {
    pub(super) added: Added,
    /// The next step below it that adds something.
    pub(super) below: Option<StepId>,
    /// The steps whose file systems it reads in addition: COPY --from and bind mounts.
    pub(super) sources: Vec<StepId>,
    /// Whether it reads the file system below it.
    pub(super) reads_below: bool,
    pub(super) place: Where,
}

/// The data of all steps of a record.
pub(super) struct Data {
    pub(super) steps: Indexed<StepId, StepData>,
    /// The steps whose results nothing else uses: the image consists of them and of what is below them.
    pub(super) wanted: Vec<StepId>,
}

impl Data {
    pub(super) fn of(record: &Record, model: &Model) -> Self {
        let graph = Graph::new(record);
        let sizes = Sizes::of(record);
        let mut found = Self { steps: Indexed::filled(StepData::default(), model.tasks.len()), wanted: Vec::new() };
        let mut used = Indexed::filled(false, record.steps.len());
        let mut images: HashMap<&str, StepId> = HashMap::new();
        for &id in graph.order() {
            let step = &record.steps[id.index()];
            let needs = graph.before(id).iter().filter(|need| need.kind == EdgeKind::Data).map(|need| need.step);
            let (own, others): (Vec<_>, Vec<_>) =
                needs.partition(|need| step.stage.is_some() && record.steps[need.index()].stage == step.stage);
            own.iter().chain(&others).for_each(|&need| used[need] = true);
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

    /// The file system after a FROM: that of another stage, or of an image. An image that several name is one.
    fn base<'r>(
        &self,
        record: &'r Record,
        step: &Step,
        others: &[StepId],
        images: &mut HashMap<&'r str, StepId>,
        sizes: &Sizes,
    ) -> StepData {
        let data = StepData { place: Where::Base, ..StepData::default() };
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
        let place = match &step.instruction {
            Instruction::Run => Stay::of(&step.text).map_or(Where::Anywhere, Where::Stays),
            Instruction::Copy if of_stages => Where::Anywhere,
            _ => Where::Here,
        };
        let reads_below = step.instruction == Instruction::Run;
        StepData { added, below, sources: others, reads_below, place }
    }

    /// Commands that a scenario moves to a stage of their own run on its base.
    fn moved(&mut self, record: &Record, model: &Model) {
        for task in model.tasks.indices().skip(record.steps.len()) {
            let base = model.tasks[task].needs.first().map(|need| need.step);
            let below = base.filter(|base| base.index() < record.steps.len()).and_then(|base| self.top(base));
            self.steps[task] = StepData { below, reads_below: true, place: Where::Anywhere, ..StepData::default() };
        }
    }

    /// The last step that added something to the file system after a step.
    fn top(&self, step: StepId) -> Option<StepId> {
        top(&self.steps, step)
    }
}

fn top(steps: &Indexed<StepId, StepData>, step: StepId) -> Option<StepId> {
    let data = &steps[step];
    if data.added == Added::Nothing { data.below } else { Some(step) }
}

/// The steps whose layers and base image the file system after a step consists of.
pub(super) fn contents(steps: &Indexed<StepId, StepData>, step: StepId) -> impl Iterator<Item = StepId> {
    std::iter::successors(top(steps, step), |&at| steps[at].below)
}

/// What a step reads: each layer once.
pub(super) fn inputs(steps: &Indexed<StepId, StepData>, step: StepId) -> Vec<StepId> {
    let data = &steps[step];
    let below = data.below.filter(|_| data.reads_below);
    let below = std::iter::successors(below, |&at| steps[at].below);
    let mut inputs: Vec<StepId> =
        below.chain(data.sources.iter().flat_map(|&source| contents(steps, source))).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
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
