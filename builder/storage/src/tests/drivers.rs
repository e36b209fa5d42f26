//! The same step gives the same layer under each driver.

use super::{Fixture, directory, file, layer, store};
use crate::{Content, DriverChoice, DriverName, Entry, EntryKind, Snapshot, StorageError, Store};
use buildscope_record::{DiffId, Probe};
use buildscope_testing::{Need, require};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every driver. A new one makes the length wrong.
pub(super) const DRIVERS: [DriverChoice; DriverName::ALL.len()] = [
    DriverChoice::Named(DriverName::Copy),
    DriverChoice::Named(DriverName::Overlay),
    DriverChoice::Named(DriverName::Erofs),
    DriverChoice::Named(DriverName::FuseOverlayfs),
    DriverChoice::Named(DriverName::Btrfs),
];

/// The requirements for tests of all drivers.
pub(super) const NEEDS: [Need; 3] = [Need::LoopDevices, Need::Program("mkfs.btrfs"), Need::Program("fuse-overlayfs")];

/// A store for the driver, on a separate file system if the driver needs one.
pub(super) fn store_for(driver: DriverChoice) -> Fixture {
    if driver == DriverChoice::Named(DriverName::Btrfs) {
        super::store_on(driver, "btrfs", 256 << 20)
    } else {
        super::store(driver)
    }
}

/// Attaches a snapshot, runs `step` in it, and commits.
pub(super) fn run(store: &Store, layers: &[DiffId], step: &dyn Fn(&Path)) -> DiffId {
    let probe = Probe::disabled();
    let snapshot = store.snapshot(layers, &probe).unwrap();
    attached(&snapshot, step);
    match snapshot.commit(&probe) {
        Err(StorageError::LinkChanged { .. }) => {
            let snapshot = store.snapshot_again(layers, &probe).unwrap();
            attached(&snapshot, step);
            snapshot.commit(&probe).unwrap().diff_id
        }
        made => made.unwrap().diff_id,
    }
}

fn attached(snapshot: &Snapshot, step: &dyn Fn(&Path)) {
    let mount = snapshot.mount(&Probe::disabled()).unwrap();
    let at = tempfile::tempdir().unwrap();
    move_mount(&mount, "", rustix::fs::CWD, at.path(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(at.path())));
    unmount(at.path(), UnmountFlags::DETACH).unwrap();
    done.unwrap();
}

fn base(store: &Store) -> Vec<DiffId> {
    let link = (
        Entry { kind: EntryKind::HardLink { target: "d/one".into() }, ..Entry::directory("d/two") },
        Content::Bytes(Arc::default()),
    );
    let one = layer(
        store,
        [
            directory("d"),
            file("d/one", "1"),
            link,
            file("d/x", "x"),
            directory("d/sub"),
            file("d/sub/deep", "deep"),
            file("top", "t"),
            file("other", "o"),
        ],
    );
    let two = layer(store, [directory("e"), file("e/f", "f"), directory("d"), file("d/y", "y")]);
    vec![one.diff_id, two.diff_id]
}

fn stamp(path: &Path) {
    use rustix::fs::{AtFlags, Timespec, Timestamps};
    let time = Timespec { tv_sec: 1_600_000_000, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Gives everything that a step created or touched the same time, because times differ between runs.
fn stamp_all(root: &Path) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            stamp_all(&path);
        }
        if rustix::fs::lstat(&path).unwrap().st_mtime > 1_700_000_000 {
            stamp(&path);
        }
    }
}

/// Renames with `mv`, which copies if it must: fuse-overlayfs, like overlayfs without `redirect_dir`, cannot rename lower directories.
fn rename(from: std::path::PathBuf, to: std::path::PathBuf) {
    assert!(std::process::Command::new("mv").arg("-T").args([from, to]).status().unwrap().success());
}

