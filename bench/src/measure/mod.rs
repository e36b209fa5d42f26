//! Measuring: each builder builds each workload n times in each cache state. A seed determines the random order.
//! Every result is checked.
//!
//! *Takes* workloads, cases and the binaries that build them. *Gives* a [`Run`]: a folder with `run.json` (environment,
//! order, raw samples) and a build record for each sample. *Must never know* how samples are judged or exported.

mod builds;
mod calls;
mod check_image;
mod child;
mod folders;
mod machine;
mod order;
mod peer;
mod planned;
mod predictions;
mod state;
mod verification;

pub use calls::countable;
pub use check_image::{Image, check_image};
pub use peer::{Peer, PeerError};
pub use planned::{PlannedCase, Runner};
pub use predictions::{CheckedPrediction, PredictionPlan, check_predictions, prediction_table, write_predictions};
pub use state::PageCache;

use crate::environment::Environment;
use crate::run::{Calls, Case, RUN_SCHEMA, Run, RunError, Sample};
use builds::Counted;
use buildscope_record::Digest;
use buildscope_workloads::Workload;
use folders::CaseFolders;
use state::STATES;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Describes a measurement.
#[derive(Debug)]
pub struct Plan {
    /// The workloads, by the names that the cases use.
    pub workloads: Vec<Workload>,
    /// The cases.
    pub cases: Vec<PlannedCase>,
    /// The number of builds per case. It is fixed before the measurement: stopping when the numbers look good would
    /// bias them.
    pub runs: u32,
    /// The number of additional builds per case whose system calls are counted. They run after the timed builds.
    pub counted: u32,
    /// The seed of the random order.
    pub seed: u64,
    /// The run's folder: `run.json` and the records go there.
    pub folder: PathBuf,
    /// A folder for contexts and stores, removed at the end. Its file system is the one that is measured.
    pub scratch: PathBuf,
    /// A folder of OCI layouts by name: the base images of real workloads.
    pub bases: Option<PathBuf>,
    /// Further arguments of every buildscope build.
    pub arguments: Vec<String>,
    /// The treatment of the page cache between builds.
    pub page_cache: PageCache,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The number of finished builds.
    pub done: u32,
    /// The total number of builds, timed and counted.
    pub total: u32,
    /// The time since the first build started.
    pub spent: Duration,
}

impl Progress {
    /// Estimates the remaining time. Every case is built once a round, so the mean time of the finished builds
    /// predicts the remaining ones.
    pub fn left(&self) -> Duration {
        self.spent / self.done.max(1) * self.total.saturating_sub(self.done)
    }
}

/// The interval between writes of `run.json`. A killed run loses at most this much and the current build.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// Receives the events of a run.
pub trait MeasureObserver {
    /// The untimed first build of a case starts.
    fn preparing(&mut self, case: &Case);
    /// A sample was taken.
    fn sampled(&mut self, case: &Case, sample: &Sample, progress: Progress);
    /// The system calls of a build were counted; `None` if the build failed.
    fn counted(&mut self, case: &Case, calls: Option<&Calls>, progress: Progress);
    /// Everything measured so far was written to the run's folder.
    fn kept(&mut self, run: &Run);
}

/// Measures the plan. When `stop` is cancelled, the current build is discarded and the finished samples are kept.
///
/// # Errors
/// Fails if nothing can be measured. A build that fails or gives the wrong image is not an error but a sample with a
/// fault.
pub async fn measure(
    plan: &Plan,
    observer: &mut impl MeasureObserver,
    stop: &CancellationToken,
) -> Result<Run, RunError> {
    fs::create_dir_all(&plan.folder).map_err(RunError::io("create", &plan.folder))?;
    fs::create_dir_all(&plan.scratch).map_err(RunError::io("create", &plan.scratch))?;
    let _scratch = Scratch(&plan.scratch);
    let mut run = Run {
        schema: RUN_SCHEMA,
        started: jiff::Timestamp::now().to_string(),
        seed: plan.seed,
        runs: plan.runs,
        interrupted: false,
        environment: Environment::observe(&plan.scratch),
        page_cache: format!("{} {STATES}", plan.page_cache.describe()),
        canary: Vec::new(),
        throttled: None,
        cases: Vec::new(),
    };

    let throttles = machine::throttles();
    let folders = plan.prepare(&mut run, observer, stop).await?;
    let prepared = || plan.cases.iter().zip(&folders).filter(|(_, folders)| folders.is_some());
    let own = prepared().filter(|(planned, _)| planned.runner.is_buildscope()).count();
    let total = plan.runs * prepared().count() as u32 + plan.counted * own as u32;
    let now = Instant::now();
    let mut measuring = Measuring { plan, observer, stop, run, folders, position: 0, total, began: now, written: now };
    measuring.time_builds(throttles).await?;
    measuring.count_calls().await?;
    measuring.run.write(&plan.folder)?;
    Ok(measuring.run)
}

