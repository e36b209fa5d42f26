//! Tests of the store through its public interface.

mod damage;
mod deep;
mod drivers;
mod durability;
mod members;
mod upper;

use super::*;
use buildscope_record::{DiffId, LayerKey, Probe, Removal};
use std::path::Path;
use std::sync::Arc;

/// A store in a temporary directory.
pub(crate) struct Fixture {
    pub(super) store: Store,
    // Dropped in this order: the mount must go before its directory.
    _mount: Option<Mounted>,
    _dir: tempfile::TempDir,
}

/// A mounted file system image. Dropping it unmounts it.
pub(crate) struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// A store on a separate file system of type `kind` with `size` bytes.
pub(crate) fn store_on(driver: DriverChoice, kind: &str, size: u64) -> Fixture {
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
    };
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("image"), dir.path().join("mnt"));
    std::fs::File::create(&image).unwrap().set_len(size).unwrap();
    std::fs::create_dir(&at).unwrap();
    run(&format!("mkfs.{kind}"), &["-q".as_ref(), image.as_os_str()]);
    run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), at.as_os_str()]);
    let mount = Some(Mounted(at.clone()));
    let store = Store::open(&at, StoreOptions { driver, ..StoreOptions::default() }).unwrap();
    Fixture { store, _mount: mount, _dir: dir }
}

pub(crate) fn store(driver: DriverChoice) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions { driver, ..StoreOptions::default() }).unwrap();
    Fixture { store, _mount: None, _dir: dir }
}

pub(crate) fn file(path: &str, content: &str) -> (Entry, Content) {
    let kind = EntryKind::File { size: content.len() as u64 };
    let mtime = Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 };
    (Entry { kind, mode: 0o644, mtime, ..Entry::directory(path) }, Content::Bytes(content.as_bytes().into()))
}

pub(crate) fn directory(path: &str) -> (Entry, Content) {
    (Entry::directory(path), Content::Bytes(Arc::default()))
}

pub(crate) fn layer(store: &Store, entries: impl IntoIterator<Item = (Entry, Content)>) -> Layer {
    let mut builder = store.layer_builder();
    entries.into_iter().for_each(|(entry, content)| builder.push(entry, content));
    builder.finish(&Probe::disabled()).unwrap()
}

fn read(tree: &Tree, path: &str) -> Option<String> {
    tree.read(Path::new(path), 1 << 20).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn an_empty_layer_is_two_blocks_of_zeros() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let layer = layer(&fixture.store, []);
    // The diff id of the empty tar, which many published images contain.
    let known = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!((layer.diff_id.to_string().as_str(), layer.size), (known, 1024));
}

#[test]
fn an_empty_layer_is_written_once() {
    use std::os::unix::fs::MetadataExt;
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let write = || {
        let made = layer(&fixture.store, []);
        // A rename would give the path another file.
        (made, std::fs::metadata(fixture.store.blobs().path(made.diff_id)).unwrap().ino())
    };
    assert_eq!(write(), write());
}

/// A store in a working directory may come from elsewhere.
#[test]
fn a_store_does_not_lead_out_of_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("store"), folder.path().join("other"));
    for linked in ["blobs", "blobs/sha256", "index", "erofs", "lowers", "mounts", "claims", "tmp"] {
        std::fs::create_dir_all(root.join(linked).parent().unwrap()).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        std::os::unix::fs::symlink(&other, root.join(linked)).unwrap();
        let error = Store::open(&root, StoreOptions::default()).err().unwrap().to_string();
        assert!(error.contains("symbolic link") && error.contains(linked), "{error}");
        assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
        std::fs::remove_dir_all(&root).unwrap();
    }
    Store::open(&root, StoreOptions::default()).unwrap();
}