type Step = (&'static str, fn(&Path), &'static [&'static str]);

/// Steps with the members that their layers must have by the rule in `change.rs`.
const STEPS: &[Step] = &[
    ("nothing", |_| {}, &[]),
    ("new file", |r| fs::write(r.join("d/new"), "n").unwrap(), &["d/", "d/new"]),
    ("removed file", |r| fs::remove_file(r.join("d/x")).unwrap(), &["d/", "d/.wh.x"]),
    ("removed directory", |r| fs::remove_dir_all(r.join("d")).unwrap(), &[".wh.d"]),
    (
        "made and removed",
        |r| {
            fs::write(r.join("d/t"), "").unwrap();
            fs::remove_file(r.join("d/t")).unwrap();
        },
        &["d/"],
    ),
    ("touched directory", |r| stamp(&r.join("d/sub")), &["d/", "d/sub/"]),
    (
        "moved away and back",
        |r| {
            rename(r.join("top"), r.join("t2"));
            rename(r.join("t2"), r.join("top"));
        },
        &[],
    ),
    (
        "replaced directory",
        |r| {
            fs::remove_dir_all(r.join("d")).unwrap();
            fs::create_dir(r.join("d")).unwrap();
            fs::write(r.join("d/y"), "z").unwrap();
        },
        &["d/", "d/.wh.one", "d/.wh.sub", "d/.wh.two", "d/.wh.x", "d/y"],
    ),
    (
        "directory to file",
        |r| {
            fs::remove_dir_all(r.join("d/sub")).unwrap();
            fs::write(r.join("d/sub"), "s").unwrap();
        },
        &["d/", "d/sub"],
    ),
    (
        "file to directory",
        |r| {
            fs::remove_file(r.join("top")).unwrap();
            fs::create_dir(r.join("top")).unwrap();
        },
        &["top/"],
    ),
    (
        "moved directory",
        |r| rename(r.join("d"), r.join("moved")),
        &[".wh.d", "moved/", "moved/one", "moved/sub/", "moved/sub/deep", "moved/two", "moved/x", "moved/y"],
    ),
    (
        "exchanged directories",
        |r| {
            rename(r.join("d"), r.join("t"));
            rename(r.join("e"), r.join("d"));
            rename(r.join("t"), r.join("e"));
            // Only fuse-overlayfs changes the time of a directory when it marks it as opaque.
            ["d", "e"].iter().for_each(|name| stamp(&r.join(name)));
        },
        &[
            "d/",
            "d/.wh.one",
            "d/.wh.sub",
            "d/.wh.two",
            "d/.wh.x",
            "d/.wh.y",
            "d/f",
            "e/",
            "e/.wh.f",
            "e/one",
            "e/sub/",
            "e/sub/deep",
            "e/two",
            "e/x",
            "e/y",
        ],
    ),
    (
        "owner",
        |r| std::os::unix::fs::chown(r.join("d/sub/deep"), Some(7), Some(8)).unwrap(),
        &["d/", "d/sub/", "d/sub/deep"],
    ),
    ("owner of a directory", |r| std::os::unix::fs::chown(r.join("d/sub"), Some(7), None).unwrap(), &["d/", "d/sub/"]),
    (
        "owner and name",
        |r| {
            std::os::unix::fs::chown(r.join("top"), Some(7), None).unwrap();
            rename(r.join("top"), r.join("d/renamed"));
        },
        &[".wh.top", "d/", "d/renamed"],
    ),
    ("one of two names written", |r| fs::write(r.join("d/one"), "changed").unwrap(), &["d/", "d/one"]),
    ("one of two names removed", |r| fs::remove_file(r.join("d/one")).unwrap(), &["d/", "d/.wh.one"]),
    ("one of two names moved", |r| rename(r.join("d/one"), r.join("d/three")), &["d/", "d/.wh.one", "d/three"]),
    (
        "a third name of two",
        |r| fs::hard_link(r.join("d/two"), r.join("d/three")).unwrap(),
        &["d/", "d/three", "d/two"],
    ),
    (
        "owner of two names",
        |r| ["d/one", "d/two"].iter().for_each(|p| std::os::unix::fs::chown(r.join(p), Some(7), None).unwrap()),
        &["d/", "d/one", "d/two"],
    ),
    (
        "one of two names replaced",
        |r| {
            fs::remove_file(r.join("d/two")).unwrap();
            fs::write(r.join("d/two"), "new").unwrap();
        },
        &["d/", "d/two"],
    ),
    (
        "two names copied",
        |r| {
            assert!(
                std::process::Command::new("cp")
                    .arg("-a")
                    .arg(r.join("d"))
                    .arg(r.join("c"))
                    .status()
                    .unwrap()
                    .success()
            )
        },
        &["c/", "c/one", "c/sub/", "c/sub/deep", "c/two", "c/x", "c/y"],
    ),
    ("a new name", |r| fs::hard_link(r.join("d/x"), r.join("d/sub/x2")).unwrap(), &["d/", "d/sub/", "d/sub/x2", "d/x"]),
    (
        "same size, same time, other content",
        |r| {
            fs::write(r.join("top"), "T").unwrap();
            let time = rustix::fs::Timespec { tv_sec: 1_700_000_000, tv_nsec: 123_456_789 };
            rustix::fs::utimensat(
                rustix::fs::CWD,
                r.join("top"),
                &rustix::fs::Timestamps { last_access: time, last_modification: time },
                rustix::fs::AtFlags::empty(),
            )
            .unwrap();
        },
        &["top"],
    ),
    (
        "pipe, device and socket",
        |r| {
            rustix::fs::mknodat(rustix::fs::CWD, r.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                r.join("null"),
                rustix::fs::FileType::CharacterDevice,
                0o666.into(),
                rustix::fs::makedev(1, 3),
            )
            .unwrap();
            std::os::unix::net::UnixListener::bind(r.join("socket")).unwrap();
        },
        &["null", "pipe"],
    ),
    (
        "a name that is not UTF-8",
        |r| {
            use std::os::unix::ffi::OsStrExt;
            fs::write(r.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        },
        &["\u{fffd}"],
    ),
    (
        "long paths",
        |r| {
            let mut p = r.to_owned();
            for _ in 0..6 {
                p.push("p".repeat(60));
                fs::create_dir(&p).unwrap();
            }
        },
        &[],
    ),
];

pub(super) fn members(store: &Store, layer: &DiffId) -> Vec<String> {
    let output = std::process::Command::new("tar")
        .arg("--quoting-style=literal")
        .arg("-tf")
        .arg(store.blobs().path(layer))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn each_driver_gives_the_same_layer_for_each_step() {
    require(&NEEDS);
    let drivers = DRIVERS;
    let stores: Vec<_> = drivers.iter().map(|&driver| store_for(driver)).collect();
    for (name, step, expected) in STEPS {
        let mut first = None;
        for (fixture, driver) in stores.iter().zip(drivers) {
            let store = &fixture.store;
            let stack = base(store);
            let made = run(store, &stack, &|root| {
                step(root);
                stamp_all(root);
            });
            if !expected.is_empty() || *name == "nothing" {
                assert_eq!(members(store, &made), *expected, "{name} under {driver:?}");
            }
            match first {
                // This driver shows hard-linked lower files as separate files.
                _ if *name == "two names copied" && driver == DriverChoice::Named(DriverName::FuseOverlayfs) => {}
                None => first = Some(made),
                Some(first) => assert_eq!(first, made, "{name} under {driver:?}: {:?}", members(store, &made)),
            }
        }
    }
}

/// Entries, names, sizes and attributes at the limits of the formats.
fn zoo(store: &Store) -> Vec<DiffId> {
    use std::collections::BTreeMap;
    use std::os::unix::ffi::OsStrExt;
    let none = || Content::Bytes(Arc::default());
    let mut entries = vec![directory("many"), directory("empty"), directory("odd")];
    for n in 0..700 {
        entries.push(file(&format!("many/{}{n}", "-n".repeat(n % 100)), &"z".repeat(n * 7)));
    }
    for length in [1, 100, 380, 400, 450, 4000] {
        let kind = EntryKind::Symlink { target: "t".repeat(length).into() };
        entries.push((Entry { kind, mode: 0o777, ..Entry::directory(format!("odd/link{length}")) }, none()));
    }
    let value = |n: usize| vec![b'v'; n];
    for (n, size) in [0, 1, 3, 600, 3000].into_iter().enumerate() {
        let (mut entry, content) = file(&format!("odd/attributes{n}"), &"a".repeat(n * 300));
        entry.xattrs = BTreeMap::from([(b"user.x".to_vec(), value(size)), (b"user.another.name".to_vec(), value(n))]);
        // A version 2 capability set, as `setcap` writes it: linux/capability.h, VFS_CAP_REVISION_2.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.xattrs.insert(b"security.capability".to_vec(), capability.to_vec());
        entries.push((entry, content));
    }
    let other = |path: &str, kind| {
        (Entry { kind, mode: 0o4711, uid: 70_000, gid: 3_000_000, ..Entry::directory(path) }, none())
    };
    entries.push(other("odd/pipe", EntryKind::Fifo));
    entries.push(other("odd/null", EntryKind::CharDevice { major: 1, minor: 3 }));
    entries.push(other("odd/disk", EntryKind::BlockDevice { major: 259, minor: 70_000 }));
    entries.push(other("odd/setuid", EntryKind::File { size: 0 }));
    entries.push((Entry { mode: 0o1777, ..Entry::directory("odd/sticky") }, none()));
    entries.push(file(&format!("odd/{}", "l".repeat(255)), "long"));
    entries.push((
        Entry { path: std::ffi::OsStr::from_bytes(b"odd/\xff\xfe\n").into(), ..file("", "bytes").0 },
        file("", "bytes").1,
    ));
    let mut deep = String::from("deep");
    for _ in 0..30 {
        entries.push(directory(&deep));
        deep.push_str("/twenty-character-dir");
    }
    let mut old = file("odd/old", "before 1970");
    old.0.mtime = crate::Timestamp { seconds: -1, nanos: 500_000_000 };
    entries.push(old);
    let link = |path: &str, target: &str| {
        (Entry { kind: EntryKind::HardLink { target: target.into() }, ..Entry::directory(path) }, none())
    };
    entries.push(link("odd/again", "many/-n1"));
    entries.push(link("odd/seven", "many/-n-n-n-n-n-n-n7"));
    entries.push(link("odd/sept", "many/-n-n-n-n-n-n-n7"));
    let one = layer(store, entries);
    let mut above = store.layer_builder();
    for (entry, content) in [
        directory("odd"),
        file("odd/pipe", "replaced"),
        directory("empty"),
        file("empty/not", "any more"),
        directory("many"),
    ] {
        above.push(entry, content);
    }
    above.whiteout(Path::new("many/-n1"));
    above.whiteout(Path::new("deep/twenty-character-dir"));
    above.opaque(Path::new("odd/sticky"));
    vec![one.diff_id, above.finish(&Probe::disabled()).unwrap().diff_id]
}

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn each_driver_shows_the_tree() {
    require(&NEEDS);
    for driver in DRIVERS {
        let fixture = store_for(driver);
        let stack = zoo(&fixture.store);
        let tree = fixture.store.tree(&stack).unwrap();
        let made = run(&fixture.store, &stack, &|root| {
            let mut paths = 0;
            let number = |path: &Path| rustix::fs::lstat(root.join(path)).unwrap().st_ino;
            for (entry, _) in tree.walk(Path::new("")) {
                let host = root.join(&entry.path);
                let stat = rustix::fs::lstat(&host).unwrap_or_else(|error| panic!("{}: {error}", host.display()));
                if let EntryKind::HardLink { target } = &entry.kind
                    && driver != DriverChoice::Named(DriverName::FuseOverlayfs)
                {
                    assert_eq!(number(&entry.path), number(target), "{driver:?} {entry:?}");
                }
                let entry = tree.lookup(&entry.path).unwrap();
                assert_eq!((stat.st_uid, stat.st_gid), (entry.uid, entry.gid), "{driver:?} {entry:?}");
                assert_eq!(stat.st_mode & 0o7777, entry.mode, "{driver:?} {entry:?}");
                assert_eq!(
                    (stat.st_mtime, stat.st_mtime_nsec as u32),
                    (entry.mtime.seconds, entry.mtime.nanos),
                    "{driver:?} {entry:?}"
                );
                match &entry.kind {
                    EntryKind::File { size } => {
                        assert_eq!(stat.st_size as u64, *size, "{driver:?} {entry:?}");
                        assert_eq!(
                            Some(fs::read(&host).unwrap()),
                            tree.read(&entry.path, 1 << 20).unwrap(),
                            "{driver:?} {entry:?}"
                        );
                    }
                    EntryKind::Symlink { target } => assert_eq!(fs::read_link(&host).unwrap(), *target, "{driver:?}"),
                    EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                        assert_eq!(stat.st_rdev, rustix::fs::makedev(*major, *minor), "{driver:?} {entry:?}");
                    }
                    EntryKind::Directory => {
                        let names = fs::read_dir(&host).unwrap().count();
                        assert_eq!(names, tree.children(&entry.path).count(), "{driver:?} {entry:?}");
                    }
                    EntryKind::Fifo | EntryKind::HardLink { .. } => {}
                }
                let mut xattrs = crate::attributes::read(&host).unwrap();
                xattrs.retain(|name, _| !name.starts_with(b"trusted.overlay."));
                assert_eq!(xattrs, entry.xattrs, "{driver:?} {entry:?}");
                paths += 1;
            }
            assert!(paths > 700);
        });
        assert_eq!(members(&fixture.store, &made), [""; 0], "reading changes nothing");
    }
}

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn each_driver_supports_a_hundred_and_fifty_layers() {
    require(&NEEDS);
    for driver in DRIVERS {
        let fixture = store_for(driver);
        let layers: Vec<DiffId> =
            (0..150).map(|n| layer(&fixture.store, [file(&format!("f{n}"), "x")]).diff_id).collect();
        let made = run(&fixture.store, &layers, &|root| {
            assert_eq!(fs::read_dir(root).unwrap().count(), 150);
            fs::remove_file(root.join("f0")).unwrap();
        });
        assert_eq!(members(&fixture.store, &made), [".wh.f0"]);
    }
}

#[test]
#[ignore = "needs root"]
fn changes_in_memory_give_the_same_layer() {
    require(&[Need::Root]);
    let disk = store(DriverChoice::Named(DriverName::Overlay));
    let dir = tempfile::tempdir().unwrap();
    let options = crate::StoreOptions {
        driver: DriverChoice::Named(DriverName::Overlay),
        memory: Some(8 << 20),
        ..Default::default()
    };
    let memory = Store::open(dir.path(), options).unwrap();
    let step = |root: &Path| {
        fs::write(root.join("d/new"), "n").unwrap();
        fs::remove_file(root.join("top")).unwrap();
        stamp_all(root);
    };
    assert_eq!(run(&disk.store, &base(&disk.store), &step), run(&memory, &base(&memory), &step));
    // The tmpfs looks as large as the disk. The step runner enforces the budget.
    let probe = Probe::disabled();
    let layers = base(&memory);
    let (one, two) = (memory.snapshot(&layers, &probe).unwrap(), memory.snapshot(&layers, &probe).unwrap());
    let [first, second] = [&one, &two].map(|snapshot| snapshot.mount(&probe).unwrap());
    let root = |mount: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
    let free = |path: &Path| rustix::fs::statvfs(path).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
    let (seen, there) = (free(&root(&first)), free(dir.path()));
    assert!(seen.abs_diff(there) < 1 << 30, "{seen} of {there}");
    fs::write(root(&first).join("big"), vec![1; 5 << 20]).unwrap();
    assert!(one.is_in_memory() && !one.is_outgrown() && !two.is_outgrown());
    fs::write(root(&second).join("big"), vec![1; 6 << 20]).unwrap();
    assert!(!one.is_outgrown() && two.is_outgrown(), "11 of 8 MiB: the larger one is stopped");
    let third = memory.snapshot_on_disk(&layers, &probe).unwrap();
    assert!(!third.is_in_memory() && !third.is_outgrown());
    drop((two, second));
    fs::write(root(&first).join("more"), vec![1; 2 << 20]).unwrap();
    assert!(!one.is_outgrown(), "a dropped snapshot does not count");
    fs::write(root(&first).join("yet more"), vec![1; 2 << 20]).unwrap();
    assert!(one.is_outgrown());
}

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn each_driver_supports_hard_links_to_lower_files() {
    require(&NEEDS);
    // An archive whose hard link refers to a file of the lower layer.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("top"), "t").unwrap();
    fs::hard_link(dir.path().join("top"), dir.path().join("again")).unwrap();
    for args in [&["-cf", "layer", "top", "again"][..], &["--delete", "-f", "layer", "top"]] {
        assert!(std::process::Command::new("tar").current_dir(dir.path()).args(args).status().unwrap().success());
    }
    for driver in DRIVERS {
        let fixture = store_for(driver);
        let mut stack = base(&fixture.store);
        let tar = fs::File::open(dir.path().join("layer")).unwrap();
        stack.push(fixture.store.import_layer(tar, None, &Probe::disabled()).unwrap().diff_id);
        run(&fixture.store, &stack, &|root| {
            assert_eq!(fs::read_to_string(root.join("again")).unwrap(), "t", "{driver:?}");
            assert_eq!(fs::read_to_string(root.join("top")).unwrap(), "t", "{driver:?}");
        });
    }
}
