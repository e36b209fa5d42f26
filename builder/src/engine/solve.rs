//! Running the plan: for each step its key, a look into the cache, else its effect.

use super::contexts::Opened;
use super::effects::Files;
use super::flights::{Claimed, Flights};
use super::outcome::{Done, Made, StepReport, Taken};
use super::prepare::Prepared;
use super::spare::Spared;
use super::waits::Waits;
use super::{BuildError, Engine, Event, Progress, Request};
use crate::http;
use crate::images::{ImportedCache, Resolver};
use crate::plan::{self, Base, Op, Plan, Step};
use crate::steps::run::RunOptions;
use buildscope_record::{BlobDigest, DiffId, Outcome, Phase, Probe, StepId, StepKey};
use buildscope_schedule::{self as schedule, Dag, Limit, Turn};
use buildscope_storage::Timestamp;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio_util::sync::CancellationToken;

/// Everything that the steps of one build share.
pub(super) struct Solver {
    pub(super) engine: Engine,
    pub(super) plan: Arc<Plan>,
    pub(super) images: Resolver,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) context: Opened,
    pub(super) named: BTreeMap<String, Opened>,
    pub(super) imported: ImportedCache,
    pub(super) dockerfile: miette::NamedSource<String>,
    /// When the build began.
    pub(super) started: Timestamp,
    pub(super) no_cache: bool,
    /// `SOURCE_DATE_EPOCH`.
    pub(super) epoch: Option<i64>,
    pub(super) detailed: bool,
    pub(super) run_options: RunOptions,
    pub(super) probe: Probe,
    pub(super) cancel: CancellationToken,
    pub(super) flights: Flights,
    pub(super) spared: OnceLock<BTreeMap<StepId, Spared>>,
    /// What steps take from outside, where that was looked at before their turn.
    pub(super) foreseen: Mutex<BTreeMap<StepId, Files>>,
    /// Steps that stand on a damaged layer: what is remembered of them may have been made of it.
    pub(super) distrusted: BTreeSet<StepId>,
    done: Vec<OnceLock<Done>>,
    reports: Mutex<Vec<StepReport>>,
    taken: Mutex<Vec<Taken>>,
}

/// The live part of the plan, as the scheduler sees it.
pub(super) struct Live {
    ids: Vec<StepId>,
    dag: Dag,
}

impl Live {
    /// The live steps under a policy; with the order edges that it adds, in the plan's own nodes.
    pub(super) fn new(
        plan: &Plan,
        policy: schedule::Policy,
    ) -> Result<(Self, Vec<(NodeIndex, NodeIndex)>), schedule::Cycle> {
        let nodes: Vec<_> = plan.graph.node_indices().filter(|&node| plan.graph[node].live).collect();
        let place: BTreeMap<_, _> = nodes.iter().enumerate().map(|(i, &node)| (node, NodeIndex::new(i))).collect();
        let mut graph = DiGraph::<StepId, ()>::new();
        for &node in &nodes {
            graph.add_node(plan.graph[node].id);
        }
        for edge in plan.graph.edge_references() {
            if let (Some(&from), Some(&to)) = (place.get(&edge.source()), place.get(&edge.target())) {
                graph.add_edge(from, to, ());
            }
        }
        let order = schedule::order_edges(policy, &graph, |node| plan.graph[nodes[node.index()]].stage.0)?;
        let dag = Dag::with_edges(&graph, order.iter().copied())?;
        let order = order.into_iter().map(|(from, to)| (nodes[from.index()], nodes[to.index()])).collect();
        Ok((Self { ids: graph.node_weights().copied().collect(), dag }, order))
    }
}

