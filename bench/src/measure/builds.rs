//! The builds of a run: the untimed first one, the timed ones, and those whose system calls are counted.

use super::child::finish;
use super::folders::CaseFolders;
use super::planned::{BuildCommand, StepCache};
use super::{MeasureObserver, Plan, PlannedCase, Runner, calls, machine};
use crate::run::{Calls, Case, CaseSamples, Run, RunError, Sample};
use buildscope_workloads::Workload;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

impl Plan {
    pub(super) fn workload(&self, case: &Case) -> &Workload {
        let found = self.workloads.iter().find(|workload| workload.name == case.workload);
        found.expect("a plan's cases name its workloads")
    }

    /// The command that builds a case.
    pub(super) fn command(&self, planned: &PlannedCase, folders: &CaseFolders, cache: StepCache) -> Command {
        let PlannedCase { case, runner } = planned;
        match runner {
            Runner::Peer(peer) => {
                peer.command(&folders.context, &tag(case), cache, self.bases.as_deref(), &self.archive())
            }
            Runner::Buildscope(binary) => {
                let workload = self.workload(case);
                let work = BuildCommand::of(workload);
                let mut command = case.subject.command(binary, &folders.store, &folders.context, cache, work);
                if work == BuildCommand::Build {
                    self.add_inputs(&mut command, case, workload, folders);
                }
                command.args(&self.arguments);
                command
            }
        }
    }

    /// The file to which an image is exported for checking.
    pub(super) fn archive(&self) -> PathBuf {
        self.scratch.join("image.tar")
    }

    /// Creates each case's folders and builds once in them, untimed. If the build of a case fails, the case gets no
    /// folders, the failure becomes a sample, and the other cases continue. Fails if no buildscope binary can build a
    /// workload, or if another builder cannot.
    pub(super) async fn prepare(
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
                let mut first = self.command(planned, &folders, StepCache::Use);
                if planned.runner.is_buildscope() {
                    first.args(&self.workload(case).manifest.first);
                }
                let Some(ended) = finish(first, stop).await? else {
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

    /// Builds once, and checks the result outside of the measured time. `None` if the run was interrupted.
    pub(super) async fn sample(
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
            fs::create_dir_all(folder).map_err(RunError::io("create", folder))?;
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
    pub(super) async fn count(
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
}

/// The result of a build whose system calls were to be counted.
pub(super) enum Counted {
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
pub(super) fn tag(case: &Case) -> String {
    format!("buildscope-bench/{}:latest", case.slug().to_ascii_lowercase())
}

/// Converts another builder's log to a build record and writes it. A log without steps gives no record.
fn explained(log: &[u8], record: &Path) -> Result<(), RunError> {
    let Ok(read) = buildscope_reports::import::import(log) else { return Ok(()) };
    let file = fs::File::create(record).map_err(RunError::io("create", record))?;
    read.write(file).map_err(|error| RunError::io("write", record)(std::io::Error::other(error)))
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
