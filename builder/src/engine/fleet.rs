//! Builds several targets in one graph.
//!
//! *Takes* a request for each target. *Gives* the end of each target, as soon as it has ended. Equal steps of different
//! targets are one step, a context is opened and an image is resolved once, and all steps share one set of slots.

use super::destinations::Destinations;
use super::finished_build::FinishedBuild;
use super::live::Live;
use super::prepare::{self, Naming, Prepared, PreparedPart, Shared};
use super::progress::Redacting;
use super::solver::Solver;
use super::{BuildError, Built, Engine, Event, Outcome, Progress, Request, cache_import, epoch, finish};
use crate::http;
use crate::plan::{End, Fleet, LowerRequest, NamedContext, SharedInputs};
use buildscope_dockerfile::FileText;
use buildscope_oci::Platform;
use buildscope_record::{Phase, Probe, StepId};
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What starts a context that is another target.
const TARGET: &str = "target:";

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
    /// What to build.
    pub request: Request,
}

/// What became of several targets.
#[derive(Debug)]
pub struct FleetOutcome {
    /// The graph, and what became of its steps.
    pub outcome: Outcome,
    /// The end of each target, in the order of the request.
    pub ends: Vec<TargetEnd>,
}

/// How a target ended.
#[derive(Debug)]
pub enum TargetEnd {
    /// It was built and delivered, this long after the start.
    Built(Box<Built>, Duration),
    /// It failed.
    Failed(BuildError),
    /// It was not built, because it needs a step of another target that failed, or the build ended before.
    Skipped(String),
}

