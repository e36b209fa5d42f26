//! `buildscope bench`.

mod export;
mod own;
mod shares;
mod table;

use super::interrupt;
use crate::output::write_file;
use crate::{Failure, Root, destination, write_message, write_text};
use buildscope_bench::gate;
use buildscope_bench::history::History;
use buildscope_bench::measure::{self, MeasureObserver, Peer, PlannedCase, Progress, Runner};
use buildscope_bench::run::{Calls, Case, Run, Sample, Subject};
use buildscope_bench::stats::threshold;
use buildscope_record::{DriverChoice, Policy};
use buildscope_workloads::{Corpus, Scenario, Workload, WorkloadError};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, miette};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Measure builds of workloads, check their images, and compare the times with statistics
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Workloads to build, by name, or directories with a Dockerfile [default: all workloads that are marked as quick]
    workload: Vec<String>,
    /// The file of a directory that the state `edit` changes [default: the text file that was changed last]
    #[arg(long, value_name = "FILE")]
    edit: Option<PathBuf>,
    /// Further arguments of every build, after `--`: `-- --target app --build-arg VERSION=2`
    #[arg(last = true, value_name = "BUILD ARGUMENTS")]
    arguments: Vec<String>,
    /// Measure every workload of the corpus
    #[arg(long, conflicts_with_all = ["workload", "quick"])]
    all: bool,
    /// A run of a few minutes: the quick workloads, with three builds per case, or seven with --gate or --aa
    #[arg(long, conflicts_with_all = ["workload", "runs"])]
    quick: bool,
    /// Folder of the workloads [default: workloads/corpus in the source tree of the working directory or of the binary]
    #[arg(long, value_name = "DIR", env = "BUILDSCOPE_CORPUS")]
    corpus: Option<PathBuf>,
    /// Granularities to compare; the first is the baseline [default: serial,stages,instructions; for directories instructions]
    #[arg(long = "granularities", alias = "policies", value_name = "GRANULARITIES", value_delimiter = ',')]
    policies: Vec<Policy>,
    /// Storage drivers to compare; the first is the baseline
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    drivers: Vec<DriverChoice>,
    /// Values of --jobs to compare; 0 means no limit. Serial builds always have one slot and are measured once
    #[arg(long, value_delimiter = ',', default_value = "0")]
    jobs: Vec<usize>,
    /// Cache states to measure: cold, warm, edit, dependency, base, imported. A workload is measured in the states that it
    /// defines; other builders are not measured in `base` and `imported` [default: cold,warm; for directories cold,warm,edit]
    #[arg(long, value_delimiter = ',', value_name = "STATES")]
    caches: Vec<Scenario>,
    /// State of the page cache before each build
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    page_cache: measure::PageCache,
    /// Number of builds per case [default: 10, for directories 3]
    #[arg(long, value_name = "N")]
    runs: Option<u32>,
    /// Compare the last --binary with the first. Exit with code 1 if it is slower (significantly, and by more than the noise
    /// of the case) or if its layers differ
    #[arg(long, help_heading = "Judging")]
    gate: bool,
    /// Measure the first --binary twice (only quick workloads, if there are any). If the two differ, the run is void
    #[arg(long, help_heading = "Judging")]
    aa: bool,
    /// Number of additional builds per case whose system calls are counted; needs root and strace [default: 2 with --gate,
    /// else 0]
    #[arg(long, value_name = "N", help_heading = "Judging")]
    calls: Option<u32>,
    /// Compare predictions of `whatif` with real builds instead: a slower phase, another granularity, other --jobs, one
    /// processor
    #[arg(long, alias = "verify", help_heading = "Judging", conflicts_with_all = ["gate", "aa", "peer"])]
    check_predictions: bool,
    /// Check predictions against builds saved by `--check-predictions --out DIR`, instead of building again
    #[arg(long, alias = "again", value_name = "DIR", help_heading = "Judging", requires = "check_predictions")]
    reuse: Option<PathBuf>,
    /// Write the judgement to this file as Markdown, for a pull request
    #[arg(long, value_name = "FILE", help_heading = "Judging")]
    judgement: Option<PathBuf>,
    /// Name of this run in the history, such as a commit or a version
    #[arg(long, value_name = "TEXT", default_value = env!("CARGO_PKG_VERSION"), help_heading = "Judging")]
    label: String,
    /// Do not add this run to the history, which the noise of each case is computed from
    #[arg(long, help_heading = "Judging")]
    no_history: bool,
    /// Seed of the random order of builds [default: the current time]
    #[arg(long)]
    seed: Option<u64>,
    /// A buildscope binary to measure; may be repeated, and the first is the baseline [default: this binary]
    #[arg(long, value_name = "NAME=PATH")]
    binary: Vec<String>,
    /// Another builder to measure: docker-classic, docker-buildkit, buildx, buildctl, buildah, podman, kaniko, or
    /// NAME='COMMAND {context}'; may be repeated
    #[arg(long, alias = "peers", value_name = "PEER")]
    peer: Vec<String>,
    /// Folder of OCI layouts by name: the base images of the real workloads (`scripts/bases` creates them)
    #[arg(long, value_name = "DIR", env = "BUILDSCOPE_BASES")]
    bases: Option<PathBuf>,
    /// Folder for run.json and the build records [default: runs/TIME in the root]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    export: export::Exports,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope bench .                        your own Dockerfile: cold, warm, after an edit
  buildscope bench . --runs 10 --edit src/main.c -- --target app
  buildscope bench                          the quick workloads, all granularities, cold and warm
  buildscope bench diamond fan --caches cold --runs 20
  buildscope bench files --granularities instructions --caches edit --export-json a.json
  buildscope bench --check-predictions diamond fan --runs 5    predictions against builds
  buildscope bench --quick --granularities instructions --aa --gate \\
    --binary base=./buildscope-1.0 --binary head=target/release/buildscope";

