//! The driver `copy`: a full copy of the tree for each step. Slow, and works anywhere.

use super::{Driver, Place, Prepared, clone_mount};
use crate::storage::attributes::Names;
use crate::storage::change::{Changes, Data, below};
use crate::storage::error::Context;
use crate::storage::scratch::Scratch;
use crate::storage::tree::{Dir, Node, Tree};
use crate::storage::{StorageError, Store, unpack};
use buildscope_record::{Phase, Probe, Quantity};
use rustix::fs::{AtFlags, FileType, Stat};
use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Copy;

impl Driver for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn prepare(
        &self,
        store: &Store,
        tree: &Arc<Tree>,
        _place: Place,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let dir = store.scratch().path("copy");
        fs::create_dir(&dir).context("create", &dir)?;
        let mut whole = Whole { dir, scratch: Arc::clone(store.scratch()), baseline: Baseline::default() };
        let span = probe.phase(Phase::Unpack);
        let unpacked = unpack::tree(tree, &whole.dir)?;
        span.quantity(Quantity::FilesWalked, unpacked.files).quantity(Quantity::BytesWritten, unpacked.bytes);
        span.end();
        whole.baseline = Baseline::of(&whole.dir)?;
        Ok(Box::new(whole))
    }
}

struct Whole {
    dir: PathBuf,
    scratch: Arc<Scratch>,
    baseline: Baseline,
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.scratch.discard(std::mem::take(&mut self.dir));
    }
}

impl Prepared for Whole {
    fn mount(&self) -> Result<OwnedFd, StorageError> {
        clone_mount(&self.dir)
    }

    fn changes(&self, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        self.baseline.compare(&self.dir, changes)
    }
}

/// What a full copy looked like before the step: which directory was which, and when.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    /// Inode numbers of directories by image path.
    directories: HashMap<Vec<u8>, u64>,
    /// What has a status change time before this was not touched by the step: a process cannot set that time.
    before: (i64, i64),
}

impl Baseline {
    pub(crate) fn of(dir: &Path) -> Result<Self, StorageError> {
        let mut directories = HashMap::new();
        note(dir, Vec::new(), &mut directories)?;
        // The clock that the file system stamps with, now.
        let mark = dir.with_extension("mark");
        fs::write(&mark, b"").context("write", &mark)?;
        let stat = rustix::fs::stat(&mark).context("stat", &mark)?;
        fs::remove_file(&mark).context("remove", &mark)?;
        Ok(Self { directories, before: (stat.st_ctime, stat.st_ctime_nsec as i64) })
    }

    /// Walks the directory `dir` and its counterpart in the tree.
    pub(crate) fn compare(&self, dir: &Path, changes: &mut Changes<'_>) -> Result<(), StorageError> {
        let stat = rustix::fs::lstat(dir).context("stat", dir)?;
        changes.present(Vec::new(), dir, &stat, &Names::of(dir)?, Data::Host)?;
        let root = Arc::clone(changes.tree().root());
        self.directory(dir, &[], Some(&root), true, changes)
    }

    fn directory(
        &self,
        host: &Path,
        path: &[u8],
        before: Option<&Dir>,
        trusted: bool,
        changes: &mut Changes<'_>,
    ) -> Result<(), StorageError> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in fs::read_dir(host).context("read", host)? {
            let name = entry.context("read", host)?.file_name();
            names.push(name.as_bytes().to_vec());
        }
        names.sort_unstable();
        let tree = changes.tree();
        for (name, _) in before.iter().flat_map(|dir| tree.entries(dir)) {
            if names.binary_search_by(|have| have.as_slice().cmp(name)).is_err() {
                changes.gone(below(path, name));
            }
        }
        for name in names {
            let inner = below(path, &name);
            let inner_host = host.join(std::ffi::OsStr::from_bytes(&name));
            let stat = rustix::fs::statat(rustix::fs::CWD, &inner_host, AtFlags::SYMLINK_NOFOLLOW)
                .context("stat", &inner_host)?;
            let untouched = trusted && self.old(&stat);
            let data = if untouched { Data::HostUntouched } else { Data::Host };
            changes.present(inner.clone(), &inner_host, &stat, &Names::of(&inner_host)?, data)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let old = match before.and_then(|dir| tree.child(dir, &name)) {
                    Some(Node::Dir(old)) => Some(old),
                    _ => None,
                };
                let trusted = trusted && self.directories.get(&inner) == Some(&stat.st_ino);
                self.directory(&inner_host, &inner, old.as_deref(), trusted, changes)?;
            }
        }
        Ok(())
    }

    fn old(&self, stat: &Stat) -> bool {
        (stat.st_ctime, stat.st_ctime_nsec as i64) < self.before
    }
}

fn note(host: &Path, path: Vec<u8>, directories: &mut HashMap<Vec<u8>, u64>) -> Result<(), StorageError> {
    use std::os::unix::fs::DirEntryExt;
    for entry in fs::read_dir(host).context("read", host)? {
        let entry = entry.context("read", host)?;
        if entry.file_type().context("stat", entry.path())?.is_dir() {
            let inner = below(&path, entry.file_name().as_bytes());
            directories.insert(inner.clone(), entry.ino());
            note(&entry.path(), inner, directories)?;
        }
    }
    Ok(())
}
