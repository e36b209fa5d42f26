//! Reads directories into nodes: in parallel, relative to open directories, and without following links.

use super::SourceError;
use super::node::{ContextNode, NodeKind};
use super::stat::FileStatus;
use buildscope_storage::open_below;
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, OFlags, RawDir, readlinkat, statat};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The decision of an ignore file about a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IgnoreVerdict {
    /// Whether the path is not part of the context.
    pub excluded: bool,
    /// Whether something below an excluded directory may be included again.
    pub reincluded_below: bool,
}

/// Decides about a path relative to the context.
pub(super) type Filter = Box<dyn Fn(&Path) -> IgnoreVerdict + Send + Sync>;

/// Reads directories below one root.
pub(super) struct Scanner<'a> {
    pub(super) root: BorrowedFd<'a>,
    /// The path of the root, for messages.
    pub(super) root_path: &'a Path,
    pub(super) filter: Option<&'a Filter>,
    /// A directory that is not part of the context, by its device and inode.
    pub(super) left_out: Option<(u64, u64)>,
    /// The number of entries read so far.
    pub(super) walked: &'a AtomicU64,
}

impl Scanner<'_> {
    /// Reads `node`, the directory at `path`, and everything below it. Returns the number of nodes, with that of the directory.
    pub(super) fn subtree(&self, node: &ContextNode, path: &Path) -> Result<usize, SourceError> {
        let children = self.children(node, path)?;
        // Directories are few and each is much work, so every one may go to another thread.
        let directories: Vec<&ContextNode> = children.iter().filter(|child| child.is_dir()).collect();
        let files = children.len() - directories.len();
        let below = directories.into_par_iter().map(|child| self.subtree(child, &path.join(child.name())));
        Ok(1 + files + below.sum::<Result<usize, _>>()?)
    }

    /// The entries of `node`, the directory at `path`.
    pub(super) fn children<'n>(&self, node: &'n ContextNode, path: &Path) -> Result<&'n [ContextNode], SourceError> {
        if let Some(children) = node.children() {
            return Ok(children);
        }
        Ok(node.set_children(self.read(path)?))
    }

    fn read(&self, path: &Path) -> Result<Box<[ContextNode]>, SourceError> {
        /// The number of entries that a thread looks at before another one helps.
        const ALONE: usize = 256;
        let fail = |source| SourceError::io("read the directory", self.root_path.join(path), source);
        let fd = open_below(self.root, path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail)?;
        let names = names(&fd).map_err(fail)?;
        self.walked.fetch_add(names.len() as u64, Ordering::Relaxed);
        let mut nodes = Vec::with_capacity(names.len());
        if names.len() <= ALONE {
            for name in names {
                nodes.extend(self.look_at(&fd, path, &name)?);
            }
        } else {
            let names = names.into_par_iter().with_min_len(ALONE);
            let found: Vec<Option<ContextNode>> =
                names.map(|name| self.look_at(&fd, path, &name)).collect::<Result<_, _>>()?;
            nodes.extend(found.into_iter().flatten());
        }
        Ok(nodes.into())
    }

    /// Returns `None` if the entry is not part of the context, or was removed after its name was read.
    fn look_at(&self, dir: &OwnedFd, parent_path: &Path, name: &CStr) -> Result<Option<ContextNode>, SourceError> {
        let os_name = OsStr::from_bytes(name.to_bytes());
        let path = self.filter.map(|_| parent_path.join(os_name));
        let verdict = match (self.filter, &path) {
            (Some(filter), Some(path)) => filter(path),
            _ => IgnoreVerdict::default(),
        };
        if verdict.excluded && !verdict.reincluded_below {
            return Ok(None);
        }
        let fail = |source| SourceError::io("read", self.root_path.join(parent_path).join(os_name), source);
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        if self.left_out.is_some_and(|directory| directory == (stat.st_dev, stat.st_ino)) {
            return Ok(None);
        }
        let kind = if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let target = readlinkat(dir, name, Vec::new()).map_err(fail)?;
            NodeKind::Symlink(Box::new(OsString::from_vec(target.into_bytes()).into()))
        } else {
            match NodeKind::of(&stat) {
                Some(kind) => kind,
                None => return Ok(None),
            }
        };
        let node = ContextNode::new(os_name, kind, FileStatus::from(&stat));
        if verdict.excluded {
            // An excluded directory is part of the context only if something below it is.
            let (true, Some(path)) = (node.is_dir(), path) else { return Ok(None) };
            if self.children(&node, &path)?.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(node))
    }
}

/// The names of the entries of a directory, in order.
fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    // On the stack: a new allocation of this size for each directory makes the allocator return and fetch pages.
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
