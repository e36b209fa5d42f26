//! The folders of a case: each case has its own context and store, so that cases do not warm each other's cache.

use crate::run::RunError;
use buildscope_workloads::{Scenario, Workload};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The folders of a case.
#[derive(Debug)]
pub(super) struct CaseFolders {
    /// The build context.
    pub(super) context: PathBuf,
    /// The store.
    pub(super) store: PathBuf,
    /// The files that create a cache state: changed base images, an exported cache.
    pub(super) aside: PathBuf,
    /// The time at which the case last got its cache state.
    pub(super) entered: Cell<Option<Instant>>,
}

impl CaseFolders {
    /// Placeholders, for a command that is only printed.
    pub(super) fn shown(context: &str) -> Self {
        Self { context: context.into(), store: "STORE".into(), aside: "ASIDE".into(), entered: Cell::new(None) }
    }

    /// Creates the folders below `scratch`. Cases that do not edit files share the context of their workload.
    pub(super) fn make(scratch: &Path, slug: &str, workload: &Workload, scenario: Scenario) -> Result<Self, RunError> {
        let edits = matches!(scenario, Scenario::Edit | Scenario::Dependency);
        let context =
            if edits { scratch.join("contexts").join(slug) } else { scratch.join("contexts").join(&workload.name) };
        if !context.exists() {
            workload.materialise(&context)?;
        }
        let store = scratch.join("stores").join(slug);
        let aside = scratch.join("aside").join(slug);
        for folder in [&store, &aside] {
            fs::create_dir_all(folder).map_err(RunError::io("create", folder))?;
        }
        Ok(Self { context, store, aside, entered: Cell::new(None) })
    }
}