/// Measures and prints the table. The exit code is 1 if a build failed or gave the wrong image.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.check_predictions {
        return arguments.check_predictions();
    }
    let plan = arguments.resolve()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let mut screen = Screen::new(&arguments);
    let stop = CancellationToken::new();
    // The build that is measured now may take any time.
    interrupt::watch(stop.clone(), Duration::MAX).map_err(Failure::internal)?;
    let run = runtime.block_on(measure::measure(&plan, &mut screen, &stop));
    let run = run.map_err(Failure::internal)?;
    screen.bar.finish_and_clear();
    arguments.export.write(&run)?;
    for warning in run.environment.warnings() {
        write_message(&format!("warning: {warning}"));
    }
    write_text(&(table::table(&run) + &shares::shares(&run, &plan.folder)));
    write_message(&format!("raw samples and build records: {}", plan.folder.display()));
    for (case, sample) in run.faults() {
        write_message(&format!("{case}, round {}: {}", sample.round, sample.fault.as_deref().unwrap_or_default()));
    }
    let wrong = run.faults().next().is_some();
    arguments.judge(&run, &plan.folder)?;
    if run.interrupted {
        return Err(Failure::failed(miette!("interrupted: what was measured until then is kept")));
    }
    if wrong { Err(Failure::Reported) } else { Ok(()) }
}

/// The folder below --out for the builds that predictions are compared with.
const PROOF: &str = "proof";

/// The name of the first binary when it is measured a second time.
const AGAIN: &str = "again";

