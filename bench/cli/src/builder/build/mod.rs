//! `buildscope build`.

mod arguments;
mod budget;
mod call;
mod check;
mod docker_flags;
mod kept;
mod options;
mod run_options;

pub(crate) use arguments::{Arguments, ProgressMode};
pub(super) use call::Subrequest;
pub(super) use docker_flags::DockerFlags;
pub(super) use options::Options;

use super::{interrupt, observe, profile, progress};
use crate::output::{write_file, write_whole};
use crate::{Failure, explain, write_message, write_out};
use buildscope_builder::engine::{self, BuildError, Built, Engine, Outcome};
use buildscope_observe::Observer;
use buildscope_oci::Reference;
use buildscope_record::{self as record, Collector, Phase};
use buildscope_reports::explain_with;
use buildscope_sandbox::{self as sandbox, Isolation, Zygote};
use buildscope_storage::Store;
use kept::Recorded;
use miette::{IntoDiagnostic, WrapErr, miette};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Builds an image.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    // The time to load the program is not part of the build.
    let loaded = cpu_time(UsageWho::RUSAGE_SELF).unwrap_or_default();
    let options = arguments.resolve()?;
    if let Some(subject) = check::subject(&options)? {
        if options.call.subrequest != Subrequest::Build {
            return subject.answer(options.call);
        }
        subject.check_if_demanded()?;
    }
    // Both must happen before any thread exists: a process with threads cannot create a user namespace. The zygote,
    // which starts the steps, prepares itself meanwhile.
    let isolation = sandbox::isolate_process().map_err(Failure::internal)?;
    let zygote = Arc::new(Zygote::start().map_err(Failure::internal)?);
    warn(&isolation);

    let records = options.wants_record();
    // The kernel prepares events while the store is opened.
    let collect = options.processes.filter(|_| records);
    let observer = collect.and_then(|collect| Observer::start(zygote.pid(), collect));
    let listening = observe::listen(records, options.engine_trace.as_deref())?;
    let profile = profile::Profile::start(options.pprof.as_deref())?;
    let meter = if records { engine::LoadMeter::start() } else { None };
    let collector = Collector::start(began);
    let opened = Instant::now();
    let store = Store::open(&options.root, options.store.clone()).map_err(Failure::internal)?;
    let engine = Engine { store, zygote };
    // The first phase covers everything until the Dockerfile is read.
    collector.interval(Phase::SandboxSetup, None, None, began, opened);
    collector.interval(Phase::SnapshotPrepare, None, None, opened, Instant::now());

    let mut probe = collector.probe();
    if let Some((delayed, length)) = options.delay.clone() {
        probe = probe.delayed(record::Delay::new(delayed, length, delay));
    }
    let span = probe.phase(Phase::Dispatch);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    span.end();
    let cancel = CancellationToken::new();
    interrupt::watch(cancel.clone(), interrupt::GRACE).map_err(Failure::internal)?;
    let progress = progress::view(options.progress, || kept::expected(&options));
    // Processes that start before it is ready are not observed.
    observer.iter().for_each(Observer::wait_until_ready);
    let outcome = runtime.block_on(engine::build(&engine, &options.request, &probe, progress, cancel));
    let profiled = profile.map_or(Ok(()), profile::Profile::finish);
    let machine = meter.and_then(engine::LoadMeter::stop);
    // The record is written while zygote, threads and store shut down, so that recording does not prolong the build.
    let Engine { store, zygote } = engine;
    // The time to create the record is not part of the build.
    let own = cpu_time(UsageWho::RUSAGE_SELF).map(|own| own.saturating_sub(loaded));
    let setting = records.then(|| engine::Setting::of(&options.request, &store));
    let (record, written) = std::thread::scope(|scope| {
        let stored = scope.spawn(|| drop((runtime, store)));
        let helped = scope.spawn(|| own.zip(cpu_of_children(zygote)).map(|(own, children)| own + children));
        let record = setting.map(|setting| {
            let processes = |epoch| observer.map(|observer| observer.finish(epoch)).unwrap_or_default();
            let mut record = engine::record(&outcome, collector, setting, processes, || joined(helped));
            record.load = machine.zip(record.cpu).map(|(machine, own)| machine.of_others(own));
            record
        });
        let kept = record.as_ref().and_then(|record| kept::keep(&options, record));
        let written = record.as_ref().map_or(Ok(()), |record| write_record(&options, record));
        joined(stored);
        (record.map(|record| Recorded::new(&options, record, kept)), written)
    });
    // A file that cannot be written must not hide the outcome of the build.
    first_of([conclude(&options, record.as_ref(), outcome), written, listening.finish(), profiled])
}

/// The first failure. Further ones are reported as warnings.
fn first_of(results: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    let mut failures = results.into_iter().filter_map(Result::err);
    let first = failures.next();
    failures.for_each(|failure| write_message(&format!("warning: {failure}")));
    first.map_or(Ok(()), Err)
}

