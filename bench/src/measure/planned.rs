//! A planned case: the case and how its builder is run.

use super::Peer;
use crate::run::{Case, Subject};
use buildscope_record::DriverChoice;
use buildscope_workloads::Scenario;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a builder is run.
#[derive(Clone, Debug)]
pub enum Runner {
    /// A buildscope binary.
    Buildscope(PathBuf),
    /// Another builder.
    Peer(Peer),
}

/// A case and how its builder is run.
#[derive(Clone, Debug)]
pub struct PlannedCase {
    /// The case.
    pub case: Case,
    /// The builder.
    pub runner: Runner,
}

/// Whether a build may use the cached results of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepCache {
    Use,
    Ignore,
}

impl StepCache {
    /// The setting of the builds of a scenario.
    pub(super) fn of(scenario: Scenario) -> Self {
        if scenario == Scenario::Cold { Self::Ignore } else { Self::Use }
    }

    /// The command-line flag, which is the same for all builders.
    pub(super) fn flag(self) -> Option<&'static str> {
        (self == Self::Ignore).then_some("--no-cache")
    }
}

impl Runner {
    /// Whether this builder can be brought into a cache state. The harness does not empty the store of another
    /// builder or replace its base images.
    pub fn supports(&self, scenario: Scenario) -> bool {
        !matches!((self, scenario), (Self::Peer(_), Scenario::Base | Scenario::Imported))
    }

    pub(super) fn is_buildscope(&self) -> bool {
        matches!(self, Self::Buildscope(_))
    }
}

impl Subject {
    /// Another builder with its default settings.
    pub fn peer(peer: &Peer) -> Self {
        let (builder, version) = (peer.name.clone(), peer.version.clone());
        Self { builder, version, policy: None, driver: DriverChoice::Auto, jobs: 0 }
    }

    /// The command of a buildscope binary that builds `context` with the store in `root`.
    pub(super) fn command(&self, binary: &Path, root: &Path, context: &Path, cache: StepCache) -> Command {
        let mut command = Command::new(binary);
        command.args(["build", "--progress", "quiet"]);
        // A variable, because older binaries do not know the flag --no-record.
        command.env("BUILDSCOPE_KEEP_RECORDS", "none");
        if let Some(policy) = self.policy {
            // Older binaries know only this name.
            command.args(["--policy", policy.name()]);
        }
        if self.driver != DriverChoice::Auto {
            command.args(["--driver", self.driver.name()]);
        }
        if self.jobs > 0 {
            command.args(["--jobs", &self.jobs.to_string()]);
        }
        command.args(cache.flag());
        command.arg("--root").arg(root).arg(context);
        command
    }
}
