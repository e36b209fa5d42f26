//! The driver `erofs`: the tar of a layer is mounted without unpacking it, through a small EROFS image of its metadata. Kernels
//! that cannot mount files (before Linux 6.12) get loop devices.

use super::overlay::{Lower, Overlay, Stack, key};
use super::{Driver, Prepared, SnapshotMode, tool};
use crate::derived;
use crate::error::IoContext;
use crate::layout::Access;
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::{BlobStore, CacheIndex, Content, Entry, Layer, LayerStore, StorageError, SyncPolicy, erofs, lower};
use buildscope_record::{DiffId, Digest, DriverName, Phase, Probe, Quantity};
use parking_lot::Mutex;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

/// The longest string that `fsconfig` accepts, without its zero byte.
const MAX_OPTION: usize = 255;

/// The way in which the kernel accesses an image and its tar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Backing {
    /// As files (Linux 6.12 and later).
    Files,
    /// Through loop devices.
    Loops,
}

#[derive(Debug)]
pub(crate) struct Erofs {
    overlay: Overlay,
    backing: Backing,
    mounts: Mutex<Mounts>,
}

/// Mounted layers.
#[derive(Debug, Default)]
struct Mounts {
    /// The store's count of removals when they were made. After another removal they are dropped: one may be of a removed file.
    removals: u64,
    /// The mounts by the key of their lower directory.
    by_key: HashMap<Digest, Arc<OwnedFd>>,
}

impl Erofs {
    /// Checks that EROFS and overlayfs work by mounting one of each.
    pub(crate) fn probe(root: &Path, memory: Option<u64>, scratch: &Arc<Scratch>) -> Result<Self, StorageError> {
        let overlay = Overlay::probe(memory, scratch)?;
        let try_it = |backing| {
            let (image, data, dir) = (scratch.path("probe"), scratch.path("probe"), scratch.path("probe"));
            let layer = Layer { diff_id: DiffId::of(""), size: 512, files: 1 };
            let cache = CacheIndex::new(root, SyncPolicy::Never);
            let blobs = BlobStore::new(root, Arc::clone(scratch), cache, Access::Writable);
            let bytes = erofs::image(&blobs, vec![(Entry::directory(""), Content::Bytes(Default::default()))], &layer)?;
            fs::write(&image, bytes).context("write", &image)?;
            fs::write(&data, [0; 512]).context("write", &data)?;
            let mount = mount(backing, &image, &data);
            scratch.discard(image);
            scratch.discard(data);
            let lower = Arc::new(mount?);
            // Created last: the stack removes it, and there is no stack if the mount failed.
            fs::create_dir(&dir).context("create", &dir)?;
            let lowers = vec![Lower::Mount(Arc::clone(&lower))];
            let stack = Stack::prepare(overlay.with(SnapshotMode::OnDisk), dir, lowers, Arc::clone(scratch))?;
            let mounted = stack.mount();
            drop(stack);
            // Closing a mount takes a grace period of the kernel (RCU), for which the first step must not wait.
            scratch.discard_mount(lower);
            mounted.map(|mount| scratch.discard_mount(Arc::new(mount)))
        };
        let backing = match try_it(Backing::Files) {
            Ok(()) => Backing::Files,
            Err(files) => try_it(Backing::Loops).map(|()| Backing::Loops).map_err(|loops| StorageError::Driver {
                driver: DriverName::Erofs,
                reason: format!("{files}; with loop devices: {loops}"),
            })?,
        };
        Ok(Self { overlay, backing, mounts: Mutex::default() })
    }

