//! Running the plan: for each step its key, a look into the cache, else its effect.

use super::outcome::{Done, Made, StepReport};
use super::prepare::Prepared;
use super::step_log::StepLog;
use super::waits::Waits;
use super::{BuildError, Engine, Event, Progress, Request, StepError};
use crate::execute::copy::{self, Origin, Selection};
use crate::execute::run::{MountOrigin, Ran, RunError, RunOptions, Runner, bind_as_copy};
use crate::execute::sandbox::SandboxError;
use crate::execute::workdir::workdir;
use crate::image::{self, Resolver};
use crate::plan::{self, Base, CopyFrom, Dependency, MountKind, Op, Plan, Step, keys};
use crate::schedule::{self, Dag, Limit, Turn};
use crate::source::Context;
use crate::storage::{CacheEntry, Layer};
use buildscope_record::{Cache, Digest, Outcome, Phase, Probe, StepId};
use petgraph::Direction::Incoming;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Everything that the steps of one build share.
pub(super) struct Solver {
    pub(super) engine: Engine,
    pub(super) plan: Arc<Plan>,
    pub(super) images: Resolver,
    pub(super) progress: Arc<dyn Progress>,
    context: Context,
    named: BTreeMap<String, Context>,
    dockerfile: miette::NamedSource<String>,
    no_cache: bool,
    run_options: RunOptions,
    probe: Probe,
    cancel: CancellationToken,
    done: Vec<OnceLock<Done>>,
    reports: Mutex<Vec<StepReport>>,
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
        let order = policy.edges(&graph, |node| plan.graph[nodes[node.index()]].stage.0)?;
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
        let Prepared { plan, images, context, named, dockerfile } = prepared;
        let begin = |step: &Step| StepReport::new(if step.live { Outcome::Cancelled } else { Outcome::Pruned });
        Self {
            engine: engine.clone(),
            images,
            progress,
            context,
            named,
            dockerfile,
            no_cache: request.no_cache,
            run_options: request.run.clone(),
            probe: probe.clone(),
            cancel,
            done: plan.steps().map(|_| OnceLock::new()).collect(),
            reports: Mutex::new(plan.steps().map(begin).collect()),
            plan,
        }
    }

    /// Runs all live steps. What became of them is in `reports` and `done`, whether it succeeds or not.
    pub(super) async fn run(self: &Arc<Self>, live: &Live, jobs: usize) -> Result<(), BuildError> {
        let waits = Arc::new(Waits::new(live.ids.clone(), &self.probe));
        let ran = schedule::run(&live.dag, Limit::of(jobs), &*waits, |turn| {
            let (solver, waits) = (Arc::clone(self), Arc::clone(&waits));
            let id = live.ids[turn.node.index()];
            async move { solver.turn(id, turn, &waits).await }
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

    /// One step's turn, from its slot to its report.
    async fn turn(&self, id: StepId, turn: Turn, waits: &Waits) -> Result<(), BuildError> {
        let step = self.plan.step(id);
        let probe = self.probe.at(id, Some(turn.slot));
        {
            let report = &mut self.reports()[id.index()];
            (report.start, report.slot) = (Some(Instant::now()), Some(turn.slot));
        }
        waits.begun(turn.node);
        self.progress.event(Event::Started(id));
        let result = match turn.cancel.is_cancelled() || self.cancel.is_cancelled() {
            true => Err(BuildError::Cancelled),
            false => self.perform(step, &turn, &probe).await,
        };
        let (outcome, error) = match &result {
            Ok(done) if done.cached => (Outcome::Cached, None),
            Ok(_) => (Outcome::Executed, None),
            Err(BuildError::Cancelled) => (Outcome::Cancelled, None),
            Err(error) => (Outcome::Failed, Some(error.to_string())),
        };
        {
            let report = &mut self.reports()[id.index()];
            (report.outcome, report.end, report.error) = (outcome, Some(Instant::now()), error.clone());
            report.layer = result.as_ref().ok().and_then(|done| Some(done.made?.layer()));
        }
        self.progress.event(Event::Finished { step: id, outcome, error });
        self.done[id.index()].set(result?).expect("a step has one turn");
        Ok(())
    }

    /// The step's result: from the cache, or made.
    async fn perform(&self, step: &Step, turn: &Turn, probe: &Probe) -> Result<Done, BuildError> {
        let below = match &step.op {
            Op::From(Base::Stage(from)) => self.done(*from).clone(),
            Op::From(_) => Done::nothing(),
            _ => self.below(step).clone(),
        };
        let files = blocking(|| self.files(step, probe))?;
        let (keys, inputs) = self.keys(step, &files, probe);
        let key = keys[0];
        self.reports()[step.id.index()].cache = Some(Cache { key, inputs, miss: None });
        let made = match &step.op {
            Op::Config | Op::From(Base::Stage(_)) => {
                let cached = below.cached;
                return Ok(below.with(key, None, cached));
            }
            Op::From(Base::Scratch) => return Ok(below.with(key, None, !self.no_cache)),
            Op::From(Base::Image(image)) => return self.begin(step, image, key),
            Op::Pruned => unreachable!("pruned steps are not scheduled"),
            Op::From(Base::Context(_)) | Op::Workdir { .. } | Op::Copy(_) | Op::Run(_) => {
                if let Some(made) = self.look_up(&keys, probe)? {
                    return Ok(below.with(key, Some(made), true));
                }
                self.make(step, &below, files, turn, probe).await?
            }
        };
        let span = probe.phase(Phase::Commit);
        let made = Made::new(made, image::now());
        self.remember(&keys, made);
        span.end();
        Ok(below.with(key, Some(made), false))
    }

    /// What a step takes from outside the graph (a context, the Dockerfile, a URL), found and hashed; a mount of RUN
    /// is seen as a COPY of the same files.
    fn files(&self, step: &Step, probe: &Probe) -> Result<Files, BuildError> {
        let select = |op: &plan::Copy| -> Result<(Selection, Digest), BuildError> {
            let origin = self.origin(&op.from, probe)?;
            let mut selection = Selection::of(op, &origin, self.engine.store.blobs(), probe)
                .map_err(|error| self.failed(step, &error))?;
            let digest = selection.digest(op, self.engine.store.blobs(), probe);
            Ok((selection, digest.map_err(|error| self.failed(step, &error))?))
        };
        match &step.op {
            Op::Copy(op) if op.from.is_outside() => select(op).map(|(selection, digest)| Files::of(selection, digest)),
            Op::From(Base::Context(name)) => {
                let op = plan::Copy::of(CopyFrom::NamedContext(name.clone()), ".", "/");
                select(&op).map(|(selection, digest)| Files::of(selection, digest))
            }
            Op::Run(run) => {
                let mut digests = Vec::new();
                for mount in &run.mounts {
                    if let MountKind::Bind { from, source, .. } = &mount.kind
                        && from.is_outside()
                        && *from != CopyFrom::Empty
                    {
                        digests.extend_from_slice(select(&bind_as_copy(from, source))?.1.as_bytes());
                    }
                }
                Ok(Files { selection: None, digest: (!digests.is_empty()).then(|| Digest::of(digests)) })
            }
            _ => Ok(Files::default()),
        }
    }

    /// Where a COPY takes its files from.
    fn origin(&self, from: &CopyFrom, probe: &Probe) -> Result<Origin<'_>, BuildError> {
        Ok(match from {
            CopyFrom::Context => Origin::Context(&self.context),
            CopyFrom::NamedContext(name) => Origin::Context(self.named.get(name).expect("lowering knows their names")),
            CopyFrom::Empty => Origin::Nothing,
            CopyFrom::Stage(_) | CopyFrom::Image(_) => {
                Origin::Layers(self.engine.store.tree(&self.layers(from, probe)?)?)
            }
        })
    }

    /// The layers of a stage or an image, in the store.
    fn layers(&self, from: &CopyFrom, probe: &Probe) -> Result<Arc<[Digest]>, BuildError> {
        match from {
            CopyFrom::Stage(id) => {
                let done = self.done(*id);
                self.fetch(done)?;
                Ok(Arc::clone(&done.layers))
            }
            CopyFrom::Image(image) => {
                let layers = self.images.layers(&image.manifest, probe)?;
                Ok(layers.iter().map(|layer| layer.diff_id).collect())
            }
            CopyFrom::Context | CopyFrom::NamedContext(_) | CopyFrom::Empty => Ok(Arc::new([])),
        }
    }

    /// Makes sure that the base image's layers are in the store. It is the FROM whose time that takes, whoever asks first.
    fn fetch(&self, done: &Done) -> Result<(), BuildError> {
        if let Some((from, manifest)) = &done.base {
            self.images.layers(manifest, &self.probe.at(*from, None))?;
        }
        Ok(())
    }

    /// The keys under which the step's result is looked for and remembered, the definition key first; and that key's inputs.
    fn keys(&self, step: &Step, files: &Files, probe: &Probe) -> (Vec<Digest>, BTreeMap<String, String>) {
        let _span = probe.phase(Phase::CacheKey);
        let parent = self.parent(step);
        let key = keys::definition_key(step, parent, &|id| self.done(id).key, files.digest);
        (vec![key.digest], key.inputs)
    }

    /// What is remembered under one of these keys.
    fn look_up(&self, keys: &[Digest], probe: &Probe) -> Result<Option<Made>, BuildError> {
        if self.no_cache {
            return Ok(None);
        }
        let _span = probe.phase(Phase::CacheLookup);
        for key in keys {
            if let Some(hit) = self.engine.store.cache().get(key)? {
                // Another version may have written something else: then it is a miss.
                return Ok(serde_json::from_slice(&hit.entry.value).ok());
            }
        }
        Ok(None)
    }

    fn remember(&self, keys: &[Digest], made: Made) {
        let value = serde_json::to_vec(&made).expect("numbers and a digest");
        for key in keys {
            let entry = CacheEntry { layers: vec![made.diff_id], value: value.clone() };
            self.engine.store.cache().put(*key, entry);
        }
    }

    /// Begins a stage from an image: only its configuration is needed yet.
    fn begin(&self, step: &Step, image: &plan::ImageSource, key: Digest) -> Result<Done, BuildError> {
        let resolved = self.images.resolved(&image.manifest).expect("lowering has resolved it");
        let layers: Arc<[Digest]> = resolved.layers.iter().map(|layer| layer.diff_id).collect();
        let stored = layers.iter().all(|layer| self.engine.store.blobs().contains(layer));
        Ok(Done { key, layers, base: Some((step.id, image.manifest)), made: None, cached: stored && !self.no_cache })
    }

    /// Carries the step out.
    async fn make(
        &self,
        step: &Step,
        below: &Done,
        files: Files,
        turn: &Turn,
        probe: &Probe,
    ) -> Result<Layer, BuildError> {
        let store = &self.engine.store;
        blocking(|| self.fetch(below))?;
        match &step.op {
            Op::Workdir { path, user } => blocking(|| workdir(path, user, &below.layers, image::now(), store, probe))
                .map_err(|error| self.failed(step, &error)),
            Op::Copy(op) => blocking(|| self.copy(step, op, below, files.selection, probe)),
            Op::From(Base::Context(name)) => {
                let op = plan::Copy::of(CopyFrom::NamedContext(name.clone()), ".", "/");
                blocking(|| self.copy(step, &op, below, files.selection, probe))
            }
            Op::Run(op) => self.run_process(step, op, below, turn, probe).await,
            Op::From(_) | Op::Config | Op::Pruned => unreachable!("they make nothing"),
        }
    }

    fn copy(
        &self,
        step: &Step,
        op: &plan::Copy,
        below: &Done,
        selection: Option<Selection>,
        probe: &Probe,
    ) -> Result<Layer, BuildError> {
        let selection = match selection {
            Some(selection) => selection,
            None => {
                let origin = self.origin(&op.from, probe)?;
                Selection::of(op, &origin, self.engine.store.blobs(), probe)
                    .map_err(|error| self.failed(step, &error))?
            }
        };
        copy::copy(op, &selection, &below.layers, image::now(), &self.engine.store, probe)
            .map_err(|error| self.failed(step, &error))
    }

    async fn run_process(
        &self,
        step: &Step,
        op: &plan::Run,
        below: &Done,
        turn: &Turn,
        probe: &Probe,
    ) -> Result<Layer, BuildError> {
        let cancel = turn.cancel.clone();
        let log = StepLog::new(step.id, Arc::clone(&self.progress));
        let tail = log.tail();
        let mounted = blocking(|| self.mounted(op, probe))?;
        let origin = |from: &CopyFrom| mounted.iter().find(|(of, _)| of == from).map(|(_, origin)| origin.clone());
        let runner = Runner { store: &self.engine.store, zygote: &self.engine.zygote, options: &self.run_options };
        let ran = runner.run(op, &below.layers, &origin, log, cancel, probe).await;
        let tail = tail.lines();
        let mut reports = self.reports();
        let report = &mut reports[step.id.index()];
        report.log.clone_from(&tail);
        match ran {
            Ok(Ran { exit, layer }) => {
                (report.resources, report.exit_code) = (Some(exit.resources), Some(exit.status.code()));
                Ok(layer)
            }
            Err(RunError::Sandbox(SandboxError::Cancelled)) => Err(BuildError::Cancelled),
            Err(error) => {
                if let RunError::Failed { exit, .. } = &error {
                    (report.resources, report.exit_code) = (Some(exit.resources), Some(exit.status.code()));
                }
                let exit_code = report.exit_code;
                drop(reports);
                Err(self.failed_with(step, &error, exit_code, &tail))
            }
        }
    }

    /// What the step's mounts are taken from.
    fn mounted(&self, op: &plan::Run, probe: &Probe) -> Result<Vec<(CopyFrom, MountOrigin<'_>)>, BuildError> {
        let sources = op.mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Bind { from, .. } | MountKind::Cache { from: Some((from, _)), .. } => Some(from),
            _ => None,
        });
        let origin = |from: &CopyFrom| -> Result<MountOrigin<'_>, BuildError> {
            Ok(match self.origin(from, probe)? {
                Origin::Context(context) => MountOrigin::Context(context),
                Origin::Layers(_) | Origin::Nothing => MountOrigin::Layers(self.layers(from, probe)?.to_vec()),
            })
        };
        sources.map(|from| Ok((from.clone(), origin(from)?))).collect()
    }

    fn parent(&self, step: &Step) -> Option<StepId> {
        let edges = self.plan.graph.edges_directed(NodeIndex::new(step.id.index()), Incoming);
        edges.filter(|edge| *edge.weight() == Dependency::Parent).map(|edge| self.plan.graph[edge.source()].id).next()
    }

    fn below(&self, step: &Step) -> &Done {
        self.done(self.parent(step).expect("every instruction but FROM has one before it"))
    }

    /// A failure, with the instruction and the Dockerfile's line.
    fn failed(&self, step: &Step, error: &dyn std::error::Error) -> BuildError {
        self.failed_with(step, error, None, &[])
    }

    fn failed_with(
        &self,
        step: &Step,
        error: &dyn std::error::Error,
        exit_code: Option<i32>,
        log: &[String],
    ) -> BuildError {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let mut causes: Vec<_> = chain.map(ToString::to_string).collect();
        causes.dedup();
        BuildError::Step(Box::new(StepError {
            message: format!("{} failed: {}", step.keyword, causes.join(": ")),
            dockerfile: self.dockerfile.clone(),
            span: step.span,
            label: "this instruction".into(),
            help: (!log.is_empty()).then(|| format!("its last lines of output:\n{}", log.join("\n"))),
            exit_code,
        }))
    }
}

/// What a step takes from outside the graph.
#[derive(Default)]
struct Files {
    selection: Option<Selection>,
    digest: Option<Digest>,
}

impl Files {
    fn of(selection: Selection, digest: Digest) -> Self {
        Self { selection: Some(selection), digest: Some(digest) }
    }
}

/// Runs what blocks its thread, so that the runtime's other tasks go on.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
