//! Running the engine with all that observes it: the record, the processes inside steps, the summary, and what is demanded of a
//! build. `build` and `bake` differ only in the work.

mod budget;
mod flags;
mod kept;
mod output;

pub(crate) use flags::RecordingFlags;

use super::progress::ProgressMode;
use super::{interrupt, profile, progress, scheduling, subscriber};
use crate::builds::KeptBuild;
use crate::output::{is_stdout, write_whole};
use crate::{Failure, builds, explain, otlp, write_message};
use buildscope_builder::engine::{Engine, LoadMeter, Outcome, Progress, Setting, record as record_of};
use buildscope_observe::{Collect, Observer};
use buildscope_record::{self as record, Collector, Delay, Delayed, Nanos, Phase, Probe, Record};
use buildscope_reports::explain_with;
use buildscope_sandbox::{self as sandbox, Isolation, Zygote};
use buildscope_storage::{Store, StoreOptions};
use kept::{Keeping, Recorded, Summary};
use miette::{IntoDiagnostic, WrapErr, miette};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use output::OutputLines;
use parking_lot::Mutex;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The recording of a build: what is observed, where it is written, and which limits apply.
#[derive(Debug)]
pub(in crate::builder) struct Recording {
    pub(in crate::builder) root: PathBuf,
    pub(in crate::builder) progress: ProgressMode,
    /// The names of the images, for the list of builds.
    tags: Vec<String>,
    record: Option<PathBuf>,
    /// The options for keeping the record in the store; `None` for `--no-record`.
    keeping: Option<Keeping>,
    summary: Summary,
    budget: Option<Duration>,
    /// The share by which the build may take longer than the median of earlier ones.
    max_regression: Option<f64>,
    trace: Option<PathBuf>,
    engine_trace: Option<PathBuf>,
    /// The data that are collected of the processes inside the steps of a recorded build, if any.
    processes: Option<Collect>,
    /// Whether the record is written to a file, or something that is printed comes from it.
    uses_record: bool,
    expect_cached: bool,
    /// The earlier builds that `--expect-cached` compares with, as `--why-miss` names them.
    why_miss: Vec<Record>,
}

/// For experiments: what is delayed, and where a profile of the builder goes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::builder) struct Experiment<'e> {
    pub(in crate::builder) delay: Option<&'e (Delayed, Duration)>,
    pub(in crate::builder) pprof: Option<&'e Path>,
}

/// Work that has ended, with its record.
#[must_use = "the results are written by `conclude`"]
pub(in crate::builder) struct EndedWork<'r, T> {
    recording: &'r Recording,
    outcome: Outcome,
    /// The result of the work besides the outcome.
    rest: T,
    recorded: Option<Recorded<'r>>,
    /// The first failure of what was written meanwhile.
    written: Result<(), Failure>,
}

impl Recording {
    /// Whether the build is recorded.
    fn wants_record(&self) -> bool {
        self.uses_record || otlp::endpoint_of_environment().is_some() || self.keeping.is_some()
    }

    /// Runs `work` on an engine. `setting` describes it for the record. `began` is when the program started.
    pub(in crate::builder) fn run<T>(
        &self,
        store: &StoreOptions,
        experiment: Experiment<'_>,
        began: Instant,
        setting: impl FnOnce(&Store) -> Setting,
        work: impl AsyncFnOnce(&Engine, &Probe, Arc<dyn Progress>, CancellationToken) -> (Outcome, T),
    ) -> Result<EndedWork<'_, T>, Failure> {
        // The time to load the program is not part of the build.
        let loaded = cpu_time(UsageWho::RUSAGE_SELF).unwrap_or_default();
        // Before any thread exists: a process with threads cannot create a user namespace.
        let isolation = sandbox::isolate_process().map_err(Failure::internal)?;
        if let Isolation::SingleId { reason } = &isolation {
            write_message(&format!("warning: {reason}"));
        }
        let records = self.wants_record();
        let (zygote, observer) = observed_zygote(self.processes.filter(|_| records));
        let listening = subscriber::listen(records, self.engine_trace.as_deref())?;
        let profile = profile::Profile::start(experiment.pprof)?;
        let meter = if records { LoadMeter::start() } else { None };
        let collector = Collector::start(began);
        let opened = Instant::now();
        let engine = Engine { store: Store::open(&self.root, store.clone()).map_err(Failure::internal)?, zygote };
        // The first phase covers everything until the Dockerfile is read.
        collector.interval(Phase::SandboxSetup, None, None, began, opened);
        collector.interval(Phase::SnapshotPrepare, None, None, opened, Instant::now());

