//! Finds and makes mountpoints inside a root file system without ever leaving it.

use super::message::Mountpoint;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Timestamps, Uid};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The error of openat2(2) if a mount or rename anywhere on the machine raced with its resolution of a `..`. A retry could lose
/// the next race; the walk by components has no such race.
const NOT_SURE: Errno = Errno::AGAIN;

/// The file type that a mountpoint must have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MountpointKind {
    Directory,
    File,
}

/// A root file system in which mountpoints are looked up. All symbolic links are resolved inside of it: absolute targets start
/// at this root, and `..` stops there.
pub(super) struct Root<'a> {
    fd: BorrowedFd<'a>,
    /// The files and directories that were made, in order.
    made: Vec<Mountpoint>,
}

impl<'a> Root<'a> {
    pub(super) fn new(fd: BorrowedFd<'a>) -> Self {
        Self { fd, made: Vec::new() }
    }

    /// Returns the mountpoints that were made. Entries inside the step's own `/dev`, `/proc` and `/sys` are
    /// left out because they end with those.
    pub(super) fn made(self) -> Vec<Mountpoint> {
        let inner = [&b"dev/"[..], b"proc/", b"sys/"];
        self.made.into_iter().filter(|made| !inner.iter().any(|prefix| made.path.0.starts_with(prefix))).collect()
    }

    /// Returns all mountpoints that were made, for a root in which `/dev`, `/proc` and `/sys` are not mounted yet.
    pub(super) fn all_made(self) -> Vec<Mountpoint> {
        self.made
    }

    /// Opens `path` with `O_PATH`. Missing components are made with mode 0755 and owned by root.
    pub(super) fn mountpoint(&mut self, path: &Path, kind: MountpointKind) -> Result<OwnedFd, Errno> {
        match self.open(path, OFlags::PATH) {
            Err(Errno::NOENT | NOT_SURE) => self.walk(path, kind, None),
            found => found,
        }
    }

    /// Opens a directory. Missing components are made as with `mkdir -p`, belong to `owner` and stay in the layer.
    pub(super) fn directory(&mut self, path: &Path, owner: (Uid, Gid)) -> Result<OwnedFd, Errno> {
        match self.open(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT | NOT_SURE) => self.walk(path, MountpointKind::Directory, Some(owner)),
            found => found,
        }
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        // A future kernel may follow magic links in a root (openat2(2)).
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(self.fd, inside(path), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Walks the components one by one and follows symbolic links itself. The target of a dangling link is made.
    fn walk(&mut self, path: &Path, kind: MountpointKind, keep: Option<(Uid, Gid)>) -> Result<OwnedFd, Errno> {
        let mut todo: Vec<PathBuf> = reversed(path);
        let mut done: Vec<(PathBuf, OwnedFd)> = Vec::new();
        // A loop of links never ends. More components than a path has bytes are taken for one.
        for _ in 0..libc::PATH_MAX {
            let Some(name) = todo.pop() else {
                let Some((_, fd)) = done.pop() else {
                    let root = self.fd.try_clone_to_owned();
                    return root.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
                };
                return Ok(fd);
            };
            if name == Path::new("..") {
                done.pop();
                continue;
            }
            let here = done.last().map_or(self.fd, |(_, fd)| fd.as_fd());
            let nofollow = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match rustix::fs::openat(here, &name, nofollow, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    let directory = !todo.is_empty() || kind == MountpointKind::Directory;
                    make(here, &name, directory, keep)?;
                    if keep.is_none() {
                        let path: PathBuf = done.iter().map(|(name, _)| name).chain([&name]).collect();
                        self.made.push(Mountpoint { path: path.as_os_str().as_bytes().into(), directory });
                    }
                    rustix::fs::openat(here, &name, nofollow, Mode::empty())?
                }
                Err(errno) => return Err(errno),
            };
            let found = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
            if found == rustix::fs::FileType::Symlink {
                refuse_magic_link(here, &name, &next)?;
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                let target = Path::new(std::ffi::OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    done.clear();
                }
                todo.extend(reversed(target));
            } else if (!todo.is_empty() || kind == MountpointKind::Directory)
                && found != rustix::fs::FileType::Directory
            {
                return Err(Errno::NOTDIR);
            } else {
                done.push((name, next));
            }
        }
        Err(Errno::LOOP)
    }
}

/// Refuses a magic link, whose text is not where it leads. Its descriptor may be one that this walk has just opened, so it can exist
/// although it did not when the whole path was opened.
fn refuse_magic_link(at: BorrowedFd<'_>, name: &Path, link: &OwnedFd) -> Result<(), Errno> {
    if rustix::fs::fstatfs(link)?.f_type != rustix::fs::PROC_SUPER_MAGIC {
        return Ok(());
    }
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(at, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Err(Errno::LOOP) => Err(Errno::LOOP),
        // Other links of procfs, such as `self`, are texts.
        _ => Ok(()),
    }
}

/// Removes the mountpoints that were made for a step that has ended, except for those that are no longer empty.
pub(super) fn remove_made(root: BorrowedFd<'_>, made: &[Mountpoint]) {
    for Mountpoint { path, directory } in made.iter().rev() {
        let path = Path::new(std::ffi::OsStr::from_bytes(&path.0));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        // No link is followed, because the step may have replaced a directory with one. A mountpoint that cannot be
        // removed (not empty, replaced, gone) was changed by the step and stays.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let Ok(parent) = rustix::fs::openat2(root, inside(parent), flags, Mode::empty(), resolve) else { continue };
        if !directory && !is_stub(&parent, name) {
            continue;
        }
        let flags = if *directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let _ = keeping_times(&parent, || rustix::fs::unlinkat(&parent, name, flags));
    }
}

