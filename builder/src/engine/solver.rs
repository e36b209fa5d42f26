//! Runs the plan: for each step its key, a lookup in the cache, else its effect.

use super::admission::MemoryAdmission;
use super::blocking::blocking;
use super::destinations::Destinations;
use super::live::Live;
use super::outcome::{LayerResult, StepResult};
use super::part::Part;
use super::prepare::{Prepared, PreparedPart};
use super::results::Results;
use super::skipped::{self, Skipped};
use super::step_cache::Admission;
use super::step_context::StepContext;
use super::step_keys::{self, StepFiles};
use super::step_runner::{StepInput, StepLayer};
use super::waits::Waits;
use super::warm_up::WarmUp;
use super::{BuildError, Event, Progress, Request};
use crate::http;
use crate::images::CacheMode;
use crate::plan::{Base, CopyFrom, Op, Plan, Step};
use crate::remote::Machines;
use buildscope_record::{
    self as record, BlobDigest, DiffId, LayerKey, Outcome, Phase, Probe, Removal, StepId, StepKey,
};
use buildscope_schedule::{self as schedule, Limit, Turn};
use buildscope_storage::{Removed, Store, Timestamp};
use parking_lot::Mutex;
use petgraph::Direction::Incoming;
use petgraph::graph::NodeIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The steps of one build: it looks each up, runs what is not found, and stores the result.
pub(super) struct Solver {
    pub(super) ctx: StepContext,
    /// The state of each request.
    pub(super) parts: Vec<Part>,
    /// The part with which each step runs, by [`StepId`].
    owners: Vec<usize>,
    pub(super) failures: Failures,
    pub(super) skipped: OnceLock<BTreeMap<StepId, Skipped>>,
    /// The start of the build.
    pub(super) started: Timestamp,
    /// The other machines, which all parts share.
    pub(super) machines: Option<Arc<Machines>>,
    /// Results whose layers were on other machines when their steps ended.
    kept_away: Mutex<Vec<([LayerKey; 2], LayerResult)>>,
    /// The files of steps that were selected before the step's turn.
    selected_early: Mutex<BTreeMap<StepId, StepFiles>>,
    warm_up: WarmUp,
    /// Whether some step is a RUN.
    runs_processes: bool,
}

/// Called when a step has ended with a result.
pub(super) type OnStepEnd = dyn Fn(&Solver, StepId) + Send + Sync;

/// The handling of failed steps.
#[derive(Default)]
pub(super) struct Failures {
    /// Whether steps that do not need the failed one still run.
    pub(super) keep_going: bool,
    /// The errors of the steps that have failed.
    pub(super) errors: Mutex<BTreeMap<StepId, BuildError>>,
}

