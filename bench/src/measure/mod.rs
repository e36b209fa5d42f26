//! Measuring: each builder builds each workload n times in each cache state. A seed determines the random order.
//! Every result is checked.
//!
//! *Takes* workloads, cases and the binaries that build them. *Gives* a [`Run`]: a folder with `run.json` (environment,
//! order, raw samples) and a build record for each sample. *Must never know* how samples are judged or exported.

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

pub use calls::countable;
pub use check_image::{Image, check_image};
pub use peer::{Peer, PeerError};
pub use planned::{PlannedCase, Runner};
pub use predictions::{CheckedPrediction, PredictionPlan, check_predictions, prediction_table, write_predictions};
pub use state::PageCache;

use crate::environment::Environment;
use crate::run::{Calls, Case, CaseSamples, RUN_SCHEMA, Run, RunError, Sample};
use buildscope_record::{Digest, Outcome, Record};
use buildscope_workloads::{Scenario, Workload};
use child::finish;
use folders::CaseFolders;
use nix::sys::resource::{UsageWho, getrusage};
use planned::StepCache;
use state::STATES;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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
    /// How the page cache is treated between builds.
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
    fs::create_dir_all(&plan.folder).map_err(RunError::io(&plan.folder))?;
    fs::create_dir_all(&plan.scratch).map_err(RunError::io(&plan.scratch))?;
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
    /// When `run.json` was last written.
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

impl Plan {
    pub(super) fn workload(&self, case: &Case) -> &Workload {
        let found = self.workloads.iter().find(|workload| workload.name == case.workload);
        found.expect("a plan's cases name its workloads")
    }

    /// The command that builds a case.
    fn command(&self, planned: &PlannedCase, folders: &CaseFolders, cache: StepCache) -> Command {
        let PlannedCase { case, runner } = planned;
        match runner {
            Runner::Peer(peer) => {
                peer.command(&folders.context, &tag(case), cache, self.bases.as_deref(), &self.archive())
            }
            Runner::Buildscope(binary) => {
                let mut command = case.subject.command(binary, &folders.store, &folders.context, cache);
                self.add_inputs(&mut command, case, self.workload(case), folders);
                command.args(&self.arguments);
                command
            }
        }
    }

    /// The file to which an image is exported for checking.
    fn archive(&self) -> PathBuf {
        self.scratch.join("image.tar")
    }

    /// Creates each case's folders and builds once in them, untimed. If the build of a case fails, the case gets no
    /// folders, the failure becomes a sample, and the other cases continue. Fails if no buildscope binary can build a
    /// workload, or if another builder cannot.
    async fn prepare(
        &self,
        run: &mut Run,
        observer: &mut impl MeasureObserver,
        stop: &CancellationToken,
    ) -> Result<Vec<Option<CaseFolders>>, RunError> {
        let mut all_folders = Vec::new();
        for group in self.cases.chunk_by(|one, other| one.case.same_group(&other.case)) {
            let mut failed = Vec::new();
            for planned in group {
                let case = &planned.case;
                observer.preparing(case);
                let folders = CaseFolders::make(&self.scratch, &case.slug(), self.workload(case), case.scenario)?;
                let Some(ended) = finish(self.command(planned, &folders, StepCache::Use), stop).await? else {
                    run.interrupted = true;
                    return Ok(all_folders);
                };
                let shown = CaseFolders::shown(&case.workload);
                let command = shell_line(&self.command(planned, &shown, StepCache::of(case.scenario)));
                let mut samples = Vec::new();
                all_folders.push(match ended.prepared(case) {
                    Ok(()) => Some(folders),
                    Err(error) if !planned.runner.is_buildscope() => return Err(error),
                    Err(error) => {
                        samples.push(unbuilt(0, 0, &error));
                        failed.push(error);
                        None
                    }
                });
                run.cases.push(CaseSamples { case: case.clone(), command, samples, calls: Vec::new() });
            }
            if failed.len() == group.len() {
                return Err(failed.swap_remove(0));
            }
        }
        Ok(all_folders)
    }

    async fn sample(
        &self,
        planned: &PlannedCase,
        folders: &CaseFolders,
        round: u32,
        position: u32,
        stop: &CancellationToken,
    ) -> Result<Option<Sample>, RunError> {
        let PlannedCase { case, runner } = planned;
        let workload = self.workload(case);
        match self.enter(planned, folders, round + 1, stop).await {
            Err(error @ RunError::Prepare { .. }) => return Ok(Some(unbuilt(round, position, &error))),
            Err(error) => return Err(error),
            Ok(false) => return Ok(None),
            Ok(true) => {}
        }
        let relative = PathBuf::from("records").join(case.slug()).join(format!("{round}.json"));
        let record = self.folder.join(&relative);
        if let Some(folder) = record.parent() {
            fs::create_dir_all(folder).map_err(RunError::io(folder))?;
        }
        let mut command = self.command(planned, folders, StepCache::of(case.scenario));
        if runner.is_buildscope() {
            command.arg("--record").arg(&record);
        }
        let (load, io_pressure) = (machine::load(), machine::pressure("io"));
        let before = cpu();
        let start = Instant::now();
        let Some(ended) = finish(command, stop).await? else { return Ok(None) };
        let wall = start.elapsed().as_secs_f64();
        let after = cpu();
        if !runner.is_buildscope() {
            explained(&ended.log(), &record)?;
        }
        let fault = if ended.status.success() {
            self.check(planned, folders, workload, &record, stop).await?
        } else {
            Some(format!("the build failed: {}", ended.tail()))
        };
        if stop.is_cancelled() {
            return Ok(None);
        }
        Ok(Some(Sample {
            round,
            position,
            wall,
            user: after.0 - before.0,
            system: after.1 - before.1,
            exit_code: ended.status.code(),
            load,
            io_pressure,
            record: record.is_file().then_some(relative),
            fault,
        }))
    }

