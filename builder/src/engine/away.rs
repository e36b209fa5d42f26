//! Runs a step on another machine, if the build has some and the step can.

use super::blocking::blocking;
use super::outcome::StepResult;
use super::remote_processes::RemoteProcesses;
use super::step_context::StepContext;
use super::step_log::{StepLog, Tail};
use super::step_runner::{Dispatch, StepInput, StepLayer, StepRunner};
use super::{BuildError, Event};
use crate::images::ImageError;
use crate::plan::{self, CopyFrom, MountKind, Step};
use crate::remote::{
    Account, Away, DescribedRun, DescribedWork, Description, Fallback, LayerFiles, Machines, MountDescription,
    Placement, Settings, why_here,
};
use crate::steps::copy::CopyOrigin;
use crate::steps::run::{RunError, context_layer};
use buildscope_record::{DiffId, Nanos, Phase, Probe, StepMachine};
use buildscope_sandbox::{LogLine, LogSink as _};
use buildscope_schedule::Turn;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The files of a build's layers.
struct BuildLayerFiles<'a> {
    runner: &'a StepRunner,
    machines: &'a Machines,
    probe: &'a Probe,
}

impl LayerFiles for BuildLayerFiles<'_> {
    fn open(&self, layer: DiffId) -> Result<File, ImageError> {
        let store = &self.runner.engine.store;
        self.machines.layers().ensure(store, &[layer], self.probe)?;
        self.runner.imported.ensure(store, &[layer], self.probe)?;
        // A damaged layer must not get onto a server.
        store.verified(&store.unverified(&[layer]), || ())?;
        Ok(store.blobs().open(layer)?)
    }

    fn is_here(&self, layer: DiffId) -> bool {
        self.runner.engine.store.blobs().contains(layer)
    }

    fn keep(&self, layer: DiffId, content: &[u8]) {
        let _ = self.runner.engine.store.import_layer(content, Some(layer), &Probe::disabled());
    }
}

impl StepRunner {
    /// Runs a step on another machine, or finds that it has to run here.
    pub(super) async fn run_away(
        &self,
        input: StepInput<'_>,
        op: &plan::Run,
        turn: &Turn,
    ) -> Result<Dispatch, BuildError> {
        let StepInput { ctx, step, .. } = input;
        let Some(machines) = &self.machines else { return Ok(Dispatch::Here(None)) };
        let foreign = super::step_runner::is_foreign(ctx, step).then_some("it is for another platform");
        let settings = match why_here(op, &self.run_options, machines.cache_mounts()).or(foreign) {
            Some(why) => Err(why),
            None => Settings::of(op, &self.run_options).ok_or("it has the network of this machine"),
        };
        let settings = match settings {
            Ok(settings) => settings,
            Err(why) => {
                note_machine(ctx, step, StepMachine::here(why));
                return wait_for_slot(input, machines, turn).await;
            }
        };
        let description = blocking(|| self.describe(input, op, settings, machines))?;
        if let Some(slots) = machines.local() {
            let away = machines.expected_start(
                step.id,
                &description,
                &BuildLayerFiles { runner: self, machines, probe: input.probe },
            );
            let placement = tokio::select! {
                placement = slots.slot_or_away(away) => placement,
                () = cancelled(input, turn) => return Err(BuildError::Cancelled),
            };
            if let Placement::Here(slot, why) = placement {
                note_machine(ctx, step, StepMachine::here(why));
                return Ok(Dispatch::Here(Some(slot)));
            }
        }
        match self.send(input, &description, machines, turn).await? {
            Some(away) => self.took(input, op, away).map(Dispatch::Away),
            None => wait_for_slot(input, machines, turn).await,
        }
    }

    /// Runs a described step on another machine. Returns `None` if no server can, and it may run here.
    pub(super) async fn send(
        &self,
        input: StepInput<'_>,
        description: &Description,
        machines: &Machines,
        turn: &Turn,
    ) -> Result<Option<Away>, BuildError> {
        let StepInput { ctx, step, cache, probe, .. } = input;
        let files = BuildLayerFiles { runner: self, machines, probe };
        let away = tokio::select! {
            away = machines.run(step.id, description, &files, cache, probe) => away,
            () = cancelled(input, turn) => {
                machines.finish_cancellations().await;
                return Err(BuildError::Cancelled);
            }
        };
        let error = match away {
            Ok(away) => return Ok(Some(away)),
            Err(error) => error,
        };
        machines.note_failure(step.id, &error);
        let failures = machines.failures(step.id);
        match machines.fallback() {
            Fallback::Fail => {
                note_machine(ctx, step, StepMachine::default().after(failures));
                Err(self.failed(step, &error))
            }
            Fallback::Local => {
                let why = format!("no server ran it: {error}");
                ctx.progress.event(Event::Warning(format!("`{}` runs on this machine: {why}", step.text)));
                note_machine(ctx, step, StepMachine::here(&why).after(failures));
                Ok(None)
            }
        }
    }

