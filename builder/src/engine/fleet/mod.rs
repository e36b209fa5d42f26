//! Builds several targets in one graph.
//!
//! *Takes* a request for each target. *Gives* the end of each target, as soon as it has ended. Equal steps of different
//! targets are one step, a context is opened and an image is resolved once, and all steps share one set of slots.

mod missing;
mod prepare;

use super::base_reads::BaseReads;
use super::destinations::Destinations;
use super::early::Early;
use super::finished_build::FinishedBuild;
use super::live::Live;
use super::outcome::TargetReport;
use super::progress::Redacting;
use super::solver::Solver;
use super::warm_up::WarmUp;
use super::{BuildError, Built, Engine, Event, Outcome, Progress, Request, finish, repair};
use buildscope_record::{Phase, Probe, StepId};
use missing::Missing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A request to build several targets.
#[derive(Clone, Debug, Default)]
pub struct FleetRequest {
    /// The targets. Policy and slots of the first apply to all.
    pub targets: Vec<FleetTarget>,
    /// Whether targets that do not need a failed step are built.
    pub keep_going: bool,
}

/// A target.
#[derive(Clone, Debug, Default)]
pub struct FleetTarget {
    /// The name. `target:NAME` as a named context of another target is the result of this one.
    pub name: String,
    /// The request.
    pub request: Request,
}

/// The outcome of several targets.
#[derive(Debug)]
pub struct FleetOutcome {
    /// The graph, and what became of its steps.
    pub outcome: Outcome,
    /// The end of each target, in the order of the request.
    pub ends: Vec<TargetEnd>,
}

/// The outcome of a target.
#[derive(Debug)]
pub enum TargetEnd {
    /// It was built and delivered, at this instant.
    Built(Box<Built>, Instant),
    /// It failed.
    Failed(BuildError),
    /// It was not built, because it needs a step of another target that failed, or the build ended before.
    Skipped(String),
}