        let probe = experiment.delayed(collector.probe());
        let span = probe.phase(Phase::Dispatch);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
        span.end();
        let cancel = CancellationToken::new();
        interrupt::watch(cancel.clone(), interrupt::GRACE).map_err(Failure::internal)?;
        let progress = progress::view(self.progress, || kept::expected(self));
        let lines = OutputLines::new(progress);
        let progress: Arc<dyn Progress> = if records { Arc::clone(&lines) as _ } else { lines.view() };
        let (outcome, rest) = runtime.block_on(work(&engine, &probe, progress, cancel));
        let profiled = profile.map_or(Ok(()), profile::Profile::finish);
        let machine = meter.and_then(LoadMeter::stop);
        // The record is written while zygote, threads and store shut down, so that recording does not prolong the build.
        let Engine { store, zygote } = engine;
        // The time to create the record is not part of the build.
        let own = cpu_time(UsageWho::RUSAGE_SELF).map(|own| own.saturating_sub(loaded));
        let setting = records.then(|| setting(&store));
        let (recorded, written) = std::thread::scope(|scope| {
            let stored = scope.spawn(|| drop((runtime, store)));
            let helped = scope.spawn(|| own.zip(cpu_of_children(zygote)).map(|(own, children)| own + children));
            let record = setting.map(|setting| {
                let zero = Cell::new(began);
                let processes = |epoch| {
                    zero.set(epoch);
                    observer.lock().take().map(|observer| observer.finish(epoch)).unwrap_or_default()
                };
                let mut record = record_of(&outcome, collector, setting, processes, || joined(helped));
                lines.enter(&mut record, zero.get());
                record.load = machine.zip(record.cpu).map(|(machine, own)| machine.of_others(own));
                record.without_credentials()
            });
            let (kept, written) = record.as_ref().map_or((None, Ok(())), |record| self.store(record));
            joined(stored);
            (record.map(|record| Recorded::new(self, record, kept)), written)
        });
        let written = first_of([written, listening.finish(), profiled]);
        Ok(EndedWork { recording: self, outcome, rest, recorded, written })
    }

    /// Keeps the record in the store and writes it to the file that the user named, both at the same time.
    fn store(&self, record: &Record) -> (Option<KeptBuild>, Result<(), Failure>) {
        std::thread::scope(|scope| {
            let writing = self.record.as_ref().map(|path| scope.spawn(move || write_record(path, record)));
            (kept::keep(self, record), writing.map_or(Ok(()), joined))
        })
    }
}

/// The zygote of a build, and the observer of the processes that it starts. A build without processes starts neither.
fn observed_zygote(collect: Option<Collect>) -> (Arc<Zygote>, Arc<Mutex<Option<Observer>>>) {
    let observer = Arc::<Mutex<Option<Observer>>>::default();
    let started = Arc::clone(&observer);
    let observe = move || {
        let prepared = collect.and_then(|collect| Observer::prepare(collect, scheduling::set));
        move |pid| {
            *started.lock() = prepared.and_then(|prepared| prepared.of(pid));
            // Processes that start before it is ready are not observed.
            started.lock().iter().for_each(Observer::wait_until_ready);
        }
    };
    (Arc::new(Zygote::on_demand(observe)), observer)
}

impl Experiment<'_> {
    fn delayed(self, probe: Probe) -> Probe {
        match self.delay.cloned() {
            Some((delayed, length)) => probe.delayed(Delay::new(delayed, length, delay)),
            None => probe,
        }
    }
}

