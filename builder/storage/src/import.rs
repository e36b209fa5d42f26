//! Layers that others made: read once, checked, indexed, kept byte for byte.

use super::index::{IndexBuilder, LayerIndex, RecordKind, to_path};
use super::tar::{Member, MemberKind, Reader};
use super::{Entry, EntryKind, Extent, StorageError, attributes};
use std::io::Read;
use std::path::PathBuf;

/// The longest target of a symbolic link: PATH_MAX without its zero byte.
const MAX_TARGET: usize = 4095;

/// Reads an archive to its end and gives what an index needs to be finished.
pub(crate) fn scan(source: impl Read) -> Result<IndexBuilder, StorageError> {
    let mut reader = Reader::new(source);
    let mut index = IndexBuilder::default();
    while let Some(member) = reader.next()? {
        let at = member.offset;
        let path = clean(&member.name).ok_or_else(|| escapes(at, &member.name))?;
        let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let parent = to_path(super::tree::parent(&path));
        if base == b".wh..wh..opq" {
            index.mark(RecordKind::Opaque, parent);
            continue;
        }
        if base.starts_with(b".wh..wh.") {
            // aufs' own housekeeping (`.wh..wh.plnk`): no part of the image.
            continue;
        }
        if let Some(gone) = base.strip_prefix(b".wh.") {
            if gone.is_empty() || gone == b"." || gone == b".." {
                return Err(escapes(at, &member.name));
            }
            index.mark(RecordKind::Whiteout, super::tree::join(super::tree::parent(&path), gone));
            continue;
        }
        if path.is_empty() && member.kind != MemberKind::Directory {
            return Err(StorageError::bad_layer(at, "the root is not a directory"));
        }
        let (entry, extents) = entry(member, path)?;
        index.entry(entry, at, extents);
    }
    Ok(index)
}

/// Makes the index of a blob that is known to be good.
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
            return Err(StorageError::bad_layer(at, "a symlink without a target"));
        }
        MemberKind::Symlink if member.link.len() > MAX_TARGET => {
            return Err(StorageError::bad_layer(at, "a symlink whose target is longer than a path can be"));
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
        let place = |(offset, data, length)| Extent { offset, blob_offset: at + data, length };
        sparse.pieces.into_iter().map(place).collect()
    });
    let Member { mode, uid, gid, mtime, mut xattrs, .. } = member;
    // A layer must not bring marks of overlayfs with it: they would make it show other layers' files.
    xattrs.retain(|name, _| attributes::belongs(name));
    Ok((Entry { path: to_path(&path), kind, mode, uid, gid, mtime, xattrs }, extents))
}

/// An image path from a member's name: `./a//b/` is `a/b`. None if it leads out of the image or cannot be a path.
///
/// A leading slash is allowed, as every reader allows it; `..` is refused rather than guessed at.
fn clean(name: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    let possible = |part: &&[u8]| *part != b".." && part.len() <= 255 && !part.contains(&0);
    (!name.is_empty() && parts.iter().all(possible)).then(|| parts.join(&b'/'))
}

fn escapes(at: u64, name: &[u8]) -> StorageError {
    let shown: PathBuf = to_path(name);
    StorageError::bad_layer(at, format!("`{}` is no path inside an image", shown.display()))
}