/// What [`Store::import_layer`] refuses, as all unpackers do.
#[test]
fn a_layer_has_no_names_and_links_that_no_file_system_holds() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let link = |length: usize| Entry {
        kind: EntryKind::Symlink { target: "x".repeat(length).into() },
        mode: 0o777,
        ..Entry::directory("link")
    };
    let made = |entry: Entry| {
        let mut builder = fixture.store.layer_builder();
        builder.push(entry, Content::Bytes(Arc::default()));
        let layer = builder.finish(&Probe::disabled())?;
        let bytes = std::fs::read(fixture.store.blobs().path(layer.diff_id)).unwrap();
        fixture.store.import_layer(&*bytes, None, &Probe::disabled())
    };
    for entry in [Entry::directory("n".repeat(255)), link(1), link(4095)] {
        made(entry).unwrap();
    }
    for entry in [Entry::directory("n".repeat(256)), link(0), link(4096)] {
        assert!(matches!(made(entry), Err(StorageError::BadEntry { .. })));
    }
}

#[test]
fn upper_layers_replace_and_whiteouts_remove() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let below = layer(
        &fixture.store,
        [directory("a"), file("a/x", "1"), file("a/y", "2"), directory("b"), file("b/z", "3"), file("a-b", "4")],
    );
    let mut builder = fixture.store.layer_builder();
    for (entry, content) in [directory("a"), file("a/x", "new"), directory("b"), file("b/fresh", "5")] {
        builder.push(entry, content);
    }
    builder.whiteout(Path::new("a/y"));
    builder.opaque(Path::new("b"));
    let above = builder.finish(&Probe::disabled()).unwrap();
    let tree = fixture.store.tree(&[below.diff_id, above.diff_id]).unwrap();
    let paths: Vec<_> = tree.walk(Path::new("")).map(|(entry, _)| entry.path.display().to_string()).collect();
    assert_eq!(paths, ["", "a", "a/x", "a-b", "b", "b/fresh"]);
    assert_eq!(read(&tree, "a/x").as_deref(), Some("new"));
    assert_eq!(read(&tree, "a-b").as_deref(), Some("4"));
    assert_eq!(read(&tree, "a/y"), None);
    let old = fixture.store.tree(&[below.diff_id]).unwrap();
    assert_eq!(read(&old, "a/y").as_deref(), Some("2"), "the lower tree is unchanged");
}

#[test]
fn symlinks_stay_inside_the_root_and_loops_fail() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let link = |path: &str, target: &str| {
        let kind = EntryKind::Symlink { target: target.into() };
        (Entry { kind, mode: 0o777, ..Entry::directory(path) }, Content::Bytes(Arc::default()))
    };
    let entries = [
        directory("usr"),
        directory("usr/lib"),
        file("usr/lib/f", "x"),
        link("lib", "usr/lib"),
        link("up", "../../../usr"),
        link("loop", "loop"),
        link("abs", "/lib/f"),
    ];
    let layer = layer(&fixture.store, entries);
    let tree = fixture.store.tree(&[layer.diff_id]).unwrap();
    let resolve = |path: &str| {
        tree.resolve(Path::new(path)).map(|found| (found.path.display().to_string(), found.entry.is_some()))
    };
    assert_eq!(resolve("/lib/f").unwrap(), ("usr/lib/f".into(), true));
    assert_eq!(resolve("up/lib/../lib/f").unwrap(), ("usr/lib/f".into(), true));
    assert_eq!(resolve("abs").unwrap(), ("usr/lib/f".into(), true));
    assert_eq!(resolve("lib/new/file").unwrap(), ("usr/lib/new/file".into(), false));
    assert!(resolve("loop").is_err());
    assert!(resolve("lib/f/x").is_err());
}

#[test]
fn the_first_name_of_a_file_holds_its_data() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let link = (
        Entry { kind: EntryKind::HardLink { target: "z".into() }, ..Entry::directory("a") },
        Content::Bytes(Arc::default()),
    );
    let layer = layer(&fixture.store, [link, file("z", "data")]);
    let tree = fixture.store.tree(&[layer.diff_id]).unwrap();
    let kinds: Vec<_> = tree.walk(Path::new("")).skip(1).map(|(entry, _)| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::File { size: 4 }, EntryKind::HardLink { target: "a".into() }]);
    assert_eq!(read(&tree, "z").as_deref(), Some("data"));
}

