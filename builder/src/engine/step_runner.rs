//! Runs one step: selects its files, fetches the layers below, and calls the effect of its operation.

use super::admission::{MemoryAdmission, StepNames};
use super::blocking::blocking;
use super::contexts::OpenContext;
use super::outcome::StepResult;
use super::step_context::StepContext;
use super::step_keys::StepFiles;
use super::step_log::{StepLog, Tail};
use super::verification::Verification;
use super::{BuildError, Engine, StepError};
use crate::error_chain::distinct_causes;
use crate::http;
use crate::images::{ImportedCache, Resolver};
use crate::plan::{self, Base, CopyFrom, MountKind, Op, Step};
use crate::remote::{LocalSlot, Machines, Selected};
use crate::steps::copy::{self, CopyError, CopyOrigin, ListOrSummary, Selection, Summary};
use crate::steps::run::{MountOrigin, Networks, Ran, RunError, RunInput, RunOptions, Runner, bind_as_copy, exclusive};
use crate::steps::workdir::workdir;
use buildscope_dockerfile::{FileText, shortened};
use buildscope_oci::Platform;
use buildscope_record::{DiffId, Digest, Phase, Probe, StepKey, redacted};
use buildscope_remote::CacheUse;
use buildscope_sandbox::{Exit, SandboxError};
use buildscope_schedule::{Admitted, Turn};
use buildscope_storage::Layer;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The resources that effects need besides the step itself.
pub(super) struct StepRunner {
    pub(super) engine: Engine,
    pub(super) images: Arc<Resolver>,
    pub(super) imported: Arc<ImportedCache>,
    pub(super) context: Arc<OpenContext>,
    pub(super) named: BTreeMap<String, Arc<OpenContext>>,
    /// The text of the Dockerfile, for messages that point into it.
    pub(super) dockerfile: FileText,
    /// `SOURCE_DATE_EPOCH`.
    pub(super) epoch: Option<i64>,
    pub(super) run_options: RunOptions,
    pub(super) networks: Arc<Networks>,
    /// The other machines of the build.
    pub(super) machines: Option<Arc<Machines>>,
}

/// The machine of a RUN.
pub(super) enum Dispatch {
    /// Another machine ran it.
    Away(StepLayer),
    /// This machine runs it, perhaps in a local slot.
    Here(Option<LocalSlot>),
}

/// The layer of a step, and how it was made.
#[derive(Clone, Copy)]
pub(super) enum StepLayer {
    /// The step ran.
    Ran(Layer),
    /// A server had the result of an equal step.
    Found(Layer),
}

/// A step with its inputs.
#[derive(Clone, Copy)]
pub(super) struct StepInput<'a> {
    pub(super) ctx: &'a StepContext,
    pub(super) step: &'a Step,
    /// The result that the step continues from.
    pub(super) below: &'a StepResult,
    /// Whether results of servers may be used.
    pub(super) cache: CacheUse,
    pub(super) probe: &'a Probe,
}

/// The number of entries of a context's directory up to which a COPY of it keeps their list for the copying.
const LISTED: usize = 20_000;

impl StepRunner {
    /// Selects and hashes the files that a step takes from outside of the graph: a context, the Dockerfile, a URL. A bind
    /// mount of RUN counts as a COPY of the same files.
    pub(super) fn outside(&self, ctx: &StepContext, step: &Step, probe: &Probe) -> Result<StepFiles, BuildError> {
        match &step.op {
            Op::Copy(op) if op.from.is_outside() => self.select(ctx, step, op, probe),
            Op::From(Base::Context(name)) => self.select(ctx, step, &all_of(name), probe),
            Op::Run(run) => {
                let (mut digests, mut mounted) = (Vec::new(), Vec::new());
                for mount in &run.mounts {
                    if let MountKind::Bind { from, source, .. } = &mount.kind
                        && from.is_outside()
                        && *from != CopyFrom::Empty
                    {
                        let op = bind_as_copy(from, source, &self.origin(ctx, from, probe)?);
                        let op = op.map_err(|error| self.failed(step, &error))?;
                        let files = self.select(ctx, step, &op, probe)?;
                        digests.extend(files.digest.iter().flat_map(|digest| *digest.as_bytes()));
                        mounted.extend(files.selection);
                    }
                }
                let digest = (!digests.is_empty()).then(|| Digest::of(digests));
                Ok(StepFiles { mounted, digest, ..StepFiles::default() })
            }
            _ => Ok(StepFiles::default()),
        }
    }

