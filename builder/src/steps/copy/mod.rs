//! COPY and ADD: files of a context, a stage, an image or the Dockerfile itself, to a layer.
//!
//! Two halves. [`Selection::of`] decides *what* is copied; it sees only where files come from, so its
//! [`digest`](Selection::digest) can be a cache key before anything below the step is built.
//! [`copy`] decides *where* it goes; it sees the image that it goes into, as a merged tree of layers, and
//! makes one layer of it: no inode is made on the way, and what comes from a stage is a range of a blob.
//!
//! The rules are those of BuildKit (its `FileOp`), measured with a conformance kit; where they differ from
//! those of the classic builder, a comment says so.

mod archive;
mod error;
mod key;
mod mode;
mod origin;
mod owner;
mod place;
mod remote;
mod select;
mod target;
mod walk;

pub use error::CopyError;
pub use origin::Origin;
pub use owner::Owner;
pub use select::Selection;

pub(super) use target::{NewDirectory, Target};

use origin::Inode;

use crate::plan;
use crate::sources::Memory;
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use buildscope_storage::{Content, Layer, Store, Timestamp};

/// Makes the layer of a COPY or ADD.
///
/// `parent` are the layers of the image so far, lowest first (ignored with `--link`). `now` is the modification time
/// of what is made without a model: missing parent directories and files from heredocs.
///
/// # Errors
/// What the image forbids: a directory in the place of a file or the reverse, an unknown user; a malformed `--chmod`;
/// a damaged archive; failures of the store.
pub fn copy(
    op: &plan::Copy,
    selection: &Selection,
    parent: &[DiffId],
    now: Timestamp,
    store: &Store,
    probe: &Probe,
) -> Result<Layer, CopyError> {
    let span = probe.phase(Phase::Copy);
    let tree = store.tree(parent)?;
    let owner = op.chown.as_deref().map(|text| Owner::find(text, &tree)).transpose()?;
    let below = if op.link { store.tree(&[])? } else { tree };
    let mut target = Target::new(below);
    let placed = place::place(op, selection, owner, now, &mut target, store)?;
    span.quantity(Quantity::FilesChanged, target.len() as u64);
    let layer = target.into_layer(store);
    span.end();
    let layer = layer.finish(probe)?;
    if let Some(memory) = &selection.memory {
        remember(memory, &placed, layer, store, probe)?;
    }
    Ok(layer)
}

/// Notes where in the new layer the files of a context are: the next layer with them reads them there.
fn remember(
    memory: &Memory,
    placed: &[place::Placed],
    layer: Layer,
    store: &Store,
    probe: &Probe,
) -> Result<(), CopyError> {
    if placed.is_empty() {
        return Ok(());
    }
    let _span = probe.phase(Phase::Commit);
    let tree = store.tree(&[layer.diff_id])?;
    memory.place(placed.iter().filter_map(|(identity, path)| match tree.content(path)? {
        // A sparse file is better read where its holes are.
        Content::Blob { blob, offset, sparse: None, .. } => Some((*identity, blob, offset)),
        _ => None,
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
