//! The store: one directory that holds blobs, indexes and the cache, and the process's view of it.

use super::driver::{self, Driver};
use super::error::Context;
use super::index::LayerIndex;
use super::layer::LayerBuilder;
use super::queue::Queues;
use super::scratch::Scratch;
use super::tree::Tree;
use super::{BlobStore, CacheIndex, Layer, StorageError, gc, import, recovery};
use buildscope_record::{BlobDigest, DiffId, DriverName, Phase, Probe, Quantity};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a store works. Nothing here changes a digest.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// How layers become file systems for steps.
    pub driver: DriverChoice,
    /// When the disk must have what was built.
    pub sync: SyncPolicy,
    /// Bytes of memory that the changes of all steps may take, under the drivers that work on layers (`erofs`, `overlay`); none
    /// keeps them on the disk.
    pub memory: Option<u64>,
}

/// Which storage driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DriverChoice {
    /// The best that works here.
    #[default]
    Auto,
    /// Unpacked layers under overlayfs.
    Overlay,
    /// Layers mounted as they are, through an EROFS index, under overlayfs.
    Erofs,
    /// Unpacked layers under fuse-overlayfs.
    FuseOverlayfs,
    /// Subvolume snapshots.
    Btrfs,
    /// Full copies.
    Copy,
}

impl From<buildscope_record::DriverChoice> for DriverChoice {
    fn from(choice: buildscope_record::DriverChoice) -> Self {
        match choice {
            buildscope_record::DriverChoice::Auto => Self::Auto,
            buildscope_record::DriverChoice::Named(driver) => match driver {
                DriverName::Overlay => Self::Overlay,
                DriverName::Erofs => Self::Erofs,
                DriverName::FuseOverlayfs => Self::FuseOverlayfs,
                DriverName::Btrfs => Self::Btrfs,
                DriverName::Copy => Self::Copy,
            },
        }
    }
}

/// When a build waits for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// Once, at its end.
    #[default]
    Build,
    /// After every layer, too: what most engines did with a sync of every file. For measuring what that costs.
    Layer,
    /// Never: a power cut may lose what was built (and the next start then forgets it). For measuring what syncing costs.
    Never,
}

/// The store. Cheap to clone, shared between threads; other processes may use the same directory.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    root: PathBuf,
    driver: Box<dyn Driver>,
    reason: String,
    blobs: BlobStore,
    cache: CacheIndex,
    scratch: Arc<Scratch>,
    indexes: Mutex<HashMap<DiffId, Arc<LayerIndex>>>,
    trees: Mutex<HashMap<Vec<DiffId>, Arc<Tree>>>,
    queues: Arc<Queues>,
    damaged: Mutex<Vec<BlobDigest>>,
}

