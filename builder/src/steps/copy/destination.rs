//! The destination of a COPY or ADD: puts a selection into an image.

use super::archive::{Archive, Unpacking};
use super::group::{Detail, FileGroup};
use super::mode::Mode;
use super::select::Selection;
use super::target::{ChangedTree, InodeId, NewDirectory, called, join};
use super::walk::WrittenPath;
use super::{CopyError, Owner};
use crate::plan;
use buildscope_record::Digest;
use buildscope_storage::{Content, Entry, EntryKind, ListedEntry, Store, Timestamp};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of a context that was copied.
pub(super) struct CopiedFile {
    /// Device and inode number.
    pub(super) host: (u64, u64),
    /// The digest of the content.
    pub(super) digest: Digest,
    /// The number of its entry in the layer's list.
    pub(super) number: u32,
}

/// Puts everything selected into the target. Returns the files with one name that came from a context.
pub(super) fn put(
    op: &plan::Copy,
    selection: Selection,
    owner: Option<Owner>,
    now: Timestamp,
    target: &mut ChangedTree,
    store: &Store,
) -> Result<Vec<CopiedFile>, CopyError> {
    let mut copied = Vec::new();
    let mode = op.chmod.as_deref().map(Mode::parse).transpose()?;
    let WrittenPath { path, directory } = WrittenPath::parse(&op.destination, &op.workdir);
    // A missing directory gets the mode of an octal `--chmod`, as in BuildKit. A symbolic one has no mode to change.
    let new = NewDirectory {
        mode: if let Some(Mode::Octal(mode)) = mode { mode } else { 0o755 },
        owner: owner.unwrap_or_default(),
        mtime: now,
    };
    let to = Destination { path, directory, owner, mode, now, new };
    for group in selection.groups {
        if group.unpack
            && !group.directory
            && let Some((entry, _)) = group.items.first()
            && let Some(archive) = Archive::open(&group.source, entry, store)?
        {
            let root = target.follow(Path::new(""), &to.path)?;
            target.make_directories(&root, to.new)?;
            archive.unpack_into_image(&Unpacking { root: &root, owner: to.owner, now }, target)?;
            continue;
        }
        to.group(&group, target, &mut copied)?;
    }
    Ok(copied)
}

/// The destination and the metadata that the instruction asks for.
struct Destination {
    /// The destination, cleaned, with links not yet followed.
    path: PathBuf,
    /// Whether the destination is written as a directory.
    directory: bool,
    owner: Option<Owner>,
    mode: Option<Mode>,
    now: Timestamp,
    new: NewDirectory,
}

impl Destination {
    fn group(
        &self,
        group: &FileGroup,
        target: &mut ChangedTree,
        copied: &mut Vec<CopiedFile>,
    ) -> Result<(), CopyError> {
        let root = Path::new("");
        let first = if self.directory { &self.path } else { self.path.parent().unwrap_or(root) };
        let first = target.follow(root, first)?;
        target.make_directories(&first, self.new)?;
        let mut to = target.follow(root, &self.path)?;
        let there = target.look(&to);
        match (&there, group.directory) {
            // A file is put into an existing directory.
            (Some(entry), false) if entry.kind == EntryKind::Directory => to.push(&group.name),
            // The contents of a directory need a directory.
            (_, true) => target.make_directories(&to, self.new)?,
            (_, false) => {}
        }
        let mut links: HashMap<NonZeroU32, InodeId> = HashMap::new();
        for (entry, detail) in group.items.iter() {
            if group.directory && entry.path_bytes().is_empty() {
                continue;
            }
            let path = join(&to, entry.path());
            let keeps = detail.implied || group.partial;
            let file = self.item((entry, detail), path, keeps, target, &mut links)?;
            if let (Some(host), Some(digest), Some(file), None) =
                (group.items.host(detail), detail.digest, file, detail.inode)
            {
                copied.push(CopiedFile { host, digest, number: file.number() });
            }
        }
        Ok(())
    }

    /// Puts one item at `path`. Returns the file, if it is one. An existing directory stays as it is if `keeps` is true.
    fn item(
        &self,
        (entry, detail): (ListedEntry<'_>, &Detail),
        path: PathBuf,
        keeps: bool,
        target: &mut ChangedTree,
        links: &mut HashMap<NonZeroU32, InodeId>,
    ) -> Result<Option<InodeId>, CopyError> {
        let there = target.kind(&path);
        if entry.is_directory() {
            match there {
                Some(EntryKind::Directory) if keeps => {}
                Some(EntryKind::Directory) | None => {
                    target.put(&self.entry(entry, detail, path), Content::Bytes(Arc::default()))?;
                }
                Some(kind) => return Err(CopyError::NotADirectory { path, found: called(&kind) }),
            }
            return Ok(None);
        }
        if there == Some(EntryKind::Directory) {
            return Err(CopyError::IsADirectory(path));
        }
        match detail.inode.and_then(|inode| links.get(&inode)) {
            Some(&file) => target.link(&path, file).map(|()| None),
            None => {
                let file = target.put(&self.entry(entry, detail, path), entry.content())?;
                links.extend(detail.inode.map(|inode| (inode, file)));
                Ok(Some(file))
            }
        }
    }

    /// The entry for an item at `path`, with the metadata that the instruction asks for.
    fn entry(&self, listed: ListedEntry<'_>, detail: &Detail, path: PathBuf) -> Entry {
        let mut entry = Entry { path, ..listed.entry() };
        if let Some(Owner { uid, gid }) = self.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let (Some(mode), false) = (&self.mode, matches!(entry.kind, EntryKind::Symlink { .. })) {
            entry.mode = mode.apply(entry.mode, entry.kind == EntryKind::Directory);
        }
        if detail.timeless {
            entry.mtime = self.now;
        }
        entry
    }
}
