//! Files of a step that exist only in memory.

use super::filesystem::{HARMLESS, attach, clone, filesystem, write};
use super::sys;
use rustix::fs::{AtFlags, CWD, Gid, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The path at which a step's in-memory files are made.
pub(super) const SCRATCH: &str = "/scratch";

/// A tmpfs for the step's files that exist only in memory. It is mounted in the zygote's old root, so only the clones of its
/// single files survive the pivot. It is made before the step's message arrives, or together with the first file.
#[derive(Default)]
pub(super) struct Scratch {
    mount: Option<OwnedFd>,
    files: u32,
}

impl Scratch {
    /// Makes the tmpfs. Nearly every step has a file in it: the resolver's configuration of its network.
    pub(super) fn prepared() -> Result<Self, Errno> {
        Ok(Self { mount: Some(tmpfs()?), files: 0 })
    }

    /// Makes a file and returns a detached, read-only mount of it, which is `noexec` unless the file's mode has an execute bit.
    pub(super) fn file(&mut self, content: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<OwnedFd, Errno> {
        let mount = match &self.mount {
            Some(mount) => mount,
            None => self.mount.insert(tmpfs()?),
        };
        let name = self.files.to_string();
        self.files += 1;
        write(mount, &name, content, mode)?;
        rustix::fs::chownat(
            mount,
            &name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        let tree = clone(mount, Path::new(&name))?;
        // A secret with an execute bit can be a script of the Dockerfile.
        let clear = match mode & 0o111 {
            0 => MountAttrFlags::empty(),
            _ => MountAttrFlags::MOUNT_ATTR_NOEXEC,
        };
        let set = (HARMLESS | MountAttrFlags::MOUNT_ATTR_RDONLY) - clear;
        sys::mount_setattr(tree.as_fd(), set, clear, sys::Mounts::One)?;
        Ok(tree)
    }
}

fn tmpfs() -> Result<OwnedFd, Errno> {
    let mount = filesystem("tmpfs", &[("mode", "700")], HARMLESS)?;
    attach(mount.as_fd(), CWD, Path::new(SCRATCH))?;
    Ok(mount)
}