    /// The result of a FROM of an image: its layers are fetched when a step needs them.
    pub(super) fn image_base(&self, step: &Step, image: &plan::ImageSource, key: StepKey) -> StepResult {
        let resolved = self.images.resolved(&image.manifest).expect("lowering has resolved the image");
        let layers: Arc<[DiffId]> = resolved.layers.iter().map(|layer| layer.diff_id).collect();
        let cached = layers.iter().all(|layer| self.engine.store.blobs().contains(layer));
        StepResult { key, layers, base: Some((step.id, image.manifest)), layer: None, cached }
    }

    /// Selects and hashes the files of a COPY.
    pub(super) fn select(
        &self,
        ctx: &StepContext,
        step: &Step,
        op: &plan::Copy,
        probe: &Probe,
    ) -> Result<StepFiles, BuildError> {
        let store = &self.engine.store;
        let origin = self.origin(ctx, &op.from, probe)?;
        let select = || {
            let most = LISTED.max(ctx.named_files);
            let mut selection = match Selection::or_summary(op, &origin, most, store, probe)? {
                ListOrSummary::List(selection) => selection,
                ListOrSummary::Summary(Summary { digest, times, by_top }) => {
                    let (digest, times, by_top) = (Some(digest), Some(times), Some(by_top));
                    return Ok(StepFiles { digest, times, by_top, ..StepFiles::default() });
                }
            };
            let (digest, times) = if op.from.is_outside() {
                (selection.digest(op, store.blobs(), probe)?, Some(selection.times(None)))
            } else {
                let Selected { digest, times } = Selected::of(&mut selection, op, self.epoch, store, probe)?;
                (digest, times)
            };
            Ok(StepFiles { selection: Some(selection), digest: Some(digest), times, ..StepFiles::default() })
        };
        select().map_err(|error: CopyError| self.failed(step, &error))
    }

    /// Runs the step with the selected files, here or on another machine, and returns its layer.
    pub(super) async fn run(
        &self,
        input: StepInput<'_>,
        files: StepFiles,
        turn: &Turn,
    ) -> Result<StepLayer, BuildError> {
        let dispatch = match &input.step.op {
            Op::Run(op) => self.run_away(input, op, turn).await?,
            _ => Dispatch::Here(None),
        };
        let _slot = match dispatch {
            Dispatch::Away(made) => return Ok(made),
            Dispatch::Here(slot) => slot,
        };
        self.run_here(input, files, turn).await.map(StepLayer::Ran)
    }

    async fn run_here(&self, input: StepInput<'_>, files: StepFiles, turn: &Turn) -> Result<Layer, BuildError> {
        let StepInput { ctx, step, below, probe, .. } = input;
        let store = &self.engine.store;
        blocking(|| self.fetch(ctx, below, probe))?;
        match &step.op {
            Op::Workdir { path, user } => blocking(|| workdir(path, user, &below.layers, http::now(), store, probe))
                .map_err(|error| self.failed(step, &error)),
            Op::Copy(op) => {
                let read = blocking(|| self.layers(ctx, &op.from, probe))?;
                let verification = Verification::start(store, &*read);
                let copied = blocking(|| self.copy(input, op, files.selection));
                verification.finish().await?;
                copied
            }
            Op::From(Base::Context(name)) => blocking(|| self.copy(input, &all_of(name), files.selection)),
            Op::Run(op) => self.run_process(input, op, turn).await,
            Op::From(_) | Op::Config | Op::Pruned => unreachable!("these steps add no layer"),
        }
    }

    fn copy(&self, input: StepInput<'_>, op: &plan::Copy, selection: Option<Selection>) -> Result<Layer, BuildError> {
        let StepInput { ctx, step, below, probe, .. } = input;
        let selection = match selection {
            Some(selection) => selection,
            None => {
                let origin = self.origin(ctx, &op.from, probe)?;
                Selection::of(op, &origin, &self.engine.store, probe).map_err(|error| self.failed(step, &error))?
            }
        };
        copy::copy(op, selection, &below.layers, http::now(), &self.engine.store, probe)
            .map_err(|error| self.failed(step, &error))
    }