/// Writes the results of a build, describes it, and checks what was demanded of it.
fn conclude(options: &Options, recorded: Option<&Recorded<'_>>, outcome: Outcome) -> Result<(), Failure> {
    let drawn = match (&options.trace, recorded) {
        (Some(path), Some(recorded)) => explain::write_timeline(path, &recorded.record, recorded.explanation()),
        _ => Ok(()),
    };
    let missed = match recorded {
        Some(recorded) if options.expect_cached && outcome.result.is_ok() => expect_cached(options, recorded),
        _ => Ok(()),
    };
    let finished = finish(options, outcome);
    if let Some(recorded) = recorded {
        recorded.send();
    }
    finished?;
    if let Some(recorded) = recorded {
        recorded.summarize();
        budget::check(options, recorded)?;
    }
    first_of([missed, drawn])
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

/// Joins a thread and continues its panic here. The thread has already printed the panic message.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The CPU time of the zygote and all steps; `None` if a step is still running. It is known when the zygote has
/// exited.
fn cpu_of_children(zygote: Arc<Zygote>) -> Option<record::Nanos> {
    drop(Arc::into_inner(zygote)?);
    cpu_time(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_time(who: UsageWho) -> Option<record::Nanos> {
    let usage = getrusage(who).ok()?;
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).ok();
    Some(record::Nanos((micros(usage.user_time())? + micros(usage.system_time())?) * 1_000))
}

/// Fails with the reasons if steps missed the cache.
fn expect_cached(options: &Options, recorded: &Recorded<'_>) -> Result<(), Failure> {
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
    let explanation = if options.why_miss.is_empty() {
        recorded.explanation()
    } else {
        of_named = explain_with(record, &options.why_miss);
        &of_named
    };
    let reason = |step: &&record::Step| match &explanation.steps[step.id.index()].miss {
        Some(why) => format!("  {why}"),
        None => format!("  `{}`", step.text),
    };
    let (reasons, help): (Vec<String>, _) = if options.why_miss.is_empty() && recorded.before().is_none() {
        let help = "give the record of an earlier build to see what changed: --why-miss RECORD";
        (ran.iter().map(reason).collect(), help)
    } else {
        let reasons = explanation.misses.iter().map(|miss| format!("  {}", miss.sentence));
        (reasons.collect(), "`buildscope explain --why-miss` explains more")
    };
    let (count, reasons) = (ran.len(), reasons.join("\n"));
    Err(Failure::failed(miette!(help = help, "{count} steps ran although all were expected in the cache:\n{reasons}")))
}

fn warn(isolation: &Isolation) {
    if let Isolation::SingleId { reason } = isolation {
        write_message(&format!("warning: {reason}"));
    }
}

fn write_record(options: &Options, record: &record::Record) -> Result<(), Failure> {
    if let Some(path) = &options.record {
        let written = write_whole(path, |file| record.write(file)).into_diagnostic();
        written.wrap_err_with(|| format!("writing the record to {}", path.display())).map_err(Failure::Usage)?;
    }
    Ok(())
}

/// Reports the outcome: the image ID on standard output, or the error.
fn finish(options: &Options, outcome: Outcome) -> Result<(), Failure> {
    let built = match outcome.result {
        Ok(built) => built,
        Err(error) if is_ours(&error) => return Err(Failure::Internal(error.into())),
        Err(error) => return Err(Failure::failed(error)),
    };
    if !options.request.writes_to_stdout() {
        write_out(&format!("{}\n", id(&built)));
    }
    let identified = options.iidfile.as_ref().map_or(Ok(()), |path| write_file(path, id(&built)));
    let described = options.metadata_file.as_ref().map_or(Ok(()), |path| {
        let names: Vec<Reference> = options.request.tags.iter().filter_map(|tag| tag.parse().ok()).collect();
        let metadata = built.exported.first().map(|exported| {
            let digest = exported.target.digest.to_manifest();
            let canonical = names.iter().filter(|_| options.request.names_canonically());
            let canonical = canonical.map(|name| Reference { digest: Some(digest), ..name.clone() });
            let names: Vec<_> = names.iter().cloned().chain(canonical).collect();
            exported.metadata(&names, &built.provenance)
        });
        // Without an output there is no manifest: the image is known by its configuration.
        let of_store = || serde_json::json!({ "containerimage.config.digest": id(&built) });
        write_file(path, format!("{:#}\n", metadata.unwrap_or_else(of_store)))
    });
    first_of([identified, described])
}

/// The image ID as docker prints it; empty if no image was stored or written.
fn id(built: &Built) -> String {
    built.id.map(|digest| digest.to_string()).unwrap_or_default()
}

/// Whether the store or the machine failed, as opposed to the Dockerfile or its inputs.
fn is_ours(error: &BuildError) -> bool {
    matches!(error, BuildError::Storage(_))
}