impl Store {
    /// Opens the store at `root`, which is made if it is missing. Costs a few system calls; the cache index is opened when first asked.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self, StorageError> {
        let directory = |name: &str| root.join(name);
        // All of them, every time: a store that an earlier version made lacks what came later.
        for name in ["blobs/sha256", "index", "erofs", "lowers", "mounts", "claims", "tmp"] {
            // Images hold setuid programs and device nodes, which on this host are nobody else's to use.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory(name));
            made.context("create", directory(name))?;
        }
        let root = fs::canonicalize(root).context("find", root)?;
        let scratch = Arc::new(Scratch::create(&root.join("tmp"))?);
        let cache = CacheIndex::new(&root, options.sync);
        let blobs = BlobStore::new(&root, Arc::clone(&scratch), cache.clone());
        recovery::recover(&root, &blobs, &cache)?;
        let (driver, reason) = driver::choose(&root, &options, &scratch)?;
        let inner = Inner {
            root,
            driver,
            reason,
            blobs,
            cache,
            scratch,
            indexes: Mutex::default(),
            trees: Mutex::default(),
            queues: Arc::default(),
            damaged: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The driver in use.
    pub fn driver_name(&self) -> DriverName {
        self.inner.driver.name()
    }

    /// Why that one, in a sentence.
    pub fn driver_reason(&self) -> &str {
        &self.inner.reason
    }

    /// The blobs.
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    /// The cache index.
    pub fn cache(&self) -> &CacheIndex {
        &self.inner.cache
    }

    /// What the user should know of the store since this was last asked, a sentence each: damage that was found and repaired.
    pub fn take_warnings(&self) -> Vec<String> {
        self.cache().take_warnings()
    }

    /// Begins a layer.
    pub fn layer_builder(&self) -> LayerBuilder {
        LayerBuilder::new(self.clone())
    }

    /// Takes in a layer that others made: an uncompressed tar that is read to its end, checked (paths, structure, and the digest if it is
    /// `expected`), indexed, and kept byte for byte.
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

    /// The layer of that diff id, if the store has it.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<Layer>, StorageError> {
        match self.index(diff_id) {
            Ok(index) => Ok(Some(index.layer())),
            Err(StorageError::MissingBlob(_) | StorageError::DamagedBlob { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The merged view of a stack of layers, lowest first.
    pub fn tree(&self, layers: &[DiffId]) -> Result<Arc<Tree>, StorageError> {
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

    /// The index of a layer; made again from the blob if the file is missing or damaged.
    pub(crate) fn index(&self, diff_id: &DiffId) -> Result<Arc<LayerIndex>, StorageError> {
        if let Some(index) = self.indexes().get(diff_id) {
            return Ok(Arc::clone(index));
        }
        if !gc::touch(self.root(), &format!("blobs/sha256/{}", diff_id.hex()))? {
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
                // What was made from an older version's index may differ.
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

    /// Makes a layer known: its blob is there, its index now too. The first index of a layer stays.
    pub(crate) fn publish_index(&self, index: LayerIndex) -> Result<Layer, StorageError> {
        let layer = index.layer();
        if !self.index_path(&layer.diff_id).exists() {
            self.write_index(&index)?;
            self.indexes().entry(layer.diff_id).or_insert_with(|| Arc::new(index));
        }
        self.note(&layer.diff_id);
        Ok(layer)
    }

    /// Waits for the disk if it must have every layer at once.
    pub(crate) fn sync_layer(&self, probe: &Probe) -> Result<(), StorageError> {
        if self.cache().policy() == SyncPolicy::Layer { self.sync(probe) } else { Ok(()) }
    }

    /// Notes that this process relies on a layer: it is synced with what it makes.
    fn note(&self, diff_id: &DiffId) {
        for kept in ["blobs/sha256", "index"] {
            self.cache().made(format!("{kept}/{}", diff_id.hex()));
        }
    }

    /// Forgets what this process remembers of files that were removed.
    pub(crate) fn forget_cached(&self, paths: &[String]) {
        let gone = |digest: &DiffId| paths.iter().any(|path| path.ends_with(&digest.hex()));
        self.indexes().retain(|digest, _| !gone(digest));
        self.trees().retain(|stack, _| !stack.iter().any(gone));
    }

    fn write_index(&self, index: &LayerIndex) -> Result<(), StorageError> {
        let temporary = self.inner.scratch.path("index");
        fs::write(&temporary, index.as_bytes()).context("write", &temporary)?;
        let to = self.index_path(&index.layer().diff_id);
        fs::rename(&temporary, &to).context("rename to", to)
    }

    /// Whether an index is of this layer, and its blob is there and has the size it says.
    fn whole(&self, index: &LayerIndex, diff_id: &DiffId) -> bool {
        let layer = index.layer();
        layer.diff_id == *diff_id && fs::metadata(self.blobs().path(diff_id)).is_ok_and(|blob| blob.len() == layer.size)
    }

    pub(crate) fn index_path(&self, diff_id: &DiffId) -> PathBuf {
        self.inner.root.join("index").join(diff_id.hex())
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.inner.driver
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
        self.inner.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits for cache directories.
    pub(super) fn queues(&self) -> &Arc<Queues> {
        &self.inner.queues
    }

    /// Blobs that were found damaged.
    pub(super) fn damaged(&self) -> MutexGuard<'_, Vec<BlobDigest>> {
        self.inner.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trees(&self) -> MutexGuard<'_, HashMap<Vec<DiffId>, Arc<Tree>>> {
        self.inner.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands on what is read, and writes it down.
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
