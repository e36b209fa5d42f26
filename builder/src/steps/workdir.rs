//! WORKDIR: creates the directory if it is missing.

use super::copy::{ChangedTree, CopyError, NewDirectory, Owner};
use buildscope_record::{DiffId, Phase, Probe};
use buildscope_storage::{Layer, Store, Timestamp};

/// Makes the layer of a WORKDIR: the directory at `path` and its missing parents, with mode 755, owned by `user` (the
/// image's `USER` as written; empty is root). If the directory exists, after following links, the layer is empty.
///
/// A user that the image does not have counts as root, as in BuildKit: the image may get the user in a later step, and
/// a RUN as that user fails anyway.
///
/// # Errors
/// If a part of the path is not a directory, or if the store fails.
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
            Err(CopyError::UnknownOwner { .. }) => Owner::default(),
            found => found?,
        },
    };
    let mut target = ChangedTree::new(tree, now);
    target.make_path(path, NewDirectory { mode: 0o755, owner, mtime: now })?;
    let layer = target.into_layer(store);
    span.end();
    Ok(layer.finish(probe)?)
}
