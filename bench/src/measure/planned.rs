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
    pub(super) fn command(&self, binary: &Path, root: &Path, context: &Path, no_cache: bool) -> Command {
        let mut command = Command::new(binary);
        command.args(["build", "--progress", "quiet"]);
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
        if no_cache {
            command.arg("--no-cache");
        }
        command.arg("--root").arg(root).arg(context);
        command
    }
}
