//! Cache states: the untimed preparation before a build.

use super::child::finish;
use super::folders::CaseFolders;
use super::{Plan, PlannedCase, Runner};
use crate::run::{Case, RunError};
use buildscope_workloads::{Scenario, Workload};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The pause between an edit and the build. buildscope remembers no file that changed within 20 ms before it was read, so builds that start
/// sooner or later after the edit would do different work.
const SETTLED: Duration = Duration::from_millis(50);

/// Describes how cache states are created. It is part of every run, so that readers can interpret its numbers.
pub(super) const STATES: &str = "cold: `--no-cache` in a store that has the base images and no cache mounts. warm: the same build again. \
    edit, dependency: one file changed just before. base: each base image has one additional file. \
    imported: an empty store and a cache exported by `--cache-to type=local,mode=max`.";

/// The treatment of the page cache between builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PageCache {
    /// It is left as it is. Contexts and stores were just written or used, so reads are served from memory
    #[default]
    Keep,
    /// It is written back and dropped before each build (needs root)
    Drop,
}

/// The kernel's file for dropping caches (Documentation/admin-guide/sysctl/vm.rst). 3 means pages, directory entries
/// and inodes.
const DROP: &str = "/proc/sys/vm/drop_caches";

impl PageCache {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Keep => "The page cache is left as it is: contexts and stores have just been written or used.",
            Self::Drop => "The page cache is written back and dropped before each build.",
        }
    }

    fn prepare(self) -> Result<(), RunError> {
        match self {
            Self::Keep => Ok(()),
            Self::Drop => {
                rustix::fs::sync();
                fs::write(DROP, "3").map_err(RunError::io("write", DROP))
            }
        }
    }
}

impl Plan {
    /// Brings a case into its state for the `n`th time, from 1. The first, untimed build used the unedited files.
    /// Returns false if it was stopped.
    pub(super) async fn enter(
        &self,
        planned: &PlannedCase,
        folders: &CaseFolders,
        n: u32,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let PlannedCase { case, runner } = planned;
        let workload = self.workload(case);
        let last = folders.entered.replace(Some(Instant::now()));
        if let (Runner::Buildscope(binary), Some(last), true) = (runner, last, is_nearly_full(&self.scratch)) {
            let Some(ended) = finish(keep_since(binary, &folders.store, last.elapsed()), stop).await? else {
                return Ok(false);
            };
            ended.prepared(case)?;
        }
        match case.scenario {
            Scenario::Warm => {}
            Scenario::Cold => {
                // The cached results of steps are not used, but a compiler could reuse its own cache from an earlier
                // build.
                if let Runner::Buildscope(binary) = runner {
                    let Some(ended) = finish(empty_caches(binary, &folders.store), stop).await? else {
                        return Ok(false);
                    };
                    ended.prepared(case)?;
                }
            }
            Scenario::Edit | Scenario::Dependency => {
                workload.edit(case.scenario, &folders.context, n)?;
                tokio::time::sleep(SETTLED).await;
            }
            Scenario::Imported => {
                fs::remove_dir_all(&folders.store).map_err(RunError::io("remove", &folders.store))?;
                fs::create_dir(&folders.store).map_err(RunError::io("create", &folders.store))?;
            }
            Scenario::Base => {
                let Runner::Buildscope(binary) = runner else { return Ok(true) };
                for base in &workload.manifest.bases {
                    let Some(ended) = finish(self.change_base(binary, base, &folders.aside, n)?, stop).await? else {
                        return Ok(false);
                    };
                    ended.prepared(case)?;
                }
            }
        }
        self.page_cache.prepare()?;
        Ok(true)
    }

    /// The command that builds a base image with one additional file in `aside`.
    fn change_base(&self, binary: &Path, base: &str, aside: &Path, n: u32) -> Result<Command, RunError> {
        let (context, layout) = (aside.join("context"), changed(aside, base));
        if layout.exists() {
            fs::remove_dir_all(&layout).map_err(RunError::io("remove", &layout))?;
        }
        for folder in [Some(context.as_path()), layout.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(RunError::io("create", folder))?;
        }
        for (name, text) in [("stamp", n.to_string()), ("Dockerfile", format!("FROM {base}\nCOPY stamp /etc/stamp\n"))]
        {
            fs::write(context.join(name), text).map_err(RunError::io("write", &context))?;
        }
        let mut command = Command::new(binary);
        command.args(["build", "--progress", "quiet", "--root"]).arg(aside.join("store"));
        command.arg("--output").arg(format!("type=oci,dest={},tar=false", layout.display()));
        give_base(&mut command, base, self.bases.as_deref());
        command.arg(context);
        Ok(command)
    }

    /// Adds the options for base images and cache to a buildscope build.
    pub(super) fn add_inputs(&self, command: &mut Command, case: &Case, workload: &Workload, folders: &CaseFolders) {
        for base in &workload.manifest.bases {
            let layout = changed(&folders.aside, base);
            if case.scenario == Scenario::Base && layout.exists() {
                name_layout(command, base, &layout);
            } else {
                give_base(command, base, self.bases.as_deref());
            }
        }
        if case.scenario == Scenario::Imported {
            let cache = exported(&folders.aside);
            if cache.exists() {
                command.arg("--cache-from").arg(format!("type=local,src={}", cache.display()));
            } else {
                command.arg("--cache-to").arg(format!("type=local,dest={},mode=max", cache.display()));
            }
        }
    }
}

/// Whether less than a tenth of the file system is free. Every cold build adds its layers to the store of its case,
/// and a long run has hundreds of cold builds.
fn is_nearly_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail < disk.f_blocks / 10)
}

/// The command that removes from a store everything that was not used for this long, except cache directories.
fn keep_since(binary: &Path, store: &Path, used: Duration) -> Command {
    let mut command = Command::new(binary);
    // Times of use have a resolution of one second.
    command.args(["store", "prune", "--keep-duration", &format!("{}s", used.as_secs() + 2)]);
    command.args(["--filter", "type=layer", "--filter", "type=blob", "--filter", "type=derived", "--root"]).arg(store);
    command
}

/// The command that empties the cache directories of a store.
pub(super) fn empty_caches(binary: &Path, store: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["store", "prune", "--filter", "type=cache-mount", "--root"]).arg(store);
    command
}

/// Passes the layout of a base image from the folder `bases`, unless the builder generates the image itself.
pub(super) fn give_base(command: &mut Command, base: &str, bases: Option<&Path>) {
    if let Some(bases) = bases.filter(|_| base != "busybox") {
        name_layout(command, base, &bases.join(base));
    }
}

fn name_layout(command: &mut Command, base: &str, layout: &Path) {
    command.arg("--build-context").arg(format!("{base}=oci-layout://{}", layout.display()));
}

/// The path of the changed version of a base image.
fn changed(aside: &Path, base: &str) -> PathBuf {
    aside.join("bases").join(base)
}

/// The path of the exported cache. The first, untimed build creates it.
fn exported(aside: &Path) -> PathBuf {
    aside.join("cache")
}