impl<T> EndedWork<'_, T> {
    /// Lets `finish` write the results, describes the build, and checks its limits. A file that cannot be written must not hide the outcome
    /// of the build.
    pub(in crate::builder) fn conclude(
        self,
        finish: impl FnOnce(Outcome, T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { recording, outcome, rest, recorded, written } = self;
        let concluded = || {
            let recorded = recorded.as_ref();
            let drawn = match (&recording.trace, recorded) {
                (Some(path), Some(recorded)) => explain::write_timeline(path, &recorded.record, recorded.explanation()),
                _ => Ok(()),
            };
            let missed = match recorded {
                Some(recorded) if recording.expect_cached && outcome.result.is_ok() => {
                    expect_cached(recording, recorded)
                }
                _ => Ok(()),
            };
            let finished = finish(outcome, rest);
            if let Some(recorded) = recorded {
                recorded.send();
            }
            if let Some(recorded) = recorded {
                recorded.summarize();
            }
            finished?;
            if let Some(recorded) = recorded {
                budget::check(recording, recorded)?;
            }
            first_of([missed, drawn])
        };
        first_of([concluded(), written])
    }
}

/// The first failure. Further ones are reported as warnings.
pub(in crate::builder) fn first_of(results: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    let mut failures = results.into_iter().filter_map(Result::err);
    let first = failures.next();
    failures.for_each(|failure| write_message(&format!("warning: {failure}")));
    first.map_or(Ok(()), Err)
}

/// Delays for exactly the requested time. A sleep ends some tenths of a millisecond late, so the last part is a busy
/// wait.
fn delay(length: Duration) {
    const LATE: Duration = Duration::from_micros(400);
    let until = Instant::now() + length;
    tokio::task::block_in_place(|| {
        std::thread::sleep(length.saturating_sub(LATE));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    });
}

fn write_record(path: &Path, record: &Record) -> Result<(), Failure> {
    if is_stdout(path) {
        return builds::write_record(None, record);
    }
    let written = write_whole(path, |file| record.write(file)).into_diagnostic();
    written.wrap_err_with(|| format!("cannot write the record to {}", path.display())).map_err(Failure::Usage)
}

/// Joins a thread and continues its panic here. The thread has already printed the panic message.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The CPU time of the zygote and all steps; `None` if a step is still running. It is known when the zygote has
/// exited.
fn cpu_of_children(zygote: Arc<Zygote>) -> Option<Nanos> {
    drop(Arc::into_inner(zygote)?);
    cpu_time(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_time(who: UsageWho) -> Option<Nanos> {
    let usage = getrusage(who).ok()?;
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).ok();
    Some(Nanos((micros(usage.user_time())? + micros(usage.system_time())?) * 1_000))
}

/// Fails with the reasons if steps missed the cache.
fn expect_cached(recording: &Recording, recorded: &Recorded<'_>) -> Result<(), Failure> {
    let record = &recorded.record;
    let ran: Vec<_> = record
        .steps
        .iter()
        .filter(|step| step.instruction.adds_layer() && step.outcome == record::Outcome::Executed)
        .collect();
    if ran.is_empty() {
        return Ok(());
    }
    let of_named;
    let explanation = if recording.why_miss.is_empty() {
        recorded.explanation()
    } else {
        of_named = explain_with(record, &recording.why_miss);
        &of_named
    };
    let reason = |step: &&record::Step| match &explanation.steps[step.id.index()].miss {
        Some(why) => format!("  {why}"),
        None => format!("  `{}`", step.text),
    };
    let (reasons, help): (Vec<String>, _) = if recording.why_miss.is_empty() && recorded.before().is_none() {
        let help = "give the record of an earlier build to see what changed: --why-miss RECORD";
        (ran.iter().map(reason).collect(), help)
    } else {
        let reasons = explanation.misses.iter().map(|miss| format!("  {}", miss.sentence));
        (reasons.collect(), "`buildscope explain --why-miss` explains more")
    };
    let (count, reasons) = (ran.len(), reasons.join("\n"));
    Err(Failure::failed(miette!(help = help, "{count} steps ran although all were expected in the cache:\n{reasons}")))
}