impl Solver {
    /// Prepares to run a plan. There is a request for each part.
    pub(super) fn new(
        warm_up: WarmUp,
        requests: &[&Request],
        prepared: Prepared,
        probe: &Probe,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> Result<Self, BuildError> {
        let remote = requests.first().and_then(|request| Some((request.remote.as_ref()?, request.jobs)));
        let cache = warm_up.engine.store.root().join("context");
        let Prepared { plan, parts, owners, started } = prepared;
        let machines = remote.map(|(remote, jobs)| {
            let view = Arc::clone(&progress);
            let warn = move |warning| view.event(Event::Warning(warning));
            Machines::new(remote, &plan.strand_steps(), jobs, cache, warn)
        });
        let machines = machines.transpose()?.map(Arc::new);
        let part = |(part, request): (PreparedPart, &&Request)| {
            Part::new(&warm_up.engine, request, part, machines.clone(), Arc::clone(&progress))
        };
        let parts: Vec<Part> = parts.into_iter().zip(requests).map(part).collect();
        let admission = requests.first().map(|request| request.admission).unwrap_or_default();
        let memory = MemoryAdmission::new(admission, &warm_up.engine.store);
        let results = Results::new(&plan);
        let named_files = requests.iter().map(|request| request.named_files).max().unwrap_or_default();
        if machines.is_none() && warm_up.has_started() {
            connect_networks(&plan, &parts, &owners);
        }
        let runs_processes = plan.steps().any(|step| step.live && matches!(step.op, Op::Run(_)));
        Ok(Self {
            ctx: StepContext { results, plan, progress, probe: probe.clone(), cancel, memory, named_files },
            parts,
            owners,
            failures: Failures::default(),
            skipped: OnceLock::new(),
            started,
            machines,
            kept_away: Mutex::default(),
            selected_early: Mutex::default(),
            warm_up,
            runs_processes,
        })
    }

    /// The resources of the request that a step belongs to.
    pub(super) fn part(&self, id: StepId) -> &Part {
        &self.parts[self.owners[id.index()]]
    }

    pub(super) fn store(&self) -> &Store {
        &self.parts[0].cache.store
    }

    /// Prepares for another run after layers were found damaged, and dropped. No step that depends on one is taken from
    /// the cache, even if its own layer is intact: it may have been made from the damaged one.
    pub(super) fn restart(&mut self, damaged: &[BlobDigest]) {
        let (plan, results) = (&self.ctx.plan, &self.ctx.results);
        let uses_damaged = |node: &NodeIndex| {
            let result = results.finished(plan.graph[*node].id);
            result.is_some_and(|result| result.layers.iter().any(|layer| damaged.contains(&layer.into())))
        };
        let mut open: Vec<NodeIndex> = plan.graph.node_indices().filter(uses_damaged).collect();
        let mut affected = BTreeSet::new();
        while let Some(node) = open.pop() {
            if affected.insert(plan.graph[node].id) {
                open.extend(plan.graph.neighbors(node));
            }
        }
        for part in &mut self.parts {
            part.cache.distrust(affected.iter().copied());
            part.runner.images.forget_layers();
        }
        self.skipped = OnceLock::new();
        self.selected_early = Mutex::default();
        self.ctx.results = Results::new(&self.ctx.plan);
    }

    /// Fetches the layers that the images, or a cache of all steps, have and that other machines made. Stores the results that have
    /// become complete by that.
    pub(super) fn fetch_layers(
        &self,
        part: &Part,
        destinations: &Destinations,
        probe: &Probe,
    ) -> Result<(), BuildError> {
        if self.machines.is_none() {
            return Ok(());
        }
        for target in &part.targets {
            part.runner.fetch_made_away(&self.ctx.results.of(*target).layers, probe)?;
        }
        if destinations.caches.iter().any(|cache| cache.mode() == CacheMode::Max) {
            let finished = self.ctx.plan.steps().filter_map(|step| self.ctx.results.finished(step.id)?.layer);
            let layers: Vec<DiffId> = finished.map(|layer| layer.diff_id).collect();
            part.runner.fetch_made_away(&layers, probe)?;
        }
        let here = |(_, layer): &mut ([LayerKey; 2], LayerResult)| self.store().blobs().contains(layer.diff_id);
        let complete: Vec<_> = self.kept_away.lock().extract_if(.., here).collect();
        complete.iter().try_for_each(|(keys, layer)| part.cache.remember(keys, *layer))
    }

    /// The layers of the targets that have finished.
    pub(super) fn layers_of_targets(&self) -> Vec<DiffId> {
        let finished = self.ctx.plan.targets().filter_map(|target| self.ctx.results.finished(target));
        let layers: BTreeSet<DiffId> = finished.flat_map(|result| result.layers.iter().copied()).collect();
        layers.into_iter().filter(|layer| self.store().blobs().contains(layer)).collect()
    }

    /// Runs all live steps. Their results are in the context, whether it succeeds or not. `ended` is called for each step that has a
    /// result.
    pub(super) async fn run(
        self: &Arc<Self>,
        live: &Live,
        jobs: usize,
        ended: Option<Arc<OnStepEnd>>,
    ) -> Result<(), BuildError> {
        let found = skipped::find(&self.ctx, &self.parts, &|step| self.part(step))?;
        *self.selected_early.lock() = found.files;
        let skipped = self.skipped.get_or_init(|| found.steps);
        let waits = Waits::new(live.ids.clone(), &self.ctx.probe);
        let ran = schedule::run(&live.dag, Limit::of(jobs), &waits, |turn| {
            let solver = Arc::clone(self);
            let (id, probe) = (live.ids[turn.node.index()], waits.inside(turn.node, turn.slot));
            let skipped = skipped.get(&id).map(|skipped| skipped.result.clone());
            let ended = ended.clone();
            async move {
                match skipped {
                    Some(result) => solver.skip(id, result),
                    None => solver.turn(id, turn, &probe).await?,
                }
                if let Some(ended) = ended.filter(|_| solver.ctx.results.finished(id).is_some()) {
                    ended(&solver, id);
                }
                Ok(())
            }
        });
        let ran = ran.await.map(drop).map_err(|failure| failure.error);
        if let Some(memory) = &self.ctx.memory {
            memory.save();
        }
        self.ctx.results.report_bases(self.store().blobs());
        ran
    }

    fn skip(&self, id: StepId, result: StepResult) {
        self.ctx.results.reports()[id.index()].outcome = Outcome::Pruned;
        self.ctx.results.set(id, result);
    }

    /// One step's turn, from its slot to its report.
    async fn turn(&self, id: StepId, turn: Turn, probe: &Probe) -> Result<(), BuildError> {
        let ctx = &self.ctx;
        let step = ctx.plan.step(id);
        ctx.progress.event(Event::Started(id));
        probe.begins(&step.keyword.name().into());
        let blocked = self.failures.keep_going && self.is_blocked(id);
        let result = if blocked || turn.cancel.is_cancelled() || ctx.cancel.is_cancelled() {
            Err(BuildError::Cancelled)
        } else {
            self.step(step, &turn, probe).await
        };
        let (outcome, error) = match &result {
            Ok((_, outcome)) => (*outcome, None),
            Err(BuildError::Cancelled) => (Outcome::Cancelled, None),
            Err(error) => (Outcome::Failed, Some(error.to_string())),
        };
        {
            let report = &mut ctx.results.reports()[id.index()];
            (report.outcome, report.error) = (outcome, error.clone());
            report.layer = result.as_ref().ok().and_then(|(result, _)| Some(result.layer?.layer()));
        }
        ctx.progress.event(Event::Finished { step: id, outcome, error });
        match result {
            Ok((result, _)) => {
                ctx.results.set(id, result);
                Ok(())
            }
            Err(error) if self.failures.keep_going => {
                if !matches!(error, BuildError::Cancelled) {
                    self.failures.errors.lock().insert(id, error);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a step that this one needs has no result, because it failed.
    fn is_blocked(&self, id: StepId) -> bool {
        let graph = &self.ctx.plan.graph;
        let mut needed = graph.neighbors_directed(NodeIndex::new(id.index()), Incoming);
        needed.any(|node| self.ctx.results.finished(graph[node].id).is_none())
    }

    /// The step's result: from the cache, from another build that runs it now, or by running it.
    async fn step(&self, step: &Step, turn: &Turn, probe: &Probe) -> Result<(StepResult, Outcome), BuildError> {
        let below = match &step.op {
            Op::From(Base::Stage(from)) => self.ctx.results.of(*from).clone(),
            Op::From(_) => StepResult::empty(),
            _ => self.ctx.below(step).clone(),
        };
        let Part { cache, runner, .. } = self.part(step.id);
        let files = self.files(step, probe)?;
        let key = self.definition_key(step, &files, probe);
        match &step.op {
            Op::Config | Op::From(Base::Stage(_)) => {
                let cached = below.cached;
                return Ok(ran_or_cached(StepResult { cached, ..below.with(key, None) }));
            }
            Op::From(Base::Scratch) => {
                let cached = !cache.no_cache;
                return Ok(ran_or_cached(StepResult { cached, ..below.with(key, None) }));
            }
            Op::From(Base::Image(image)) => {
                let result = runner.image_base(step, image, key);
                let cached = result.cached && !cache.no_cache;
                return Ok(ran_or_cached(StepResult { cached, ..result }));
            }
            Op::Pruned => unreachable!("pruned steps are not scheduled"),
            Op::From(Base::Context(_)) | Op::Workdir { .. } | Op::Copy(_) | Op::Run(_) => {}
        }
        let layers_of = |id| Arc::clone(&self.ctx.results.of(id).layers);
        let layer_key = step_keys::layer_key(&layers_of, step, key, &files);
        if let Some(layer) = cache.look_up(step.id, layer_key, key, probe)? {
            return Ok(ran_or_cached(StepResult { cached: true, ..below.with(layer.key, Some(layer)) }));
        }
        if self.runs_processes {
            self.warm_up.start();
        }
        let cancelled = async {
            tokio::select! {
                () = turn.cancel.cancelled() => {}
                () = self.ctx.cancel.cancelled() => {}
            }
        };
        let acquired = tokio::select! {
            acquired = cache.acquire(step.id, layer_key, key, probe) => acquired?,
            () = cancelled => return Err(BuildError::Cancelled),
        };
        let mut guard = match acquired {
            Admission::Finished(layer) => {
                let result = StepResult { cached: true, ..below.with(layer.key, Some(layer)) };
                return Ok((result, Outcome::Joined));
            }
            Admission::Ours(guard) => guard,
        };
        let input = StepInput { ctx: &self.ctx, step, below: &below, cache: cache.use_of_servers(step.id), probe };
        let (files, key, copied) = self.by_content(input, files, key, turn).await?;
        let content_key = step_keys::layer_key(&layers_of, step, key, &files);
        let keys = [layer_key, content_key];
        let known = if content_key == layer_key { None } else { cache.look_up(step.id, content_key, key, probe)? };
        let (layer, cached) = match known {
            Some(layer) => (layer, true),
            None => {
                self.note_removal(step.id, cache.removed(keys, probe)?);
                let made = match copied {
                    Some(made) => made,
                    None => runner.run(input, files, turn).await?,
                };
                let (StepLayer::Ran(layer) | StepLayer::Found(layer)) = made;
                (LayerResult::new(key, layer, http::now()), matches!(made, StepLayer::Found(_)))
            }
        };
        let span = probe.phase(Phase::Commit);
        if self.store().blobs().contains(layer.diff_id) {
            cache.remember(&keys, layer)?;
        } else {
            // The cache index has only layers that are here.
            self.kept_away.lock().push((keys, layer));
        }
        guard.complete(layer);
        span.end();
        Ok(ran_or_cached(StepResult { cached, ..below.with(key, Some(layer)) }))
    }

    /// The files that the step takes from outside of the graph.
    fn files(&self, step: &Step, probe: &Probe) -> Result<StepFiles, BuildError> {
        let early = self.selected_early.lock().remove(&step.id);
        match early {
            Some(files) => Ok(files),
            None if looks_outside(&step.op) => blocking(|| self.part(step.id).runner.outside(&self.ctx, step, probe)),
            None => Ok(StepFiles::default()),
        }
    }

    /// The definition key; it and its inputs go into the step's report.
    fn definition_key(&self, step: &Step, files: &StepFiles, probe: &Probe) -> StepKey {
        let key = step_keys::definition(&self.ctx, step, files, probe);
        let report = &mut self.ctx.results.reports()[step.id.index()];
        if self.ctx.named_files > 0 && matches!(&step.op, Op::Copy(copy) if copy.from == CopyFrom::Context) {
            report.context = files.by_top();
        }
        report.cache = Some(record::Cache { key: key.digest, inputs: key.inputs, miss: None, removed: None });
        key.digest
    }

    /// For a COPY from a stage: its files, the key that their content gives, and the layer if another machine has the files. For other
    /// steps nothing changes.
    async fn by_content(
        &self,
        input: StepInput<'_>,
        files: StepFiles,
        key: StepKey,
        turn: &Turn,
    ) -> Result<(StepFiles, StepKey, Option<StepLayer>), BuildError> {
        let StepInput { step, below, probe, .. } = input;
        let Op::Copy(op) = &step.op else { return Ok((files, key, None)) };
        let CopyFrom::Stage(from) = op.from else { return Ok((files, key, None)) };
        let runner = &self.part(step.id).runner;
        let (files, made) = match runner.copy_away(input, op, turn).await? {
            Some((files, made)) => (files, Some(made)),
            None => (blocking(|| runner.select(&self.ctx, step, op, probe))?, None),
        };
        let key = step_keys::content(&self.ctx, step, from, below, &files);
        Ok((files, key, made))
    }

    /// Reports why a result that the store once had is missing.
    fn note_removal(&self, id: StepId, removed: Option<Removed>) {
        let mut reports = self.ctx.results.reports();
        if let (Some(removed), Some(cache)) = (removed, &mut reports[id.index()].cache) {
            cache.removed = Some(removed.why);
            cache.miss = Some(format_removal(&removed));
        }
    }
}

fn ran_or_cached(result: StepResult) -> (StepResult, Outcome) {
    let outcome = if result.cached { Outcome::Cached } else { Outcome::Executed };
    (result, outcome)
}

/// Whether a step may take files from outside of the graph. Steps that do not stay on the scheduler's thread.
fn looks_outside(op: &Op) -> bool {
    match op {
        Op::Copy(_) | Op::From(Base::Context(_)) => true,
        Op::Run(run) => !run.mounts.is_empty(),
        Op::Config | Op::From(_) | Op::Workdir { .. } | Op::Pruned => false,
    }
}

/// The reason why a result was removed from the store, in the form of the record.
fn format_removal(removed: &Removed) -> String {
    let (unused, ago) = (format_age(removed.unused), format_age(removed.at.elapsed().unwrap_or_default()));
    match removed.why {
        Removal::Expired => format!("its result expired (unused for {unused} when old ones were removed {ago} ago)"),
        Removal::Pruned => format!("its result was pruned {ago} ago (unused for {unused} then)"),
    }
}

fn format_age(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Connects the networks that steps will use, in the background.
fn connect_networks(plan: &Plan, parts: &[Part], owners: &[usize]) {
    let used = |part: &usize| {
        let networks = &parts[*part].runner.networks;
        plan.steps().any(|step| match &step.op {
            Op::Run(run) => step.live && owners[step.id.index()] == *part && networks.isolates(run),
            _ => false,
        })
    };
    for part in (0..parts.len()).filter(used) {
        let networks = Arc::clone(&parts[part].runner.networks);
        tokio::spawn(async move { networks.prepare().await });
    }
}