impl Solver {
    pub(super) fn new(
        engine: &Engine,
        request: &Request,
        prepared: Prepared,
        probe: &Probe,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> Self {
        let Prepared { plan, images, context, named, imported, dockerfile, started } = prepared;
        Self {
            engine: engine.clone(),
            images,
            progress,
            context,
            named,
            imported,
            dockerfile,
            started,
            no_cache: request.no_cache,
            epoch: request.source_date_epoch,
            detailed: request.detailed,
            run_options: request.run.clone(),
            probe: probe.clone(),
            cancel,
            flights: Flights::default(),
            spared: OnceLock::new(),
            foreseen: Mutex::default(),
            distrusted: BTreeSet::new(),
            done: plan.steps().map(|_| OnceLock::new()).collect(),
            reports: Mutex::new(unreported(&plan)),
            taken: Mutex::default(),
            plan,
        }
    }

    /// Begins again after layers were found damaged, and dropped. Nothing that stands on one is taken from the cache, even
    /// if its own layer is whole: nobody knows since when the damage is there.
    pub(super) fn again(&mut self, damaged: &[BlobDigest]) {
        let stands = |id: &NodeIndex| {
            let done = self.done[id.index()].get();
            done.is_some_and(|done| done.layers.iter().any(|layer| damaged.contains(&layer.into())))
        };
        let mut open: Vec<NodeIndex> = self.plan.graph.node_indices().filter(stands).collect();
        while let Some(node) = open.pop() {
            if self.distrusted.insert(self.plan.graph[node].id) {
                open.extend(self.plan.graph.neighbors(node));
            }
        }
        self.images.forget_layers();
        self.flights = Flights::default();
        self.spared = OnceLock::new();
        self.foreseen = Mutex::default();
        self.done = self.plan.steps().map(|_| OnceLock::new()).collect();
        self.reports = Mutex::new(unreported(&self.plan));
        self.taken = Mutex::default();
    }

    /// The layers of what the build has come to, as far as it came.
    pub(super) fn layers_of_targets(&self) -> Vec<DiffId> {
        let done = self.plan.targets().filter_map(|target| self.done[target.index()].get());
        let layers: BTreeSet<DiffId> = done.flat_map(|done| done.layers.iter().copied()).collect();
        layers.into_iter().filter(|layer| self.engine.store.blobs().contains(layer)).collect()
    }

    /// Runs all live steps. What became of them is in `reports` and `done`, whether it succeeds or not.
    pub(super) async fn run(self: &Arc<Self>, live: &Live, jobs: usize) -> Result<(), BuildError> {
        let spared = self.find_spared()?;
        let spared = self.spared.get_or_init(|| spared);
        let waits = Waits::new(live.ids.clone(), &self.probe);
        let ran = schedule::run(&live.dag, Limit::of(jobs), &waits, |turn| {
            let solver = Arc::clone(self);
            let (id, probe) = (live.ids[turn.node.index()], waits.inside(turn.node, turn.slot));
            let spared = spared.get(&id).map(|spared| spared.done.clone());
            async move {
                match spared {
                    Some(done) => solver.spare(id, done),
                    None => solver.turn(id, turn, &probe).await?,
                }
                Ok(())
            }
        });
        ran.await.map(drop).map_err(|failure| failure.error)
    }

    /// What a finished step has made.
    ///
    /// # Panics
    /// If it has not finished: the graph's edges say whom a step may ask for.
    pub(super) fn done(&self, id: StepId) -> &Done {
        self.done[id.index()].get().expect("an edge leads from it to whoever asks")
    }

    /// What became of the steps so far, by [`StepId`].
    pub(super) fn reports(&self) -> MutexGuard<'_, Vec<StepReport>> {
        // A report is replaced or its fields are set: a panic between leaves it readable.
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The images that steps have taken files from so far.
    pub(super) fn taken(&self) -> MutexGuard<'_, Vec<Taken>> {
        // An image is added whole: a panic leaves the list readable.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a step takes files from an image; gives the id under which that is brought here.
    pub(super) fn take(&self, image: &plan::ImageSource, by: Option<StepId>) -> StepId {
        let mut taken = self.taken();
        let next = u32::try_from(self.plan.steps().count() + taken.len()).unwrap_or(u32::MAX);
        let known = taken.iter().position(|known| known.reference == image.reference);
        let place = known.unwrap_or_else(|| {
            let layers = self.images.resolved(&image.manifest).map(|image| image.layers.clone()).unwrap_or_default();
            let cached = layers.iter().all(|layer| self.engine.store.blobs().contains(&layer.diff_id));
            taken.push(Taken { id: StepId(next), reference: image.reference.clone(), by: Vec::new(), cached });
            taken.len() - 1
        });
        let this = &mut taken[place];
        let new = by.filter(|by| !this.by.contains(by));
        this.by.extend(new);
        this.id
    }

    /// A step whose turn is not needed.
    fn spare(&self, id: StepId, done: Done) {
        self.reports()[id.index()].outcome = Outcome::Pruned;
        self.done[id.index()].set(done).expect("a step has one turn");
    }

    /// One step's turn, from its slot to its report.
    async fn turn(&self, id: StepId, turn: Turn, probe: &Probe) -> Result<(), BuildError> {
        let step = self.plan.step(id);
        self.progress.event(Event::Started(id));
        probe.begins(&step.keyword);
        let result = match turn.cancel.is_cancelled() || self.cancel.is_cancelled() {
            true => Err(BuildError::Cancelled),
            false => self.perform(step, &turn, probe).await,
        };
        let (outcome, error) = match &result {
            Ok((_, outcome)) => (*outcome, None),
            Err(BuildError::Cancelled) => (Outcome::Cancelled, None),
            Err(error) => (Outcome::Failed, Some(error.to_string())),
        };
        {
            let report = &mut self.reports()[id.index()];
            (report.outcome, report.error) = (outcome, error.clone());
            report.layer = result.as_ref().ok().and_then(|(done, _)| Some(done.made?.layer()));
        }
        self.progress.event(Event::Finished { step: id, outcome, error });
        self.done[id.index()].set(result?.0).expect("a step has one turn");
        Ok(())
    }

    /// The step's result: from the cache, from whoever else makes it now, or made.
    async fn perform(&self, step: &Step, turn: &Turn, probe: &Probe) -> Result<(Done, Outcome), BuildError> {
        let found = |done: Done| {
            let outcome = if done.cached { Outcome::Cached } else { Outcome::Executed };
            Ok((done, outcome))
        };
        let below = match &step.op {
            Op::From(Base::Stage(from)) => self.done(*from).clone(),
            Op::From(_) => Done::nothing(),
            _ => self.below(step).clone(),
        };
        let foreseen = self.foreseen.lock().unwrap_or_else(PoisonError::into_inner).remove(&step.id);
        let files = match foreseen {
            Some(files) => files,
            None if looks_outside(&step.op) => blocking(|| self.outside(step, probe))?,
            None => Files::default(),
        };
        let key = self.definition_key(step, &files, probe);
        match &step.op {
            Op::Config | Op::From(Base::Stage(_)) => {
                let cached = below.cached;
                return found(below.with(key, None, cached));
            }
            Op::From(Base::Scratch) => return found(below.with(key, None, !self.no_cache)),
            Op::From(Base::Image(image)) => return found(self.begin(step, image, key)),
            Op::Pruned => unreachable!("pruned steps are not scheduled"),
            Op::From(Base::Context(_)) | Op::Workdir { .. } | Op::Copy(_) | Op::Run(_) => {}
        }
        let layer_key = self.layer_key(step, key, &files);
        if let Some(made) = self.look_up(step.id, layer_key, key, probe)? {
            return found(below.with(made.key, Some(made), true));
        }
        let cancelled = async {
            tokio::select! {
                () = turn.cancel.cancelled() => {}
                () = self.cancel.cancelled() => {}
            }
        };
        let claimed = tokio::select! {
            claimed = self.claim(step.id, layer_key, key, probe) => claimed?,
            () = cancelled => return Err(BuildError::Cancelled),
        };
        let mut flight = match claimed {
            Claimed::Made(made) => return Ok((below.with(made.key, Some(made), true), Outcome::Joined)),
            Claimed::Ours(flight) => flight,
        };
        let (files, known_as) = blocking(|| self.inside(step, &below, files, key, probe))?;
        let content_layer_key = self.layer_key(step, known_as, &files);
        let known = if content_layer_key == layer_key {
            None
        } else {
            self.look_up(step.id, content_layer_key, known_as, probe)?
        };
        let cached = known.is_some();
        if !cached {
            self.note_removal(step.id, [layer_key, content_layer_key], probe)?;
        }
        let made = match known {
            Some(made) => made,
            None => Made::new(known_as, self.make(step, &below, files, turn, probe).await?, http::now()),
        };
        let span = probe.phase(Phase::Commit);
        self.remember(&[layer_key, content_layer_key], made)?;
        flight.landed(made);
        span.end();
        found(below.with(known_as, Some(made), cached))
    }

    /// Begins a stage from an image: only its configuration is needed yet.
    fn begin(&self, step: &Step, image: &plan::ImageSource, key: StepKey) -> Done {
        let resolved = self.images.resolved(&image.manifest).expect("lowering has resolved it");
        let layers: Arc<[DiffId]> = resolved.layers.iter().map(|layer| layer.diff_id).collect();
        let stored = layers.iter().all(|layer| self.engine.store.blobs().contains(layer));
        Done { key, layers, base: Some((step.id, image.manifest)), made: None, cached: stored && !self.no_cache }
    }

    fn below(&self, step: &Step) -> &Done {
        self.done(self.plan.parent(step.id).expect("every instruction but FROM has one before it"))
    }
}

/// Nothing has become of any step yet.
fn unreported(plan: &Plan) -> Vec<StepReport> {
    let begin = |step: &Step| StepReport::new(if step.live { Outcome::Cancelled } else { Outcome::Pruned });
    plan.steps().map(begin).collect()
}

/// Whether a step may take anything from outside of the build: what does not is not worth another thread.
fn looks_outside(op: &Op) -> bool {
    match op {
        Op::Copy(_) | Op::From(Base::Context(_)) => true,
        Op::Run(run) => !run.mounts.is_empty(),
        Op::Config | Op::From(_) | Op::Workdir { .. } | Op::Pruned => false,
    }
}

/// Runs what blocks its thread, so that the runtime's other tasks go on.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