    fn lower(&self, store: &LayerStore, stack: &[DiffId], probe: &Probe) -> Result<Option<Lower>, StorageError> {
        let tree = store.tree(stack)?;
        let (Some(key), Some(index)) = (key(&tree), tree.layers().last()) else { return Ok(None) };
        let mut mounts = self.mounts.lock();
        let removals = store.removals();
        if mounts.removals != removals {
            *mounts = Mounts { removals, by_key: HashMap::new() };
        }
        if let Some(mount) = mounts.by_key.get(&key) {
            return Ok(Some(Lower::Mount(Arc::clone(mount))));
        }
        let name = format!("erofs/{}", key.hex());
        let path = store.root().join(&name);
        remove_damaged(&path).context("verify", &path)?;
        let made = derived::ensure(store, stack, &path, |tree| {
            let span = probe.phase(Phase::Unpack);
            let mut image = erofs::image(store.blobs(), lower::entries(tree, self.overlay.marks)?, &index.layer())?;
            span.quantity(Quantity::FilesWalked, index.layer().files)
                .quantity(Quantity::BytesWritten, image.len() as u64);
            // The kernel reads only as many blocks as the superblock says, so a checksum can follow them.
            image.extend(crc32fast::hash(&image).to_le_bytes());
            let temporary = store.scratch().path("erofs");
            fs::write(&temporary, image).context("write", &temporary)?;
            Ok(temporary)
        })?;
        if made {
            store.cache().wrote_file(name);
        } else {
            store.cache().used_file(name);
        }
        let _span = probe.phase(Phase::Mount);
        let mount = Arc::new(mount(self.backing, &path, &store.blobs().path(index.layer().diff_id))?);
        mounts.by_key.insert(key, Arc::clone(&mount));
        Ok(Some(Lower::Mount(mount)))
    }
}

impl Driver for Erofs {
    fn name(&self) -> DriverName {
        DriverName::Erofs
    }

    fn prepare(
        &self,
        store: &LayerStore,
        tree: &Arc<Tree>,
        mode: SnapshotMode,
        probe: &Probe,
    ) -> Result<Box<dyn Prepared>, StorageError> {
        let stack = tree.diff_ids();
        let lowers = tree.visible_depths().filter_map(|depth| self.lower(store, &stack[..depth], probe).transpose());
        let lowers = lowers.collect::<Result<_, _>>()?;
        Ok(Box::new(Stack::over(self.overlay.with(mode), tree, lowers, store.scratch())?))
    }

    fn mounted(&self, store: &LayerStore, tree: &Tree) -> Option<Vec<Arc<OwnedFd>>> {
        let (mounts, stack) = (self.mounts.lock(), tree.diff_ids());
        if mounts.removals != store.removals() {
            return None;
        }
        let mount = |depth: usize| mounts.by_key.get(&key(&*store.tree(&stack[..depth]).ok()?)?).cloned();
        tree.visible_depths().map(mount).collect()
    }
}

/// Removes the file of an image that is not as it was written: the kernel would show the damage as other names or missing files.
fn remove_damaged(path: &Path) -> io::Result<()> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut image = (&file).take(file.metadata()?.len().saturating_sub(4));
    let (mut found, mut buffer) = (crc32fast::Hasher::new(), vec![0; 64 << 10]);
    while let length @ 1.. = image.read(&mut buffer)? {
        found.update(&buffer[..length]);
    }
    let mut written = Vec::new();
    file.read_to_end(&mut written)?;
    if written == found.finalize().to_le_bytes() {
        return Ok(());
    }
    // Another process may have found it, too. Mounts keep the file.
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// A detached mount of an image with its tar.
fn mount(backing: Backing, image: &Path, tar: &Path) -> Result<OwnedFd, StorageError> {
    let fs = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).context("open", "erofs")?;
    let (mut open, mut loops) = (Vec::new(), Vec::new());
    for (key, path) in [("source", image), ("device", tar)] {
        if backing == Backing::Loops {
            let device = LoopDevice::of(path)?;
            fsconfig_set_string(&fs, key, &device.0).context("mount", path)?;
            loops.push(device);
        } else if path.as_os_str().len() <= MAX_OPTION {
            fsconfig_set_string(&fs, key, path).context("mount", path)?;
        } else {
            let file = File::open(path).context("open", path)?;
            fsconfig_set_string(&fs, key, format!("/proc/self/fd/{}", file.as_raw_fd())).context("mount", path)?;
            open.push(file);
        }
    }
    // Without `ro`, a device would also be opened for writing.
    fsconfig_set_flag(&fs, "ro").context("mount", image)?;
    fsconfig_create(&fs).context("mount", image)?;
    drop(open);
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY).context("mount", image)
}