    /// Builds once more and counts the system calls.
    async fn count(
        &self,
        planned: &PlannedCase,
        folders: &CaseFolders,
        round: u32,
        stop: &CancellationToken,
    ) -> Result<Counted, RunError> {
        match self.enter(planned, folders, round + 1, stop).await {
            Err(RunError::Prepare { .. }) => return Ok(Counted::Failed),
            Err(error) => return Err(error),
            Ok(false) => return Ok(Counted::Stopped),
            Ok(true) => {}
        }
        let counts = self.scratch.join("calls");
        let command = self.command(planned, folders, StepCache::of(planned.case.scenario));
        let Some(ended) = finish(calls::counted(&command, &counts), stop).await? else { return Ok(Counted::Stopped) };
        if !ended.status.success() {
            return Ok(Counted::Failed);
        }
        calls::read(&counts).map(Counted::Calls)
    }

    /// Checks the image of a build, outside of the measured time. The same build runs again from the cache and
    /// exports the image.
    async fn check(
        &self,
        planned: &PlannedCase,
        folders: &CaseFolders,
        workload: &Workload,
        record: &Path,
        stop: &CancellationToken,
    ) -> Result<Option<String>, RunError> {
        let PlannedCase { case, runner } = planned;
        if matches!(case.scenario, Scenario::Warm | Scenario::Imported)
            && runner.is_buildscope()
            && let Some(ran) = executed(record)
        {
            return Ok(Some(format!("a build with all steps cached ran `{ran}`")));
        }
        if workload.manifest.expect.is_empty() {
            return Ok(None);
        }
        let archive = self.archive();
        let command = match runner {
            Runner::Peer(peer) if !peer.can_be_checked() => return Ok(None),
            Runner::Peer(peer) => peer.save(&tag(case), &archive),
            Runner::Buildscope(_) => {
                let mut command = self.command(planned, folders, StepCache::Use);
                command.arg("--output").arg(format!("type=oci,dest={}", archive.display()));
                Some(command)
            }
        };
        if let Some(command) = command {
            let Some(ended) = finish(command, stop).await? else { return Ok(None) };
            if !ended.status.success() {
                return Ok(Some(format!("the image cannot be exported: {}", ended.tail())));
            }
        }
        let mut expect = workload.manifest.expect.clone();
        let fewer = matches!(runner, Runner::Peer(peer) if peer.leaves_out_empty_layers());
        if fewer || case.scenario == Scenario::Base {
            expect.image.layers = None; // the changed base has an additional layer
        }
        let faults = Image::read(&archive).map(|image| check_image(&image, &expect));
        Ok(match faults {
            Ok(faults) if faults.is_empty() => None,
            Ok(faults) => Some(faults.join("; ")),
            Err(error) => Some(format!("the image cannot be read: {error}")),
        })
    }
}

/// The result of a build whose system calls were to be counted.
enum Counted {
    Calls(Calls),
    /// The build failed.
    Failed,
    /// The run was interrupted.
    Stopped,
}

/// The sample of a build that did not start because its preparation failed.
fn unbuilt(round: u32, position: u32, error: &RunError) -> Sample {
    Sample {
        round,
        position,
        wall: 0.0,
        user: 0.0,
        system: 0.0,
        exit_code: None,
        load: None,
        io_pressure: None,
        record: None,
        fault: Some(error.to_string()),
    }
}

/// The name under which a peer stores the image of a case.
fn tag(case: &Case) -> String {
    format!("buildscope-bench/{}:latest", case.slug().to_ascii_lowercase())
}

/// The first RUN, COPY or ADD instruction that a build executed although its result should have been cached.
fn executed(record: &Path) -> Option<String> {
    let record: Record = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let work = |instruction: &str| matches!(instruction, "RUN" | "COPY" | "ADD");
    record
        .steps
        .into_iter()
        .find(|step| step.outcome == Outcome::Executed && work(&step.instruction))
        .map(|step| step.text)
}

/// Converts another builder's log to a build record and writes it. A log without steps gives no record.
fn explained(log: &[u8], record: &Path) -> Result<(), RunError> {
    let Ok(read) = buildscope_reports::import::import(log) else { return Ok(()) };
    let file = fs::File::create(record).map_err(RunError::io(record))?;
    read.write(file).map_err(|error| RunError::io(record)(std::io::Error::other(error)))
}

/// Measures a constant amount of work, hashing 16 MiB of zeros, in seconds.
fn canary() -> f64 {
    let zeros = vec![0; 16 << 20];
    let start = Instant::now();
    std::hint::black_box(Digest::of(std::hint::black_box(&zeros)));
    start.elapsed().as_secs_f64()
}

/// CPU time of all children reaped so far, in seconds: (user, system). Builds run one at a time, so the difference
/// between two calls belongs to the build between them.
fn cpu() -> (f64, f64) {
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or((0.0, 0.0), |usage| (seconds(usage.user_time()), seconds(usage.system_time())))
}

/// Formats a command as a user would type it, with only the file name of the program.
fn shell_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Removes contexts and stores when it is dropped, also after errors.
struct Scratch<'a>(&'a Path);

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // Failing to remove a folder that the user chose does not affect the numbers.
        let _ = fs::remove_dir_all(self.0);
    }
}
