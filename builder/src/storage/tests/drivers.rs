//! The same step under each driver gives the same layer.

use super::{directory, file, layer, store};
use crate::storage::{Content, DriverChoice, Entry, EntryKind, Snapshot, Store};
use buildscope_record::{Digest, Probe};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Attaches a snapshot, lets `step` work in it, and commits.
fn run(store: &Store, layers: &[Digest], step: &dyn Fn(&Path)) -> Digest {
    let probe = Probe::disabled();
    let snapshot = store.snapshot(layers, &probe).unwrap();
    attached(&snapshot, step);
    snapshot.commit(&[], &probe).unwrap().diff_id
}

fn attached(snapshot: &Snapshot, step: &dyn Fn(&Path)) {
    let mount = snapshot.mount(&Probe::disabled()).unwrap();
    let at = tempfile::tempdir().unwrap();
    move_mount(&mount, "", rustix::fs::CWD, at.path(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(at.path())));
    unmount(at.path(), UnmountFlags::DETACH).unwrap();
    done.unwrap();
}

fn base(store: &Store) -> Vec<Digest> {
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

/// Times would differ from run to run: all that a step made or touched gets the same one.
fn stamp_all(root: &Path) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            stamp_all(&path);
            stamp(&path);
        } else if rustix::fs::lstat(&path).unwrap().st_mtime > 1_700_000_000 {
            stamp(&path);
        }
    }
}

type Step = (&'static str, fn(&Path), &'static [&'static str]);

/// Each step with the paths that its layer must have, from the canonical rule.
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
        &[],
    ),
    (
        "moved away and back",
        |r| {
            fs::rename(r.join("top"), r.join("t2")).unwrap();
            fs::rename(r.join("t2"), r.join("top")).unwrap();
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
        |r| fs::rename(r.join("d"), r.join("moved")).unwrap(),
        &[".wh.d", "moved/", "moved/one", "moved/sub/", "moved/sub/deep", "moved/two", "moved/x", "moved/y"],
    ),
    (
        "exchanged directories",
        |r| {
            fs::rename(r.join("d"), r.join("t")).unwrap();
            fs::rename(r.join("e"), r.join("d")).unwrap();
            fs::rename(r.join("t"), r.join("e")).unwrap();
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
            fs::rename(r.join("top"), r.join("d/renamed")).unwrap();
        },
        &[".wh.top", "d/", "d/renamed"],
    ),
    ("one of two names written", |r| fs::write(r.join("d/one"), "changed").unwrap(), &["d/", "d/one"]),
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

fn members(store: &Store, layer: &Digest) -> Vec<String> {
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
fn each_driver_makes_the_same_layer_of_each_step() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let drivers = [DriverChoice::Copy, DriverChoice::Overlay];
    let stores: Vec<_> = drivers.iter().map(|&driver| store(driver)).collect();
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
                None => first = Some(made),
                Some(first) => assert_eq!(first, made, "{name} under {driver:?}: {:?}", members(store, &made)),
            }
        }
    }
}

#[test]
fn more_than_a_hundred_layers() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let fixture = store(DriverChoice::Overlay);
    let layers: Vec<Digest> = (0..150).map(|n| layer(&fixture.store, [file(&format!("f{n}"), "x")]).diff_id).collect();
    let made = run(&fixture.store, &layers, &|root| {
        assert_eq!(fs::read_dir(root).unwrap().count(), 150);
        fs::remove_file(root.join("f0")).unwrap();
    });
    assert_eq!(members(&fixture.store, &made), [".wh.f0"]);
}