/// Whether a file is still an unchanged mountpoint: empty, or covered by a mount while the kernel tears down the sandbox.
fn is_stub(parent: &OwnedFd, name: &std::ffi::OsStr) -> bool {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
        Err(errno) => errno == Errno::XDEV,
        Ok(file) => rustix::fs::fstat(&file).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile && stat.st_size == 0
        }),
    }
}

/// The path relative to the root's descriptor.
fn inside(path: &Path) -> &Path {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// The names and `..` of a path as a stack, last component first.
fn reversed(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.into()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

fn make(parent: BorrowedFd<'_>, name: &Path, directory: bool, keep: Option<(Uid, Gid)>) -> Result<(), Errno> {
    let make = || {
        if directory {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o755)).map(drop)
        }
    };
    match keep {
        Some((uid, gid)) => {
            make()?;
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        }
        None => keeping_times(parent, make),
    }
}

/// Runs `change` and then restores the directory's times, because a mountpoint must leave no trace.
fn keeping_times(directory: impl AsFd, change: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(&directory)?;
    change()?;
    let time = |tv_sec, tv_nsec| rustix::fs::Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    };
    rustix::fs::utimensat(&directory, ".", &times, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::{Duration, Instant};

    fn root(directory: &Path) -> OwnedFd {
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn links_stay_inside_and_mountpoints_are_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let outside = temporary.path().join("outside");
        let inner = temporary.path().join("root");
        std::fs::create_dir_all(inner.join("etc")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink("../../outside", inner.join("up")).unwrap();
        symlink(&outside, inner.join("absolute")).unwrap();
        symlink("/run/dangling/resolv.conf", inner.join("etc/resolv.conf")).unwrap();
        let before = std::fs::metadata(inner.join("etc")).unwrap().modified().unwrap();

        let fd = root(&inner);
        let mut root_fs = Root::new(fd.as_fd());
        for (path, kind) in [
            ("/up/a", MountpointKind::Directory),
            ("/absolute/b", MountpointKind::Directory),
            ("/../../../etc/c", MountpointKind::File),
            ("/etc/resolv.conf", MountpointKind::File),
            ("/", MountpointKind::Directory),
        ] {
            root_fs.mountpoint(Path::new(path), kind).unwrap();
        }
        let made = root_fs.made();
        let paths: Vec<_> = made.iter().map(|made| String::from_utf8_lossy(&made.path.0)).collect();
        let under = outside.strip_prefix("/").unwrap();
        assert!(inner.join("outside/a").is_dir(), "`..` stops at the root");
        assert!(inner.join(under).join("b").is_dir(), "absolute targets start at the root");
        assert_eq!(paths[..2], ["outside", "outside/a"]);
        assert_eq!(paths[paths.len() - 4..], ["etc/c", "run", "run/dangling", "run/dangling/resolv.conf"]);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(std::fs::metadata(inner.join("etc")).unwrap().modified().unwrap(), before);

        std::fs::write(inner.join("outside/a/kept"), "by the step").unwrap();
        remove_made(fd.as_fd(), &made);
        assert!(inner.join("outside/a/kept").exists());
        assert!(!inner.join("run").exists() && !inner.join("etc/c").exists() && !inner.join(under).exists());
        assert_eq!(std::fs::metadata(inner.join("etc")).unwrap().modified().unwrap(), before);
    }

    #[test]
    fn mountpoints_are_found_during_concurrent_renames() {
        let temporary = tempfile::tempdir().unwrap();
        let inner = temporary.path().join("root");
        std::fs::create_dir_all(inner.join("a/b")).unwrap();
        std::fs::write(inner.join("a/file"), "").unwrap();
        symlink("../../../a/b", inner.join("a/up")).unwrap();
        symlink("../../../a/file", inner.join("a/across")).unwrap();
        let fd = root(&inner);
        let (one, other) = (temporary.path().join("one"), temporary.path().join("other"));
        std::fs::create_dir(&one).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    std::fs::rename(&one, &other).unwrap();
                    std::fs::rename(&other, &one).unwrap();
                }
            });
            let (begun, mut unsure) = (Instant::now(), 0);
            let mut root_fs = Root::new(fd.as_fd());
            let expected = [None, Some(Errno::NOTDIR), Some(Errno::NOTDIR)];
            let mut found = expected;
            while found == expected && unsure < 20 && begun.elapsed() < Duration::from_secs(20) {
                unsure += u32::from(matches!(root_fs.open(Path::new("/a/up"), OFlags::PATH), Err(NOT_SURE)));
                found = [
                    root_fs.mountpoint(Path::new("/a/up"), MountpointKind::Directory).err(),
                    root_fs.directory(Path::new("/a/across"), (Uid::ROOT, Gid::ROOT)).err(),
                    root_fs.mountpoint(Path::new("/a/file/../b"), MountpointKind::File).err(),
                ];
            }
            stop.store(true, Relaxed);
            assert_eq!(found, expected);
            assert!(unsure > 0, "no lookup raced with a rename");
            assert_eq!(root_fs.made().len(), 0);
        });
    }

    #[test]
    fn a_symlink_loop_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        symlink("b", temporary.path().join("a")).unwrap();
        symlink("a", temporary.path().join("b")).unwrap();
        let fd = root(temporary.path());
        assert_eq!(Root::new(fd.as_fd()).mountpoint(Path::new("/a"), MountpointKind::File).unwrap_err(), Errno::LOOP);
    }
}