/// Builds targets. It needs a multi-threaded tokio runtime, as [`build`](super::build) does.
pub async fn build_fleet(
    engine: &Engine,
    fleet: &FleetRequest,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> FleetOutcome {
    let progress: Arc<dyn Progress> = Arc::new(Redacting(progress));
    let mut outcome = Outcome::nothing_yet();
    let all = fleet.targets.len();
    let ends = match run(engine, fleet, probe, progress, cancel, &mut outcome).await {
        Ok(ends) => {
            let failed = ends.iter().filter(|end| !matches!(end, TargetEnd::Built(..))).count();
            outcome.result = if failed == 0 { Ok(Built::default()) } else { Err(BuildError::Targets { failed, all }) };
            ends
        }
        Err(error) => {
            outcome.result = Err(error);
            Vec::new()
        }
    };
    FleetOutcome { outcome, ends }
}

/// The delivery of a target.
struct Delivery {
    name: String,
    request: Request,
    destinations: Destinations,
}

impl Delivery {
    fn new(FleetTarget { name, request }: &FleetTarget) -> Result<Self, BuildError> {
        let destinations = Destinations::of(request).map_err(|error| prepare::in_target(name, error))?;
        Ok(Self { name: name.clone(), request: request.clone(), destinations })
    }
}

/// The outcome of a delivery, with its start and its end.
struct Delivered {
    result: Result<Built, BuildError>,
    times: (Instant, Instant),
}

async fn run(
    engine: &Engine,
    fleet: &FleetRequest,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
    outcome: &mut Outcome,
) -> Result<Vec<TargetEnd>, BuildError> {
    let deliveries = fleet.targets.iter().map(Delivery::new).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = deliveries.first() else { return Ok(Vec::new()) };
    let (policy, jobs) = (first.request.policy, first.request.jobs);
    let warm_up = WarmUp::new(engine);
    let prepared = prepare::prepare(engine, &deliveries, &progress, probe)?;
    outcome.plan = Some(Arc::clone(&prepared.plan));
    progress.event(Event::Planned(Arc::clone(&prepared.plan)));
    let requests: Vec<&Request> = deliveries.iter().map(|delivery| &delivery.request).collect();
    let mut solver = Solver::new(warm_up, &requests, prepared, probe, Arc::clone(&progress), cancel)?;
    solver.failures.keep_going = fleet.keep_going;
    let mut solver = Arc::new(solver);
    let (live, order_edges) = Live::new(&solver.ctx.plan, policy)?;
    outcome.order_edges = order_edges;
    let deliveries = Arc::new(deliveries);
    let mut delivered = BTreeMap::new();
    for round in 1.. {
        let open = |part: &usize| !delivered.contains_key(part);
        let early = |part: usize| {
            let early = Early::new(&solver, &solver.parts[part], &deliveries[part].destinations, probe)?;
            Some((part, early))
        };
        let early: Arc<BTreeMap<usize, Early>> =
            Arc::new((0..deliveries.len()).filter(open).filter_map(early).collect());
        let (ended, ends) = mpsc::unbounded_channel();
        let solve = async {
            let (early, ended_step) = (Arc::clone(&early), ended.clone());
            let note = move |solver: &Solver, step| {
                early.iter().for_each(|(part, early)| early.ended(solver, &solver.parts[*part], step));
                let _ = ended_step.send(Some(step));
            };
            let solved = solver.run(&live, jobs, Some(Arc::new(note))).await;
            // All steps have ended.
            let _ = ended.send(None);
            solved
        };
        let (solved, now) = tokio::join!(solve, deliver_all(&solver, &deliveries, ends, (&delivered, &early), probe));
        for (_, early) in early.iter().filter(|(part, _)| now.get(part).is_none_or(|one| one.result.is_err())) {
            early.abandon();
        }
        drop(early);
        delivered.extend(now);
        let all_built = delivered.len() == deliveries.len() && delivered.values().all(|one| one.result.is_ok());
        outcome.reports.clone_from(&solver.ctx.results.reports());
        outcome.used_images.clone_from(&solver.ctx.results.used_images());
        let base_reads = BaseReads::start(&solver);
        engine.store.sync(probe)?;
        base_reads.note(&mut outcome.reports);
        let missing = Missing::new(&solver, solved.err());
        if repair(&mut solver, round, !all_built) {
            delivered.retain(|_, one| one.result.is_ok());
            continue;
        }
        engine.store.take_warnings().into_iter().for_each(|warning| progress.event(Event::Warning(warning)));
        let mut missing = missing.ends(&solver, (0..deliveries.len()).filter(|part| !delivered.contains_key(part)));
        let end = |part: usize| match delivered.remove(&part) {
            Some(Delivered { result: Ok(built), times }) => (TargetEnd::Built(Box::new(built), times.1), Some(times)),
            Some(Delivered { result: Err(error), times }) => (TargetEnd::Failed(error), Some(times)),
            // Every target is in one of the two maps.
            None => (missing.remove(&part).unwrap_or_else(|| TargetEnd::Skipped(String::new())), None),
        };
        let (ends, times): (Vec<_>, Vec<_>) = (0..deliveries.len()).map(end).unzip();
        let report = |part: usize| {
            let steps = solver.parts[part].targets.clone();
            TargetReport::new(deliveries[part].name.clone(), steps, &ends[part], times[part])
        };
        outcome.targets = (0..deliveries.len()).map(report).collect();
        return Ok(ends);
    }
    unreachable!("the last round returns")
}

/// Delivers each target that is not in `delivered` as soon as its last step has ended, until the channel says that all
/// steps have ended.
async fn deliver_all(
    solver: &Arc<Solver>,
    deliveries: &Arc<Vec<Delivery>>,
    mut ends: mpsc::UnboundedReceiver<Option<StepId>>,
    (delivered, early): (&BTreeMap<usize, Delivered>, &Arc<BTreeMap<usize, Early>>),
    probe: &Probe,
) -> BTreeMap<usize, Delivered> {
    let mut tasks: BTreeMap<usize, JoinHandle<Delivered>> = BTreeMap::new();
    while let Some(Some(step)) = ends.recv().await {
        for part in completed(solver, step).into_iter().filter(|part| !delivered.contains_key(part)) {
            let (solver, deliveries, probe) = (Arc::clone(solver), Arc::clone(deliveries), probe.clone());
            let early = Arc::clone(early);
            let deliver = move || {
                let began = Instant::now();
                let result = deliver(&solver, part, &deliveries[part], early.get(&part), &probe);
                Delivered { result, times: (began, Instant::now()) }
            };
            tasks.entry(part).or_insert_with(|| tokio::task::spawn_blocking(deliver));
        }
    }
    let mut now = BTreeMap::new();
    for (part, task) in tasks {
        let one = task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        now.insert(part, one);
    }
    now
}

/// The parts whose last target this step was.
fn completed(solver: &Solver, step: StepId) -> Vec<usize> {
    let results = &solver.ctx.results;
    let is_complete = |targets: &[StepId]| targets.iter().all(|target| results.finished(*target).is_some());
    let parts = solver.parts.iter().enumerate();
    let complete = parts.filter(|(_, part)| part.targets.contains(&step) && is_complete(&part.targets));
    complete.map(|(index, _)| index).collect()
}

/// Writes the image of a target.
fn deliver(
    solver: &Solver,
    part: usize,
    delivery: &Delivery,
    early: Option<&Early>,
    probe: &Probe,
) -> Result<Built, BuildError> {
    early.into_iter().for_each(Early::hurry);
    let part = &solver.parts[part];
    // The name of the target tells its delivery from those of others.
    let span = probe.phase(Phase::Commit);
    span.detail(&delivery.name);
    let probe = span.probe();
    solver.fetch_layers(part, &delivery.destinations, &probe)?;
    part.cache.store.sync(&probe)?;
    let reports = solver.ctx.results.reports().clone();
    let build = FinishedBuild::new(solver, part, &delivery.request, &reports);
    let drafts = early.map(Early::finish).unwrap_or_default();
    finish::finish(&build, &delivery.destinations, drafts, &probe)
}