impl Arguments {
    /// Judges the run against the noise of the history so far, if requested; then adds the run to the history.
    fn judge(&self, run: &Run, folder: &Path) -> Result<(), Failure> {
        let mut history = History::open(&self.root.resolve()?).map_err(Failure::internal)?;
        let noise = |case: &Case| threshold(&history.medians(case).unwrap_or_default());
        let judged = |builder: &str| {
            let base = self.binary.first().map(|binary| name(binary))?;
            Some(gate::judge(&gate::within(run, folder, base, builder), noise))
        };
        let again = if self.aa { judged(AGAIN) } else { None };
        let head = match self.binary.last() {
            Some(head) if self.gate => judged(name(head)),
            _ => None,
        };
        let differs =
            |judgement: &&gate::Judgement| judgement.slower() || judgement.faster() || !judgement.exact.is_empty();
        let void = again.iter().flatten().find(differs).map(|judgement| &judgement.case);
        // The noise of a case must not be computed from void runs.
        if !self.no_history && !run.interrupted && void.is_none() {
            let id = history.add(run, folder, &self.label).map_err(Failure::internal)?;
            write_message(&format!("run {id} of the history"));
        }
        let markdown = match (void, &head) {
            (Some(case), _) => Some(gate::void(case)),
            (None, head) => head.as_deref().map(gate::markdown),
        };
        if let (Some(path), Some(text)) = (&self.judgement, markdown) {
            write_file(path, text)?;
        }
        if let Some(case) = void {
            return Err(Failure::failed(miette!(
                help = "another program used the machine, or the processor changed its speed: see the warnings, and run again",
                "this run is void: the same binary measured twice differs in {case}"
            )));
        }
        let Some(head) = head else { return Ok(()) };
        write_text(&gate::text(&head));
        if head.iter().any(gate::Judgement::flagged) { Err(Failure::Reported) } else { Ok(()) }
    }

    /// Compares predictions with builds and prints the table. With `--out`, writes `proof.json` and the records of
    /// the builds.
    fn check_predictions(&self) -> Result<(), Failure> {
        let scratch = self.root.resolve()?.join("bench").join(format!("proof-{}", std::process::id()));
        let binary = match self.binary.first().and_then(|binary| binary.split_once('=')) {
            Some((_, path)) => path.into(),
            None => std::env::current_exe().map_err(Failure::internal)?,
        };
        let runs = self.runs().max(1);
        let keep = self.out.as_ref().map(|folder| folder.join(PROOF));
        let kept = self.reuse.as_ref().map(|folder| folder.join(PROOF));
        let (workloads, bases) = (self.workloads()?, self.bases.clone());
        let plan = measure::PredictionPlan { workloads, runs, binary, scratch, bases, keep, kept };
        let predictions =
            measure::check_predictions(&plan, |line| write_message(&line.to_string())).map_err(Failure::internal)?;
        if let (Some(folder), true) = (&self.reuse, predictions.is_empty()) {
            let help = "give the folder that `bench --check-predictions --out` wrote";
            return Err(Failure::usage(miette!(
                help = help,
                "{} contains no builds of these workloads",
                folder.display()
            )));
        }
        write_text(&measure::prediction_table(&predictions));
        if let Some(folder) = &self.out {
            fs::create_dir_all(folder).map_err(Failure::internal)?;
            measure::write_predictions(&predictions, &folder.join("proof.json")).map_err(Failure::internal)?;
        }
        Ok(())
    }

    fn resolve(&self) -> Result<measure::Plan, Failure> {
        if self.runs == Some(0) {
            return Err(Failure::usage(miette!("--runs must be at least 1")));
        }
        if !self.arguments.is_empty() && !self.peer.is_empty() {
            return Err(Failure::usage(miette!("arguments after `--` are buildscope's: they do not go with --peer")));
        }
        if (self.gate && self.binary.len() < 2) || (self.aa && self.binary.is_empty()) {
            return Err(Failure::usage(miette!("--gate needs two --binary NAME=PATH, --aa at least one")));
        }
        if self.judgement.is_some() && !(self.gate || self.aa) {
            return Err(Failure::usage(miette!("--judgement needs --gate or --aa, whose judgement it writes")));
        }
        if self.edit.is_some() && !self.has_directories() {
            return Err(Failure::usage(miette!("--edit names a file of a directory: give the directory to measure")));
        }
        self.export.check()?;
        if let Some(folder) = &self.out {
            destination::check_folder("--out", folder)?;
        }
        if let Some(path) = &self.judgement {
            destination::check_file("--judgement", path)?;
        }
        let started = jiff::Timestamp::now();
        let root = self.root.resolve()?;
        let workloads = self.workloads()?;
        let subjects = self.subjects()?;
        // The quick workloads show as well as the long ones whether the machine is reliable.
        let some_quick = workloads.iter().any(|workload| workload.manifest.quick);
        let twice = |workload: &Workload| workload.manifest.quick || !some_quick;
        let cases: Vec<_> = workloads
            .iter()
            .flat_map(|workload| {
                self.caches()
                    .iter()
                    .filter(|&scenario| workload.manifest.scenarios.contains(scenario))
                    .map(move |&scenario| (workload, scenario))
            })
            .flat_map(|(workload, scenario)| {
                let twice = twice(workload);
                let able = move |(subject, runner): &&(Subject, Runner)| {
                    runner.supports(workload, scenario) && (twice || subject.builder != AGAIN)
                };
                subjects.iter().filter(able).map(move |(subject, runner)| PlannedCase {
                    case: Case { workload: workload.name.clone(), scenario, subject: subject.clone() },
                    runner: runner.clone(),
                })
            })
            .collect();
        if cases.is_empty() {
            return Err(Failure::usage(miette!("no workload has one of these cache states")));
        }
        let stamp = started.strftime("%Y%m%dT%H%M%SZ").to_string();
        Ok(measure::Plan {
            workloads,
            cases,
            runs: self.runs(),
            counted: self.counted()?,
            seed: self.seed.unwrap_or_else(|| started.as_nanosecond() as u64),
            folder: self.out.clone().unwrap_or_else(|| root.join("runs").join(&stamp)),
            bases: self.bases.clone(),
            arguments: self.arguments.clone(),
            page_cache: self.page_cache,
            scratch: root.join("bench").join(format!("{stamp}-{}", std::process::id())),
        })
    }

