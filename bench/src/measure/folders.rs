//! Where a case builds: a context and a store of its own, so that no case warms another's cache.

use crate::run::RunError;
use buildscope_workloads::{Scenario, Workload};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A case's folders.
#[derive(Debug)]
pub(super) struct CaseFolders {
    /// Its build context.
    pub(super) context: PathBuf,
    /// Its store.
    pub(super) store: PathBuf,
    /// What its cache state is made of: changed base images, an exported cache.
    pub(super) aside: PathBuf,
    /// When it was last brought into its state.
    pub(super) entered: Cell<Option<Instant>>,
}

impl CaseFolders {
    /// One by words, for a command that is shown.
    pub(super) fn shown(context: &str) -> Self {
        Self { context: context.into(), store: "STORE".into(), aside: "ASIDE".into(), entered: Cell::new(None) }
    }

    /// Makes the folders below `scratch`. Cases that do not edit share their workload's context.
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
            fs::create_dir_all(folder).map_err(RunError::io(folder))?;
        }
        Ok(Self { context, store, aside, entered: Cell::new(None) })
    }
}
