//! The layers of a store: blobs, their indexes and merged trees, and the cache. It knows no driver, so drivers and layer
//! writers can use it.

use super::error::IoContext;
use super::index::LayerIndex;
use super::layout::{Access, BLOBS, INDEXES, blob_path, touch};
use super::limits::MAX_LAYERS;
use super::lower::Marks;
use super::options::SyncPolicy;
use super::path::to_path;
use super::scratch::Scratch;
use super::tree::Tree;
use super::{BlobStore, CacheIndex, Layer, StorageError, import, recovery, reserve};
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, Quantity};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The layers of a store, and what is derived from them. It is cheap to clone and shared between threads.
#[derive(Clone)]
pub struct LayerStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    root: PathBuf,
    access: Access,
    blobs: BlobStore,
    cache: CacheIndex,
    scratch: Arc<Scratch>,
    indexes: Mutex<HashMap<DiffId, Arc<LayerIndex>>>,
    trees: Mutex<HashMap<Vec<DiffId>, Arc<Tree>>>,
    damaged: Mutex<Vec<BlobDigest>>,
    /// The number of times that damaged files were removed.
    removals: AtomicU64,
}

impl LayerStore {
    pub(super) fn open(root: &Path, sync: SyncPolicy) -> Result<Self, StorageError> {
        let directory = |name: &str| root.join(name);
        // Created at every start: a store of an earlier version lacks directories that were added later.
        for name in ["blobs", BLOBS, INDEXES, "erofs", "lowers", "mounts", "claims", "tmp"] {
            let directory = directory(name);
            // Images contain setuid programs and device nodes, which no other user of this host may reach.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.context("create", &directory)?;
            // A store in a working directory may come from elsewhere. What is removed from it must not be outside of it.
            if fs::symlink_metadata(&directory).context("stat", &directory)?.is_symlink() {
                let reason = "it is a symbolic link, which could lead out of the store";
                return Err(io::Error::other(reason)).context("use", directory);
            }
        }
        let root = fs::canonicalize(root).context("find", root)?;
        let access = Access::of(&root.join("tmp"));
        let (scratch, cache) = match access {
            Access::Writable => {
                let tmp = root.join("tmp");
                let again = |error| if reserve::release(&root) { Scratch::create(&tmp) } else { Err(error) };
                let scratch = Scratch::create(&tmp).or_else(again)?;
                reserve::keep(&root);
                (scratch, CacheIndex::new(&root, sync))
            }
            Access::ReadOnly => {
                let scratch = Scratch::elsewhere()?;
                let cache = CacheIndex::copied(&root, scratch.path("cache"))?;
                cache.warn(format!("the store `{}` is read-only: results cannot be stored in it", root.display()));
                (scratch, cache)
            }
        };
        let scratch = Arc::new(scratch);
        let blobs = BlobStore::new(&root, Arc::clone(&scratch), cache.clone(), access);
        if access == Access::Writable {
            recovery::recover(&root, &blobs, &cache)?;
        }
        let inner = Inner {
            root,
            access,
            blobs,
            cache,
            scratch,
            indexes: Mutex::default(),
            trees: Mutex::default(),
            damaged: Mutex::default(),
            removals: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The canonical path of the store's directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The blobs.
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    /// Whether no build has used the store before.
    pub fn is_empty(&self) -> bool {
        self.cache().is_new()
    }

    /// The cache index.
    pub fn cache(&self) -> &CacheIndex {
        &self.inner.cache
    }

    /// Warns if steps do not see device nodes of these layers. Those in `/dev` are hidden by the sandbox's in any case.
    pub(crate) fn warn_of_devices(&self, layers: &[Arc<LayerIndex>]) {
        if Marks::here().with_devices() {
            return;
        }
        let records = layers.iter().flat_map(|index| (0..index.len()).map(|number| index.record(number)));
        let mut devices = records.filter(|record| record.kind().is_device() && !record.path().starts_with(b"dev/"));
        if let Some(first) = devices.next() {
            let more = match devices.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.cache().warn(format!(
                "steps do not see device nodes of the image (`/{}`{more}), which only root can create; the image keeps them",
                to_path(first.path()).display()
            ));
        }
    }

    /// Warnings for the user since the last call, one sentence each: damage that was found and repaired.
    pub fn take_warnings(&self) -> Vec<String> {
        self.cache().take_warnings()
    }

    /// Waits until all files of this process are on the disk, and marks its cache entries as durable. Free if there is nothing to sync.
    pub fn sync(&self, probe: &Probe) -> Result<(), StorageError> {
        self.cache().sync(probe)
    }

    /// Registers a file that the caller has written below the root of the store: the next sync includes it.
    pub fn wrote_file(&self, path: &Path) {
        if let Some(path) = path.strip_prefix(self.root()).ok().and_then(Path::to_str) {
            self.cache().wrote_file(path.to_owned());
        }
    }

    /// Imports a layer of another tool: an uncompressed tar, which is read to its end, checked (paths, structure, and the digest if
    /// `expected` is given), indexed, and stored byte for byte.
    pub fn import_layer(
        &self,
        reader: impl Read,
        expected: Option<DiffId>,
        probe: &Probe,
    ) -> Result<Layer, StorageError> {
        if let Some(layer) = expected.and_then(|digest| self.layer(&digest).transpose()) {
            return layer;
        }
        let span = probe.phase(Phase::Unpack);
        let mut writer = self.blobs().writer()?;
        let index = import::scan(Tee { reader, writer: &mut writer })?;
        let size = writer.size();
        let (blob, _) = writer.finish(expected.map(Into::into))?;
        let diff_id = DiffId::new(blob.digest());
        for quantity in [Quantity::BytesRead, Quantity::BytesHashed, Quantity::BytesWritten] {
            span.quantity(quantity, size);
        }
        let index = index.finish(diff_id, size)?;
        span.quantity(Quantity::FilesWalked, index.layer().files);
        let layer = self.publish_index(index)?;
        span.end();
        self.sync_layer(probe)?;
        Ok(layer)
    }

    /// The layer with this diff id, if the store has it and it is not damaged.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<Layer>, StorageError> {
        match self.index(diff_id) {
            Ok(index) => Ok(Some(index.layer())),
            Err(StorageError::MissingBlob(_) | StorageError::DamagedBlob { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The merged tree of a stack of layers, lowest first.
    pub fn tree(&self, layers: &[DiffId]) -> Result<Arc<Tree>, StorageError> {
        if layers.len() > MAX_LAYERS {
            return Err(StorageError::TooManyLayers(layers.len()));
        }
        let known = {
            let trees = self.trees();
            (0..=layers.len()).rev().find_map(|n| Some((n, Arc::clone(trees.get(&layers[..n])?))))
        };
        let (from, mut tree) = known.unwrap_or_else(|| (0, Arc::new(Tree::empty(self.blobs().clone()))));
        for (number, layer) in layers.iter().enumerate().skip(from) {
            tree = Arc::new(tree.with(self.index(layer)?)?);
            self.trees().insert(layers[..=number].to_vec(), Arc::clone(&tree));
        }
        Ok(tree)
    }

    /// The index of a layer. If its file is missing or damaged, it is rebuilt from the blob.
    pub(crate) fn index(&self, diff_id: &DiffId) -> Result<Arc<LayerIndex>, StorageError> {
        if let Some(index) = self.indexes().get(diff_id) {
            return Ok(Arc::clone(index));
        }
        if !touch(self.root(), &blob_path(diff_id))? {
            return Err(StorageError::MissingBlob(diff_id.into()));
        }
        let path = self.index_path(diff_id);
        let index = match fs::read(&path) {
            Ok(bytes) => LayerIndex::parse(bytes).filter(|index| self.whole(index, diff_id)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).context("read", path),
        };
        let index = match index {
            Some(index) => index,
            None => {
                let file = self.blobs().open(diff_id)?;
                self.verify(*diff_id)?;
                let size = file.metadata().context("stat", self.blobs().path(diff_id))?.len();
                let index = import::reindex(BufReader::with_capacity(1 << 20, file), *diff_id, size)?;
                // Files derived from an index of an older version may differ from what this one gives.
                for derived in ["erofs", "lowers"].map(|name| self.root().join(name).join(diff_id.hex())) {
                    let aside = self.inner.scratch.path("derived");
                    if fs::rename(derived, &aside).is_ok() {
                        self.inner.scratch.discard(aside);
                    }
                }
                self.write_index(&index)?;
                index
            }
        };
        self.note(diff_id);
        Ok(Arc::clone(self.indexes().entry(*diff_id).or_insert_with(|| Arc::new(index))))
    }

    /// Publishes the index of a layer whose blob is already in the store. An existing index is kept.
    pub(crate) fn publish_index(&self, index: LayerIndex) -> Result<Layer, StorageError> {
        let layer = index.layer();
        if !self.index_path(&layer.diff_id).exists() {
            self.write_index(&index)?;
            self.indexes().entry(layer.diff_id).or_insert_with(|| Arc::new(index));
        }
        self.note(&layer.diff_id);
        Ok(layer)
    }

    /// Syncs the store if the policy asks for a sync after every layer.
    pub(crate) fn sync_layer(&self, probe: &Probe) -> Result<(), StorageError> {
        if self.cache().policy() == SyncPolicy::Layer { self.sync(probe) } else { Ok(()) }
    }

    /// Registers the files of a layer that this process relies on: its next sync includes them.
    fn note(&self, diff_id: &DiffId) {
        for kept in [BLOBS, INDEXES] {
            self.cache().used_file(format!("{kept}/{}", diff_id.hex()));
        }
    }

    /// Drops cached indexes and trees of files that were removed.
    pub(crate) fn forget_cached(&self, paths: &[String]) {
        let gone = |digest: &DiffId| paths.iter().any(|path| path.ends_with(&digest.hex()));
        self.indexes().retain(|digest, _| !gone(digest));
        self.trees().retain(|stack, _| !stack.iter().any(gone));
    }

    /// Writes the index of a layer. That of a read-only store is kept in memory only.
    fn write_index(&self, index: &LayerIndex) -> Result<(), StorageError> {
        if self.inner.access == Access::ReadOnly {
            return Ok(());
        }
        let temporary = self.inner.scratch.path("index");
        fs::write(&temporary, index.as_bytes()).context("write", &temporary)?;
        let to = self.index_path(&index.layer().diff_id);
        fs::rename(&temporary, &to).context("rename to", to)?;
        self.cache().wrote_file(format!("{INDEXES}/{}", index.layer().diff_id.hex()));
        Ok(())
    }

    /// Whether the index belongs to this layer, and the layer's blob exists and has the size recorded in it.
    fn whole(&self, index: &LayerIndex, diff_id: &DiffId) -> bool {
        let layer = index.layer();
        layer.diff_id == *diff_id && fs::metadata(self.blobs().path(diff_id)).is_ok_and(|blob| blob.len() == layer.size)
    }

    pub(crate) fn index_path(&self, diff_id: &DiffId) -> PathBuf {
        self.inner.root.join(INDEXES).join(diff_id.hex())
    }

    /// The number of times that damaged files were removed. The caches of a driver are valid as long as it does not change.
    pub(crate) fn removals(&self) -> u64 {
        self.inner.removals.load(Ordering::Relaxed)
    }

    pub(super) fn count_removal(&self) {
        self.inner.removals.fetch_add(1, Ordering::Relaxed);
    }

    /// A path for a temporary file or directory of this process. Nothing is created. What the caller leaves there is
    /// removed once the process has ended.
    pub fn scratch_path(&self, kind: &str) -> PathBuf {
        self.inner.scratch.path(kind)
    }

    pub(crate) fn scratch(&self) -> &Arc<Scratch> {
        &self.inner.scratch
    }

    fn indexes(&self) -> MutexGuard<'_, HashMap<DiffId, Arc<LayerIndex>>> {
        self.inner.indexes.lock()
    }

    /// Damaged blobs that were found and removed.
    pub(super) fn damaged(&self) -> MutexGuard<'_, Vec<BlobDigest>> {
        self.inner.damaged.lock()
    }

    fn trees(&self) -> MutexGuard<'_, HashMap<Vec<DiffId>, Arc<Tree>>> {
        self.inner.trees.lock()
    }
}

/// A reader that copies everything it reads to a writer.
struct Tee<'a, R, W> {
    reader: R,
    writer: &'a mut W,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(buffer)?;
        self.writer.write_all(&buffer[..got])?;
        Ok(got)
    }
}