#[test]
fn an_imported_layer_is_stored_byte_for_byte() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let made = layer(
        &fixture.store,
        [directory("d"), file("d/f", "content"), file(&format!("d/{}", "n".repeat(200)), "long")],
    );
    let bytes = fixture.store.blobs().read(made.diff_id, 1 << 20).unwrap();
    let other = store(DriverChoice::Named(DriverName::Copy));
    let taken = other.store.import_layer(bytes.as_slice(), Some(made.diff_id), &Probe::disabled()).unwrap();
    assert_eq!(taken, made);
    let tree = other.store.tree(&[taken.diff_id]).unwrap();
    assert_eq!(read(&tree, "d/f").as_deref(), Some("content"));
    assert_eq!(read(&tree, &format!("d/{}", "n".repeat(200))).as_deref(), Some("long"));
    let wrong = other.store.import_layer(&bytes[..bytes.len() - 512], Some(DiffId::of("else")), &Probe::disabled());
    assert!(matches!(wrong, Err(StorageError::DigestMismatch { .. })));
}

#[test]
fn cache_entries_with_undamaged_layers_survive_a_reboot() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            dir.path(),
            StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() },
        )
        .unwrap()
    };
    let (one, two) = (open(), open());
    let made = layer(&one, [file("f", "x")]);
    let entry = CacheEntry { layers: vec![made.diff_id], value: b"whatever".to_vec() };
    let key = LayerKey::of("key");
    one.cache().put(key, &entry).unwrap();
    assert_eq!(two.cache().get(&key).unwrap().map(|hit| hit.entry), Some(entry.clone()));
    one.sync(&Probe::disabled()).unwrap();
    // Two layers are not synced. One of them is complete on the disk.
    let [whole, torn] = ["whole", "torn"].map(|name| {
        let made = layer(&two, [file(name, &name.repeat(1000))]);
        two.cache().put(LayerKey::of(name), &CacheEntry { layers: vec![made.diff_id], value: Vec::new() }).unwrap();
        made
    });
    std::fs::File::options().write(true).open(two.blobs().path(torn.diff_id)).unwrap().set_len(600).unwrap();
    // Nor is an unpacked layer.
    let unpacked = dir.path().join("lowers").join(whole.diff_id.hex());
    std::fs::create_dir_all(unpacked.join("d")).unwrap();
    drop((one, two));
    // Simulates a reboot: the recorded boot id differs from the kernel's.
    std::fs::write(dir.path().join("boot"), "another").unwrap();
    let after = open();
    assert_eq!(after.cache().get(&key).unwrap().map(|hit| hit.entry), Some(entry));
    assert_eq!(after.cache().get(&LayerKey::of("torn")).unwrap(), None);
    assert!(after.cache().get(&LayerKey::of("whole")).unwrap().is_some());
    assert_eq!(after.layer(&made.diff_id).unwrap(), Some(made));
    assert_eq!(after.layer(&whole.diff_id).unwrap(), Some(whole));
    assert!(!after.blobs().path(torn.diff_id).exists());
    assert!(!unpacked.exists(), "it is unpacked again when it is needed");
    std::fs::write(dir.path().join("boot"), "a third").unwrap();
    assert!(open().cache().get(&LayerKey::of("whole")).unwrap().is_some(), "it is durable now");
}

#[test]
fn pruning_keeps_items_in_use_and_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            dir.path(),
            StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() },
        )
        .unwrap()
    };
    let age = |digest: &DiffId, store: &Store, seconds: u64| {
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        std::fs::File::open(store.blobs().path(digest)).unwrap().set_modified(then).unwrap();
    };
    let first = open();
    let layers: Vec<_> =
        (0..3).map(|n| layer(&first, [file(&format!("f{n}"), &"x".repeat(100_000))]).diff_id).collect();
    let key = LayerKey::of("key");
    first.cache().put(key, &CacheEntry { layers: vec![layers[0]], value: Vec::new() }).unwrap();
    for (n, digest) in (0..).zip(&layers) {
        age(digest, &first, 4000 - n * 1000);
    }
    drop(first);
    let store = open();
    // A running build uses the oldest layer.
    assert!(store.cache().get(&key).unwrap().is_some());
    let keep = PruneOptions { keep_bytes: Some(buildscope_record::ByteSize(250_000)), ..PruneOptions::default() };
    let removed: Vec<_> = store.prune(&keep).unwrap().into_iter().map(|item| item.name).collect();
    assert_eq!(removed, [layers[1].to_string()]);
    let keep = PruneOptions { keep_duration: Some(std::time::Duration::from_secs(3000)), ..PruneOptions::default() };
    assert_eq!(store.prune(&keep).unwrap(), [], "the third was used 2000 s ago");
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().len(), 1);
    assert_eq!(store.layer(&layers[2]).unwrap(), None);
    assert!(store.layer(&layers[0]).unwrap().is_some());
    age(&layers[0], &store, 10);
    drop(store);
    let store = open();
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().len(), 1);
    assert!(store.cache().get(&key).unwrap().is_none());
    assert_eq!(store.usage().unwrap(), []);
}

