//! Disk usage and garbage collection of the store.
//!
//! The modification time of a blob's file is the time of its last use. A file that a living process has used since its start is
//! never removed. A lock prevents races between use and removal: see [`layout`](super::layout).

use super::cache::Removed;
use super::error::IoContext;
use super::layout::{BLOBS, KEPT, exclusive};
use super::scratch;
use super::{StorageError, Store};
use buildscope_record::{BlobDigest, ByteSize, Removal};
use rustix::fs::{FlockOperation, flock};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The kind of an item in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UsageKind {
    /// A layer, with its index and the files that drivers derived from it.
    Layer,
    /// Another blob: a configuration, a manifest, a compressed layer.
    Blob,
    /// A cache mount.
    CacheMount,
    /// A layer that a driver unpacked for a certain stack.
    Derived,
}

impl UsageKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Layer, Self::Blob, Self::CacheMount, Self::Derived];

    /// The name in filters and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Blob => "blob",
            Self::CacheMount => "cache-mount",
            Self::Derived => "derived",
        }
    }
}

/// An item in the store and its disk usage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The kind of the item.
    pub kind: UsageKind,
    /// The digest of a blob, or the id of a cache mount.
    pub name: String,
    /// The space on the disk.
    pub size: ByteSize,
    /// The time of the last use by a build.
    pub used: SystemTime,
    /// Whether a running build uses it. Such an item is not pruned.
    pub in_use: bool,
    /// The digest of a layer or other blob.
    digest: Option<BlobDigest>,
    /// The paths of its files and directories, relative to the store.
    paths: Vec<String>,
}

/// Limits and filters for pruning.
#[derive(Clone, Default, Debug)]
pub struct PruneOptions {
    /// Remove the least recently used items until the store has at most this size.
    pub keep_bytes: Option<ByteSize>,
    /// Keep items that were used within this duration.
    pub keep_duration: Option<Duration>,
    /// Remove only these kinds. Empty means all kinds.
    pub kinds: Vec<UsageKind>,
    /// Blobs that are never removed: those of named images.
    pub keep: BTreeSet<BlobDigest>,
}

impl Store {
    /// All items in the store, the least recently used first.
    pub fn usage(&self) -> Result<Vec<Usage>, StorageError> {
        let root = self.root();
        let oldest = scratch::oldest_living(&root.join("tmp"))?;
        let mut found: BTreeMap<String, Usage> = BTreeMap::new();
        for kept in KEPT {
            let dir = root.join(kept);
            for entry in fs::read_dir(&dir).context("read", &dir)? {
                let entry = entry.context("read", &dir)?;
                let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
                let Some((size, used)) = disk_usage(&path)? else { continue };
                let kind = if kept == BLOBS { UsageKind::Blob } else { UsageKind::Derived };
                let item = found.entry(name.clone()).or_insert_with(|| Usage {
                    kind,
                    name: format!("sha256:{name}"),
                    digest: format!("sha256:{name}").parse().ok(),
                    size: ByteSize(0),
                    used,
                    in_use: false,
                    paths: Vec::new(),
                });
                item.size.0 += size;
                // Derived files are not touched on use. The time of the blob counts, if there is one.
                if item.kind == UsageKind::Derived {
                    item.used = item.used.max(used);
                } else if kept == "index" {
                    item.kind = UsageKind::Layer;
                }
                item.paths.push(format!("{kept}/{name}"));
            }
        }
        let mut items: Vec<Usage> = found.into_values().chain(self.cache_mounts()?).collect();
        for item in &mut items {
            item.in_use |= item.kind != UsageKind::CacheMount && oldest.is_some_and(|oldest| item.used >= oldest);
        }
        items.sort_by_key(|item| item.used);
        Ok(items)
    }

