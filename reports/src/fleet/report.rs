//! The totals of a fleet of builds, as data.

use buildscope_record::Nanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the report's JSON. Fields may be added under one version.
pub(super) const VERSION: u32 = 1;

/// Totals over builds. Tables have at most 20 rows, the most expensive first. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format.
    pub fleet: u32,
    /// The number of builds.
    pub builds: u64,
    /// The number of builds that failed.
    pub failed: u64,
    /// The sum of their wall times.
    pub wall: Nanos,
    /// The days from the first to the last start; 0 if the records have no times.
    pub days: f64,
    /// The steps by the time that they delayed builds.
    pub steps: Vec<Step>,
    /// The commands inside RUN steps by their time, over all Dockerfiles.
    pub commands: Vec<Command>,
    /// The base images by the time of their FROM.
    pub bases: Vec<Base>,
    /// The causes of cache misses by the time that they cost on critical paths.
    pub causes: Vec<Cause>,
    /// The files whose change caused misses.
    pub files: Vec<Cause>,
    /// The Dockerfiles by their total wall time.
    pub trends: Vec<Trend>,
    /// The changes that would save most.
    pub savings: Vec<Saving>,
}

/// One step over all builds of its Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The stage.
    pub stage: String,
    /// The instruction.
    pub text: String,
    /// The number of runs.
    pub runs: u64,
    /// The number of cache hits.
    pub cached: u64,
    /// The time of all runs, without waits.
    pub time: Nanos,
    /// The time by which it delayed the ends of builds.
    pub drag: Nanos,
}

/// One command over all builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// The text of the command.
    pub text: String,
    /// The number of runs.
    pub runs: u64,
    /// The time of all runs.
    pub time: Nanos,
}

/// One base image over all builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Base {
    /// The name as written.
    pub name: String,
    /// The number of FROM instructions that used it.
    pub uses: u64,
    /// The time of those instructions.
    pub time: Nanos,
}

/// The cause for which steps ran again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The cause, or the file.
    pub cause: String,
    /// The number of misses that it caused.
    pub misses: u64,
    /// The time of the steps that ran because of it.
    pub rerun: Nanos,
    /// The part of that time on critical paths.
    pub on_path: Nanos,
}

/// The builds of one Dockerfile over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The number of builds that succeeded.
    pub builds: u64,
    /// The sum of their wall times.
    pub total: Nanos,
    /// The median of the older half; `None` for a single build.
    #[serde(default)]
    pub older: Option<Nanos>,
    /// The median of the newer half; `None` for a single build.
    #[serde(default)]
    pub newer: Option<Nanos>,
}

/// A change and its saving over the builds of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saving {
    /// The Dockerfile.
    pub dockerfile: String,
    /// The change, as a sentence.
    pub what: String,
    /// The predicted gain of one build, from the last record of the Dockerfile.
    pub gain: Nanos,
    /// The number of builds in which the step ran.
    pub builds: u64,
    /// The gain over those builds.
    pub total: Nanos,
    /// Hours a week at the rate of the builds; `None` if they span less than a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_per_week: Option<f64>,
}
