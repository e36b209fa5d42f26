//! Trials: the settings to build under, and the predictions between them.

use buildscope_record::{Instruction, Nanos, Phase, Policy, Record};
use buildscope_reports::whatif::{Scenario, Selector};

/// The selections that are delayed: a phase of each group in which steps spend time, and the kinds of steps that take
/// time.
const DELAYED: [Selected; 6] = [
    Selected::Phase(Phase::Process),
    Selected::Phase(Phase::SandboxSetup),
    Selected::Phase(Phase::SnapshotPrepare),
    Selected::Phase(Phase::Copy),
    Selected::Steps(&Instruction::Run),
    Selected::Steps(&Instruction::Copy),
];
/// Shorter delays would be lost in the noise of small builds.
const SHORTEST_DELAY: f64 = 0.02;

/// The part of a build that is delayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Selected {
    Phase(Phase),
    /// All steps of an instruction.
    Steps(&'static Instruction),
}

impl Selected {
    /// The name, for `build --delay` and for readers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.name(),
            Self::Steps(instruction) => instruction.name(),
        }
    }

    fn selector(self) -> Selector {
        match self {
            Self::Phase(phase) => Selector::Phase(phase),
            Self::Steps(instruction) => Selector::Instruction(instruction.clone()),
        }
    }

    /// Whether steps of the record contain it. Work before the first step does not count.
    fn is_in(self, record: &Record) -> bool {
        match self {
            Self::Phase(phase) => record.spans.iter().any(|span| span.phase == phase && span.step.is_some()),
            Self::Steps(instruction) => record.steps.iter().any(|step| step.instruction == *instruction),
        }
    }
}

/// The settings of a build.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrialSetting {
    pub(super) policy: Policy,
    pub(super) jobs: u32,
    pub(super) delay: Option<(Selected, f64)>,
    /// Whether the image is exported, compressed.
    pub(super) export: bool,
    /// Whether the build is confined to one processor.
    pub(super) alone: bool,
}

impl TrialSetting {
    pub(super) fn parallel() -> Self {
        Self::of(Policy::Instructions)
    }

    fn of(policy: Policy) -> Self {
        Self { policy, jobs: 0, delay: None, export: false, alone: false }
    }
}

/// A setting, the setting whose builds are replayed, and the scenario of the replay.
pub(super) struct Trial {
    pub(super) kind: &'static str,
    pub(super) change: String,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) scenario: Scenario,
}

/// Chooses the trials of a workload by its first build: the settings, and the predictions between them.
pub(super) fn trials(first: &Record) -> (Vec<TrialSetting>, Vec<Trial>) {
    let parallel = TrialSetting::parallel();
    let mut settings = vec![parallel.clone(), TrialSetting::of(Policy::Serial)];
    let mut trials = Vec::new();
    let mut add = |kind, change: String, from, setting: TrialSetting, scenario| {
        let to = settings.iter().position(|known| *known == setting).unwrap_or_else(|| {
            settings.push(setting);
            settings.len() - 1
        });
        trials.push(Trial { kind, change, from, to, scenario });
    };
    let of = |policy| Scenario { policy: Some(policy), jobs: Some(0), ..Scenario::default() };
    add("policy", "serial, from parallel".into(), 0, TrialSetting::of(Policy::Serial), of(Policy::Serial));
    add("policy", "parallel, from serial".into(), 1, parallel.clone(), of(Policy::Instructions));
    for jobs in [1, 2] {
        let scenario = Scenario { jobs: Some(jobs), ..Scenario::default() };
        add("slots", format!("--jobs {jobs}"), 0, TrialSetting { jobs, ..parallel.clone() }, scenario);
    }
    let delay = (first.wall.0 as f64 / 1e10).max(SHORTEST_DELAY);
    for selected in DELAYED.into_iter().filter(|selected| selected.is_in(first)) {
        let scenario =
            Scenario { delays: vec![(selected.selector(), Nanos::from_secs_f64(delay))], ..Scenario::default() };
        let change = format!("{} +{:.0} ms", selected.name(), delay * 1e3);
        add("delay", change, 0, TrialSetting { delay: Some((selected, delay)), ..parallel.clone() }, scenario);
    }
    let several = first.host.cpus.is_some_and(|cpus| cpus > 1);
    if several && in_path("taskset") {
        let scenario = Scenario { cores: Some(1.0), ..Scenario::default() };
        add("processors", "one processor".into(), 0, TrialSetting { alone: true, ..parallel.clone() }, scenario);
    }
    // The export is the only phase that can really be omitted: nothing in the build depends on it.
    let scenario = Scenario {
        faster: [Phase::Export, Phase::Compress].map(|phase| (Selector::Phase(phase), f64::INFINITY)).into(),
        ..Scenario::default()
    };
    trials.push(Trial { kind: "stub", change: "no export".into(), from: settings.len(), to: 0, scenario });
    settings.push(TrialSetting { export: true, ..parallel });
    (settings, trials)
}

fn in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
