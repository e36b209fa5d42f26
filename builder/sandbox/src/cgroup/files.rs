//! The files of a cgroup directory.

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// Removes a cgroup with all cgroups below it and returns whether it is gone.
pub(super) fn remove(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(base) = rustix::fs::openat(&parent, name, flags, Mode::empty())
        && let Ok(entries) = rustix::fs::Dir::read_from(&base)
    {
        for entry in entries.flatten().filter(|entry| entry.file_type() == rustix::fs::FileType::Directory) {
            if ![c".", c".."].contains(&entry.file_name()) {
                remove(&base, entry.file_name());
            }
        }
    }
    matches!(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR), Ok(()) | Err(Errno::NOENT))
}

pub(super) fn read(directory: impl AsFd, file: &str) -> Option<String> {
    let fd = rustix::fs::openat(directory, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0; 4096];
    let length = rustix::io::read(&fd, &mut text).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}

pub(super) fn write(directory: impl AsFd, file: impl rustix::path::Arg, text: &str) -> Result<(), Errno> {
    let fd = rustix::fs::openat(directory, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&fd, text.as_bytes()).map(drop)
}

/// Finds a number by its name in a file of `name number` lines.
pub(super) fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
