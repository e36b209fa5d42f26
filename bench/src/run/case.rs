//! Cases: what is measured against what.

use buildscope_workloads::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One builder in one setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// `buildscope`, or the name it was given on the command line.
    pub builder: String,
    /// The binary; it is part of no comparison.
    #[serde(skip)]
    pub binary: PathBuf,
    /// `--policy`.
    pub policy: String,
    /// `--driver`.
    pub driver: String,
    /// `--jobs`.
    pub jobs: usize,
}

/// A workload, a cache state and a subject: what samples belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// The workload's name.
    pub workload: String,
    /// The cache state each build begins from.
    pub scenario: Scenario,
    /// Who builds.
    pub subject: Subject,
}

impl Subject {
    /// The command that builds `context` with the store in `root`.
    pub(super) fn command(&self, root: &Path, context: &Path, no_cache: bool) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["build", "--progress", "quiet", "--policy", &self.policy]);
        if self.driver != "auto" {
            command.args(["--driver", &self.driver]);
        }
        if self.jobs > 0 {
            command.args(["--jobs", &self.jobs.to_string()]);
        }
        if no_cache {
            command.arg("--no-cache");
        }
        command.arg("--root").arg(root).arg(context);
        command
    }
}

impl Case {
    /// A name for files: letters, digits, dots and dashes.
    pub fn slug(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
        self.to_string().chars().map(safe).collect()
    }

    /// Whether the two differ at most in who built.
    pub fn same_but_builder(&self, other: &Self) -> bool {
        let of = |case: &Self| {
            let subject = &case.subject;
            (case.workload.clone(), case.scenario, subject.policy.clone(), subject.driver.clone(), subject.jobs)
        };
        of(self) == of(other)
    }

    /// What tells it from the other cases of its run, by name.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        [
            ("workload", self.workload.clone()),
            ("cache", self.scenario.to_string()),
            ("builder", self.subject.builder.clone()),
            ("policy", self.subject.policy.clone()),
            ("driver", self.subject.driver.clone()),
            ("jobs", self.subject.jobs.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl fmt::Display for Subject {
    /// What differs from the default is said: `buildscope stages overlay j2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.builder, self.policy)?;
        if self.driver != "auto" {
            write!(f, " {}", self.driver)?;
        }
        if self.jobs > 0 { write!(f, " j{}", self.jobs) } else { Ok(()) }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.workload, self.scenario, self.subject)
    }
}
