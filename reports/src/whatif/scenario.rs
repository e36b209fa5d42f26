//! Scenarios: other slots, other processors, another policy, and steps or phases that take more or less time.

use super::machines::Machines;
use super::machines::cluster::Cluster;
use super::model::{Model, Task, WorkSegment};
use crate::attribute::DesktopClass;
use crate::graph::{Need, topological};
use crate::index::{Grouped, Indexed};
use crate::inside::{CommandShare, Cut, command_cuts, has_command};
use crate::others::Others;
use buildscope_record::{EdgeKind, Group, Instruction, Nanos, Phase, Policy, Record, Span, Step, StepId};
use std::fmt;
use std::str::FromStr;

/// A scenario that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// The selector has an unknown form.
    #[error(
        "`{0}` is neither a group (storage), a phase (copy), an instruction (RUN), `stage:NAME`, `step:NUMBER`, `line:NUMBER`, `command:TEXT` nor `class:NAME` (of Docker Desktop)"
    )]
    Selector(String),
    /// The selector matches nothing in the record.
    #[error("nothing in this record matches `{0}`")]
    Nothing(String),
    /// The record does not say how many processors the build had, so the effect of another number is unknown.
    #[error(
        "unknown effect of other processors: this record does not say how many the build had, or what its steps used"
    )]
    Processors,
    /// The number of machines is zero, or too large.
    #[error("the number of machines must be from 1 to {most}, not {0}", most = Machines::MOST)]
    Machines(u32),
    /// The step is the builder's own work.
    #[error("`{0}` is the builder's own work, which is never in a cache")]
    NeverCached(String),
}

/// The steps or phases that a change applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All phases of a group.
    Group(Group),
    /// One phase.
    Phase(Phase),
    /// All steps with a keyword, in upper case.
    Instruction(Instruction),
    /// All steps of a stage, by its name.
    Stage(String),
    /// One step.
    Step(StepId),
    /// The step that starts on a line of the Dockerfile.
    Line(u32),
    /// The commands inside steps whose text starts with this one.
    Command(String),
    /// All time of a class of Docker Desktop's Builds view.
    Class(DesktopClass),
}

impl FromStr for Selector {
    type Err = ScenarioError;
    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let wrong = || ScenarioError::Selector(text.to_owned());
        if let Some((kind, name)) = text.split_once(':') {
            return match kind {
                "stage" => Ok(Self::Stage(name.to_owned())),
                "step" => name.parse().map(|number| Self::Step(StepId(number))).map_err(|_| wrong()),
                "line" => name.parse().map(Self::Line).map_err(|_| wrong()),
                "class" => name.parse().map(Self::Class).map_err(|_| wrong()),
                "command" if !name.is_empty() => Ok(Self::Command(name.to_owned())),
                _ => Err(wrong()),
            };
        }
        if let Some(&group) = Group::ALL.iter().find(|group| group.name() == text) {
            return Ok(Self::Group(group));
        }
        if let Some(phase) = Phase::from_name(text) {
            return Ok(Self::Phase(phase));
        }
        let keyword = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if keyword { Ok(Self::Instruction(text.into())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => group.fmt(f),
            Self::Phase(phase) => phase.fmt(f),
            Self::Instruction(instruction) => instruction.fmt(f),
            Self::Stage(name) => write!(f, "stage:{name}"),
            Self::Step(step) => write!(f, "step:{}", step.0),
            Self::Line(line) => write!(f, "line:{line}"),
            Self::Command(text) => write!(f, "command:{text}"),
            Self::Class(class) => write!(f, "class:{class}"),
        }
    }
}

impl Selector {
    fn step(&self, record: &Record, step: &Step) -> bool {
        match self {
            Self::Group(_) | Self::Phase(_) | Self::Class(_) => true,
            Self::Instruction(instruction) => step.instruction == *instruction,
            Self::Stage(name) => {
                step.stage.and_then(|stage| record.stages.get(stage.index())).is_some_and(|stage| stage.name == *name)
            }
            Self::Step(id) => step.id == *id,
            Self::Line(line) => step.source.is_some_and(|source| source.line == *line),
            Self::Command(text) => has_command(step, text),
        }
    }

