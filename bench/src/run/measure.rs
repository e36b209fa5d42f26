//! The measuring itself.

use super::child::finish;
use super::place::Place;
use super::state::{PageCache, STATES};
use super::{Calls, Case, CaseSamples, Image, RUN_SCHEMA, Run, RunError, Sample, Way, calls, order, verify};
use crate::environment::{self, Environment};
use buildscope_record::{Digest, Outcome, Record};
use buildscope_workloads::{Scenario, Workload};
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    /// The workloads, by the name that cases call them.
    pub workloads: Vec<Workload>,
    /// The cases.
    pub cases: Vec<Case>,
    /// Builds a case, fixed before anything is measured: stopping when the numbers look good would bias them.
    pub runs: u32,
    /// Builds a case whose system calls are counted, after those that are timed.
    pub counted: u32,
    /// What the order comes from.
    pub seed: u64,
    /// The run's folder: `run.json` and the records go there.
    pub folder: PathBuf,
    /// A folder for contexts and stores, removed at the end. Its file system is what is measured.
    pub scratch: PathBuf,
    /// A folder of OCI layouts by name: the base images of real workloads.
    pub bases: Option<PathBuf>,
    /// What becomes of the page cache between builds.
    pub page_cache: PageCache,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Builds that are done.
    pub done: u32,
    /// Builds in all, timed and counted.
    pub total: u32,
    /// Since the first began.
    pub spent: Duration,
}

impl Progress {
    /// What is left, as far as can be said: all cases come once a round, so the mean of what was done is an honest measure of
    /// what is to come.
    pub fn left(&self) -> Duration {
        self.spent / self.done.max(1) * self.total.saturating_sub(self.done)
    }
}

/// A run that is killed loses no more than this, and the build at hand.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// Hears how a run goes.
pub trait Announce {
    /// The untimed first build of a case begins.
    fn preparing(&mut self, case: &Case);
    /// A sample was taken.
    fn sampled(&mut self, case: &Case, sample: &Sample, progress: Progress);
    /// A build whose system calls were counted; none if it could not be built so.
    fn counted(&mut self, case: &Case, calls: Option<&Calls>, progress: Progress);
    /// Everything measured so far is in the run, which was just written.
    fn kept(&mut self, run: &Run);
}

/// Measures the plan. When `stop` is cancelled, the build at hand is thrown away and what was measured is kept.
///
/// # Errors
/// Where nothing can be measured. A build that fails or gives the wrong image is a sample with a fault, no error.
pub async fn measure(plan: &Plan, announce: &mut impl Announce, stop: &CancellationToken) -> Result<Run, RunError> {
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

    let throttles = environment::throttles();
    let places = plan.prepare(&mut run, announce, stop).await?;

    let prepared = || plan.cases.iter().zip(&places).filter_map(|(case, place)| Some((case, place.as_ref()?)));
    let own = prepared().filter(|(case, _)| matches!(case.subject.way, Way::Own(_))).count();
    let total = plan.runs * prepared().count() as u32 + plan.counted * own as u32;
    let (began, mut position, mut kept) = (Instant::now(), 0, Instant::now());
    let mut keep = |run: &Run, announce: &mut dyn Announce, at_least: Duration| -> Result<(), RunError> {
        if kept.elapsed() >= at_least {
            run.write(&plan.folder)?;
            announce.kept(run);
            kept = Instant::now();
        }
        Ok(())
    };
    'rounds: for (round, indices) in (0..).zip(order::order(places.len(), plan.runs, plan.seed)) {
        if run.interrupted {
            break;
        }
        run.canary.push(canary());
        for index in indices {
            let (case, Some(place)) = (&plan.cases[index], &places[index]) else { continue };
            let Some(sample) = plan.sample(case, place, round, position, stop).await? else {
                run.interrupted = true;
                break 'rounds;
            };
            position += 1;
            announce.sampled(case, &sample, Progress { done: position, total, spent: began.elapsed() });
            run.cases[index].samples.push(sample);
            keep(&run, announce, KEEP_EVERY)?;
        }
        run.throttled = environment::throttles().zip(throttles).map(|(now, before)| now.saturating_sub(before));
        keep(&run, announce, Duration::ZERO)?;
    }
    'counted: for round in plan.runs..plan.runs + plan.counted {
        if run.interrupted {
            break;
        }
        for (index, place) in places.iter().enumerate() {
            let (case, Some(place)) = (&plan.cases[index], place) else { continue };
            if !matches!(case.subject.way, Way::Own(_)) {
                continue; // what another builder asks for, its daemon asks for
            }
            let Some(calls) = plan.count(case, place, round, stop).await? else {
                run.interrupted = true;
                break 'counted;
            };
            position += 1;
            announce.counted(case, calls.as_ref(), Progress { done: position, total, spent: began.elapsed() });
            run.cases[index].calls.extend(calls);
            keep(&run, announce, KEEP_EVERY)?;
        }
    }
    run.write(&plan.folder)?;
    Ok(run)
}