/// The clock was set back after the use.
#[test]
fn an_item_used_in_the_future_is_recent() {
    let fixture = store(DriverChoice::Named(DriverName::Copy));
    let made = layer(&fixture.store, [file("f", "x")]).diff_id;
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5000);
    std::fs::File::open(fixture.store.blobs().path(made)).unwrap().set_modified(later).unwrap();
    let dir = fixture.store.root().to_owned();
    // Another build, so that this layer is not in use.
    let store =
        Store::open(&dir, StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() })
            .unwrap();
    let keep = PruneOptions { keep_duration: Some(std::time::Duration::from_secs(60)), ..PruneOptions::default() };
    assert_eq!(store.prune(&keep).unwrap(), []);
}

#[test]
fn a_removal_reason_is_kept_until_the_result_returns() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            dir.path(),
            StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() },
        )
        .unwrap()
    };
    let (old, new) = (LayerKey::of("old"), LayerKey::of("new"));
    let store = open();
    for (key, text, unused) in [(old, "a", 5000), (new, "b", 100)] {
        let made = layer(&store, [file("f", text)]).diff_id;
        store.cache().put(key, &CacheEntry { layers: vec![made], value: Vec::new() }).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(unused);
        std::fs::File::open(store.blobs().path(made)).unwrap().set_modified(then).unwrap();
    }
    let why = |store: &Store, key| store.cache().removed(&key).unwrap().map(|removed| removed.why);
    assert_eq!((why(&store, old), why(&store, new)), (None, None));
    drop(store);
    let store = open();
    let aged = PruneOptions { keep_duration: Some(std::time::Duration::from_secs(1000)), ..PruneOptions::default() };
    assert_eq!(store.prune(&aged).unwrap().len(), 1);
    let roomy = PruneOptions { keep_bytes: Some(buildscope_record::ByteSize(0)), ..PruneOptions::default() };
    assert_eq!(store.prune(&roomy).unwrap().len(), 1);
    assert_eq!((why(&store, old), why(&store, new)), (Some(Removal::Expired), Some(Removal::Pruned)));
    let removed = store.cache().removed(&old).unwrap().unwrap();
    assert!(removed.unused.as_secs() >= 5000 && removed.at.elapsed().unwrap().as_secs() < 1000, "{removed:?}");
    let made = layer(&store, [file("f", "a")]).diff_id;
    store.cache().put(old, &CacheEntry { layers: vec![made], value: Vec::new() }).unwrap();
    assert_eq!(why(&store, old), None);
}

#[test]
fn a_second_build_waits_for_the_step_lock() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            dir.path(),
            StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() },
        )
        .unwrap()
    };
    let (one, two) = (open(), open());
    let key = LayerKey::of("step");
    let lock = StepLock::lock(&one, &key, &Probe::disabled()).unwrap();
    assert!(StepLock::try_lock(&two, &key).unwrap().is_none());
    let made = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let _lock = StepLock::lock(&two, &key, &Probe::disabled()).unwrap();
            made.load(std::sync::atomic::Ordering::SeqCst)
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        made.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(lock);
        assert!(second.join().unwrap());
    });
    assert!(StepLock::try_lock(&two, &key).unwrap().is_some(), "the lock is released");
}
