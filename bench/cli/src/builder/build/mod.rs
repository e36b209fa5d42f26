//! `buildscope build`.

mod arguments;
mod check;
mod options;
mod run_options;

pub(crate) use arguments::{Arguments, ProgressMode};

use super::{observe, profile, progress};
use crate::{Failure, explain, say};
use buildscope_builder::engine::{self, BuildError, Built, Engine, Outcome};
use buildscope_observe::Observer;
use buildscope_oci::Reference;
use buildscope_record::{self as record, Collector, Phase};
use buildscope_reports::explain_with;
use buildscope_sandbox::{self as sandbox, Isolation, Zygote};
use buildscope_storage::Store;
use miette::{IntoDiagnostic, WrapErr, miette};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use options::Options;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Builds an image.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    // Loading the program is not the build's.
    let loaded = cpu_time(UsageWho::RUSAGE_SELF).unwrap_or_default();
    let options = arguments.resolve()?;
    if let Some(subject) = check::subject(&options)? {
        if options.check {
            return subject.check();
        }
        subject.check_if_demanded()?;
    }
    // Both before any thread exists: a user namespace takes no process that has threads, and the helper that starts the
    // steps makes itself ready meanwhile.
    let isolation = sandbox::isolate_process().map_err(Failure::internal)?;
    let zygote = Arc::new(Zygote::start().map_err(Failure::internal)?);
    warn(&isolation);

    let records = options.record.is_some() || options.trace.is_some() || options.expect_cached;
    // It has to be there before the first step is: what the helper started earlier would not be seen.
    let observer = if records && options.processes { Observer::start(zygote.pid()) } else { None };
    let listening = observe::listen(records, options.engine_trace.as_deref())?;
    let profile = profile::Profile::start(options.pprof.as_deref())?;
    let collector = Collector::start(began);
    let opened = Instant::now();
    let store = Store::open(&options.root, options.store.clone()).map_err(Failure::internal)?;
    let engine = Engine { store, zygote };
    // Whatever comes before the first word of the Dockerfile is read.
    collector.interval(Phase::SandboxSetup, None, None, began, opened);
    collector.interval(Phase::SnapshotPrepare, None, None, opened, Instant::now());

    let mut probe = collector.probe();
    if let Some((delayed, length)) = options.delay.clone() {
        probe = probe.delayed(record::Delay::new(delayed, length, delay));
    }
    let span = probe.phase(Phase::Dispatch);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    span.end();
    let outcome = runtime.block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(interrupted(cancel.clone()));
        engine::build(&engine, &options.request, &probe, progress::view(options.progress), cancel).await
    });
    if let Some(profile) = profile {
        profile.finish()?;
    }
    // The record is made and written while helper, threads and store end: recording shall not make a build longer.
    let Engine { store, zygote } = engine;
    // What making the record takes is not the build's.
    let own = cpu_time(UsageWho::RUSAGE_SELF).map(|own| own.saturating_sub(loaded));
    let setting = records.then(|| engine::Setting::of(&options.request, &store));
    let record = std::thread::scope(|scope| {
        let stored = scope.spawn(|| drop((runtime, store)));
        let helped = scope.spawn(|| own.zip(cpu_of_children(zygote)).map(|(own, children)| own + children));
        let record = setting.map(|setting| {
            let processes = |epoch| observer.map(|observer| observer.finish(epoch)).unwrap_or_default();
            engine::record(&outcome, collector, setting, processes, || joined(helped))
        });
        let written = record.as_ref().map_or(Ok(()), |record| write_record(&options, record));
        joined(stored);
        written.map(|()| record)
    })?;
    drop(listening);
    let missed = match &record {
        Some(record) if options.expect_cached && outcome.result.is_ok() => expect_cached(record, &options.why_miss),
        _ => Ok(()),
    };
    finish(&options, outcome)?;
    missed
}

/// A delay that is as long as was asked for: a sleep ends some tenths of a millisecond late, so the last of them are
/// spent looking at the clock.
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