    /// Removes items until the limits are met, the least recently used first, and returns the removed ones. Items that a running build
    /// uses are kept.
    pub fn prune(&self, options: &PruneOptions) -> Result<Vec<Usage>, StorageError> {
        let items = self.usage()?;
        let mut total: u64 = items.iter().map(|item| item.size.0).sum();
        let now = SystemTime::now();
        let mut removed = Vec::new();
        // An item has expired only if no size limit is given. Otherwise it is removed to save space.
        let by_age = options.keep_duration.is_some() && options.keep_bytes.is_none();
        let why = if by_age { Removal::Expired } else { Removal::Pruned };
        for item in items {
            let enough = options.keep_bytes.is_some_and(|keep| total <= keep.0);
            // An item that was used later than now is recent: the clock was set back.
            let age = now.duration_since(item.used).unwrap_or_default();
            let recent = options.keep_duration.is_some_and(|keep| age < keep);
            let other = !options.kinds.is_empty() && !options.kinds.contains(&item.kind);
            let kept = item.digest.is_some_and(|digest| options.keep.contains(&digest));
            if !(enough || recent || other || kept || item.in_use) && self.remove(&item, why, now)? {
                total -= item.size.0;
                removed.push(item);
            }
        }
        Ok(removed)
    }

    /// Removes one item unless a process has used it meanwhile.
    fn remove(&self, item: &Usage, why: Removal, at: SystemTime) -> Result<bool, StorageError> {
        let root = self.root();
        if item.kind == UsageKind::CacheMount {
            return self.remove_cache_mount(item);
        }
        let _lock = exclusive(root)?;
        let Some(first) = item.paths.first() else { return Ok(false) };
        match fs::metadata(root.join(first)) {
            Ok(metadata) if modified(&metadata) > item.used => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).context("stat", root.join(first)),
        }
        let unused = at.duration_since(item.used).unwrap_or_default();
        self.cache().forget(&item.paths, Some(Removed { why, unused, at }))?;
        for path in &item.paths {
            // The rename is immediate, and the removal follows in the background.
            let aside = self.scratch().path("pruned");
            match fs::rename(root.join(path), &aside) {
                Ok(()) => self.scratch().discard(aside),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("remove", root.join(path)),
            }
        }
        self.forget_cached(&item.paths);
        Ok(true)
    }

    fn cache_mounts(&self) -> Result<Vec<Usage>, StorageError> {
        let dir = self.root().join("mounts");
        let mut mounts = Vec::new();
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let path = entry.context("read", &dir)?.path();
            let Some((size, used)) = path.is_dir().then(|| disk_usage(&path)).transpose()?.flatten() else { continue };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = fs::read_to_string(path.with_extension("name")).unwrap_or_else(|_| name.clone());
            // Each use opens the lock file for writing.
            let lock = path.with_added_extension("lock");
            let used = fs::metadata(&lock).map_or(used, |lock| modified(&lock).max(used));
            let in_use =
                File::open(&lock).is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err());
            let (kind, paths) = (UsageKind::CacheMount, vec![format!("mounts/{name}")]);
            mounts.push(Usage { kind, digest: None, name: id, size: ByteSize(size), used, in_use, paths });
        }
        Ok(mounts)
    }

    fn remove_cache_mount(&self, item: &Usage) -> Result<bool, StorageError> {
        let Some(path) = item.paths.first().map(|path| self.root().join(path)) else { return Ok(false) };
        let Ok(lock) = File::open(path.with_added_extension("lock")) else { return Ok(false) };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        let aside = self.scratch().path("pruned");
        fs::rename(&path, &aside).context("remove", &path)?;
        self.scratch().discard(aside);
        Ok(true)
    }
}

fn modified(metadata: &fs::Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The disk usage in bytes of a file or directory tree, and its modification time; `None` if it does not exist.
fn disk_usage(path: &Path) -> Result<Option<(u64, SystemTime)>, StorageError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A step can nest directories deeper than a path may be long (4096 bytes). Deeper files do not count.
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return Ok(None),
        metadata => metadata.context("stat", path)?,
    };
    let mut size = metadata.blocks() * 512;
    if metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.context("read", path)?,
        };
        for entry in entries {
            size += disk_usage(&entry.context("read", path)?.path())?.map_or(0, |(size, _)| size);
        }
    }
    Ok(Some((size, modified(&metadata))))
}
