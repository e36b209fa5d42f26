//! Predictions held against builds: a phase or a class of steps that really takes longer, an export that is left out,
//! another policy, other slots, fewer processors.
//!
//! The builds of one setting are replayed as if they were of another; builds of that other setting, interleaved with
//! them, say how long it really takes. Medians are held against each other.

use super::RunError;
use super::order::order;
use super::place::Place;
use super::state::give_base;
use crate::stats::quantile;
use buildscope_record::{Nanos, Phase, Record};
use buildscope_reports::whatif::{Policy, Scenario, Selector, whatif};
use buildscope_workloads::{Scenario as CacheState, Workload};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is made longer: a phase of each group that steps spend time in, and the classes of steps that take time.
const DELAYED: [Selected; 6] = [
    Selected::Phase(Phase::Process),
    Selected::Phase(Phase::SandboxSetup),
    Selected::Phase(Phase::SnapshotPrepare),
    Selected::Phase(Phase::Copy),
    Selected::Steps("RUN"),
    Selected::Steps("COPY"),
];
/// Shorter delays would be lost in the noise of small builds.
const SHORTEST_DELAY: f64 = 0.02;
/// Of builds shorter than that, in seconds, more are made: what disturbs one is a larger part of it.
const SHORT: f64 = 0.5;
/// How many times more.
const MORE: u32 = 3;
/// Of the order of builds.
const SEED: u64 = 1;
/// What a step may change in memory: a disk remembers what builds before have removed (METHODOLOGY, "What the numbers
/// cannot say"), and takes other times for the same work.
const IN_MEMORY: &str = "2GB";
/// A prediction says something of the model where builds of one setting lie nearer together than that.
const STEADY: f64 = 0.1;

/// What is to be proven.
#[derive(Debug)]
pub struct ProofPlan {
    /// On which workloads.
    pub workloads: Vec<Workload>,
    /// Builds a setting.
    pub runs: u32,
    /// Which binary builds.
    pub binary: PathBuf,
    /// A folder for contexts and stores, removed at the end.
    pub scratch: PathBuf,
    /// A folder of OCI layouts by name.
    pub bases: Option<PathBuf>,
}

/// One prediction and what came of it. Seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The workload.
    pub workload: String,
    /// What was changed, as a reader would say it.
    pub change: String,
    /// What kind of change: `delay`, `stub`, `policy`, `slots` or `processors`.
    pub kind: String,
    /// The builds that were replayed: their median.
    pub from: f64,
    /// What the replays said: their median.
    pub predicted: f64,
    /// What builds of the change took: their median.
    pub measured: f64,
    /// How far the middle half lay apart, as a part of the median: of the builds that were replayed, of those of the
    /// change, or of the predictions, whichever is most. No prediction can be better than that.
    #[serde(default)]
    pub spread: f64,
}

impl Proof {
    /// How far the prediction was off, as a part of what was measured.
    pub fn error(&self) -> f64 {
        (self.predicted - self.measured).abs() / self.measured
    }

    /// Whether builds agreed with each other so well that a prediction could.
    pub fn steady(&self) -> bool {
        self.spread <= STEADY
    }
}

/// What takes longer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Selected {
    Phase(Phase),
    /// All steps of an instruction.
    Steps(&'static str),
}

impl Selected {
    /// For `build --delay` and for a reader.
    fn name(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.name(),
            Self::Steps(keyword) => keyword,
        }
    }

    fn selector(self) -> Selector {
        match self {
            Self::Phase(phase) => Selector::Phase(phase),
            Self::Steps(keyword) => Selector::Instruction(keyword.into()),
        }
    }

    /// Only what steps have: what the builder does before the first step is not what is asked about.
    fn is_in(self, record: &Record) -> bool {
        match self {
            Self::Phase(phase) => record.spans.iter().any(|span| span.phase == phase && span.step.is_some()),
            Self::Steps(keyword) => record.steps.iter().any(|step| step.instruction == keyword),
        }
    }
}

/// How a build is run.
#[derive(Clone, Debug, PartialEq)]
struct Setting {
    policy: Policy,
    jobs: u32,
    delay: Option<(Selected, f64)>,
    /// The image is written out, compressed.
    export: bool,
    /// On one processor.
    alone: bool,
}

impl Setting {
    fn of(policy: Policy) -> Self {
        Self { policy, jobs: 0, delay: None, export: false, alone: false }
    }
}

/// A setting, the setting whose build is replayed as if it were of it, and what is told to the replay.
struct Trial {
    kind: &'static str,
    change: String,
    from: usize,
    to: usize,
    scenario: Scenario,
}