    async fn run_process(&self, input: StepInput<'_>, op: &plan::Run, turn: &Turn) -> Result<Layer, BuildError> {
        let StepInput { ctx, step, below, probe, .. } = input;
        let cancel = ctx.cancel.child_token();
        let names = ctx.results.reports()[step.id.index()].cache.as_ref().map(|cache| cache.key);
        let names = names.map(|key| StepNames::of(&ctx.plan, step, key));
        let memory = ctx.memory.as_ref().zip(names.as_ref());
        let _admitted = match memory {
            Some((memory, names)) => Some(self.admitted(input, turn, memory, names).await?),
            None => None,
        };
        let mounted = blocking(|| self.mounted(ctx, op, probe))?;
        let origin = |from: &CopyFrom| mounted.iter().find(|(of, _)| of == from).map(|(_, origin)| origin.clone());
        let from_mounts = mounted.iter().filter_map(|(_, origin)| match origin {
            MountOrigin::Layers(layers) => Some(layers),
            MountOrigin::Context(_) => None,
        });
        let read = below.layers.iter().chain(from_mounts.flatten());
        let verification = Verification::start(&self.engine.store, read);
        let mut tail = Tail::default();
        let network = {
            let _connecting = probe.phase(Phase::SandboxSetup);
            self.networks.of(op).await.map_err(|error| self.failed(step, &error))?
        };
        let ran = {
            let Engine { store, zygote } = &self.engine;
            let runner = Runner { store, zygote, options: &self.run_options, on_disk: false };
            let process = RunInput { op, parent: &below.layers, network: &network, origin: &origin };
            let log = || {
                let log = StepLog::new(step.id, Arc::clone(&ctx.progress));
                tail = log.tail();
                log
            };
            runner.run_to_end(process, log, cancel.clone(), probe)
        };
        let others_fail = async {
            turn.cancel.cancelled().await;
            cancel.cancel();
            std::future::pending().await
        };
        let ran = tokio::select! {
            ran = ran => ran,
            ran = others_fail => ran,
        };
        if !matches!(ran, Err(RunError::Sandbox(SandboxError::Cancelled))) {
            // Damage also explains a step that failed.
            verification.finish().await?;
        }
        let tail = tail.lines();
        let mut reports = ctx.results.reports();
        let report = &mut reports[step.id.index()];
        report.log.clone_from(&tail);
        report.locks = exclusive(op, &origin);
        report.network = Some(network.kind());
        if let (Some((memory, names)), Some(exit)) = (memory, exit_of(&ran)) {
            memory.observe(names, exit.resources.peak_memory);
        }
        match ran {
            Ok(Ran { exit, layer }) => {
                report.ended(&exit);
                Ok(layer)
            }
            Err(RunError::Sandbox(SandboxError::Cancelled)) => Err(BuildError::Cancelled),
            Err(RunError::Sandbox(SandboxError::Exec { program, errno: Errno::NOEXEC })) if is_foreign(ctx, step) => {
                drop(reports);
                let platform = ctx.plan.stages[step.stage.index()].platform.to_string();
                Err(self.failed(step, &RunError::NoEmulator { program, platform }))
            }
            Err(error) => {
                if let RunError::Failed { exit, .. } = &error {
                    report.ended(exit);
                }
                let exit_code = report.exit_code;
                drop(reports);
                Err(self.failed_with(step, &error, exit_code, &tail))
            }
        }
    }

    /// Waits until there is memory for the step.
    async fn admitted(
        &self,
        StepInput { ctx, probe, .. }: StepInput<'_>,
        turn: &Turn,
        memory: &MemoryAdmission,
        names: &StepNames,
    ) -> Result<Admitted, BuildError> {
        if let Some(admitted) = memory.try_admit(names) {
            return Ok(admitted);
        }
        let _wait = probe.wait_lock("memory");
        tokio::select! {
            admitted = memory.admit(names, turn.chain) => Ok(admitted),
            () = turn.cancel.cancelled() => Err(BuildError::Cancelled),
            () = ctx.cancel.cancelled() => Err(BuildError::Cancelled),
        }
    }

