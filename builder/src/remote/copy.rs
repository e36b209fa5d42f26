//! A COPY from a stage for another machine, which has the stage's layers.

use crate::http;
use crate::plan::{self, CopyFrom};
use crate::steps::copy::{self, CopyError, CopyOrigin, Selection};
use buildscope_record::{DiffId, Digest, Probe, StepId};
use buildscope_storage::{Layer, Store};
use serde::{Deserialize, Serialize};

/// A COPY from a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DescribedCopy {
    /// The layers of the stage, lowest first.
    from: Vec<DiffId>,
    sources: Vec<String>,
    destination: String,
    workdir: String,
    chown: Option<String>,
    chmod: Option<String>,
    link: bool,
    parents: bool,
    exclude: Vec<String>,
    /// The limit of the times of files, in seconds since 1970: later times count as this one.
    epoch: Option<i64>,
}

/// The keys of the files that a COPY selects. See [`Selection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// The content key of the files.
    pub(crate) digest: Digest,
    /// The digest of their times, if these count.
    pub(crate) times: Option<Digest>,
}

impl Selected {
    /// The keys of a selection from a stage. The files of a stage get newer times whenever it runs. That alone is not a reason to copy
    /// them again, unless the image's times are given by `epoch`.
    pub(crate) fn of(
        selection: &mut Selection,
        op: &plan::Copy,
        epoch: Option<i64>,
        store: &Store,
        probe: &Probe,
    ) -> Result<Self, CopyError> {
        let digest = selection.digest(op, store.blobs(), probe)?;
        Ok(Self { digest, times: epoch.map(|epoch| selection.times(Some(epoch))) })
    }
}

impl DescribedCopy {
    /// Describes a COPY from a stage with these layers.
    pub(crate) fn of(op: &plan::Copy, from: &[DiffId], epoch: Option<i64>) -> Self {
        Self {
            from: from.to_vec(),
            sources: op.sources.clone(),
            destination: op.destination.clone(),
            workdir: op.workdir.clone(),
            chown: op.chown.clone(),
            chmod: op.chmod.clone(),
            link: op.link,
            parents: op.parents,
            exclude: op.exclude.clone(),
            epoch,
        }
    }

    /// Makes the layer. All layers are in the store.
    pub(super) fn make(&self, below: &[DiffId], store: &Store, probe: &Probe) -> Result<(Layer, Selected), CopyError> {
        let op = plan::Copy {
            sources: self.sources.clone(),
            workdir: self.workdir.clone(),
            chown: self.chown.clone(),
            chmod: self.chmod.clone(),
            link: self.link,
            parents: self.parents,
            exclude: self.exclude.clone(),
            // The number of the stage's last step does not matter.
            ..plan::Copy::of(CopyFrom::Stage(StepId(0)), "", &self.destination)
        };
        let origin = CopyOrigin::Layers(store.tree(&self.from)?);
        let mut selection = Selection::of(&op, &origin, store, probe)?;
        let selected = Selected::of(&mut selection, &op, self.epoch, store, probe)?;
        Ok((copy::copy(&op, selection, below, http::now(), store, probe)?, selected))
    }
}
