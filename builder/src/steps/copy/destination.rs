//! The destination of a COPY or ADD: puts a selection into an image.

use super::archive::{Archive, Unpacking};
use super::group::{Group, Item};
use super::mode::Mode;
use super::origin::Inode;
use super::select::Selection;
use super::target::{InodeId, NewDirectory, Target, called, join};
use super::walk::Written;
use super::{CopyError, Owner};
use crate::plan;
use crate::sources::Identity;
use buildscope_storage::{Content, Entry, EntryKind, Store, Timestamp};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of a context that was copied.
pub(super) struct CopiedFile {
    /// The state of the file.
    pub(super) identity: Identity,
    /// The path in the layer.
    pub(super) path: PathBuf,
}

/// Puts everything selected into the target. Returns the files that came from a context.
pub(super) fn put(
    op: &plan::Copy,
    selection: &Selection,
    owner: Option<Owner>,
    now: Timestamp,
    target: &mut Target,
    store: &Store,
) -> Result<Vec<CopiedFile>, CopyError> {
    let mut copied = Vec::new();
    let mode = op.chmod.as_deref().map(Mode::parse).transpose()?;
    let Written { path, directory } = Written::parse(&op.destination, &op.workdir);
    // A missing directory gets the mode of an octal `--chmod`, as in BuildKit. A symbolic one has no mode to change.
    let new = NewDirectory {
        mode: if let Some(Mode::Octal(mode)) = mode { mode } else { 0o755 },
        owner: owner.unwrap_or_default(),
        mtime: now,
    };
    let to = Destination { path, directory, owner, mode, now, new };
    for group in &selection.groups {
        if group.unpack
            && !group.directory
            && let Some(item) = group.items.first()
            && let Some(archive) = Archive::open(&group.source, item, store)?
        {
            let root = target.follow(Path::new(""), &to.path)?;
            target.make_directories(&root, to.new)?;
            archive.unpack_into_image(&Unpacking { root: &root, owner: to.owner, now }, target)?;
            continue;
        }
        to.group(group, target, &mut copied)?;
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
    fn group(&self, group: &Group, target: &mut Target, copied: &mut Vec<CopiedFile>) -> Result<(), CopyError> {
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
        let mut links: HashMap<&Inode, InodeId> = HashMap::new();
        for item in &group.items {
            if group.directory && item.entry.path.as_os_str().is_empty() {
                continue;
            }
            let path = join(&to, &item.entry.path);
            copied.extend(item.identity.map(|identity| CopiedFile { identity, path: path.clone() }));
            self.item(group, item, path, target, &mut links)?;
        }
        Ok(())
    }

    fn item<'g>(
        &self,
        group: &Group,
        item: &'g Item,
        path: PathBuf,
        target: &mut Target,
        links: &mut HashMap<&'g Inode, InodeId>,
    ) -> Result<(), CopyError> {
        let there = target.look(&path).map(|entry| entry.kind);
        if item.entry.kind == EntryKind::Directory {
            return match there {
                Some(EntryKind::Directory) if item.implied || group.partial => Ok(()),
                Some(EntryKind::Directory) | None => {
                    target.put(self.entry(item, path), Content::Bytes(Arc::default())).map(drop)
                }
                Some(kind) => Err(CopyError::NotADirectory { path, found: called(&kind) }),
            };
        }
        if there == Some(EntryKind::Directory) {
            return Err(CopyError::IsADirectory(path));
        }
        match item.inode.as_ref().and_then(|inode| links.get(inode)) {
            Some(&file) => target.link(&path, file),
            None => {
                let file = target.put(self.entry(item, path), item.content.clone())?;
                links.extend(item.inode.as_ref().map(|inode| (inode, file)));
                Ok(())
            }
        }
    }

    /// The entry for an item at `path`, with the metadata that the instruction asks for.
    fn entry(&self, item: &Item, path: PathBuf) -> Entry {
        let mut entry = Entry { path, ..item.entry.clone() };
        if let Some(Owner { uid, gid }) = self.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let (Some(mode), false) = (&self.mode, matches!(entry.kind, EntryKind::Symlink { .. })) {
            entry.mode = mode.apply(entry.mode, entry.kind == EntryKind::Directory);
        }
        if item.timeless {
            entry.mtime = self.now;
        }
        entry
    }
}