    /// The origins of the step's mounts.
    fn mounted(
        &self,
        ctx: &StepContext,
        op: &plan::Run,
        probe: &Probe,
    ) -> Result<Vec<(CopyFrom, MountOrigin<'_>)>, BuildError> {
        let sources = op.mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Bind { from, .. } | MountKind::Cache { from: Some((from, _)), .. } => Some(from),
            _ => None,
        });
        let origin = |from: &CopyFrom| -> Result<MountOrigin<'_>, BuildError> {
            Ok(match self.origin(ctx, from, probe)? {
                CopyOrigin::Context(context) => MountOrigin::Context(context),
                CopyOrigin::Layers(_) | CopyOrigin::Nothing => {
                    MountOrigin::Layers(self.layers(ctx, from, probe)?.to_vec())
                }
            })
        };
        sources.map(|from| Ok((from.clone(), origin(from)?))).collect()
    }

    /// The files that a COPY takes from.
    pub(super) fn origin(
        &self,
        ctx: &StepContext,
        from: &CopyFrom,
        probe: &Probe,
    ) -> Result<CopyOrigin<'_>, BuildError> {
        Ok(match from {
            CopyFrom::Context => CopyOrigin::Context(&self.context.context),
            CopyFrom::NamedContext(name) => {
                CopyOrigin::Context(&self.named.get(name).expect("lowering knows their names").context)
            }
            CopyFrom::Empty => CopyOrigin::Nothing,
            CopyFrom::Stage(_) | CopyFrom::Image(_) => {
                CopyOrigin::Layers(self.engine.store.tree(&self.layers(ctx, from, probe)?)?)
            }
        })
    }

    /// The layers of a stage or an image, in the store.
    pub(super) fn layers(
        &self,
        ctx: &StepContext,
        from: &CopyFrom,
        probe: &Probe,
    ) -> Result<Arc<[DiffId]>, BuildError> {
        match from {
            CopyFrom::Stage(id) => {
                let result = ctx.results.of(*id);
                self.fetch(ctx, result, probe)?;
                Ok(Arc::clone(&result.layers))
            }
            CopyFrom::Image(image) => {
                // The first step that needs the files pulls them; the others wait for it.
                let cached = || {
                    let layers = self.images.resolved(&image.manifest).map(|image| image.layers.clone());
                    let blobs = self.engine.store.blobs();
                    layers.unwrap_or_default().iter().all(|layer| blobs.contains(layer.diff_id))
                };
                let pulls = ctx.probe.at(ctx.results.use_image(image, probe.step(), cached), None);
                let layers = self.images.layers(&image.manifest, &pulls, probe)?;
                Ok(layers.iter().map(|layer| layer.diff_id).collect())
            }
            CopyFrom::Context | CopyFrom::NamedContext(_) | CopyFrom::Empty => Ok(Arc::new([])),
        }
    }

    /// Fetches all layers that are not in the store: the base image's, those that other machines made, and those of an imported
    /// cache.
    pub(super) fn fetch(&self, ctx: &StepContext, result: &StepResult, probe: &Probe) -> Result<(), BuildError> {
        self.fetch_base(ctx, result, probe)?;
        self.fetch_made_away(&result.layers, probe)?;
        self.imported.ensure(&self.engine.store, &result.layers, probe)?;
        Ok(())
    }

    /// The error of a step, with its instruction and line in the Dockerfile.
    pub(super) fn failed(&self, step: &Step, error: &dyn std::error::Error) -> BuildError {
        self.failed_with(step, error, None, &[])
    }

    pub(super) fn failed_with(
        &self,
        step: &Step,
        error: &dyn std::error::Error,
        exit_code: Option<i32>,
        log: &[String],
    ) -> BuildError {
        BuildError::Step(Box::new(StepError {
            message: shortened(
                redacted(&format!("{} failed: {}", step.keyword.name(), distinct_causes(error))).into_owned(),
            ),
            dockerfile: self.dockerfile.clone(),
            span: self.dockerfile.marked(step.span),
            tail: self.dockerfile.tail(step.span),
            label: exit_code.map_or("failed here".into(), |code| format!("exit code: {code}")),
            help: (!log.is_empty()).then(|| format!("its last lines of output:\n{}", log.join("\n"))),
            exit_code,
        }))
    }
}

/// The exit of a step's process, if it was started.
fn exit_of(ran: &Result<Ran, RunError>) -> Option<&Exit> {
    match ran {
        Ok(Ran { exit, .. }) => Some(exit),
        Err(RunError::Failed { exit, .. }) => Some(exit),
        Err(_) => None,
    }
}

/// Whether a step is for another platform than this machine's.
pub(super) fn is_foreign(ctx: &StepContext, step: &Step) -> bool {
    let platform = &ctx.plan.stages[step.stage.index()].platform;
    Platform::host().distance(platform) != Some(0)
}

/// A named context as a stage's first layer.
fn all_of(context: &str) -> plan::Copy {
    plan::Copy::of(CopyFrom::NamedContext(context.to_owned()), ".", "/")
}