    /// The steps that the selector means.
    pub fn steps(&self, record: &Record) -> Vec<StepId> {
        record.steps.iter().filter(|step| self.step(record, step)).map(|step| step.id).collect()
    }

    /// Whether the selector includes a phase of a selected step; without a step, a phase of the builder itself.
    fn phase(&self, step: Option<&Step>, phase: Option<Phase>) -> bool {
        match self {
            Self::Class(class) => DesktopClass::of(step, phase) == Some(*class),
            Self::Group(group) => phase.is_some_and(|phase| phase.group() == *group),
            Self::Phase(wanted) => phase == Some(*wanted),
            Self::Command(_) => phase == Some(Phase::Process),
            _ => true,
        }
    }

    /// Whether the selector means phases, of the builder's own work too, and not whole steps.
    fn by_phase(&self) -> bool {
        matches!(self, Self::Group(_) | Self::Phase(_) | Self::Class(_))
    }

    /// What is gone of a selected step, whose selected phases took this time, if this part of what the selector means takes no time.
    fn cuts(&self, step: &Step, part: f64, time: (Nanos, Nanos)) -> Vec<Cut> {
        match self {
            Self::Command(text) => command_cuts(step, text, part, time),
            _ => vec![Cut { start: time.0, end: time.1, gone: CommandShare { time: part, cpu: part } }],
        }
    }
}

/// The differences from the record; by default there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    /// The limit of slots of each machine; 0 means unlimited.
    pub jobs: Option<u32>,
    /// The number of processors of each machine.
    pub cores: Option<f64>,
    /// The machines that share the steps. `None` runs all on one.
    pub machines: Option<Machines>,
    /// The policy.
    pub policy: Option<Policy>,
    /// The factor by which the selected work is faster; infinity means that it takes no time.
    pub faster: Vec<(Selector, f64)>,
    /// A delay that is added once to each selected step, or once to each step with the selected phase. If no step has the phase, it
    /// is added to the build's own work.
    pub delays: Vec<(Selector, Nanos)>,
    /// Steps whose results are in the cache.
    pub cached: Vec<StepId>,
    /// Commands, each in a stage of its own with the same base. The step that had the command takes its result from there.
    pub moved: Vec<Selector>,
    /// Whether steps run without their exclusive locks.
    pub without_locks: bool,
}

