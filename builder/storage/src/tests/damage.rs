//! Damaged files of the store are found, and rebuilt if possible.

use super::drivers::{NEEDS, store_for};
use super::{directory, file, layer};
use crate::derived::{Kept, Origins};
use crate::{
    CacheEntry, CacheIndex, Content, DriverChoice, DriverName, Entry, EntryKind, StorageError, Store, StoreOptions,
    SyncPolicy,
};
use buildscope_record::{BlobDigest, DiffId, LayerKey, Probe};
use buildscope_testing::require;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;

fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() }).unwrap()
}

fn asides(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("damaged")).collect()
}

type Harm = fn(&Path);

/// Kinds of damage, for a database of some hundred entries.
const HARMS: [(&str, Harm); 6] = [
    ("truncated in the header", |db| fs::File::options().write(true).open(db).unwrap().set_len(50).unwrap()),
    ("truncated in the middle", |db| {
        let length = fs::metadata(db).unwrap().len();
        fs::File::options().write(true).open(db).unwrap().set_len(length / 2).unwrap();
    }),
    ("garbage", |db| fs::write(db, b"no index".repeat(10_000)).unwrap()),
    ("its header overwritten", |db| {
        fs::File::options().write(true).open(db).unwrap().write_all_at(&[0x55; 200], 0).unwrap();
    }),
    ("its middle overwritten", |db| {
        let length = fs::metadata(db).unwrap().len();
        let noise = vec![0x55; length as usize - 8192];
        fs::File::options().write(true).open(db).unwrap().write_all_at(&noise, 4096).unwrap();
    }),
    ("a directory", |db| {
        fs::remove_file(db).unwrap();
        fs::create_dir(db).unwrap();
    }),
];