/// Builds and predicts. How it goes is told workload by workload; one that cannot be built here is left out.
///
/// # Errors
/// Where nothing can be built.
pub fn prove(plan: &ProofPlan, mut told: impl FnMut(String)) -> Result<Vec<Proof>, RunError> {
    let mut proofs = Vec::new();
    for workload in &plan.workloads {
        told(format!("verifying {}", workload.name));
        let place = Place::make(&plan.scratch, &workload.name, workload, CacheState::Cold)?;
        let proven = plan.workload(workload, &place);
        // Their numbers are taken: what cannot be removed is in a folder that the user chose.
        let _ = fs::remove_dir_all(&plan.scratch);
        match proven {
            Ok(proven) => proofs.extend(proven),
            Err(RunError::Prepare { .. }) => told(format!("{} is left out: it does not build here", workload.name)),
            Err(error) => return Err(error),
        }
    }
    Ok(proofs)
}

impl ProofPlan {
    fn workload(&self, workload: &Workload, place: &Place) -> Result<Vec<Proof>, RunError> {
        let (parallel, serial) = (Setting::of(Policy::Instructions), Setting::of(Policy::Serial));
        // Fills the store with the base images; its time is nobody's.
        let first = self.build(workload, place, &parallel)?;
        let (settings, trials) = trials(&first, [parallel, serial]);
        let mut records: Vec<Vec<Record>> = vec![Vec::new(); settings.len()];
        let runs = if seconds(first.wall) < SHORT { self.runs * MORE } else { self.runs };
        // Interleaved and shuffled: what disturbs the machine, and what one build leaves to the next, falls on all alike.
        for round in order(settings.len(), runs, SEED) {
            for place_in in round {
                records[place_in].push(self.build(workload, place, &settings[place_in])?);
            }
        }
        let walls: Vec<Vec<f64>> =
            records.iter().map(|records| sorted(records.iter().map(|record| seconds(record.wall)).collect())).collect();
        let proof = |trial: Trial| {
            let (from, to) = (&walls[trial.from], &walls[trial.to]);
            let predicted = records[trial.from].iter().map(|record| whatif(record, &trial.scenario).ok());
            let predicted = sorted(predicted.map(|told| Some(seconds(told?.wall))).collect::<Option<_>>()?);
            Some(Proof {
                workload: workload.name.clone(),
                change: trial.change,
                kind: trial.kind.into(),
                from: quantile(from, 0.5),
                predicted: quantile(&predicted, 0.5),
                measured: quantile(to, 0.5),
                spread: [from, to, &predicted].into_iter().map(|walls| spread(walls)).fold(0.0, f64::max),
            })
        };
        Ok(trials.into_iter().filter_map(proof).collect())
    }