impl Plan {
    pub(super) fn workload(&self, case: &Case) -> &Workload {
        let found = self.workloads.iter().find(|workload| workload.name == case.workload);
        found.expect("a plan's cases name its workloads")
    }

    /// The build of a case.
    fn command(&self, case: &Case, place: &Place, no_cache: bool) -> Command {
        match &case.subject.way {
            Way::Peer(peer) => {
                peer.command(&place.context, &tag(case), no_cache, self.bases.as_deref(), &self.archive())
            }
            Way::Own(binary) => {
                let mut command = case.subject.command(binary, &place.store, &place.context, no_cache);
                self.tell(&mut command, case, self.workload(case), place);
                command
            }
            Way::Past => Command::new("false"),
        }
    }

    /// Where an image is written for checking.
    fn archive(&self) -> PathBuf {
        self.scratch.join("image.tar")
    }

    /// Makes each case's folders and builds in them once, untimed. A case of which that fails has no place: its fault is a sample,
    /// and the others go on. Where nobody can build a workload, or another builder cannot, it is what the run was asked for.
    async fn prepare(
        &self,
        run: &mut Run,
        announce: &mut impl Announce,
        stop: &CancellationToken,
    ) -> Result<Vec<Option<Place>>, RunError> {
        let mut places = Vec::new();
        for group in self.cases.chunk_by(Case::same_group) {
            let mut failed = Vec::new();
            for case in group {
                announce.preparing(case);
                let place = Place::make(&self.scratch, &case.slug(), self.workload(case), case.scenario)?;
                let Some(ended) = finish(self.command(case, &place, false), stop).await? else {
                    run.interrupted = true;
                    return Ok(places);
                };
                let shown = Place::shown(&case.workload);
                let command = shell_line(&self.command(case, &shown, case.scenario == Scenario::Cold));
                let mut samples = Vec::new();
                places.push(match ended.prepared(case) {
                    Ok(()) => Some(place),
                    Err(error) if matches!(case.subject.way, Way::Peer(_)) => return Err(error),
                    Err(error) => {
                        samples.push(Sample::without_a_build(0, 0, &error));
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
        Ok(places)
    }

    async fn sample(
        &self,
        case: &Case,
        place: &Place,
        round: u32,
        position: u32,
        stop: &CancellationToken,
    ) -> Result<Option<Sample>, RunError> {
        let workload = self.workload(case);
        match self.enter(case, place, round + 1, stop).await {
            Err(error @ RunError::Prepare { .. }) => return Ok(Some(Sample::without_a_build(round, position, &error))),
            Err(error) => return Err(error),
            Ok(false) => return Ok(None),
            Ok(true) => {}
        }
        let relative = PathBuf::from("records").join(case.slug()).join(format!("{round}.json"));
        let record = self.folder.join(&relative);
        if let Some(folder) = record.parent() {
            fs::create_dir_all(folder).map_err(RunError::io(folder))?;
        }
        let mut command = self.command(case, place, case.scenario == Scenario::Cold);
        if matches!(case.subject.way, Way::Own(_)) {
            command.arg("--record").arg(&record);
        }
        let (load, io_pressure) = (environment::load(), environment::pressure("io"));
        let before = cpu();
        let start = Instant::now();
        let Some(ended) = finish(command, stop).await? else { return Ok(None) };
        let wall = start.elapsed().as_secs_f64();
        let after = cpu();
        if matches!(case.subject.way, Way::Peer(_)) {
            explained(&ended.log(), &record)?;
        }
        let fault = if ended.status.success() {
            self.check(case, place, workload, &record, stop).await?
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

    /// Builds once more and counts the system calls; an inner none if that failed, an outer one if it was stopped.
    async fn count(
        &self,
        case: &Case,
        place: &Place,
        round: u32,
        stop: &CancellationToken,
    ) -> Result<Option<Option<Calls>>, RunError> {
        match self.enter(case, place, round + 1, stop).await {
            Err(RunError::Prepare { .. }) => return Ok(Some(None)),
            Err(error) => return Err(error),
            Ok(false) => return Ok(None),
            Ok(true) => {}
        }
        let counts = self.scratch.join("calls");
        let command = self.command(case, place, case.scenario == Scenario::Cold);
        let Some(ended) = finish(calls::counted(&command, &counts), stop).await? else { return Ok(None) };
        if !ended.status.success() {
            return Ok(Some(None));
        }
        calls::read(&counts).map(|calls| Some(Some(calls)))
    }

    /// Looks at what the build gave, outside the measured time: the same build again, now from the
    /// cache, writes the image out.
    async fn check(
        &self,
        case: &Case,
        place: &Place,
        workload: &Workload,
        record: &Path,
        stop: &CancellationToken,
    ) -> Result<Option<String>, RunError> {
        if matches!(case.scenario, Scenario::Warm | Scenario::Imported)
            && matches!(case.subject.way, Way::Own(_))
            && let Some(ran) = executed(record)
        {
            return Ok(Some(format!("a build whose steps are all cached ran `{ran}`")));
        }
        let archive = self.archive();
        let command = match &case.subject.way {
            Way::Peer(peer) if !peer.can_be_checked() => return Ok(None),
            Way::Peer(peer) => peer.save(&tag(case), &archive),
            Way::Own(_) | Way::Past => {
                let mut command = self.command(case, place, false);
                command.arg("--output").arg(format!("type=oci,dest={}", archive.display()));
                Some(command)
            }
        };
        if let Some(command) = command {
            let Some(ended) = finish(command, stop).await? else { return Ok(None) };
            if !ended.status.success() {
                return Ok(Some(format!("the image cannot be written out: {}", ended.tail())));
            }
        }
        let mut expect = workload.manifest.expect.clone();
        let fewer = matches!(&case.subject.way, Way::Peer(peer) if peer.leaves_out_empty_layers());
        if fewer || case.scenario == Scenario::Base {
            expect.image.layers = None; // the changed base has one more
        }
        let faults = Image::read(&archive).map(|image| verify(&image, &expect));
        Ok(match faults {
            Ok(faults) if faults.is_empty() => None,
            Ok(faults) => Some(faults.join("; ")),
            Err(error) => Some(format!("the image cannot be read: {error}")),
        })
    }
}

/// What a peer names the image of a case.
fn tag(case: &Case) -> String {
    format!("buildscope-bench/{}:latest", case.slug().to_ascii_lowercase())
}

/// The first instruction that a build ran although its result should have been in the cache.
fn executed(record: &Path) -> Option<String> {
    let record: Record = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let work = |instruction: &str| matches!(instruction, "RUN" | "COPY" | "ADD");
    record
        .steps
        .into_iter()
        .find(|step| step.outcome == Outcome::Executed && work(&step.instruction))
        .map(|step| step.text)
}

/// Reads another builder's log as a build record and writes that; a log that says nothing of steps leaves none.
fn explained(log: &[u8], record: &Path) -> Result<(), RunError> {
    let Ok(read) = buildscope_reports::import::import(log) else { return Ok(()) };
    let file = fs::File::create(record).map_err(RunError::io(record))?;
    read.write(file).map_err(|error| RunError::io(record)(std::io::Error::other(error)))
}

/// The same work every time: hashing 16 MiB of zeros. Seconds.
fn canary() -> f64 {
    let zeros = vec![0; 16 << 20];
    let start = Instant::now();
    std::hint::black_box(Digest::of(std::hint::black_box(&zeros)));
    start.elapsed().as_secs_f64()
}

/// CPU time of all children reaped so far, in seconds: (user, system). One build runs at a time, so
/// the difference is that build's.
fn cpu() -> (f64, f64) {
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or((0.0, 0.0), |usage| (seconds(usage.user_time()), seconds(usage.system_time())))
}

/// As one would type it; the program by its name alone.
fn shell_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Removes contexts and stores however the run ends.
struct Scratch<'a>(&'a Path);

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed is in a folder that the user chose; the numbers are good all the same.
        let _ = fs::remove_dir_all(self.0);
    }
}