    /// The number of timed builds per case. Three are enough to check results. With the two dozen cases of the quick
    /// corpus, Holm's correction needs at least seven builds per case to detect a difference.
    fn runs(&self) -> u32 {
        if !self.quick {
            self.runs.unwrap_or(if self.has_directories() { 3 } else { 10 })
        } else if self.gate || self.aa {
            7
        } else {
            3
        }
    }

    /// Whether a build context of the user is measured: a path and not the name of a workload.
    fn has_directories(&self) -> bool {
        self.workload.iter().any(|name| is_directory(name))
    }

    fn caches(&self) -> &[Scenario] {
        match &self.caches[..] {
            [] if self.has_directories() => &[Scenario::Cold, Scenario::Warm, Scenario::Edit],
            [] => &[Scenario::Cold, Scenario::Warm],
            given => given,
        }
    }

    fn policies(&self) -> &[Policy] {
        match &self.policies[..] {
            [] if self.has_directories() => &[Policy::Instructions],
            [] => Policy::ALL,
            given => given,
        }
    }

    /// The number of counted builds per case. If counting is impossible, an explicit request is an error; otherwise
    /// it is a warning, because the gate also works without counts.
    fn counted(&self) -> Result<u32, Failure> {
        let wanted = self.calls.unwrap_or(if self.gate { 2 } else { 0 });
        match measure::countable() {
            Err(reason) if wanted > 0 && self.calls.is_some() => {
                Err(Failure::usage(miette!("system calls cannot be counted: {reason}")))
            }
            Err(reason) if wanted > 0 => {
                write_message(&format!(
                    "warning: system calls are not counted, so the gate does not judge them: {reason}"
                ));
                Ok(0)
            }
            _ => Ok(wanted),
        }
    }

    fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let (directories, names): (Vec<_>, Vec<_>) = self.workload.iter().partition(|name| is_directory(name));
        let mut own = Vec::new();
        let store = self.root.resolve()?;
        for directory in directories {
            let found = own::workload(Path::new(directory), self.edit.as_deref(), &store)?;
            if self.caches().contains(&Scenario::Edit) {
                let state = match found.edited {
                    Some(edited) => format!("the state `edit` appends a line to {}", edited.display()),
                    None => "the state `edit` is left out: the context has no text file to edit".to_owned(),
                };
                write_message(&format!("{}: {state}", found.workload.name));
            }
            own.push(found.workload);
        }
        if !own.is_empty() && names.is_empty() {
            return Ok(own);
        }
        let corpus = match &self.corpus {
            Some(folder) => Corpus::open(folder),
            None => {
                let near: Vec<_> = [std::env::current_dir(), std::env::current_exe()].into_iter().flatten().collect();
                Corpus::find(near.iter().map(PathBuf::as_path))
            }
        };
        let usage = |error: WorkloadError| match names.iter().find(|name| Path::new(name).is_dir()) {
            Some(directory) => Failure::usage(miette!("{directory} is a directory without a Dockerfile ({error})")),
            None => Failure::usage(miette!("{error}")),
        };
        let corpus = corpus.map_err(usage)?;
        // Without names, all saved builds are checked.
        let all = self.all || self.reuse.is_some() && self.workload.is_empty() && !self.quick;
        let workloads: Result<Vec<_>, _> = if all {
            corpus.all()
        } else if self.workload.is_empty() {
            corpus.all().map(|all| all.into_iter().filter(|workload| workload.manifest.quick).collect())
        } else {
            names.iter().map(|name| corpus.load(name)).collect()
        };
        own.extend(workloads.map_err(usage)?);
        if own.is_empty() {
            return Err(Failure::usage(miette!("the corpus has no workloads to measure")));
        }
        Ok(own)
    }

    fn subjects(&self) -> Result<Vec<(Subject, Runner)>, Failure> {
        let mut binaries = Vec::new();
        for binary in &self.binary {
            let (name, path) = binary
                .split_once('=')
                .ok_or_else(|| Failure::usage(miette!("--binary takes NAME=PATH, not `{binary}`")))?;
            binaries.push((name.to_owned(), PathBuf::from(path)));
        }
        if let Some((_, first)) = binaries.first().filter(|_| self.aa) {
            binaries.insert(1, (AGAIN.to_owned(), first.clone()));
        }
        if binaries.is_empty() {
            binaries.push(("buildscope".to_owned(), std::env::current_exe().map_err(Failure::internal)?));
        }
        let mut subjects = Vec::new();
        for (builder, binary) in &binaries {
            for &policy in self.policies() {
                // A serial build has one slot, whatever the limit.
                let limits = if policy == Policy::Serial { 1 } else { self.jobs.len() };
                for &driver in &self.drivers {
                    for &jobs in self.jobs.iter().take(limits) {
                        let (builder, policy) = (builder.clone(), Some(policy));
                        let subject = Subject { builder, version: None, policy, driver, jobs };
                        subjects.push((subject, Runner::Buildscope(binary.clone())));
                    }
                }
            }
        }
        for peer in &self.peer {
            let peer = Peer::find(peer).into_diagnostic().map_err(Failure::Usage)?;
            subjects.push((Subject::peer(&peer), Runner::Peer(peer)));
        }
        Ok(subjects)
    }
}

/// Whether the text is a directory and not the name of a workload: names have no slashes and dots, and are not directories with a
/// Dockerfile here.
fn is_directory(name: &str) -> bool {
    let path = Path::new(name);
    path.is_dir() && (name.contains(['/', '.']) || path.join("Dockerfile").exists())
}

/// Returns the name in NAME=PATH.
fn name(binary: &str) -> &str {
    binary.split_once('=').map_or(binary, |pair| pair.0)
}

/// Shows progress on standard error and writes the exports during the run.
struct Screen<'a> {
    bar: ProgressBar,
    arguments: &'a Arguments,
}

impl<'a> Screen<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::no_length().with_style(style), arguments }
    }

    fn show(&self, progress: Progress, text: &str) {
        self.bar.set_length(progress.total.into());
        self.bar.set_position(progress.done.into());
        let left = progress.left().as_secs();
        self.bar.set_message(format!("{text}; about {}:{:02} left", left / 60, left % 60));
    }
}

impl MeasureObserver for Screen<'_> {
    fn preparing(&mut self, case: &Case) {
        self.bar.set_message(format!("preparing {case}"));
    }

    fn sampled(&mut self, case: &Case, sample: &Sample, progress: Progress) {
        self.show(progress, &format!("{case}: {:.3} s", sample.wall));
    }

    fn counted(&mut self, case: &Case, calls: Option<&Calls>, progress: Progress) {
        let text = if calls.is_some() { "system calls counted" } else { "its system calls could not be counted" };
        self.show(progress, &format!("{case}: {text}"));
    }

    fn kept(&mut self, run: &Run) {
        // A file that cannot be written now is reported at the end; the measurement continues.
        let _ = self.arguments.export.write(run);
    }
}