    /// Everything that the step's result depends on. The layers themselves stay where they are.
    fn describe(
        &self,
        StepInput { ctx, below, probe, .. }: StepInput<'_>,
        op: &plan::Run,
        settings: Settings,
        machines: &Machines,
    ) -> Result<Description, BuildError> {
        self.fetch_base(ctx, below, probe)?;
        let mut all: Vec<DiffId> = below.layers.to_vec();
        let mut mounts = Vec::new();
        for mount in &op.mounts {
            mounts.push(match &mount.kind {
                MountKind::Bind { from, source, writable } => {
                    let layers = self.layers_of_mount(ctx, from, source, probe)?;
                    all.extend(&layers);
                    MountDescription::Bind { layers, source: source.clone(), writable: *writable }
                }
                MountKind::Tmpfs { size } => MountDescription::Tmpfs { size: *size },
                MountKind::Inline { content, mode } => {
                    MountDescription::Inline { content: content.clone(), mode: *mode }
                }
                MountKind::Cache { id, sharing, from, readonly, mode, uid, gid } => {
                    let from = match from {
                        Some((from, source)) => Some((self.layers_of_mount(ctx, from, source, probe)?, source.clone())),
                        None => None,
                    };
                    all.extend(from.iter().flat_map(|(layers, _)| layers));
                    let (id, sharing, owner) = (id.clone(), *sharing, (*uid, *gid));
                    MountDescription::Cache { id, sharing, from, readonly: *readonly, mode: *mode, owner }
                }
                MountKind::Secret { .. } | MountKind::Ssh { .. } => {
                    unreachable!("such a step stays here")
                }
            });
        }
        let work = DescribedWork::Run(DescribedRun::of(op, mounts, settings));
        Ok(Description::of(work, &below.layers, self.sizes(&all, machines, probe)?))
    }

    /// The sizes of layers, which may be on other machines.
    pub(super) fn sizes(
        &self,
        layers: &[DiffId],
        machines: &Machines,
        probe: &Probe,
    ) -> Result<BTreeMap<DiffId, u64>, BuildError> {
        layers.iter().map(|layer| Ok((*layer, self.size(*layer, machines, probe)?))).collect()
    }

    /// The layers of a mount's source. Those that other machines made are not fetched.
    fn layers_of_mount(
        &self,
        ctx: &StepContext,
        from: &CopyFrom,
        source: &str,
        probe: &Probe,
    ) -> Result<Vec<DiffId>, BuildError> {
        match from {
            CopyFrom::Stage(id) => {
                let result = ctx.results.of(*id);
                self.fetch_base(ctx, result, probe)?;
                Ok(result.layers.to_vec())
            }
            CopyFrom::Image(_) => Ok(self.layers(ctx, from, probe)?.to_vec()),
            CopyFrom::Empty => Ok(Vec::new()),
            CopyFrom::Context | CopyFrom::NamedContext(_) => {
                let CopyOrigin::Context(context) = self.origin(ctx, from, probe)? else { return Ok(Vec::new()) };
                let layer = context_layer(&self.engine.store, from, source, context, probe);
                Ok(vec![layer.map_err(|error| BuildError::Request(error.to_string()))?])
            }
        }
    }

    fn size(&self, layer: DiffId, machines: &Machines, probe: &Probe) -> Result<u64, BuildError> {
        let store = &self.engine.store;
        if let Some(size) = machines.layers().size(&layer) {
            return Ok(size);
        }
        self.imported.ensure(store, &[layer], probe)?;
        match store.layer(&layer)? {
            Some(layer) => Ok(layer.size),
            None => Err(buildscope_storage::StorageError::MissingBlob(layer.into()).into()),
        }
    }