/// A loop device. Dropped, it remains until the last mount from it is gone.
struct LoopDevice(String);

impl LoopDevice {
    fn of(path: &Path) -> Result<Self, StorageError> {
        let made = tool("losetup").args(["-r", "-f", "--show"]).arg(path).output().context("run", "losetup")?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            return Err(io::Error::other(said)).context("make a loop device of", path);
        }
        Ok(Self(String::from_utf8_lossy(&made.stdout).trim().to_owned()))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // A device in use is detached after its last user (loop(4), LOOP_CLR_FD).
        let _ = tool("losetup").args(["-d", &self.0]).stderr(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{directory, file, layer, store};
    use crate::{DriverChoice, DriverName, Store, StoreOptions};
    use buildscope_testing::{Need, require, until};
    use rustix::fs::{Mode, OFlags, openat};

    #[test]
    #[ignore = "needs root"]
    fn a_damaged_image_is_made_again() {
        require(&[Need::Root]);
        let dir = tempfile::tempdir().unwrap();
        let options = || StoreOptions { driver: DriverChoice::Named(DriverName::Erofs), ..StoreOptions::default() };
        let stack = {
            let store = Store::open(dir.path(), options()).unwrap();
            let names = (0..200).map(|n| file(&format!("file-{n}"), "text"));
            vec![layer(&store, names).diff_id]
        };
        let image = || {
            // A store that has been opened again has no mounts.
            let store = Store::open(dir.path(), options()).unwrap();
            drop(store.snapshot(&stack, &Probe::disabled()).unwrap());
            fs::read_dir(dir.path().join("erofs")).unwrap().next().unwrap().unwrap().path()
        };
        let path = image();
        let whole = fs::read(&path).unwrap();
        let at = whole.windows(8).position(|bytes| bytes == b"file-150").unwrap();
        for damaged in [[&whole[..at], b"other-99", &whole[at + 8..]].concat(), whole[..4096].to_vec(), Vec::new()] {
            fs::write(&path, damaged).unwrap();
            assert!(image() == path && fs::read(&path).unwrap() == whole);
        }
    }

    #[test]
    #[ignore = "needs root and loop devices"]
    fn files_and_loop_devices_show_the_same() {
        require(&[Need::LoopDevices]);
        let fixture = store(DriverChoice::Named(DriverName::Copy));
        let store = &fixture.store;
        let text = "some text\n".repeat(1000);
        let made = layer(store, [directory("d"), file("d/f", &text), file("top", "t")]);
        let tree = store.tree(&[made.diff_id]).unwrap();
        let entries = lower::entries(&tree, lower::Marks::Trusted).unwrap();
        let image = store.root().join("image");
        fs::write(&image, erofs::image(store.blobs(), entries, &made).unwrap()).unwrap();
        let attached = || {
            let devices = fs::read_dir("/sys/block").unwrap().map(|entry| entry.unwrap().path());
            let backing = devices.filter_map(|path| fs::read_to_string(path.join("loop/backing_file")).ok());
            backing.filter(|path| Path::new(path.trim_end()).starts_with(store.root())).count()
        };
        for (backing, devices) in [(Backing::Files, 0), (Backing::Loops, 2)] {
            let mount = mount(backing, &image, &store.blobs().path(made.diff_id)).unwrap();
            assert_eq!(attached(), devices, "{backing:?}");
            for (name, content) in [("d/f", text.as_str()), ("top", "t")] {
                let mut read = String::new();
                let opened = openat(&mount, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
                File::from(opened).read_to_string(&mut read).unwrap();
                assert_eq!(read, content, "{backing:?} {name}");
            }
        }
        // The kernel detaches a device some time after its last user has closed it.
        until("no device remains", || attached() == 0);
    }
}
