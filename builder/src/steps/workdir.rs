//! WORKDIR: a directory that is there from now on.

use super::copy::{CopyError, NewDirectory, Owner, Target};
use buildscope_record::{DiffId, Phase, Probe};
use buildscope_storage::{Layer, Store, Timestamp};

/// Makes the layer of a WORKDIR: the directory at `path` and what is missing above it, with mode 755, owned by `user`
/// (the image's `USER` as written; empty is root). Where it is already there, links followed, the layer is empty.
///
/// A user that the image does not have counts as root, as with BuildKit: an image may well get its users later, and
/// RUN says so in time.
///
/// # Errors
/// A part of the path that is no directory; failures of the store.
pub fn workdir(
    path: &str,
    user: &str,
    parent: &[DiffId],
    now: Timestamp,
    store: &Store,
    probe: &Probe,
) -> Result<Layer, CopyError> {
    let span = probe.phase(Phase::Copy);
    let tree = store.tree(parent)?;
    let owner = match user {
        "" => Owner::default(),
        user => match Owner::find(user, &tree) {
            Err(CopyError::UnknownOwner { .. } | CopyError::BadOwner(_)) => Owner::default(),
            found => found?,
        },
    };
    let mut target = Target::new(tree);
    target.make_path(path, NewDirectory { mode: 0o755, owner, mtime: now })?;
    let layer = target.into_layer(store);
    span.end();
    Ok(layer.finish(probe)?)
}
