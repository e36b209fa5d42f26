//! Runs one build: the table of contents of this crate.
//!
//! *Takes* a [`Request`]. *Gives* an [`Outcome`]: the image or the error, and what happened to every step. Only the order of
//! the phases is decided here; the modules do the work.

mod admission;
mod away;
mod away_copy;
mod base_reads;
mod blocking;
mod cache_export;
mod cache_import;
mod contexts;
mod destinations;
mod early;
mod epoch;
mod error;
mod finish;
mod finished_build;
mod fleet;
mod host;
mod inside;
mod live;
mod machine_load;
mod outcome;
mod part;
mod prepare;
mod progress;
mod provenance;
mod record;
mod remote_processes;
mod request;
mod results;
mod skipped;
mod solver;
mod step_cache;
mod step_context;
mod step_keys;
mod step_log;
mod step_runner;
mod verification;
mod waits;
mod warm_up;

pub use buildscope_sandbox::Stream;
pub use error::{BuildError, StepError};
pub use fleet::{FleetOutcome, FleetRequest, FleetTarget, TargetEnd, build_fleet};
pub use host::host;
pub use machine_load::{LoadMeter, MachineUse};
pub use outcome::{Built, Outcome, StepReport, TargetReport};
use progress::Redacting;
pub use progress::{Event, Progress};
pub use provenance::Provenance;
pub use record::{Setting, record};
pub use request::{DockerfileInput, Request};

use base_reads::BaseReads;
use buildscope_record::{Phase, Probe};
use buildscope_sandbox::Zygote;
use buildscope_storage::Store;
use destinations::Destinations;
use early::Early;
use finished_build::FinishedBuild;
use live::Live;
use solver::{OnStepEnd, Solver};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use warm_up::WarmUp;

/// The most rounds of a build if blobs are found damaged.
const ROUNDS: u32 = 3;

/// The resources of this process that builds share: made once, used by any number of builds.
#[derive(Clone)]
pub struct Engine {
    /// The store.
    pub store: Store,
    /// The process that steps are forked from. It was forked before this process had threads.
    pub zygote: Arc<Zygote>,
}

/// Runs one build. It needs a multi-threaded tokio runtime. When `cancel` fires, running steps are killed and the outcome
/// is [`BuildError::Cancelled`].
pub async fn build(
    engine: &Engine,
    request: &Request,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> Outcome {
    let mut outcome = Outcome::nothing_yet();
    let progress: Arc<dyn Progress> = Arc::new(Redacting(progress));
    outcome.result = run(engine, request, probe, progress, cancel, &mut outcome).await;
    outcome
}

async fn run(
    engine: &Engine,
    request: &Request,
    probe: &Probe,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
    outcome: &mut Outcome,
) -> Result<Built, BuildError> {
    let destinations = Destinations::of(request)?;
    let warm_up = WarmUp::new(engine);
    let prepared = prepare::prepare(engine, request, &progress, probe)?;
    outcome.plan = Some(Arc::clone(&prepared.plan));
    progress.event(Event::Planned(Arc::clone(&prepared.plan)));
    for name in prepared.plan.unknown_stages(&request.no_cache_stages) {
        progress.event(Event::Warning(format!("--no-cache-filter {name}: the Dockerfile has no stage of this name")));
    }

    let mut solver = Arc::new(Solver::new(warm_up, &[request], prepared, probe, Arc::clone(&progress), cancel)?);
    let (live, order_edges) = Live::new(&solver.ctx.plan, request.policy)?;
    outcome.order_edges = order_edges;
    for round in 1.. {
        let early = Early::new(&solver, &solver.parts[0], &destinations, probe).map(Arc::new);
        let ended = early.clone().map(|early| -> Arc<OnStepEnd> {
            Arc::new(move |solver: &Solver, step| early.ended(solver, &solver.parts[0], step))
        });
        let solved = solver.run(&live, request.jobs, ended).await;
        early.iter().filter(|_| solved.is_ok()).for_each(|early| early.hurry());
        let base_reads = BaseReads::start(&solver);
        outcome.reports = std::mem::take(&mut *solver.ctx.results.reports());
        outcome.used_images.clone_from(&solver.ctx.results.used_images());
        // Results that were finished before a failure are kept.
        let fetched =
            solved.and_then(|()| blocking::blocking(|| solver.fetch_layers(&solver.parts[0], &destinations, probe)));
        let synced = engine.store.sync(probe).map_err(BuildError::from);
        let built = fetched.and(synced).and_then(|()| {
            let build = FinishedBuild::new(&solver, &solver.parts[0], request, &outcome.reports);
            let drafts = early.as_ref().map(|early| early.finish()).unwrap_or_default();
            finish::finish(&build, &destinations, drafts, probe)
        });
        early.iter().filter(|_| built.is_err()).for_each(|early| early.abandon());
        base_reads.note(&mut outcome.reports);
        let repaired = repair(&mut solver, round, built.is_err());
        engine.store.take_warnings().into_iter().for_each(|warning| progress.event(Event::Warning(warning)));
        if !repaired {
            // Freeing a context of 20,000 files takes a millisecond.
            let _span = probe.phase(Phase::Dispatch);
            drop(solver);
            return built;
        }
    }
    unreachable!("the last round returns")
}

/// Prepares another round and returns true if the build failed because of a damaged blob: it was dropped, so the steps that
/// need it can run again. A layer that an imported cache does not give, or gives with another content, is such a blob.
fn repair(solver: &mut Arc<Solver>, round: u32, failed: bool) -> bool {
    let store = solver.store().clone();
    let mut damaged = store.take_damaged();
    // Layers that only another machine had count as damaged: the steps that made them run again.
    damaged.extend(solver.machines.iter().flat_map(|machines| machines.layers().take_lost()));
    for (diff_id, why) in solver.parts.iter().flat_map(|part| part.cache.imported.take_unusable()) {
        solver.ctx.progress.event(Event::Warning(format!("the cache is not used for a step, which runs again: {why}")));
        damaged.push(diff_id.into());
    }
    if !failed || damaged.is_empty() || round == ROUNDS || solver.ctx.cancel.is_cancelled() {
        return false;
    }
    // If one blob is damaged, others may be. A blob that cannot be read fails the step that needs it.
    let _ = store.verified(&solver.layers_of_targets(), || ());
    damaged.extend(store.take_damaged());
    // All tasks that shared the solver have ended.
    let Some(this) = Arc::get_mut(solver) else { return false };
    this.restart(&damaged);
    true
}
