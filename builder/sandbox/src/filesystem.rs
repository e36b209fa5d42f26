//! Calls on file systems and mounts: make, clone, attach, pivot.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The options of every mount, except the root, that does not need devices, setuid programs or execution.
pub(super) const HARMLESS: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Writes a new file with exactly this mode, independent of the umask.
pub(super) fn write(at: impl AsFd, name: &str, content: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o600))?;
    let mut rest = content;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&file, rest)?..];
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
}

/// Makes a detached mount of a new file system.
pub(super) fn filesystem(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(&context, *key)?;
        } else {
            rustix::mount::fsconfig_set_string(&context, *key, *value)?;
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Sets the size in bytes of the tmpfs that is mounted at a path.
pub(super) fn resize(at: BorrowedFd<'_>, path: &str, size: u64) -> Result<(), Errno> {
    let context = rustix::mount::fspick(at, path, FsPickFlags::FSPICK_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "size", size.to_string())?;
    rustix::mount::fsconfig_reconfigure(&context)
}

/// Makes a detached copy of the mount at a path with all mounts below it.
pub(super) fn clone(at: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(at, path, flags)
}

/// Makes a detached copy of the mount at `path`, without the mounts below it: the content of a bind mount of it.
///
/// # Errors
/// Fails if the path does not exist or the caller may not mount in its own namespace.
pub fn detached(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, path, flags)?)
}

/// Attaches a detached mount at a path below `at`, or on `at` itself if the path is empty.
pub(super) fn attach(mount: BorrowedFd<'_>, at: impl AsFd, path: &Path) -> Result<(), Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    flags.set(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH, path.as_os_str().is_empty());
    rustix::mount::move_mount(mount, "", at, path, flags)
}

/// Makes a mounted directory the root and detaches the old root.
pub(super) fn pivot(new: &Path) -> Result<(), Errno> {
    rustix::process::chdir(new)?;
    rustix::process::pivot_root(".", ".")?;
    // The old root is now mounted over the new one; the working directory is still in the new one.
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}