/// What a thread of ours gave; its panic, which has been told there, goes on here.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What the helper and all steps used; none where a step is still about. It is known when the helper has ended.
fn cpu_of_children(zygote: Arc<Zygote>) -> Option<record::Nanos> {
    drop(Arc::into_inner(zygote)?);
    cpu_time(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_time(who: UsageWho) -> Option<record::Nanos> {
    let usage = getrusage(who).ok()?;
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).ok();
    Some(record::Nanos((micros(usage.user_time())? + micros(usage.system_time())?) * 1_000))
}

/// Fails with the reasons where steps were not in the cache.
fn expect_cached(record: &record::Record, earlier: &[PathBuf]) -> Result<(), Failure> {
    let ran: Vec<_> =
        record.steps.iter().filter(|step| step.adds_layer() && step.outcome == record::Outcome::Executed).collect();
    if ran.is_empty() {
        return Ok(());
    }
    let earlier = earlier.iter().map(|path| explain::read(path)).collect::<Result<Vec<_>, _>>()?;
    let explanation = explain_with(record, &earlier);
    let reasons: Vec<String> = match earlier.is_empty() {
        true => ran
            .iter()
            .map(|step| match &explanation.steps[step.id.index()].miss {
                Some(why) => format!("  {why}"),
                None => format!("  `{}`", step.text),
            })
            .collect(),
        false => explanation.misses.iter().map(|miss| format!("  {}", miss.sentence)).collect(),
    };
    let help = match earlier.is_empty() {
        true => "what changed is said against the record of an earlier build: --why-miss RECORD",
        false => "`buildscope explain --why-miss` says more of the build's time",
    };
    let (count, reasons) = (ran.len(), reasons.join("\n"));
    Err(Failure::failed(miette!(
        help = help,
        "{count} of the steps ran, though all were expected in the cache:\n{reasons}"
    )))
}

/// The first Ctrl-C (or SIGTERM) cancels the build, which then cleans up.
async fn interrupted(cancel: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    cancel.cancel();
}

fn warn(isolation: &Isolation) {
    if let Isolation::SingleId { reason } = isolation {
        eprintln!("warning: {reason}");
    }
}

fn write_record(options: &Options, record: &record::Record) -> Result<(), Failure> {
    if let Some(path) = &options.record {
        let write = || -> miette::Result<()> {
            let file = fs::File::create(path).into_diagnostic()?;
            record.write(file).into_diagnostic()
        };
        write().wrap_err_with(|| format!("writing the record to {}", path.display())).map_err(Failure::Usage)?;
    }
    match &options.trace {
        Some(path) => explain::write_timeline(path, record, &buildscope_reports::explain(record)),
        None => Ok(()),
    }
}

/// Tells how it ended: the image's id on standard output, or the error.
fn finish(options: &Options, outcome: Outcome) -> Result<(), Failure> {
    let built = match outcome.result {
        Ok(built) => built,
        Err(error) if is_ours(&error) => return Err(Failure::Internal(error.into())),
        Err(error) => return Err(Failure::failed(error)),
    };
    if let Some(path) = &options.iidfile {
        write_text(path, &id(&built))?;
    }
    if let Some(path) = &options.metadata_file {
        let names: Vec<Reference> = options.request.tags.iter().filter_map(|tag| tag.parse().ok()).collect();
        if let Some(exported) = built.exported.first() {
            write_text(path, &format!("{:#}\n", exported.metadata(&names, &built.provenance)))?;
        }
    }
    if options.request.outputs.iter().all(|output| !output.contains("dest=-")) {
        say(&format!("{}\n", id(&built)));
    }
    Ok(())
}

/// The image's id as docker prints it; empty if no image was kept or written.
fn id(built: &Built) -> String {
    built.id.map(|digest| digest.to_string()).unwrap_or_default()
}

fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).into_diagnostic().wrap_err_with(|| path.display().to_string()).map_err(Failure::Usage)
}

/// Whether the store or the machine failed, not the Dockerfile or what it names.
fn is_ours(error: &BuildError) -> bool {
    matches!(error, BuildError::Storage(_))
}