/// A run in progress.
struct Measuring<'a, O> {
    plan: &'a Plan,
    observer: &'a mut O,
    stop: &'a CancellationToken,
    run: Run,
    /// The folders of each case; `None` for a case that could not be prepared.
    folders: Vec<Option<CaseFolders>>,
    /// The number of finished builds.
    position: u32,
    /// The number of planned builds.
    total: u32,
    began: Instant,
    /// The time at which `run.json` was last written.
    written: Instant,
}

impl<O: MeasureObserver> Measuring<'_, O> {
    /// Runs the timed builds round by round. `throttles` is the number of throttling events before the run.
    async fn time_builds(&mut self, throttles: Option<u64>) -> Result<(), RunError> {
        let plan = self.plan;
        for (round, indices) in (0..).zip(order::order(self.folders.len(), plan.runs, plan.seed)) {
            if self.run.interrupted {
                return Ok(());
            }
            self.run.canary.push(canary());
            for index in indices {
                let (planned, Some(folders)) = (&plan.cases[index], &self.folders[index]) else { continue };
                let Some(sample) = plan.sample(planned, folders, round, self.position, self.stop).await? else {
                    self.run.interrupted = true;
                    return Ok(());
                };
                let progress = self.advance();
                self.observer.sampled(&planned.case, &sample, progress);
                self.run.cases[index].samples.push(sample);
                self.keep(KEEP_EVERY)?;
            }
            self.run.throttled = machine::throttles().zip(throttles).map(|(now, before)| now.saturating_sub(before));
            self.keep(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Runs the builds whose system calls are counted.
    async fn count_calls(&mut self) -> Result<(), RunError> {
        let plan = self.plan;
        for round in plan.runs..plan.runs + plan.counted {
            if self.run.interrupted {
                return Ok(());
            }
            for (index, planned) in plan.cases.iter().enumerate().take(self.folders.len()) {
                let Some(folders) = &self.folders[index] else { continue };
                if !planned.runner.is_buildscope() {
                    continue; // strace would not see the calls of its daemon
                }
                let calls = match plan.count(planned, folders, round, self.stop).await? {
                    Counted::Calls(calls) => Some(calls),
                    Counted::Failed => None,
                    Counted::Stopped => {
                        self.run.interrupted = true;
                        return Ok(());
                    }
                };
                let progress = self.advance();
                self.observer.counted(&planned.case, calls.as_ref(), progress);
                self.run.cases[index].calls.extend(calls);
                self.keep(KEEP_EVERY)?;
            }
        }
        Ok(())
    }

    /// Counts a finished build.
    fn advance(&mut self) -> Progress {
        self.position += 1;
        Progress { done: self.position, total: self.total, spent: self.began.elapsed() }
    }

    /// Writes `run.json` if the last write was at least this long ago.
    fn keep(&mut self, at_least: Duration) -> Result<(), RunError> {
        if self.written.elapsed() >= at_least {
            self.run.write(&self.plan.folder)?;
            self.observer.kept(&self.run);
            self.written = Instant::now();
        }
        Ok(())
    }
}

/// Measures a constant amount of work, hashing 16 MiB of zeros, in seconds.
fn canary() -> f64 {
    let zeros = vec![0; 16 << 20];
    let start = Instant::now();
    std::hint::black_box(Digest::of(std::hint::black_box(&zeros)));
    start.elapsed().as_secs_f64()
}

/// Removes contexts and stores when it is dropped, also after errors.
struct Scratch<'a>(&'a Path);

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Failing to remove a folder that the user chose does not affect the numbers.
        let _ = fs::remove_dir_all(self.0);
    }
}
