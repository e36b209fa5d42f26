//! A run as data: `run.json`.

use super::{Case, RunError};
use crate::environment::Environment;
use buildscope_record::{escaped_json, redacted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The schema version of `run.json` that this version writes. Fields may be added under it.
pub const RUN_SCHEMA: u32 = 1;

/// The number of system calls of a build, by class.
pub type Calls = BTreeMap<String, u64>;

/// The result of one measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The schema version: [`RUN_SCHEMA`].
    pub schema: u32,
    /// The start of the run, RFC 3339.
    pub started: String,
    /// The seed of the order of builds.
    pub seed: u64,
    /// The planned number of builds per case.
    pub runs: u32,
    /// Whether the run was stopped early (Ctrl-C). It contains everything measured until then.
    pub interrupted: bool,
    /// The environment of the run.
    pub environment: Environment,
    /// A description of how each cache state is created.
    pub page_cache: String,
    /// Time of a constant piece of work without any builder, once per round, in seconds. It distinguishes a change of
    /// the machine from a change of the code.
    #[serde(default)]
    pub canary: Vec<f64>,
    /// The number of times that processors were throttled for heat during the run; `None` if the kernel does not count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// The measured cases.
    pub cases: Vec<CaseSamples>,
}

/// The samples of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseSamples {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// The command of a build, as a user would type it.
    pub command: String,
    /// The samples in the order of measurement.
    pub samples: Vec<Sample>,
    /// The system calls of counted builds, which are not timed; empty if there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Calls>,
}

/// One build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The round, from 0.
    pub round: u32,
    /// The position in the run, from 0. For a case that could not be prepared, it is the position of its first build.
    pub position: u32,
    /// Wall time from before the process starts until it is reaped, in seconds; 0 if the build could not start.
    pub wall: f64,
    /// CPU time in user mode of the process and all its reaped descendants, in seconds.
    pub user: f64,
    /// CPU time in the kernel of the same processes, in seconds.
    pub system: f64,
    /// The exit code; `None` after a signal.
    pub exit_code: Option<i32>,
    /// Load average over one minute, before the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Percent of the ten seconds before the build in which some task waited for I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure: Option<f64>,
    /// The path of the build record, relative to the folder of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// The problem of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl CaseSamples {
    /// The wall times of the good samples in seconds, in the order of measurement.
    pub fn times(&self) -> Vec<f64> {
        self.good().map(|sample| sample.wall).collect()
    }

    /// The wall times of both in seconds, from the rounds in which both were right. Disturbances of a round affect
    /// both sides.
    pub(crate) fn paired_with(&self, other: &Self) -> (Vec<f64>, Vec<f64>) {
        let same_round = |round| self.good().find(move |sample| sample.round == round);
        other.good().filter_map(|sample| Some((same_round(sample.round)?.wall, sample.wall))).unzip()
    }

    /// The samples with the right result.
    pub fn good(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|sample| sample.fault.is_none())
    }
}

impl Run {
    /// Reads a run from its folder or its `run.json`.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let path = if path.is_dir() { path.join("run.json") } else { path.to_owned() };
        let text = fs::read(&path).map_err(RunError::io("read", &path))?;
        let format = |error| RunError::Format { path: path.clone(), error };
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

    /// Writes `run.json` to the folder, without the credentials in addresses: commands and errors may contain some. The file is replaced
    /// atomically.
    pub fn write(&self, folder: &Path) -> Result<(), RunError> {
        let (path, new) = (folder.join("run.json"), folder.join(".run.json.new"));
        let text =
            serde_json::to_string_pretty(self).map_err(|error| RunError::Format { path: path.clone(), error })?;
        fs::write(&new, escaped_json(&redacted(&text)).as_bytes()).map_err(RunError::io("write", &new))?;
        fs::rename(&new, &path).map_err(RunError::io("write", &path))
    }

    /// The samples with a wrong result: (case, sample).
    pub fn faults(&self) -> impl Iterator<Item = (&Case, &Sample)> {
        self.cases.iter().flat_map(|case| {
            case.samples.iter().filter(|sample| sample.fault.is_some()).map(|sample| (&case.case, sample))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::export::sample;
    use std::fs;

    #[test]
    fn a_run_is_written_without_credentials() {
        let mut run = sample::run();
        run.cases[0].case.workload = "https://me:SECRET@host/a.git".into();
        let folder = tempfile::tempdir().unwrap();
        run.write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("run.json")).unwrap();
        assert!(text.contains("https://me:xxxxx@host/a.git") && !text.contains("SECRET"), "{text}");
    }
}