    /// One cold build and its record.
    fn build(&self, workload: &Workload, place: &Place, setting: &Setting) -> Result<Record, RunError> {
        let path = self.scratch.join("record.json");
        let mut command = match setting.alone {
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(&self.binary);
                command
            }
            false => Command::new(&self.binary),
        };
        let policy = setting.policy.to_string();
        command.args(["build", "--no-cache", "--progress", "quiet", "--sync", "never", "--policy", &policy]);
        command.args(["--jobs", &setting.jobs.to_string()]).arg("--record").arg(&path);
        if rustix::process::geteuid().is_root() {
            command.args(["--tmpfs-upper", IN_MEMORY]);
        }
        if let Some((selected, seconds)) = setting.delay {
            command.arg("--delay").arg(format!("{}={seconds}", selected.name()));
        }
        if setting.export {
            let image = self.scratch.join("image.tar");
            command.arg("--output").arg(format!("type=oci,compression=gzip,dest={}", image.display()));
        }
        for base in &workload.manifest.bases {
            give_base(&mut command, base, self.bases.as_deref());
        }
        command.arg("--root").arg(&place.store).arg(&place.context);
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| RunError::Start { program: program.clone(), source })?;
        if !output.status.success() {
            return Err(RunError::Prepare {
                case: workload.name.clone(),
                code: output.status.code(),
                said: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let file = fs::File::open(&path).map_err(RunError::io(&path))?;
        Record::read(file).map_err(|error| RunError::io(&path)(std::io::Error::other(error)))
    }
}

fn seconds(wall: Nanos) -> f64 {
    wall.0 as f64 / 1e9
}

fn sorted(mut walls: Vec<f64>) -> Vec<f64> {
    walls.sort_by(f64::total_cmp);
    walls
}

/// How far the middle half lies apart, as a part of the median.
fn spread(sorted: &[f64]) -> f64 {
    (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / quantile(sorted, 0.5)
}

/// What is tried with a workload whose build was like `first`: settings, and the predictions from one to another.
fn trials(first: &Record, [parallel, serial]: [Setting; 2]) -> (Vec<Setting>, Vec<Trial>) {
    let mut settings = vec![parallel.clone(), serial];
    let mut trials = Vec::new();
    let mut add = |kind, change: String, from, setting: Setting, scenario| {
        let to = settings.iter().position(|known| *known == setting).unwrap_or_else(|| {
            settings.push(setting);
            settings.len() - 1
        });
        trials.push(Trial { kind, change, from, to, scenario });
    };
    let of = |policy| Scenario { policy: Some(policy), jobs: Some(0), ..Scenario::default() };
    add("policy", "serial, from parallel".into(), 0, Setting::of(Policy::Serial), of(Policy::Serial));
    add("policy", "parallel, from serial".into(), 1, parallel.clone(), of(Policy::Instructions));
    for jobs in [1, 2] {
        let scenario = Scenario { jobs: Some(jobs), ..Scenario::default() };
        add("slots", format!("--jobs {jobs}"), 0, Setting { jobs, ..parallel.clone() }, scenario);
    }
    let delay = (first.wall.0 as f64 / 1e10).max(SHORTEST_DELAY);
    for selected in DELAYED.into_iter().filter(|selected| selected.is_in(first)) {
        let scenario =
            Scenario { delays: vec![(selected.selector(), Nanos::from_secs_f64(delay))], ..Scenario::default() };
        let change = format!("{} +{:.0} ms", selected.name(), delay * 1e3);
        add("delay", change, 0, Setting { delay: Some((selected, delay)), ..parallel.clone() }, scenario);
    }
    let several = first.host.cpus.is_some_and(|cpus| cpus > 1);
    if several && in_path("taskset") {
        let scenario = Scenario { cores: Some(1.0), ..Scenario::default() };
        add("processors", "one processor".into(), 0, Setting { alone: true, ..parallel.clone() }, scenario);
    }
    // The one phase that can really be left out: nothing in the build needs it.
    let scenario = Scenario {
        faster: [Phase::Export, Phase::Compress].map(|phase| (Selector::Phase(phase), f64::INFINITY)).into(),
        ..Scenario::default()
    };
    trials.push(Trial { kind: "stub", change: "no export".into(), from: settings.len(), to: 0, scenario });
    settings.push(Setting { export: true, ..parallel });
    (settings, trials)
}

fn in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// The proofs as a table, and their errors' median and 95th percentile, by kind and in all.
pub fn proof_table(proofs: &[Proof]) -> String {
    let mut text = format!(
        "{:<20} {:<24} {:>9} {:>10} {:>9} {:>7} {:>8}\n",
        "workload", "change", "from", "predicted", "measured", "error", "spread"
    );
    for proof in proofs {
        let Proof { workload, change, from, predicted, measured, .. } = proof;
        let (error, spread) = (proof.error() * 100.0, proof.spread * 100.0);
        text += &format!(
            "{workload:<20} {change:<24} {from:>7.3} s {predicted:>8.3} s {measured:>7.3} s {error:>5.1} % {spread:>6.1} %\n"
        );
    }
    text.push('\n');
    let mut row = |name: &str, of: &mut dyn Iterator<Item = &Proof>| {
        let mut errors: Vec<f64> = of.map(Proof::error).collect();
        errors.sort_by(f64::total_cmp);
        if !errors.is_empty() {
            let [median, high] = [0.5, 0.95].map(|q| quantile(&errors, q) * 100.0);
            text += &format!(
                "{name:<12} {:>4} predictions: median error {median:.1} %, 95th percentile {high:.1} %\n",
                errors.len()
            );
        }
    };
    for kind in ["policy", "slots", "delay", "stub", "processors"] {
        row(kind, &mut proofs.iter().filter(|proof| proof.kind == kind));
    }
    row("all", &mut proofs.iter());
    row("steady", &mut proofs.iter().filter(|proof| proof.steady()));
    text += &format!("steady: builds of one setting lay within {:.0} % of each other (spread)\n", STEADY * 100.0);
    text
}

/// Writes the proofs as JSON.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_proofs(proofs: &[Proof], path: &Path) -> Result<(), RunError> {
    let text = serde_json::to_vec_pretty(proofs).expect("numbers and strings");
    fs::write(path, text).map_err(RunError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_parts_of_what_was_measured() {
        let proof = |kind: &str, predicted| Proof {
            workload: "w".into(),
            change: "c".into(),
            kind: kind.into(),
            from: 1.0,
            predicted,
            measured: 2.0,
            spread: if kind == "delay" { 0.125 } else { 0.05 },
        };
        let table = proof_table(&[proof("delay", 2.1), proof("delay", 1.8), proof("policy", 2.0)]);
        assert!(table.contains("5.0 %   12.5 %"), "{table}");
        assert!(table.contains("policy          1 predictions: median error 0.0 %, 95th percentile 0.0 %"), "{table}");
        assert!(table.contains("delay           2 predictions: median error 7.5 %"), "{table}");
        assert!(table.contains("all             3 predictions: median error 5.0 %"), "{table}");
        assert!(table.contains("steady          1 predictions: median error 0.0 %"), "{table}");
    }
}