/// Builds targets. It needs a multi-threaded tokio runtime, as [`build`](super::build) does.
pub async fn build_fleet(
    engine: &Engine,
    fleet: FleetRequest,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> FleetOutcome {
    let progress: Arc<dyn Progress> = Arc::new(Redacting(progress));
    let result = Err(BuildError::Cancelled);
    let mut outcome =
        Outcome { plan: None, order_edges: Vec::new(), reports: Vec::new(), used_images: Vec::new(), result };
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

/// What is written of a target.
struct Delivery {
    name: String,
    request: Request,
    destinations: Destinations,
}

/// What became of a delivery, and after which time from the start.
type Delivered = (Result<Built, BuildError>, Duration);

async fn run(
    engine: &Engine,
    fleet: FleetRequest,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
    outcome: &mut Outcome,
) -> Result<Vec<TargetEnd>, BuildError> {
    let began = Instant::now();
    let mut deliveries = Vec::with_capacity(fleet.targets.len());
    // An image is resolved once for all targets.
    let pull = fleet.targets.iter().any(|target| target.request.pull);
    for FleetTarget { name, mut request } in fleet.targets {
        request.pull = pull;
        let destinations = Destinations::of(&request).map_err(|error| in_target(&name, error))?;
        deliveries.push(Delivery { name, request, destinations });
    }
    let Some(first) = deliveries.first() else { return Ok(Vec::new()) };
    let (policy, jobs) = (first.request.policy, first.request.jobs);
    let prepared = prepare(engine, &deliveries, &progress, probe)?;
    outcome.plan = Some(Arc::clone(&prepared.plan));
    progress.event(Event::Planned(Arc::clone(&prepared.plan)));
    let requests: Vec<&Request> = deliveries.iter().map(|delivery| &delivery.request).collect();
    let mut solver = Solver::new(engine, &requests, prepared, probe, Arc::clone(&progress), cancel);
    let (ended, mut ends) = mpsc::unbounded_channel();
    solver.failures.keep_going = fleet.keep_going;
    solver.failures.ended = Some(ended.clone());
    let solver = Arc::new(solver);
    let (live, order_edges) = Live::new(&solver.ctx.plan, policy)?;
    outcome.order_edges = order_edges;
    let deliveries = Arc::new(deliveries);
    let solve = async {
        let solved = solver.run(&live, jobs).await;
        // All steps have ended.
        let _ = ended.send(None);
        solved
    };
    let deliver = async {
        let mut tasks: BTreeMap<usize, JoinHandle<Delivered>> = BTreeMap::new();
        while let Some(Some(step)) = ends.recv().await {
            for part in completed(&solver, step) {
                let (solver, deliveries, probe) = (Arc::clone(&solver), Arc::clone(&deliveries), probe.clone());
                let delivered = move || (deliver(&solver, part, &deliveries[part], &probe), began.elapsed());
                tasks.entry(part).or_insert_with(|| tokio::task::spawn_blocking(delivered));
            }
        }
        let mut built = BTreeMap::new();
        for (part, task) in tasks {
            let result = task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            built.insert(part, result);
        }
        built
    };
    let (solved, mut built) = tokio::join!(solve, deliver);
    outcome.reports.clone_from(&solver.ctx.results.reports());
    outcome.used_images.clone_from(&solver.ctx.results.used_images());
    engine.store.sync(probe)?;
    engine.store.take_warnings().into_iter().for_each(|warning| progress.event(Event::Warning(warning)));
    let mut errors = std::mem::take(&mut *solver.failures.errors.lock());
    let mut first_error = solved.err();
    let mut end = |part: usize| match built.remove(&part) {
        Some((Ok(built), after)) => TargetEnd::Built(Box::new(built), after),
        Some((Err(error), _)) => TargetEnd::Failed(error),
        None => missing(&solver, part, &mut errors, &mut first_error),
    };
    Ok((0..deliveries.len()).map(&mut end).collect())
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
fn deliver(solver: &Solver, part: usize, delivery: &Delivery, probe: &Probe) -> Result<Built, BuildError> {
    let part = &solver.parts[part];
    part.cache.store.sync(probe)?;
    let reports = solver.ctx.results.reports().clone();
    let build = FinishedBuild::new(solver, part, &delivery.request, &reports);
    finish::finish(&build, &delivery.destinations, probe)
}

/// Why a target was not built: its own step failed, or one that it shares with a target before it.
fn missing(
    solver: &Solver,
    part: usize,
    errors: &mut BTreeMap<StepId, BuildError>,
    first: &mut Option<BuildError>,
) -> TargetEnd {
    let graph = &solver.ctx.plan.graph;
    let mut open: Vec<StepId> = solver.parts[part].targets.clone();
    let mut seen: BTreeSet<StepId> = BTreeSet::new();
    let mut failed = None;
    while let Some(step) = open.pop() {
        if !seen.insert(step) {
            continue;
        }
        let report = &solver.ctx.results.reports()[step.index()];
        if report.outcome == buildscope_record::Outcome::Failed {
            failed = Some(step);
            break;
        }
        open.extend(graph.neighbors_directed(NodeIndex::new(step.index()), Incoming).map(|node| graph[node].id));
    }
    let Some(failed) = failed else {
        return TargetEnd::Skipped("the build ended before it was built".into());
    };
    match errors.remove(&failed).or_else(|| first.take()) {
        Some(error) => TargetEnd::Failed(error),
        None => TargetEnd::Skipped(format!("it needs `{}`, which failed", solver.ctx.plan.step(failed).text)),
    }
}

/// Puts the name of the target into an error of its request.
fn in_target(name: &str, error: BuildError) -> BuildError {
    match error {
        BuildError::Request(message) => BuildError::Request(format!("target {name}: {message}")),
        other => other,
    }
}

/// Lowers all targets into one graph. A target that others use as a context comes before them.
fn prepare(
    engine: &Engine,
    deliveries: &[Delivery],
    progress: &Arc<dyn Progress>,
    probe: &Probe,
) -> Result<Prepared, BuildError> {
    let started = http::now();
    let mut lowering = Lowering {
        engine,
        progress,
        probe,
        shared: Shared::with(Naming::Value),
        fleet: Fleet::default(),
        owners: Vec::new(),
        ends: HashMap::new(),
    };
    let mut parts: Vec<Option<PreparedPart>> = deliveries.iter().map(|_| None).collect();
    for index in order(deliveries)? {
        let delivery = &deliveries[index];
        let part = lowering.add(index, delivery).map_err(|error| in_target(&delivery.name, error))?;
        parts[index] = Some(part);
    }
    let Lowering { fleet, owners, .. } = lowering;
    let parts = parts.into_iter().flatten().collect();
    Ok(Prepared { plan: Arc::new(fleet.plan()), parts, owners, started })
}

struct Lowering<'a> {
    engine: &'a Engine,
    progress: &'a Arc<dyn Progress>,
    probe: &'a Probe,
    shared: Shared,
    fleet: Fleet,
    owners: Vec<usize>,
    /// The ends of the targets so far, for each platform.
    ends: HashMap<String, Vec<(Platform, Arc<End>)>>,
}

impl Lowering<'_> {
    fn add(&mut self, index: usize, delivery: &Delivery) -> Result<PreparedPart, BuildError> {
        let Self { engine, progress, probe, .. } = *self;
        let mut request = delivery.request.clone();
        let is_target = |value: &String| value.starts_with(TARGET);
        let used: BTreeMap<String, String> =
            request.named_contexts.extract_if(.., |_, value| is_target(value)).collect();
        let input = prepare::read(engine, &request, &mut self.shared, probe)?;
        let parsed = prepare::parse(&input, &request, probe)?;
        let _span = probe.phase(Phase::Lower);
        let (platform, others) = prepare::platforms(&request)?;
        let (images, contexts, named) = prepare::named_contexts(engine, &request, &mut self.shared, progress, probe)?;
        let wanted: Vec<_> = [platform].into_iter().chain(others).collect();
        let imported = cache_import::import(&request, &images, &wanted, progress)?;
        let first_stage = self.fleet.stages();
        let mut of_first = prepare::lower_request(&request, wanted[0].clone(), contexts);
        // The stage that has the time is FROM scratch, so it uses no target.
        let sources = epoch::Sources { context: &input.context, named: &named, images: &images, store: &engine.store };
        let epoch = sources.resolve(&parsed, &mut of_first, probe)?;
        of_first.sharing = Some(SharedInputs {
            contexts: format!("{:p} {:?}", Arc::as_ptr(&input.context), addresses(&named)),
            options: format!("{:?} {} {:?} {epoch:?}", request.run, request.no_cache, request.no_cache_stages),
        });
        let mut targets = Vec::with_capacity(wanted.len());
        for platform in wanted {
            let mut lower = LowerRequest { platform: platform.clone(), ..of_first.clone() };
            for (name, value) in &used {
                lower.contexts.insert(name.clone(), NamedContext::Target(self.end(value, &platform)?));
            }
            let end = self.fleet.add(&parsed, &lower, &*images).map_err(|faults| faults.named(&input.name))?;
            targets.push(end.step);
            self.ends.entry(delivery.name.clone()).or_default().push((platform, Arc::new(end)));
        }
        let ignored = self.fleet.steps_of_stages(first_stage, &request.no_cache_stages);
        self.fleet.label_stages(first_stage, &delivery.name);
        self.owners.resize(self.fleet.steps(), index);
        let dockerfile = FileText::new(&input.name, input.text.clone());
        Ok(PreparedPart { images, context: input.context, named, imported, dockerfile, epoch, targets, ignored })
    }

    /// The end of a target for a platform. A target of a single platform serves all.
    fn end(&self, value: &str, platform: &Platform) -> Result<Arc<End>, BuildError> {
        let name = value.trim_start_matches(TARGET);
        let ends = self.ends.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match ends {
            [(_, only)] => Some(only),
            several => several.iter().find(|(of, _)| of == platform).map(|(_, end)| end),
        };
        let missing = || BuildError::Request(format!("the target {name} is not built for {platform}"));
        found.cloned().ok_or_else(missing)
    }
}

/// The opened contexts, by name and identity.
fn addresses<T>(named: &BTreeMap<String, Arc<T>>) -> Vec<(&String, *const T)> {
    named.iter().map(|(name, context)| (name, Arc::as_ptr(context))).collect()
}

/// The targets in an order in which each comes after those that it uses.
fn order(deliveries: &[Delivery]) -> Result<Vec<usize>, BuildError> {
    fn visit(
        index: usize,
        deliveries: &[Delivery],
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), BuildError> {
        if order.contains(&index) {
            return Ok(());
        }
        let name = &deliveries[index].name;
        if path.contains(&index) {
            return Err(BuildError::Request(format!("target {name} uses itself as a context")));
        }
        path.push(index);
        for used in deliveries[index].request.named_contexts.values().filter_map(|value| value.strip_prefix(TARGET)) {
            let position = deliveries.iter().position(|delivery| delivery.name == used);
            let missing = || BuildError::Request(format!("target {name}: unknown target {used}"));
            visit(position.ok_or_else(missing)?, deliveries, path, order)?;
        }
        path.pop();
        order.push(index);
        Ok(())
    }
    let mut ordered = Vec::with_capacity(deliveries.len());
    for index in 0..deliveries.len() {
        visit(index, deliveries, &mut Vec::new(), &mut ordered)?;
    }
    Ok(ordered)
}
