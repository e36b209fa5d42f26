//! The effects of steps: what each kind of operation needs, and who carries it out.

use super::outcome::Done;
use super::solve::{Solver, blocking};
use super::step_log::{StepLog, Tail};
use super::{BuildError, Engine, StepError};
use crate::http;
use crate::plan::{self, Base, CopyFrom, MountKind, Op, Step};
use crate::steps::copy::{self, CopyError, Origin, Selection};
use crate::steps::run::{MountOrigin, Ran, RunError, Runner, bind_as_copy, exclusive};
use crate::steps::workdir::workdir;
use buildscope_oci::Platform;
use buildscope_record::{DiffId, Digest, Probe};
use buildscope_sandbox::SandboxError;
use buildscope_schedule::Turn;
use buildscope_storage::Layer;
use rustix::io::Errno;
use std::sync::Arc;

/// What a step takes from outside the graph.
#[derive(Default)]
pub(super) struct Files {
    pub(super) selection: Option<Selection>,
    pub(super) digest: Option<Digest>,
    /// What is not in the digest and yet in the layer: the files' times, where they matter.
    pub(super) times: Option<Digest>,
}

impl Solver {
    /// What a step takes from outside the graph (a context, the Dockerfile, a URL), found and hashed; a mount of RUN
    /// is seen as a COPY of the same files.
    pub(super) fn outside(&self, step: &Step, probe: &Probe) -> Result<Files, BuildError> {
        match &step.op {
            Op::Copy(op) if op.from.is_outside() => self.select(step, op, probe),
            Op::From(Base::Context(name)) => self.select(step, &all_of(name), probe),
            Op::Run(run) => {
                let mut digests = Vec::new();
                for mount in &run.mounts {
                    if let MountKind::Bind { from, source, .. } = &mount.kind
                        && from.is_outside()
                        && *from != CopyFrom::Empty
                    {
                        let files = self.select(step, &bind_as_copy(from, source), probe)?;
                        digests.extend(files.digest.iter().flat_map(|digest| *digest.as_bytes()));
                    }
                }
                Ok(Files { digest: (!digests.is_empty()).then(|| Digest::of(digests)), ..Files::default() })
            }
            _ => Ok(Files::default()),
        }
    }

    /// What a COPY takes, found and hashed.
    pub(super) fn select(&self, step: &Step, op: &plan::Copy, probe: &Probe) -> Result<Files, BuildError> {
        let blobs = self.engine.store.blobs();
        let origin = self.origin(&op.from, probe)?;
        let select = || {
            let mut selection = Selection::of(op, &origin, &self.engine.store, probe)?;
            let digest = selection.digest(op, blobs, probe)?;
            // What a stage makes is newer each time that it is made: that alone is no reason to copy it again, but where
            // the image's times are given.
            let times = match (op.from.is_outside(), self.epoch) {
                (true, _) => Some(selection.times(None)),
                (false, Some(epoch)) => Some(selection.times(Some(epoch))),
                (false, None) => None,
            };
            Ok(Files { selection: Some(selection), digest: Some(digest), times })
        };
        select().map_err(|error: CopyError| self.failed(step, &error))
    }

