//! A planned case: the case and how its builder is run.

use super::Peer;
use crate::run::{Case, Subject};
use buildscope_record::DriverChoice;
use buildscope_workloads::{Scenario, Workload};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The way to run a builder.
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
    /// Whether this builder builds a workload and can be brought into a cache state. The harness does not empty the store of
    /// another builder or replace its base images, and it has no command for the targets of a bake file.
    pub fn supports(&self, workload: &Workload, scenario: Scenario) -> bool {
        let is_peer = matches!(self, Self::Peer(_));
        !(is_peer && (workload.manifest.bake.is_some() || matches!(scenario, Scenario::Base | Scenario::Imported)))
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

    /// The command of a buildscope binary that builds `context` with the store in `root`. A workload of several targets is built from
    /// its bake file.
    pub(super) fn command(
        &self,
        binary: &Path,
        root: &Path,
        context: &Path,
        cache: StepCache,
        work: BuildCommand,
    ) -> Command {
        let mut command = Command::new(binary);
        command.args([work.name(), "--progress", "quiet"]);
        // A variable, because older binaries do not know the flag --no-record.
        command.env("BUILDSCOPE_KEEP_RECORDS", "none");
        if let Some(policy) = self.policy {
            command.args([work.policy_flag(), policy.name()]);
        }
        if self.driver != DriverChoice::Auto {
            command.args(["--driver", self.driver.name()]);
        }
        if self.jobs > 0 {
            command.args(["--jobs", &self.jobs.to_string()]);
        }
        command.args(cache.flag());
        command.arg("--root").arg(root);
        match work {
            BuildCommand::Build => command.arg(context),
            BuildCommand::Bake => command.current_dir(context),
        };
        command
    }
}

/// The command that builds a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuildCommand {
    /// One Dockerfile.
    Build,
    /// The targets of a bake or compose file.
    Bake,
}

impl BuildCommand {
    pub(super) fn of(workload: &Workload) -> Self {
        if workload.manifest.bake.is_some() { Self::Bake } else { Self::Build }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Bake => "bake",
        }
    }

    /// Older binaries know the flag of `build` only by its first name.
    fn policy_flag(self) -> &'static str {
        match self {
            Self::Build => "--policy",
            Self::Bake => "--granularity",
        }
    }
}