#[test]
fn a_damaged_cache_index_is_replaced() {
    for (what, harm) in HARMS {
        let dir = tempfile::tempdir().unwrap();
        {
            let store = open(dir.path());
            let made = layer(&store, [file("f", "text")]);
            for n in 0..400 {
                let entry = CacheEntry { layers: vec![made.diff_id], value: vec![7; 100] };
                store.cache().put(LayerKey::of(format!("{n}")), &entry).unwrap();
            }
            store.sync(&Probe::disabled()).unwrap();
        }
        harm(&dir.path().join("cache.db"));
        let store = open(dir.path());
        let made = layer(&store, [file("f", "text")]);
        // Any of these statements may find the damage first.
        for n in 0..400 {
            store.cache().get(&LayerKey::of(format!("{n}"))).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        let key = LayerKey::of("after");
        store.cache().put(key, &CacheEntry { layers: vec![made.diff_id], value: Vec::new() }).unwrap();
        store.sync(&Probe::disabled()).unwrap();
        let warnings = store.take_warnings();
        assert_eq!((warnings.len(), asides(dir.path()).len()), (1, 1), "{what}: {warnings:?}");
        assert!(warnings[0].contains(&asides(dir.path())[0]), "{what}: {warnings:?}");
        drop(store);
        let store = open(dir.path());
        assert!(store.cache().get(&key).unwrap().is_some(), "{what}");
        assert_eq!(store.take_warnings(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn two_processes_set_a_damaged_index_aside_once() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [open(dir.path()), open(dir.path())];
    fs::write(dir.path().join("cache.db"), "no index at all").unwrap();
    for store in &stores {
        let made = layer(store, [file("f", "text")]);
        store.cache().put(LayerKey::of("k"), &CacheEntry { layers: vec![made.diff_id], value: Vec::new() }).unwrap();
    }
    for store in &stores {
        assert!(store.cache().get(&LayerKey::of("k")).unwrap().is_some());
    }
    assert_eq!(asides(dir.path()).len(), 1);
}

#[test]
fn processes_create_the_index_at_the_same_time() {
    for _ in 0..100 {
        let dir = tempfile::tempdir().unwrap();
        let indexes: Vec<CacheIndex> = (0..8).map(|_| CacheIndex::new(dir.path(), SyncPolicy::Never)).collect();
        let start = Barrier::new(indexes.len());
        std::thread::scope(|threads| {
            for (number, index) in indexes.iter().enumerate() {
                let start = &start;
                threads.spawn(move || {
                    start.wait();
                    index.put(LayerKey::of(format!("{number}")), &CacheEntry::default()).unwrap();
                });
            }
        });
        for number in 0..indexes.len() {
            assert!(indexes[0].get(&LayerKey::of(format!("{number}"))).unwrap().is_some(), "{number}");
        }
    }
}

/// Changes one byte of a blob.
fn rot(store: &Store, blob: &DiffId) {
    fs::File::options().write(true).open(store.blobs().path(blob)).unwrap().write_all_at(b"!", 600).unwrap();
}

#[test]
fn a_damaged_blob_is_removed_with_its_cache_entries() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let [good, bad] = ["good", "bad"].map(|name| {
        let made = layer(&store, [file(name, &name.repeat(500))]).diff_id;
        store.cache().put(LayerKey::of(name), &CacheEntry { layers: vec![made], value: Vec::new() }).unwrap();
        made
    });
    store.sync(&Probe::disabled()).unwrap();
    // A process does not verify blobs that it has written itself.
    drop(store);
    let store = open(dir.path());
    store.tree(&[good, bad]).unwrap();
    rot(&store, &bad);
    assert_eq!(store.verified(&[good], || 7).unwrap(), 7);
    let error = store.verified(&[good, bad], || ()).unwrap_err().to_string();
    assert!(error.contains(&bad.to_string()) && error.contains("build again"), "{error}");
    assert_eq!(store.take_damaged(), [BlobDigest::from(bad)]);
    assert!(store.take_warnings()[0].contains(&bad.to_string()));
    assert_eq!(store.layer(&bad).unwrap(), None);
    assert!(!dir.path().join("index").join(bad.hex()).exists());
    assert!(store.cache().get(&LayerKey::of("bad")).unwrap().is_none());
    assert!(store.cache().get(&LayerKey::of("good")).unwrap().is_some());
    // Written again, the blob is undamaged.
    assert_eq!(layer(&store, [file("bad", &"bad".repeat(500))]).diff_id, bad);
    store.verify(bad).unwrap();
    store.sync(&Probe::disabled()).unwrap();
}

#[test]
fn a_verified_blob_is_verified_again() {
    let dir = tempfile::tempdir().unwrap();
    let made = layer(&open(dir.path()), [file("f", &"text".repeat(500))]).diff_id;
    let store = open(dir.path());
    for _ in 0..2 {
        store.verified(&[made], || ()).unwrap();
    }
    assert!(store.cache().checksum(&made.into()).unwrap().is_some());
    rot(&store, &made);
    assert!(store.verified(&[made], || ()).is_err());
    assert_eq!(store.cache().checksum(&made.into()).unwrap(), None);
    // A wrong recorded checksum does not make an undamaged blob count as damaged.
    let made = layer(&open(dir.path()), [file("f", &"text".repeat(500))]).diff_id;
    store.cache().note_checksum(&made.into(), 7).unwrap();
    store.verified(&[made], || ()).unwrap();
    assert_ne!(store.cache().checksum(&made.into()).unwrap(), Some(7));
}

/// What a thread makes from a layer, while another one finds the layer damaged and removes it.
#[test]
fn what_was_made_from_a_damaged_blob_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let content = "text".repeat(500);
    let made = layer(&open(dir.path()), [file("f", &content)]).diff_id;
    let store = open(dir.path());
    let name = dir.path().join("lowers/name");
    let unpack = |between: &dyn Fn()| {
        let origins = Origins::of(&store.tree(&[made]).unwrap()).unwrap();
        let aside = store.scratch().path("unpack");
        fs::create_dir(&aside).unwrap();
        between();
        origins.keep(&store, &aside, &name).unwrap()
    };
    let damage = || {
        rot(&store, &made);
        store.verify(made).unwrap_err();
    };
    assert_eq!(unpack(&damage), Kept::No);
    assert!(!name.exists());
    assert!(matches!(store.tree(&[made]), Err(StorageError::MissingBlob(_))));
    // The layer is made again while it is unpacked.
    let again = || assert_eq!(layer(&store, [file("f", &content)]).diff_id, made);
    again();
    assert_eq!(
        unpack(&|| {
            damage();
            again();
        }),
        Kept::No
    );
    assert!(!name.exists());
    assert_eq!(unpack(&|| ()), Kept::Yes);
    assert!(name.exists());
    // Another thread was faster.
    fs::write(name.join("f"), "").unwrap();
    assert_eq!(unpack(&|| ()), Kept::Yes);
}

#[test]
fn an_index_is_not_rebuilt_from_a_damaged_blob() {
    let dir = tempfile::tempdir().unwrap();
    let bad = {
        let store = open(dir.path());
        let made = layer(&store, [file("f", &"text".repeat(500))]).diff_id;
        rot(&store, &made);
        fs::write(dir.path().join("index").join(made.hex()), "no index").unwrap();
        made
    };
    let store = open(dir.path());
    assert_eq!(store.layer(&bad).unwrap(), None);
    assert_eq!(store.take_damaged(), [BlobDigest::from(bad)]);
}

#[test]
fn a_check_finds_all_damaged_blobs_and_repairs_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let made: Vec<DiffId> = (0..5).map(|n| layer(&store, [file("f", &format!("{n}").repeat(1000))]).diff_id).collect();
    rot(&store, &made[1]);
    // One blob is truncated.
    fs::File::options().write(true).open(store.blobs().path(made[3])).unwrap().set_len(1000).unwrap();
    let mut expected = vec![BlobDigest::from(made[1]), BlobDigest::from(made[3])];
    expected.sort();
    let heard = std::sync::atomic::AtomicU64::new(0);
    let check = |repair| {
        let passed = |read: buildscope_record::ByteSize, _| {
            heard.fetch_max(read.0, std::sync::atomic::Ordering::Relaxed);
        };
        store.check(repair, &passed).unwrap()
    };
    for repair in [false, true] {
        let checked = check(repair);
        assert_eq!(checked.blobs, 5);
        assert_eq!(
            checked.damaged.iter().map(|damaged| damaged.blob).collect::<Vec<_>>(),
            expected,
            "repair: {repair}"
        );
    }
    let checked = check(false);
    assert_eq!((checked.blobs, checked.damaged.len()), (3, 0));
    assert!(heard.into_inner() >= checked.bytes.0);
    assert_eq!(store.layer(&made[1]).unwrap(), None);
}

/// Changes to an unpacked layer, each with the path that a check names and what it says. The content and the times of other files stay.
const UNPACKED_HARMS: [(&str, &str, Harm); 9] = [
    ("d/f", "other content", |d| {
        fs::File::options().write(true).open(d.join("f")).unwrap().write_all_at(b"T", 0).unwrap()
    }),
    ("d/f", "another size", |d| fs::File::options().write(true).open(d.join("f")).unwrap().set_len(3).unwrap()),
    ("d/f", "it is missing", |d| fs::remove_file(d.join("f")).unwrap()),
    ("d/f", "another mode", |d| fs::set_permissions(d.join("f"), fs::Permissions::from_mode(0o600)).unwrap()),
    ("d/f", "another owner", |d| std::os::unix::fs::chown(d.join("f"), Some(7), None).unwrap()),
    ("d/f", "another kind of file", |d| {
        fs::remove_file(d.join("f")).unwrap();
        fs::create_dir(d.join("f")).unwrap();
    }),
    ("d/f", "other attributes", |d| {
        rustix::fs::setxattr(d.join("f"), "user.x", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    }),
    ("d/link", "another target", |d| {
        fs::remove_file(d.join("link")).unwrap();
        symlink("elsewhere", d.join("link")).unwrap();
    }),
    ("d/more", "it should not exist", |d| fs::write(d.join("more"), "").unwrap()),
];

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn a_check_finds_damaged_unpacked_layers() {
    require(&NEEDS);
    for driver in [DriverName::Overlay, DriverName::FuseOverlayfs, DriverName::Btrfs] {
        let fixture = store_for(DriverChoice::Named(driver));
        let store = &fixture.store;
        let other =
            |path: &str, kind| (Entry { kind, ..Entry::directory(path) }, Content::Bytes(std::sync::Arc::default()));
        let link = other("d/link", EntryKind::Symlink { target: "f".into() });
        let twice = other("d/twice", EntryKind::HardLink { target: "d/f".into() });
        let below = layer(store, [directory("d"), file("d/f", "text"), link, twice, directory("e"), file("e/g", "")]);
        // Its directory has the metadata of the layer below.
        let mut above = store.layer_builder();
        above.push(file("d/x", "x").0, file("d/x", "x").1);
        above.whiteout(Path::new("e/g"));
        let stack = [below.diff_id, above.finish(&Probe::disabled()).unwrap().diff_id];
        let use_it = || drop(store.snapshot(&stack, &Probe::disabled()).unwrap());
        let check = |repair| store.check(repair, &|_, _| ()).unwrap();
        use_it();
        let whole = check(false);
        assert_eq!((whole.damaged_unpacked, whole.unknown), (vec![], vec![]), "{driver:?}");
        // The driver `btrfs` begins with an empty subvolume.
        assert_eq!(whole.unpacked, if driver == DriverName::Btrfs { 3 } else { 2 }, "{driver:?}");
        for (path, what, harm) in UNPACKED_HARMS {
            let d = fs::read_dir(store.root().join("lowers")).unwrap().map(|entry| entry.unwrap().path().join("d"));
            let d = d.filter(|d| d.join("f").exists()).max_by_key(|d| d.join("x").exists()).unwrap();
            harm(&d);
            // A result of a step that may have read it.
            let key = LayerKey::of(what);
            store.cache().put(key, &CacheEntry { layers: vec![stack[0]], value: Vec::new() }).unwrap();
            let found = check(false).damaged_unpacked;
            let found: Vec<_> = found.iter().map(|it| (it.path.to_str().unwrap(), it.difference.as_str())).collect();
            assert_eq!(found, [(path, what)], "{driver:?}");
            let repaired = check(true);
            assert_eq!((repaired.damaged_unpacked.len(), repaired.forgotten), (1, 1), "{driver:?}: {what}");
            assert_eq!(store.cache().get(&key).unwrap(), None);
            assert!(!d.exists());
            use_it();
            let again = check(false);
            assert_eq!((again.damaged_unpacked, again.unpacked), (vec![], whole.unpacked), "{driver:?}: {what}");
        }
        // A directory without a note, as earlier versions made them.
        let lowers = fs::read_dir(store.root().join("lowers")).unwrap();
        let names: Vec<_> = lowers.map(|it| format!("lowers/{}", it.unwrap().file_name().to_str().unwrap())).collect();
        store.cache().forget(&names[..1], None).unwrap();
        assert_eq!(check(false).unknown, names[..1]);
        check(true);
        assert!(!store.root().join(&names[0]).exists());
    }
}