    /// Carries the step out.
    pub(super) async fn make(
        &self,
        step: &Step,
        below: &Done,
        files: Files,
        turn: &Turn,
        probe: &Probe,
    ) -> Result<Layer, BuildError> {
        let store = &self.engine.store;
        blocking(|| self.fetch(below, probe))?;
        match &step.op {
            Op::Workdir { path, user } => blocking(|| workdir(path, user, &below.layers, http::now(), store, probe))
                .map_err(|error| self.failed(step, &error)),
            Op::Copy(op) => blocking(|| self.copy(step, op, below, files.selection, probe)),
            Op::From(Base::Context(name)) => blocking(|| self.copy(step, &all_of(name), below, files.selection, probe)),
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
                Selection::of(op, &origin, &self.engine.store, probe).map_err(|error| self.failed(step, &error))?
            }
        };
        copy::copy(op, &selection, &below.layers, http::now(), &self.engine.store, probe)
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
        let cancel = self.cancel.child_token();
        let mounted = blocking(|| self.mounted(op, probe))?;
        let origin = |from: &CopyFrom| mounted.iter().find(|(of, _)| of == from).map(|(_, origin)| origin.clone());
        let mut tail = Tail::default();
        let ran = async {
            let mut again = false;
            loop {
                let log = StepLog::new(step.id, Arc::clone(&self.progress));
                tail = log.tail();
                let Engine { store, zygote } = &self.engine;
                let runner = Runner { store, zygote, options: &self.run_options, again };
                match runner.run(op, &below.layers, &origin, log, cancel.clone(), probe).await {
                    // Nothing of it is left: it is begun again, where there is room, and no name is another's.
                    Err(RunError::Again) if !again => again = true,
                    ran => return ran,
                }
            }
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
        let tail = tail.lines();
        let mut reports = self.reports();
        let report = &mut reports[step.id.index()];
        report.log.clone_from(&tail);
        report.locks = exclusive(op, &origin);
        match ran {
            Ok(Ran { exit, layer }) => {
                report.ended(&exit);
                Ok(layer)
            }
            Err(RunError::Sandbox(SandboxError::Cancelled)) => Err(BuildError::Cancelled),
            Err(RunError::Sandbox(SandboxError::Exec { program, errno: Errno::NOEXEC })) if self.is_foreign(step) => {
                drop(reports);
                let platform = self.plan.stages[step.stage.index()].platform.to_string();
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

    /// Whether a step is of another platform than this machine's.
    fn is_foreign(&self, step: &Step) -> bool {
        let platform = &self.plan.stages[step.stage.index()].platform;
        Platform::host().distance(platform) != Some(0)
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

    /// Where a COPY takes its files from.
    fn origin(&self, from: &CopyFrom, probe: &Probe) -> Result<Origin<'_>, BuildError> {
        Ok(match from {
            CopyFrom::Context => Origin::Context(&self.context.context),
            CopyFrom::NamedContext(name) => {
                Origin::Context(&self.named.get(name).expect("lowering knows their names").context)
            }
            CopyFrom::Empty => Origin::Nothing,
            CopyFrom::Stage(_) | CopyFrom::Image(_) => {
                Origin::Layers(self.engine.store.tree(&self.layers(from, probe)?)?)
            }
        })
    }

    /// The layers of a stage or an image, in the store.
    fn layers(&self, from: &CopyFrom, probe: &Probe) -> Result<Arc<[DiffId]>, BuildError> {
        match from {
            CopyFrom::Stage(id) => {
                let done = self.done(*id);
                self.fetch(done, probe)?;
                Ok(Arc::clone(&done.layers))
            }
            CopyFrom::Image(image) => {
                // Whoever needs the files first waits for them, as all others do.
                let pulls = self.probe.at(self.take(image, probe.step()), None);
                let layers = self.images.layers(&image.manifest, &pulls, probe)?;
                Ok(layers.iter().map(|layer| layer.diff_id).collect())
            }
            CopyFrom::Context | CopyFrom::NamedContext(_) | CopyFrom::Empty => Ok(Arc::new([])),
        }
    }

    /// Makes sure that all layers are in the store: the base image's (it is the FROM whose time that takes, whoever asks
    /// first) and those of an imported cache.
    fn fetch(&self, done: &Done, probe: &Probe) -> Result<(), BuildError> {
        if let Some((from, manifest)) = &done.base {
            self.images.layers(manifest, &self.probe.at(*from, None), probe)?;
        }
        self.imported.ensure(&self.engine.store, &done.layers, probe)?;
        Ok(())
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
            label: exit_code.map_or("failed here".into(), |code| format!("exit code: {code}")),
            help: (!log.is_empty()).then(|| format!("its last lines of output:\n{}", log.join("\n"))),
            exit_code,
        }))
    }
}

/// A named context as a stage's first layer.
fn all_of(context: &str) -> plan::Copy {
    plan::Copy::of(CopyFrom::NamedContext(context.to_owned()), ".", "/")
}
