//! A run as data: `run.json`.

use super::{Case, RunError};
use crate::environment::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The version of `run.json` that this version writes; fields may be added under it.
pub const RUN_SCHEMA: u32 = 1;

/// How many system calls of each class a build made.
pub type Calls = BTreeMap<String, u64>;

/// Everything that was measured at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`RUN_SCHEMA`].
    pub schema: u32,
    /// When it began, RFC 3339.
    pub started: String,
    /// What the order of builds came from.
    pub seed: u64,
    /// How often each case was to be built.
    pub runs: u32,
    /// Whether it ended before that (Ctrl-C): all that was measured is here.
    pub interrupted: bool,
    /// Where it was measured.
    pub environment: Environment,
    /// How each cache state is made, in words.
    pub page_cache: String,
    /// Once a round, the same work that no builder has a part in, in seconds: it tells a machine that changed from code that did.
    #[serde(default)]
    pub canary: Vec<f64>,
    /// How often processors were slowed down for their heat meanwhile; none where the kernel does not count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// What was measured.
    pub cases: Vec<CaseSamples>,
}

/// The samples of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseSamples {
    /// What was built, and how.
    #[serde(flatten)]
    pub case: Case,
    /// The command of a build, as one would type it.
    pub command: String,
    /// In the order in which they were measured.
    pub samples: Vec<Sample>,
    /// System calls of builds that were counted and not timed; empty where none were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Calls>,
}

/// One build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its round, from 0.
    pub round: u32,
    /// Its place in the run, from 0; that of the first, too, of a case that could not be prepared.
    pub position: u32,
    /// From before the process was started to after it was reaped, in seconds; 0 of a build that could not be begun.
    pub wall: f64,
    /// CPU time in user mode of the process and all its descendants that were reaped, in seconds.
    pub user: f64,
    /// CPU time in the kernel of the same, in seconds.
    pub system: f64,
    /// The exit code; none for a signal.
    pub exit_code: Option<i32>,
    /// Load average over one minute, before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Percent of the ten seconds before in which some task waited for I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure: Option<f64>,
    /// Its build record, relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// What was wrong with its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl CaseSamples {
    /// Wall times of the builds that gave the right result, in seconds, in the order of measurement.
    pub fn times(&self) -> Vec<f64> {
        self.good().map(|sample| sample.wall).collect()
    }

    /// The wall times of both, in seconds, in the rounds in which both were right: what else the machine did then touches both.
    pub fn paired_with(&self, other: &Self) -> (Vec<f64>, Vec<f64>) {
        let same_round = |round| self.good().find(move |sample| sample.round == round);
        other.good().filter_map(|sample| Some((same_round(sample.round)?.wall, sample.wall))).unzip()
    }

    /// The samples whose result was right.
    pub fn good(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.fault.is_none())
    }
}

impl Run {
    /// Reads a run: its folder, or its `run.json`.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let path = if path.is_dir() { path.join("run.json") } else { path.to_owned() };
        let text = fs::read(&path).map_err(RunError::io(&path))?;
        let format = |source| RunError::Format { path: path.clone(), source };
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_slice(&text).map_err(format)?;
        if schema > RUN_SCHEMA {
            return Err(RunError::Schema { path, found: schema });
        }
        serde_json::from_slice(&text).map_err(format)
    }

    /// Writes `run.json` into the folder; a reader sees the old or the new one, never half of it.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        let (path, new) = (folder.join("run.json"), folder.join(".run.json.new"));
        let text = serde_json::to_vec_pretty(self).map_err(|source| RunError::Format { path: path.clone(), source })?;
        fs::write(&new, text).map_err(RunError::io(&new))?;
        fs::rename(&new, &path).map_err(RunError::io(&path))
    }

    /// Samples whose result was wrong: (case, sample).
    pub fn faults(&self) -> impl Iterator<Item = (&Case, &Sample)> {
        self.cases.iter().flat_map(|case| {
            case.samples.iter().filter(|sample| sample.fault.is_some()).map(|sample| (&case.case, sample))
        })
    }
}
