//! Layers of other tools: the effect of their members on each other.
//!
//! The expected results in the table are those of containerd 1.6.20 (BuildKit's unpacker), docker 20.10.24, containers/storage
//! (skopeo 1.9.3, buildah 1.28.2) and umoci 0.4.7 for the same archives. If they differ, we follow containerd, and a comment says so.

use super::drivers::{DRIVERS, NEEDS, run, store_for};
use crate::{DriverChoice, DriverName, EntryKind, StorageError, Store, Tree, open_resolved};
use buildscope_record::{DiffId, Probe};
use buildscope_testing::sparse_petabyte;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, linkat, mkdirat, readlinkat, statat, symlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A member of an archive.
#[derive(Clone, Copy, Debug)]
enum ArchiveMember {
    Dir(&'static str),
    File(&'static str, &'static str),
    Link(&'static str, &'static str),
    Hard(&'static str, &'static str),
    /// A character device 0:0.
    Zero(&'static str),
}

use ArchiveMember::{Dir as D, File as F, Hard as H, Link as L, Zero as Z};

/// An archive of these members, with unchanged names.
fn archive(members: &[ArchiveMember]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let (name, kind, link, content) = match member {
            D(name) => (name, tar::EntryType::Directory, "", ""),
            F(name, content) => (name, tar::EntryType::Regular, "", *content),
            L(name, target) => (name, tar::EntryType::Symlink, *target, ""),
            H(name, target) => (name, tar::EntryType::Link, *target, ""),
            Z(name) => (name, tar::EntryType::Char, "", ""),
        };
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1000);
        header.set_size(content.len() as u64);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn import(store: &Store, layers: &[&[ArchiveMember]]) -> Result<Vec<DiffId>, StorageError> {
    let one = |members: &&[ArchiveMember]| store.import_layer(&*archive(members), None, &Probe::disabled());
    layers.iter().map(|members| one(members).map(|layer| layer.diff_id)).collect()
}

/// A line for each path except the root. Without `names`, hard links are shown as files.
fn of_tree(tree: &Tree, names: bool) -> Vec<String> {
    let line = |(entry, _): (crate::Entry, _)| {
        let path = entry.path.display().to_string();
        let entry = if names { entry } else { tree.lookup(&entry.path).unwrap() };
        match entry.kind {
            EntryKind::HardLink { target } => format!("{path} is {}", target.display()),
            EntryKind::Directory => format!("{path}/"),
            EntryKind::File { .. } => {
                format!("{path}={}", String::from_utf8(tree.read(&entry.path, 9).unwrap().unwrap()).unwrap())
            }
            EntryKind::Symlink { target } => format!("{path} -> {}", target.display()),
            other => format!("{path} {other:?}"),
        }
    };
    tree.walk(Path::new("")).skip(1).map(line).collect()
}

/// Like [`of_tree`], for a directory.
fn of_directory(root: &Path, names: bool) -> Vec<String> {
    fn walk(at: &Path, root: &Path, seen: &mut Option<HashMap<u64, PathBuf>>, lines: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (host, path) = (entry.path(), entry.path().strip_prefix(root).unwrap().to_owned());
            // Under docker, overlayfs also lists the whiteouts of a directory that only one layer has. They cannot be opened.
            let metadata = fs::symlink_metadata(&host).unwrap_or_else(|error| panic!("{}: {error}", host.display()));
            assert_eq!(
                entry.file_type().unwrap(),
                metadata.file_type(),
                "{} in its directory and itself",
                path.display()
            );
            let first = seen.as_mut().filter(|_| !metadata.is_dir() && metadata.nlink() > 1);
            let first = first.and_then(|seen| seen.insert(metadata.ino(), path.clone()).map(|first| (seen, first)));
            let path = path.display();
            if let Some((seen, first)) = first {
                lines.push(format!("{path} is {}", first.display()));
                seen.insert(metadata.ino(), first);
            } else if metadata.is_dir() {
                lines.push(format!("{path}/"));
                walk(&host, root, seen, lines);
            } else if metadata.is_symlink() {
                // Whatever its header says, as for all links of Linux.
                assert_eq!(metadata.mode() & 0o7777, 0o777, "{path}");
                lines.push(format!("{path} -> {}", fs::read_link(&host).unwrap().display()));
            } else {
                assert!(!metadata.file_type().is_char_device());
                lines.push(format!("{path}={}", fs::read_to_string(&host).unwrap()));
            }
        }
    }
    let mut lines = Vec::new();
    walk(root, root, &mut names.then(HashMap::new), &mut lines);
    lines
}

/// The name of a case, its layers, and the lines of the image or a part of the error.
type Case = (&'static str, &'static [&'static [ArchiveMember]], Result<&'static [&'static str], &'static str>);

const CASES: &[Case] = &[
    ("parent is a link", &[&[D("d"), L("t", "d"), F("t/z", "x")]], Ok(&["d/", "d/z=x", "t -> d"])),
    (
        "target through a link",
        &[&[D("d"), F("d/a", "x"), L("t", "d"), H("b", "t/a")]],
        Ok(&["b=x", "d/", "d/a is b", "t -> d"]),
    ),
    (
        "name through a link",
        &[&[D("d"), F("d/a", "x"), L("t", "d"), H("t/b", "d/a")]],
        Ok(&["d/", "d/a=x", "d/b is d/a", "t -> d"]),
    ),
    // docker and containers/storage reject duplicate paths.
    ("twice, linked in between", &[&[F("a", "old"), H("b", "a"), F("a", "new")]], Ok(&["a=new", "b=old"])),
    (
        "twice, two links in between",
        &[&[F("a", "1"), H("b", "a"), H("c", "b"), F("a", "2")]],
        Ok(&["a=2", "b=1", "c is b"]),
    ),
    (
        "link to a link that is replaced",
        &[&[F("a", "1"), H("b", "a"), H("c", "b"), F("b", "2")]],
        Ok(&["a=1", "b=2", "c is a"]),
    ),
    ("itself", &[&[H("a", "a")]], Err("`a` is a hard link to itself")),
    ("itself after the file", &[&[F("a", "x"), H("a", "a")]], Err("`a` is a hard link to itself")),
    ("itself over a lower file", &[&[F("a", "x")], &[H("a", "a")]], Err("`a` is a hard link to itself")),
    (
        "itself through a link",
        &[&[D("d"), F("d/a", "x"), L("t", "d"), H("t/a", "d/a")]],
        Err("`t/a` is a hard link to itself"),
    ),
    ("what is below it", &[&[D("a"), F("a/x", "x"), H("a", "a/x")]], Err("`a` is a hard link to itself")),
    ("chain of links", &[&[D("d"), L("t", "d"), L("u", "t"), F("u/z", "x")]], Ok(&["d/", "d/z=x", "t -> d", "u -> t"])),
    ("absolute link", &[&[D("d"), L("t", "/d"), F("t/z", "x")]], Ok(&["d/", "d/z=x", "t -> /d"])),
    (
        "link upwards",
        &[&[D("d"), D("e"), L("e/t", "../../../d"), F("e/t/z", "x")]],
        Ok(&["d/", "d/z=x", "e/", "e/t -> ../../../d"]),
    ),
    (
        "upwards from where a link leads",
        &[&[D("p"), D("p/q"), D("y"), D("p/y"), L("x", "p/q"), L("t", "x/../y"), F("t/z", "x")]],
        Ok(&["p/", "p/q/", "p/y/", "p/y/z=x", "t -> x/../y", "x -> p/q", "y/"]),
    ),
    // docker and containers/storage reject parents that are dangling links.
    ("link to nothing", &[&[L("t", "nowhere"), F("t/z", "x")]], Ok(&["nowhere/", "nowhere/z=x", "t -> nowhere"])),
    ("below a link to nothing", &[&[L("t", "no"), F("t/u/z", "x")]], Ok(&["no/", "no/u/", "no/u/z=x", "t -> no"])),
    ("circle", &[&[L("t", "t"), F("t/z", "x")]], Err("`t/z` leads through too many symbolic links")),
    (
        "link, then directory",
        &[&[D("d"), L("t", "d"), F("t/1", "x"), D("t"), F("t/2", "x")]],
        Ok(&["d/", "d/1=x", "t/", "t/2=x"]),
    ),
    (
        "directory, then link",
        &[&[D("d"), D("t"), F("t/1", "x"), L("t", "d"), F("t/2", "x")]],
        Ok(&["d/", "d/2=x", "t -> d"]),
    ),
    ("directory, then file", &[&[D("t"), F("t/1", "x"), F("t", "x")]], Ok(&["t=x"])),
    ("parent is missing", &[&[F("a/b/c", "x")]], Ok(&["a/", "a/b/", "a/b/c=x"])),
    ("parent is a file", &[&[F("a", "x"), F("a/b", "x")]], Err("`a/b` leads through a file that is not a directory")),
    // umoci applies layers to one directory, where the file removes what the lower layer had.
    (
        "directory, file, directory over a lower one",
        &[&[D("a"), F("a/x", "x")], &[D("a"), F("a/n", "x"), F("a", "x"), D("a"), F("a/y", "x")]],
        Ok(&["a/", "a/x=x", "a/y=x"]),
    ),
    ("parent becomes a file", &[&[F("a/b", "x"), F("a", "x")]], Ok(&["a=x"])),
    (
        "directory, file, directory",
        &[&[D("a"), F("a/n", "x"), F("a", "x"), D("a"), F("a/y", "x")]],
        Ok(&["a/", "a/y=x"]),
    ),
    (
        "removed through a link",
        &[&[D("d"), F("d/x", "x"), F("d/y", "x")], &[L("t", "d"), F("t/.wh.x", "")]],
        Ok(&["d/", "d/y=x", "t -> d"]),
    ),
    (
        "all removed through a link",
        &[&[D("d"), F("d/x", "x")], &[D("d"), L("t", "d"), F("t/.wh..wh..opq", ""), F("d/n", "x")]],
        Ok(&["d/", "d/n=x", "t -> d"]),
    ),
    (
        "opaque after its files",
        &[&[D("d"), F("d/x", "x")], &[D("d"), F("d/z", "x"), F("d/.wh..wh..opq", "")]],
        Ok(&["d/", "d/z=x"]),
    ),
    // By the specification, whiteouts apply to lower layers only. umoci follows it; docker and containerd reject the layer.
    ("whiteout after its file", &[&[F("a", "old")], &[F("a", "new"), F(".wh.a", "")]], Ok(&["a=new"])),
    ("whiteout before its file", &[&[F("a", "old")], &[F(".wh.a", ""), F("a", "new")]], Ok(&["a=new"])),
    // umoci follows links of lower layers.
    ("link of a lower layer", &[&[D("d"), L("t", "d")], &[F("t/z", "x")]], Ok(&["d/", "t/", "t/z=x"])),
    (
        "directory over a lower link",
        &[&[D("d"), F("d/x", "x"), L("t", "d")], &[D("t"), F("t/z", "x")]],
        Ok(&["d/", "d/x=x", "t/", "t/z=x"]),
    ),
    (
        "whiteout below a lower link",
        &[&[D("d"), F("d/x", "x"), L("t", "d")], &[F("t/.wh.x", "")]],
        Ok(&["d/", "d/x=x", "t/"]),
    ),
    ("whiteout in a missing directory", &[&[D("d")], &[F("n/.wh.x", "")]], Ok(&["d/", "n/"])),
    ("opaque in a missing directory", &[&[D("d")], &[F("n/.wh..wh..opq", "")]], Ok(&["d/", "n/"])),
    (
        "link to a lower directory",
        &[&[D("usr"), D("usr/lib"), F("usr/lib/a", "x")], &[L("lib", "usr/lib"), F("lib/z", "x")]],
        Ok(&["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/a=x", "usr/lib/z=x"]),
    ),
    // All except umoci reject hard links to files of lower layers.
    ("hard link to a lower file", &[&[F("a", "x")], &[H("b", "a")]], Ok(&["a=x", "b=x"])),
    (
        "hard link to a lower file that is replaced",
        &[&[F("a", "old")], &[H("b", "a"), F("a", "new")]],
        Ok(&["a=new", "b=old"]),
    ),
    ("hard link to a lower link", &[&[L("a", "x")], &[H("b", "a")]], Ok(&["a -> x", "b -> x"])),
    ("hard link to nothing", &[&[H("b", "a")]], Err("`b` is a hard link to `a`, which does not exist")),
    (
        "hard link before its file",
        &[&[H("b", "a"), F("a", "x")]],
        Err("`b` is a hard link to `a`, which does not exist"),
    ),
    ("hard link to a directory", &[&[D("a"), H("b", "a")]], Err("`b` is a hard link to a directory")),
    ("hard link to a link", &[&[F("x", "x"), L("a", "x"), H("b", "a")]], Ok(&["a -> x", "b is a", "x=x"])),
    ("hard link over a directory", &[&[F("x", "x"), D("a"), F("a/1", "1"), H("a", "x")]], Ok(&["a=x", "x is a"])),
    ("all of the root removed", &[&[D("d"), F("d/a", "x")], &[F(".wh..wh..opq", ""), F("b", "x")]], Ok(&["b=x"])),
    (
        "all of the root removed through a link",
        &[&[D("d"), F("d/a", "x")], &[L("t", "."), F("t/.wh..wh..opq", "")], &[D("d")]],
        Ok(&["d/", "t -> ."]),
    ),
    (
        "hard link in place of a removed file",
        &[&[F("a", "old"), F("b", "x")], &[F(".wh.a", ""), H("a", "b")]],
        Ok(&["a=x", "b=x"]),
    ),
    (
        "hard link in a removed directory",
        &[&[D("d"), F("d/a", "old"), F("b", "x")], &[F(".wh.d", ""), H("d/n", "b")]],
        Ok(&["b=x", "d/", "d/n=x"]),
    ),
    ("device 0:0", &[&[F("a", "old")], &[Z("a")]], Ok(&[])),
    ("device 0:0 over a file", &[&[F("a", "old")], &[F("a", "new"), Z("a")]], Ok(&[])),
];

#[test]
fn imported_layers_have_the_same_contents_as_in_other_tools() {
    let root = rustix::process::geteuid().is_root();
    let drivers = if root { &DRIVERS[..] } else { &[DriverChoice::Named(DriverName::Copy)][..] };
    for &driver in drivers {
        let fixture = store_for(driver);
        for (name, layers, expected) in CASES {
            let stack = import(&fixture.store, layers);
            let tree = stack.as_ref().map_err(ToString::to_string);
            let tree = tree.and_then(|stack| fixture.store.tree(stack).map_err(|error| error.to_string()));
            match (tree, expected) {
                (Ok(tree), Ok(lines)) => {
                    // Drivers that mount layers show hard links to files of lower layers as separate files.
                    let names = layers.len() == 1 && driver != DriverChoice::Named(DriverName::FuseOverlayfs);
                    if layers.len() == 1 {
                        assert_eq!(of_tree(&tree, true), *lines, "{name}");
                    }
                    if root {
                        run(&fixture.store, &stack.unwrap(), &|root| {
                            assert_eq!(of_directory(root, names), of_tree(&tree, names), "{name} under {driver:?}");
                        });
                    }
                    if layers.len() > 1 {
                        assert_eq!(of_tree(&tree, false), *lines, "{name}");
                    }
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{name}: {error}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}

#[test]
fn the_header_of_a_hard_link_sets_metadata() {
    // As in docker 20.10 and containerd.
    let mut members = archive(&[F("a", "x"), H("b", "a")]);
    members[1024 + 100..1024 + 107].copy_from_slice(b"0000600");
    let sum: u32 = (1024..1536).map(|at| if (1172..1180).contains(&at) { 32 } else { u32::from(members[at]) }).sum();
    members[1172..1180].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let fixture = super::store(DriverChoice::Named(DriverName::Copy));
    let layer = fixture.store.import_layer(&*members, None, &Probe::disabled()).unwrap();
    let tree = fixture.store.tree(&[layer.diff_id]).unwrap();
    assert_eq!(tree.lookup(Path::new("a")).unwrap().mode, 0o600);
}

#[test]
fn an_index_of_an_older_version_is_rebuilt() {
    let fixture = super::store(DriverChoice::Named(DriverName::Copy));
    let stack = import(&fixture.store, &[&[D("d"), L("t", "d"), F("t/z", "x")]]).unwrap();
    let path = fixture.store.index_path(&stack[0]);
    let good = fs::read(&path).unwrap();
    let mut old = good.clone();
    old[8] = 1;
    fs::write(&path, old).unwrap();
    fs::write(fixture.store.root().join("erofs").join(stack[0].hex()), "made from it").unwrap();
    let again = Store::open(fixture.store.root(), crate::StoreOptions::default()).unwrap();
    assert_eq!(of_tree(&again.tree(&stack).unwrap(), true), ["d/", "d/z=x", "t -> d"]);
    assert_eq!(fs::read(&path).unwrap(), good);
    assert!(!fixture.store.root().join("erofs").join(stack[0].hex()).exists());
}

/// A naive unpacker: applies members one by one to a directory, which is also the root of all paths.
struct Naive(OwnedFd);

impl Naive {
    fn apply(&self, member: ArchiveMember) -> Result<(), Errno> {
        let (D(path) | F(path, _) | L(path, _) | H(path, _) | Z(path)) = member;
        let (parent, name) = split(path);
        let parent = self.directory(parent, 0)?;
        let there =
            statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| FileType::from_raw_mode(stat.st_mode));
        match (there, member) {
            (Some(FileType::Directory), D(_)) => return Ok(()),
            (Some(FileType::Directory), _) => {
                fs::remove_dir_all(format!("/proc/self/fd/{}/{name}", parent.as_raw_fd())).unwrap();
            }
            (Some(_), _) => rustix::fs::unlinkat(&parent, name, AtFlags::empty())?,
            (None, _) => {}
        }
        match member {
            D(_) => mkdirat(&parent, name, Mode::from_raw_mode(0o755)),
            F(_, content) => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
                File::from(file).write_all(content.as_bytes()).unwrap();
                Ok(())
            }
            L(_, target) => symlinkat(target, &parent, name),
            H(_, target) => {
                let (from, base) = split(target);
                linkat(&self.open(from)?, base, &parent, name, AtFlags::empty())
            }
            Z(_) => unreachable!("not generated: a whiteout only for overlayfs"),
        }
    }

    fn open(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        open_resolved(&self.0, Path::new(path), OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::IN_ROOT)
    }

    /// Opens the directory `path`, and creates it if it does not exist.
    fn directory(&self, path: &str, depth: usize) -> Result<OwnedFd, Errno> {
        match self.open(path) {
            Err(Errno::NOENT) if depth < 50 => {}
            opened => return opened,
        }
        let (above, name) = split(path);
        let parent = self.directory(above, depth + 1)?;
        match readlinkat(&parent, name, Vec::new()) {
            Ok(target) => {
                let target = target.into_string().unwrap();
                self.directory(&if target.starts_with('/') { target } else { format!("{above}/{target}") }, depth + 1)
            }
            Err(_) => {
                mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
                self.open(path)
            }
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn path() -> impl Strategy<Value = &'static str> {
    select(&["a", "b", "d", "t", "d/a", "d/t", "t/a", "t/d", "t/d/a", "d/t/a", "a/b", "b/t/d", "d/d"][..])
}

fn members(marks: bool) -> impl Strategy<Value = Vec<ArchiveMember>> {
    let targets = select(&["d", "t", "a", "/d", "/t/d", "../d", "d/t", "b", "nowhere", "../../t", ".", "/"][..]);
    let mark = select(&[".wh.a", "d/.wh.a", "t/.wh.t", "d/.wh..wh..opq", "t/.wh..wh..opq", "a/.wh.b", ".wh.t"][..]);
    let member = prop_oneof![
        3 => path().prop_map(D),
        3 => (path(), select(&["1", "22", "333"][..])).prop_map(|(path, content)| F(path, content)),
        2 => (path(), targets).prop_map(|(path, target)| L(path, target)),
        2 => (path(), path()).prop_map(|(path, target)| H(path, target)),
        u32::from(marks) * 2 => mark.prop_map(|name| F(name, "")),
    ];
    prop::collection::vec(member, 1..10)
}

#[test]
fn trees_agree_with_a_naive_unpacker() {
    let fixture = super::store(DriverChoice::Named(DriverName::Copy));
    let (mut taken, mut refused) = (0, 0);
    let outcome = TestRunner::new(Config::with_cases(2000)).run(&members(false), |members| {
        let dir = tempfile::tempdir().unwrap();
        let root = rustix::fs::open(dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let naive = Naive(root);
        let refused = members.iter().find_map(|&member| naive.apply(member).err().map(|error| (member, error)));
        let ours = import(&fixture.store, &[&members]).and_then(|stack| fixture.store.tree(&stack));
        match (refused, ours) {
            (None, Ok(tree)) => prop_assert_eq!(of_tree(&tree, true), of_directory(dir.path(), true)),
            // The link may refer to a file of a lower layer, and a later member may replace it.
            (Some((H(..), Errno::NOENT)), _) => {}
            (refused, ours) => prop_assert!(refused.is_some() && ours.is_err(), "{:?}, {:?}", refused, ours.err()),
        }
        Ok(())
    });
    outcome.unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..500 {
        let members = members(false).new_tree(&mut runner).unwrap().current();
        let ours = import(&fixture.store, &[&members]).and_then(|stack| fixture.store.tree(&stack));
        if ours.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

/// Whether a layer has a directory where a lower layer has a symbolic link. fuse-overlayfs 1.10 fails to list such a directory if
/// the link leads in a circle and the directory contains another one (COMPATIBILITY.md).
fn directory_over_link(store: &Store, stack: &[DiffId]) -> bool {
    let trees: Vec<_> = (1..=stack.len()).map(|depth| store.tree(&stack[..depth]).unwrap()).collect();
    let is_directory =
        |tree: &Tree, path: &Path| tree.lookup(path).is_some_and(|entry| entry.kind == EntryKind::Directory);
    trees.windows(2).any(|pair| {
        let mut entries = pair[0].walk(Path::new(""));
        entries.any(|(entry, _)| matches!(entry.kind, EntryKind::Symlink { .. }) && is_directory(&pair[1], &entry.path))
    })
}

#[test]
#[ignore = "needs root, loop devices, mkfs.btrfs and fuse-overlayfs"]
fn each_driver_shows_random_layers_like_the_tree() {
    buildscope_testing::require(&NEEDS);
    let stores: Vec<_> = DRIVERS.iter().map(|&driver| (driver, store_for(driver))).collect();
    let layers = prop::collection::vec(members(true), 1..4);
    let config = Config { cases: 40, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&layers, |layers| {
        let layers: Vec<&[ArchiveMember]> = layers.iter().map(Vec::as_slice).collect();
        for (driver, fixture) in &stores {
            let stack = import(&fixture.store, &layers);
            let tree = stack.and_then(|stack| fixture.store.tree(&stack).map(|tree| (stack, tree)));
            let Ok((stack, tree)) = tree else { return Err(TestCaseError::reject("an invalid layer")) };
            if *driver == DriverChoice::Named(DriverName::FuseOverlayfs) && directory_over_link(&fixture.store, &stack)
            {
                continue;
            }
            let expected = of_tree(&tree, false);
            let seen = std::sync::Mutex::new(Vec::new());
            run(&fixture.store, &stack, &|root| *seen.lock().unwrap() = of_directory(root, false));
            prop_assert_eq!(&*seen.lock().unwrap(), &expected, "{:?}", driver);
        }
        Ok(())
    });
    outcome.unwrap();
}

/// Its holes cost nothing to mount, but a driver that copies files, and an image that stores them, would write them.
#[test]
fn a_layer_with_a_sparse_file_of_petabytes_is_refused() {
    let fixture = super::store(DriverChoice::Named(DriverName::Copy));
    let error = fixture.store.import_layer(&*sparse_petabyte(), None, &Probe::disabled()).unwrap_err();
    assert!(error.to_string().contains("decompression bomb"), "{error}");
}