    /// Enters the result of another machine.
    fn took(
        &self,
        StepInput { ctx, step, probe, .. }: StepInput<'_>,
        op: &plan::Run,
        away: Away,
    ) -> Result<StepLayer, BuildError> {
        let Away { account, machine, is_cached, times, queued } = away;
        let tail = print(ctx, step, &account).lines();
        let exit = account.exit();
        {
            let mut reports = ctx.results.reports();
            let report = &mut reports[step.id.index()];
            report.log.clone_from(&tail);
            report.network = account.network;
            report.ran_on = Some(StepMachine::on(&machine).after(self.failures(step)));
            if !is_cached {
                exit.iter().for_each(|exit| report.ended(exit));
                let begin = draw(probe, &account, &machine, times, queued);
                report.processes = account.processes.clone().map(|processes| RemoteProcesses { processes, begin });
            }
        }
        let error = match (account.layer(), exit, account.failure) {
            (Some(layer), Some(_), None) if is_cached => return Ok(StepLayer::Found(layer)),
            (Some(layer), Some(_), None) => return Ok(StepLayer::Ran(layer)),
            (_, Some(exit), None) => RunError::Failed { command: op.args.join(" "), exit: Box::new(exit) },
            (_, _, Some(failure)) => RunError::Away(failure.message),
            (_, None, None) => RunError::Away(format!("{machine} did not say how the step ended")),
        };
        let exit_code = match &error {
            RunError::Failed { exit, .. } => Some(exit.status.code()),
            _ => None,
        };
        Err(self.failed_with(step, &error, exit_code, &tail))
    }

    /// What went wrong on servers for a step.
    pub(super) fn failures(&self, step: &Step) -> Vec<String> {
        self.machines.as_ref().map(|machines| machines.failures(step.id)).unwrap_or_default()
    }

    /// Fetches those of these layers that other machines made.
    pub(super) fn fetch_made_away(&self, layers: &[DiffId], probe: &Probe) -> Result<(), BuildError> {
        match &self.machines {
            Some(machines) => Ok(machines.layers().ensure(&self.engine.store, layers, probe)?),
            None => Ok(()),
        }
    }

    /// Fetches the layers of the base image, which counts as time of the FROM whichever step asks first.
    pub(super) fn fetch_base(&self, ctx: &StepContext, result: &StepResult, probe: &Probe) -> Result<(), BuildError> {
        if let Some((from, manifest)) = &result.base {
            self.images.layers(manifest, &ctx.probe.at(*from, None), probe)?;
        }
        Ok(())
    }
}

/// Ends when the step is cancelled.
async fn cancelled(StepInput { ctx, .. }: StepInput<'_>, turn: &Turn) {
    tokio::select! {
        () = turn.cancel.cancelled() => {}
        () = ctx.cancel.cancelled() => {}
    }
}

/// Waits for a slot of this machine, if it has a limit.
async fn wait_for_slot(input: StepInput<'_>, machines: &Machines, turn: &Turn) -> Result<Dispatch, BuildError> {
    let Some(slots) = machines.local() else { return Ok(Dispatch::Here(None)) };
    tokio::select! {
        slot = slots.acquire() => Ok(Dispatch::Here(Some(slot))),
        () = cancelled(input, turn) => Err(BuildError::Cancelled),
    }
}

pub(super) fn note_machine(ctx: &StepContext, step: &Step, machine: StepMachine) {
    ctx.results.reports()[step.id.index()].ran_on = Some(machine);
}

/// Shows what the step printed. Returns its last lines.
fn print(ctx: &StepContext, step: &Step, account: &Account) -> Tail {
    let begin = Instant::now();
    let mut log = StepLog::new(step.id, Arc::clone(&ctx.progress));
    let tail = log.tail();
    for line in &account.lines {
        let (stream, at, text) = line.parts();
        log.line(LogLine { stream, at: begin + at, text: &text, ended: true });
    }
    tail
}

/// Draws the work of the other machine. Its clock is not ours: what the action took in addition to the work and the wait for a
/// worker was on the way, half of it before. Returns when the work started.
pub(super) fn draw(
    probe: &Probe,
    account: &Account,
    machine: &str,
    (sent, received): (Instant, Instant),
    queued: Duration,
) -> Instant {
    let work = account.phases.iter().map(|phase| phase.2).max().unwrap_or(Nanos::ZERO);
    let work = Duration::from_nanos(work.0);
    let whole = received.saturating_duration_since(sent);
    let queued = queued.min(whole.saturating_sub(work));
    let way = whole.saturating_sub(work + queued);
    let begin = sent + way / 2 + queued;
    if !queued.is_zero() {
        probe.interval(Phase::Queue, machine, sent + way / 2, begin);
    }
    for (phase, start, end) in &account.phases {
        let at = |time: &Nanos| (begin + Duration::from_nanos(time.0)).min(received);
        probe.interval(*phase, machine, at(start), at(end));
    }
    begin
}
