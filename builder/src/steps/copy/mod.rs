//! COPY and ADD: make a layer of files from a context, a stage, an image, the web or the Dockerfile itself.
//!
//! There are two halves. [`Selection::of`] decides *what* is copied. It only sees the origin of the files, so its
//! [`digest`](Selection::digest) can be a cache key before anything below the step is built. [`copy`] decides *where*
//! the files go. It sees the image as a merged tree of layers and writes one layer. No inode is created on the way, and
//! a file from a stage is a range of a blob.
//!
//! The rules are those of BuildKit (its `FileOp`), checked with a conformance kit. A comment marks each difference from
//! the classic builder.

mod archive;
mod destination;
mod error;
mod group;
mod item_sums;
mod key;
mod missing;
mod mode;
mod mounted;
mod names;
mod origin;
mod owner;
mod remote;
mod select;
mod summary;
mod target;
mod walk;

pub use error::CopyError;
pub use item_sums::FileCount;
pub use origin::CopyOrigin;
pub use owner::Owner;
pub use select::{ListOrSummary, Selection};
pub use summary::Summary;

pub(super) use error::line_of;
pub(super) use mounted::with_target;
pub(super) use target::{ChangedTree, NewDirectory};

use destination::CopiedFile;

use crate::plan;
use crate::sources::{Memory, StoredAt};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use buildscope_storage::{ContentOffsets, Layer, Store, Timestamp};

/// Makes the layer of a COPY or ADD. It has what the instruction changes: an equal file that exists already is not part of it.
///
/// `parent` are the layers of the image so far, lowest first (ignored with `--link`). `now` is the modification time
/// of missing parent directories, of existing directories that get or lose an entry, and of files from heredocs.
///
/// # Errors
/// If a directory would replace a file or the reverse, if `--chown` names an unknown user, if `--chmod` is malformed, if
/// an archive is damaged, or if the store fails.
pub fn copy(
    op: &plan::Copy,
    mut selection: Selection,
    parent: &[DiffId],
    now: Timestamp,
    store: &Store,
    probe: &Probe,
) -> Result<Layer, CopyError> {
    let span = probe.phase(Phase::Copy);
    let tree = store.tree(parent)?;
    let owner = op.chown.as_deref().map(|text| Owner::find(text, &tree)).transpose()?;
    let below = if op.link { store.tree(&[])? } else { tree };
    let mut target = ChangedTree::new(below, now);
    let memory = selection.memory.clone();
    let checkouts = selection.take_checkouts();
    let copied = destination::put(op, selection, owner, now, &mut target, store)?;
    target.forget_unchanged()?;
    span.quantity(Quantity::FilesChanged, target.len() as u64);
    let layer = target.into_layer(store);
    span.end();
    let (layer, content_offsets) = layer.finish_with_offsets(probe)?;
    drop(checkouts);
    if let Some(memory) = &memory {
        remember(memory, &copied, layer, &content_offsets, probe);
    }
    Ok(layer)
}

/// Records where in the new layer the files of a context are, so that a later COPY of them reads the layer. A sparse file is read from
/// the context, where its holes are known.
fn remember(memory: &Memory, copied: &[CopiedFile], layer: Layer, content_offsets: &ContentOffsets, probe: &Probe) {
    if copied.is_empty() {
        return;
    }
    let _span = probe.phase(Phase::Commit);
    let blob = layer.diff_id.into();
    memory.set_stored(copied.iter().filter_map(|CopiedFile { host, digest, number }| {
        Some((*host, *digest, StoredAt { blob, offset: content_offsets.of(*number)? }))
    }));
}

#[cfg(test)]
mod tests;