impl Scenario {
    pub(crate) fn check(&self, record: &Record) -> Result<(), ScenarioError> {
        // A build from the cache has no process, but the record has the processor time of the builder.
        let used = || record.cpu.is_some() || record.steps.iter().any(|step| step.resources.is_some());
        let measured = record.host.cpus.is_some() && used();
        if self.cores.is_some() && !measured {
            return Err(ScenarioError::Processors);
        }
        if let Some(machines) = self.machines
            && !(1..=Machines::MOST).contains(&machines.count)
        {
            return Err(ScenarioError::Machines(machines.count));
        }
        let changed = self.faster.iter().map(|(selector, _)| selector);
        let selectors = changed.chain(self.delays.iter().map(|(selector, _)| selector)).chain(&self.moved);
        for selector in selectors {
            let step = |span: &Span| span.step.and_then(|step| record.steps.get(step.index()));
            let phases = || record.spans.iter().any(|span| selector.phase(step(span), Some(span.phase)));
            let steps = || record.steps.iter().any(|step| selector.step(record, step));
            let known = match selector {
                // A log without phases has the classes of its steps.
                Selector::Class(_) => phases() || record.steps.iter().any(|step| selector.phase(Some(step), None)),
                selector if selector.by_phase() => phases(),
                _ => steps(),
            };
            if !known {
                return Err(ScenarioError::Nothing(selector.to_string()));
            }
        }
        for step in &self.cached {
            match record.steps.get(step.index()) {
                None => return Err(ScenarioError::Nothing(format!("step:{}", step.0))),
                Some(step) if step.stage.is_none() => return Err(ScenarioError::NeverCached(step.text.clone())),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The assumptions of a prediction under this scenario.
    pub(super) fn caveats(&self, record: &Record) -> Vec<String> {
        let mut caveats = Vec::new();
        let others = Others::of(record).map(|others| {
            format!("{} meanwhile: the times of this record are longer than the build's own work", others.sentence())
        });
        caveats.extend(others);
        let mut add = |when: bool, what: &str| caveats.extend(when.then(|| what.to_owned()));
        let order = self.jobs.is_some() || self.policy.is_some() || self.cores.is_some() || self.machines.is_some();
        add(
            order && !record.source.fidelity.resources,
            "the CPU use of steps was not recorded: they are assumed not to slow each other down",
        );
        add(order, "steps share disks and memory too, which is not modelled");
        add(!record.source.fidelity.edges, "dependencies are guessed");
        add(
            !self.faster.is_empty() || !self.cached.is_empty(),
            "the page cache, which one step fills for others, is not modelled",
        );
        add(
            !self.moved.is_empty(),
            "a moved command is assumed to need only its base, and copying its result to take no time",
        );
        caveats
    }

    /// The model under this scenario.
    pub(super) fn apply(&self, record: &Record, base: &Model) -> Model {
        let mut model = base.clone();
        if let Some(jobs) = self.jobs {
            model.slots = (jobs > 0).then_some(jobs as usize);
        }
        model.cpus = self.cores.or(model.cpus);
        // On a single processor there are no migrations.
        if self.cores.is_some_and(|cores| cores <= 1.0) {
            let segments = model.tasks.iter_mut().flat_map(|task| &mut task.segments);
            segments.for_each(|segment| segment.length *= 1.0 - segment.migration);
        }
        if let Some(policy) = self.policy {
            order(record, &mut model, policy);
        }
        for (selector, times) in &self.faster {
            let saved = 1.0 - 1.0 / times;
            let cpus = model.cpus;
            for (step, task) in
                record.steps.iter().zip(model.tasks.iter_mut()).filter(|(step, _)| selector.step(record, step))
            {
                let selected = |segment: &WorkSegment| selector.phase(Some(step), segment.phase);
                let Some(time) = time_of(&task.segments, selected) else { continue };
                task.segments = without(&task.segments, selected, &selector.cuts(step, saved, time), cpus);
            }
            if selector.by_phase() {
                let own = model.head.iter_mut().chain(&mut model.tail);
                own.filter(|work| selector.phase(None, work.phase)).for_each(|work| work.length /= times);
            }
        }
        for (selector, delay) in &self.delays {
            let mut delayed = false;
            for (step, task) in
                record.steps.iter().zip(model.tasks.iter_mut()).filter(|(step, _)| selector.step(record, step))
            {
                delayed |= self::delay(step, task, selector, delay.0 as f64);
            }
            if !delayed && matches!(selector, Selector::Phase(_) | Selector::Class(_)) {
                let mut own = model.head.iter_mut().chain(&mut model.tail);
                if let Some(work) = own.find(|work| work.phase.is_some() && selector.phase(None, work.phase)) {
                    work.length += delay.0 as f64;
                }
            }
        }
        for step in &self.cached {
            if let Some(task) = model.tasks.get_mut(*step) {
                *task = task.cached();
            }
        }
        for selector in &self.moved {
            move_out(record, &mut model, selector, self.policy.or(record.options.policy).unwrap_or_default());
        }
        // A step that takes no time is as one whose result is in the cache: it does not wait for a lock either.
        let idle = |task: &&mut Task| task.segments.iter().all(|segment| segment.length <= 0.0);
        model.tasks.iter_mut().filter(idle).for_each(|task| task.locks.clear());
        if self.without_locks {
            model.tasks.iter_mut().for_each(|task| task.locks.clear());
        }
        if let Some(machines) = self.machines {
            Cluster::join(record, &mut model, machines);
        }
        model
    }
}

/// Moves the selected share of steps to stages of their own, which start with the base of the step's stage. What comes before it in its step
/// does not wait for its result, unless the policy makes whole stages wait for each other; the rest does.
fn move_out(record: &Record, model: &mut Model, selector: &Selector, policy: Policy) {
    // One step after the other: a stage of its own takes the same time at another place.
    if policy == Policy::Serial {
        return;
    }
    for step in record.steps.iter().filter(|step| selector.step(record, step)) {
        let selected = |segment: &WorkSegment| selector.phase(Some(step), segment.phase);
        let Some(time) = time_of(&model.tasks[step.id].segments, selected) else { continue };
        let cuts = selector.cuts(step, 1.0, time);
        let cpus = model.cpus;
        let portions = portions(&model.tasks[step.id].segments, selected, &cuts);
        let own = portions.iter().filter_map(|portion| {
            let gone = portion.gone?;
            let own = part(&portion.segment, CommandShare { time: gone.time.max(0.0), ..gone }, cpus);
            Some(WorkSegment { locks: false, unlocks: false, ..own })
        });
        let own = own.collect();
        let base = base(record, model, step.id);
        let need = |step| Need { step, kind: EdgeKind::Data };
        let moved = Task {
            segments: own,
            locks: Vec::new(),
            lag: 0.0,
            needs: base.map(need).into_iter().collect(),
            ..model.tasks[step.id].clone()
        };
        let moved = model.tasks.push(moved);
        // Where whole stages wait for each other, nothing comes before the stage of its own. A lock is held by one task.
        let together = policy == Policy::Stages || !model.tasks[step.id].locks.is_empty();
        let before = portions.iter().take_while(|portion| portion.gone.is_none()).count();
        let (first, rest) = portions.split_at(if together { 0 } else { before });
        if first.iter().any(|portion| selected(&portion.segment)) {
            let segments = self::rest(first, cpus);
            let first = model.tasks.push(Task { segments, ..model.tasks[step.id].clone() });
            let task = &mut model.tasks[step.id];
            (task.segments, task.lag) = (self::rest(rest, cpus), 0.0);
            task.needs.push(need(first));
        } else {
            model.tasks[step.id].segments = self::rest(&portions, cpus);
        }
        model.tasks[step.id].needs.push(need(moved));
        if let (Policy::Stages, Some(base)) = (policy, base) {
            let is_after_base = |other: &&Step| {
                other.stage == step.stage && model.tasks[other.id].needs.iter().any(|need| need.step == base)
            };
            let first: Vec<StepId> = record.steps.iter().filter(is_after_base).map(|other| other.id).collect();
            let order = Need { step: moved, kind: EdgeKind::Order };
            first.into_iter().filter(|&first| first != step.id).for_each(|first| model.tasks[first].needs.push(order));
        }
    }
}

/// A part of a segment, and what is gone of it.
struct Portion {
    segment: WorkSegment,
    gone: Option<CommandShare>,
}

/// The selected segments, divided where cuts begin and end, between the others.
fn portions(segments: &[WorkSegment], selected: impl Fn(&WorkSegment) -> bool, cuts: &[Cut]) -> Vec<Portion> {
    let mut found = Vec::new();
    for segment in segments {
        let (start, end) = segment.time;
        if start >= end || !selected(segment) {
            found.push(Portion { segment: *segment, gone: None });
            continue;
        }
        let mut at = start;
        let mut add = |to: Nanos, gone: Option<CommandShare>| {
            if to > at {
                found.push(Portion { segment: between(segment, at, to), gone });
                at = to;
            }
        };
        let first = cuts.partition_point(|cut| cut.end <= start);
        for cut in cuts[first..].iter().take_while(|cut| cut.start < end) {
            add(cut.start, None);
            add(cut.end.min(end), Some(cut.gone));
        }
        add(end, None);
    }
    found
}

/// The part of a segment from one recorded time to another.
fn between(segment: &WorkSegment, from: Nanos, to: Nanos) -> WorkSegment {
    let (start, end) = segment.time;
    let share = (to.0 - from.0) as f64 / (end.0 - start.0) as f64;
    WorkSegment {
        time: (from, to),
        locks: segment.locks && from == start,
        unlocks: segment.unlocks && to == end,
        ..scaled(segment, share)
    }
}

/// What remains of segments.
fn rest(portions: &[Portion], cpus: Option<f64>) -> Vec<WorkSegment> {
    let rest = |portion: &Portion| match portion.gone {
        Some(gone) => part(&portion.segment, gone.rest(), cpus),
        None => portion.segment,
    };
    portions.iter().map(rest).collect()
}

/// What remains of segments if these cuts of the selected ones are gone.
pub(super) fn without(
    segments: &[WorkSegment],
    selected: impl Fn(&WorkSegment) -> bool,
    cuts: &[Cut],
    cpus: Option<f64>,
) -> Vec<WorkSegment> {
    rest(&portions(segments, selected, cuts), cpus)
}

/// The recorded time from the start of the selected segments to their end.
pub(super) fn time_of(segments: &[WorkSegment], selected: impl Fn(&WorkSegment) -> bool) -> Option<(Nanos, Nanos)> {
    let selected = || segments.iter().filter(|segment| selected(segment)).map(|segment| segment.time);
    Some((selected().map(|(start, _)| start).min()?, selected().map(|(_, end)| end).max()?))
}

/// A share of a segment. Its demand is that of the share.
fn part(segment: &WorkSegment, share: CommandShare, cpus: Option<f64>) -> WorkSegment {
    if share.time == share.cpu {
        return scaled(segment, share.time);
    }
    let (length, work) = (segment.length * share.time, segment.length * segment.demand * share.cpu);
    // A share without work of its own sleeps, and no share computes on more processors than there are.
    let length = cpus.map_or(length, |cpus| length.max((work / cpus).min(segment.length)));
    let demand = if length > 0.0 { work / length } else { segment.demand };
    WorkSegment { length, unhindered: (segment.unhindered * share.time).min(length), demand, ..*segment }
}

fn scaled(segment: &WorkSegment, share: f64) -> WorkSegment {
    WorkSegment { length: segment.length * share, unhindered: segment.unhindered * share, ..*segment }
}

/// The `FROM` of a step's stage, where the record has it.
fn base(record: &Record, model: &Model, step: StepId) -> Option<StepId> {
    let stage = |step: StepId| record.steps.get(step.index()).and_then(|step| step.stage);
    let within = |from: &Need| from.kind == EdgeKind::Data && stage(from.step) == stage(step);
    let before = |at: &StepId| model.tasks[*at].needs.iter().find(|need| within(need)).map(|need| need.step);
    let first = std::iter::successors(before(&step), before).take(model.tasks.len()).last();
    first.filter(|first| record.steps.get(first.index()).is_some_and(|step| step.instruction == Instruction::From))
}

/// Adds a delay before the first segment of the selected phase, or at the start of the selected step. A delay sleeps: it demands
/// no processor.
///
/// Returns whether the task has such a segment.
fn delay(step: &Step, task: &mut Task, selector: &Selector, delay: f64) -> bool {
    if !task.runs {
        return false;
    }
    let whole = !selector.by_phase() && !matches!(selector, Selector::Command(_));
    let index = task.segments.iter().position(|segment| whole || selector.phase(Some(step), segment.phase));
    let Some(index) = index else { return false };
    let first = task.segments[index];
    task.segments[index].locks = false;
    task.segments.insert(
        index,
        WorkSegment {
            length: delay,
            demand: 0.0,
            migration: 0.0,
            kernel: false,
            unlocks: false,
            time: (first.time.0, first.time.0),
            ..first
        },
    );
    true
}

/// Replaces the order edges of the record's own policy by those of another one.
fn order(record: &Record, model: &mut Model, policy: Policy) {
    let stage = |step: StepId| record.steps.get(step.index()).and_then(|step| step.stage);
    for step in model.tasks.indices().filter(|&step| stage(step).is_some()) {
        model.tasks[step].needs.retain(|need| need.kind != EdgeKind::Order);
    }
    let needs = |step: StepId| model.tasks[step].needs.iter().map(move |need| (need.step, step));
    let edges: Vec<_> = model.tasks.indices().flat_map(needs).collect();
    let sorted = topological(model.tasks.len(), &Grouped::new(model.tasks.len(), edges.iter().copied()));
    let runs = |step: &StepId| stage(*step).is_some() && model.tasks[*step].runs;
    let order: Vec<StepId> = sorted.into_iter().filter(runs).collect();
    let staged = edges.into_iter().filter(|&(from, to)| stage(from).is_some() && stage(to).is_some());
    let mut position = Indexed::filled(usize::MAX, model.tasks.len());
    order.iter().enumerate().for_each(|(index, &step)| position[step] = index);
    for (from, to) in policy.order_edges(&order, staged, stage) {
        // Guessed stages may need each other's steps. Only edges that close no cycle are added.
        let known = model.tasks[to].needs.iter().any(|need| need.step == from);
        if position[from] < position[to] && !known {
            model.tasks[to].needs.push(Need { step: from, kind: EdgeKind::Order });
        }
    }
}
