//! Imports layers of other tools: they are read once, checked, indexed, and stored byte for byte.

use super::index::LayerIndex;
use super::index_builder::IndexBuilder;
use super::limits::{MAX_NAME, MAX_PATH, MAX_TARGET};
use super::path::{base_name, join, parent, to_path};
use super::row::RecordKind;
use super::tar::{Member, MemberKind, Reader, SparsePiece};
use super::{Entry, EntryKind, Extent, StorageError, attributes};
use std::io::Read;
use std::path::PathBuf;

/// Reads an archive to its end and returns an index without digest and size.
pub(crate) fn scan(source: impl Read) -> Result<IndexBuilder, StorageError> {
    let mut reader = Reader::new(source);
    let mut index = IndexBuilder::default();
    while let Some(member) = reader.read_member()? {
        let at = member.offset;
        let path = clean(&member.name).ok_or_else(|| escapes(at, &member.name))?;
        if path.len() > MAX_PATH {
            return Err(StorageError::bad_layer(at, format!("a path of more than {MAX_PATH} bytes")));
        }
        let base = base_name(&path);
        let folder = parent(&path);
        if base == b".wh..wh..opq" {
            index.mark(RecordKind::Opaque, &to_path(folder), at);
            continue;
        }
        if base.starts_with(b".wh..wh.") {
            // Metadata of aufs (`.wh..wh.plnk`) is not part of the image.
            continue;
        }
        if let Some(gone) = base.strip_prefix(b".wh.") {
            if gone.is_empty() || gone == b"." || gone == b".." {
                return Err(escapes(at, &member.name));
            }
            index.mark(RecordKind::Whiteout, &to_path(&join(folder, gone)), at);
            continue;
        }
        if path.is_empty() && member.kind != MemberKind::Directory {
            return Err(StorageError::bad_layer(at, "the root is not a directory"));
        }
        let (entry, extents) = entry(member, path)?;
        index.entry(&entry, at, extents);
    }
    Ok(index)
}

/// Rebuilds the index of a verified blob.
pub(crate) fn reindex(
    source: impl Read,
    diff_id: buildscope_record::DiffId,
    size: u64,
) -> Result<LayerIndex, StorageError> {
    scan(source)?.finish(diff_id, size)
}

fn entry(member: Member, path: Vec<u8>) -> Result<(Entry, Option<Vec<Extent>>), StorageError> {
    let at = member.offset;
    let size = member.sparse.as_ref().map_or(member.stored, |sparse| sparse.size);
    let kind = match member.kind {
        MemberKind::File => EntryKind::File { size },
        MemberKind::Directory => EntryKind::Directory,
        MemberKind::Symlink if member.link.is_empty() || member.link.contains(&0) => {
            return Err(StorageError::bad_layer(at, "invalid target of a symbolic link"));
        }
        MemberKind::Symlink if member.link.len() > MAX_TARGET => {
            return Err(StorageError::bad_layer(at, "the target of a symbolic link is too long"));
        }
        MemberKind::Symlink => EntryKind::Symlink { target: to_path(&member.link) },
        MemberKind::HardLink => match clean(&member.link).filter(|target| !target.is_empty()) {
            Some(target) => EntryKind::HardLink { target: to_path(&target) },
            None => return Err(escapes(at, &member.link)),
        },
        MemberKind::Char => EntryKind::CharDevice { major: member.device.0, minor: member.device.1 },
        MemberKind::Block => EntryKind::BlockDevice { major: member.device.0, minor: member.device.1 },
        MemberKind::Fifo => EntryKind::Fifo,
    };
    let extents = member.sparse.map(|sparse| {
        let extent =
            |piece: SparsePiece| Extent { offset: piece.offset, blob_offset: at + piece.stored, length: piece.length };
        sparse.pieces.into_iter().map(extent).collect()
    });
    let Member { mode, uid, gid, mtime, mut xattrs, .. } = member;
    // What Linux gives every symbolic link, whatever its header says: all drivers must show the same.
    let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { mode };
    // Marks of overlayfs in a layer would expose or hide files of other layers.
    xattrs.retain(|name, _| attributes::belongs(name));
    Ok((Entry { path: to_path(&path), kind, mode, uid, gid, mtime, xattrs }, extents))
}

/// The image path of a member name: `./a//b/` gives `a/b`. `None` for `..`, empty names and invalid components.
///
/// A leading slash is allowed, as in all readers. Tools disagree about `..`, so it is rejected.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let possible = |part: &&[u8]| *part != b".." && part.len() <= MAX_NAME && !part.contains(&0);
    (!name.is_empty() && parts.iter().all(possible)).then(|| parts.join(&b'/'))
}

fn escapes(at: u64, name: &[u8]) -> StorageError {
    let shown: PathBuf = to_path(name);
    StorageError::bad_layer(at, format!("`{}` is not a valid path in an image", shown.display()))
}
