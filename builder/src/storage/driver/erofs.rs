//! The driver `erofs`: a layer is mounted as it is, a tar, through a small index of its files. Nothing is unpacked.

use super::overlay::{Lower, Overlay, Stack, key};
use super::{Driver, Place, Prepared};
use crate::storage::error::Context;
use crate::storage::scratch::Scratch;
use crate::storage::tree::Tree;
use crate::storage::{BlobStore, CacheIndex, Content, Entry, Layer, StorageError, Store, SyncPolicy, erofs, lower};
use buildscope_record::{Digest, Phase, Probe, Quantity};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest string that `fsconfig` takes, without its zero byte.
const MAX_OPTION: usize = 255;

#[derive(Debug)]
pub(crate) struct Erofs {
    overlay: Overlay,
    /// Layers that are mounted, by the key of their lower.
    mounts: Mutex<HashMap<Digest, Arc<OwnedFd>>>,
}

impl Erofs {
    /// Tries a mount of the kind that steps will need.
    pub(crate) fn probe(root: &Path, memory: Option<u64>, scratch: &Arc<Scratch>) -> Result<Self, StorageError> {
        let overlay = Overlay::probe(memory, scratch)?;
        let refuse = |error: StorageError| StorageError::Driver { driver: "erofs", reason: error.to_string() };
        let try_it = || {
            let (image, data, dir) = (scratch.path("probe"), scratch.path("probe"), scratch.path("probe"));
            let layer = Layer { diff_id: Digest::of(""), size: 512, files: 1 };
            let cache = CacheIndex::new(root, SyncPolicy::Never);
            let blobs = BlobStore::new(root, Arc::clone(scratch), cache);
            let bytes = erofs::image(&blobs, vec![(Entry::directory(""), Content::Bytes(Default::default()))], &layer)?;
            fs::write(&image, bytes).context("write", &image)?;
            fs::write(&data, [0; 512]).context("write", &data)?;
            let mount = mount(&image, &data);
            scratch.discard(image);
            scratch.discard(data);
            fs::create_dir(&dir).context("create", &dir)?;
            Stack::prepare(overlay.at(Place::Disk), dir, vec![Lower::Mount(Arc::new(mount?))], Arc::clone(scratch))?
                .mount()
        };
        try_it().map_err(refuse)?;
        Ok(Self { overlay, mounts: Mutex::default() })
    }

    fn lower(&self, store: &Store, stack: &[Digest], probe: &Probe) -> Result<Option<Lower>, StorageError> {
        let tree = store.tree(stack)?;
        let (Some(key), Some(index)) = (key(&tree), tree.layers().last()) else { return Ok(None) };
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mount) = mounts.get(&key) {
            return Ok(Some(Lower::Mount(Arc::clone(mount))));
        }
        let path = store.root().join("erofs").join(key.hex());
        if !path.exists() {
            let span = probe.phase(Phase::Unpack);
            let image = erofs::image(store.blobs(), lower::entries(&tree, self.overlay.marks), &index.layer())?;
            span.quantity(Quantity::FilesWalked, index.layer().files)
                .quantity(Quantity::BytesWritten, image.len() as u64);
            let temporary = store.scratch().path("erofs");
            fs::write(&temporary, image).context("write", &temporary)?;
            fs::rename(&temporary, &path).context("rename to", &path)?;
        }
        store.cache().made(format!("erofs/{}", key.hex()));
        let _span = probe.phase(Phase::Mount);
        let mount = Arc::new(mount(&path, &store.blobs().path(&index.layer().diff_id))?);
        mounts.insert(key, Arc::clone(&mount));
        Ok(Some(Lower::Mount(mount)))
    }
}

impl Driver for Erofs {
    fn name(&self) -> &'static str {
        "erofs"
    }

    fn prepare(
        &self,
        store: &Store,
        tree: &Arc<Tree>,
        place: Place,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let stack = tree.diff_ids();
        let lowers = (1..=stack.len()).filter_map(|depth| self.lower(store, &stack[..depth], probe).transpose());
        let lowers = lowers.collect::<Result<_, _>>()?;
        Ok(Box::new(Stack::over(self.overlay.at(place), tree, lowers, store.scratch())?))
    }
}

/// Mounts an image over its tar, attached nowhere (files as devices: Linux 6.12).
fn mount(image: &Path, tar: &Path) -> Result<OwnedFd, StorageError> {
    let fs = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).context("open", "erofs")?;
    let mut open = Vec::new();
    for (key, path) in [("source", image), ("device", tar)] {
        if path.as_os_str().len() <= MAX_OPTION {
            fsconfig_set_string(&fs, key, path).context("mount", path)?;
        } else {
            let file = File::open(path).context("open", path)?;
            fsconfig_set_string(&fs, key, format!("/proc/self/fd/{}", file.as_raw_fd())).context("mount", path)?;
            open.push(file);
        }
    }
    fsconfig_create(&fs).context("mount", image)?;
    drop(open);
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY).context("mount", image)
}
