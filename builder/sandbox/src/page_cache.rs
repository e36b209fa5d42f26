//! Measures how much of a file system was read, from the kernel's page cache.
//!
//! *Takes* a mount. *Gives* bytes. *Must never know* whose files they are.

use super::sys;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The flags with which files and directories are opened: links are not followed, and opening a named pipe does not wait.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The bytes that were read of the regular files below `root` since their file system was mounted: their pages that are in the page
/// cache, or were evicted from it. The kernel reads ahead, so this may be more than programs asked for. Files with several names
/// count once.
///
/// # Errors
/// `ENOSYS` before Linux 6.5, and errors of opening and reading directories.
pub fn bytes_read(root: BorrowedFd<'_>) -> io::Result<u64> {
    let page = rustix::param::page_size() as u64;
    let (mut directories, mut counted, mut bytes) = (vec![PathBuf::new()], HashSet::new(), 0);
    while let Some(path) = directories.pop() {
        let name = if path.as_os_str().is_empty() { OsStr::new(".") } else { path.as_os_str() };
        let directory = openat(root, name, OPEN | OFlags::DIRECTORY, Mode::empty())?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            match entry.file_type() {
                FileType::Directory if !matches!(name.to_bytes(), b"." | b"..") => {
                    directories.push(path.join(OsStr::from_bytes(name.to_bytes())));
                }
                FileType::RegularFile => {
                    let file = openat(&directory, name, OPEN, Mode::empty())?;
                    let pages = sys::pages_read(file.as_fd())?;
                    if pages > 0 {
                        let status = fstat(&file)?;
                        if status.st_nlink == 1 || counted.insert(status.st_ino) {
                            bytes += (pages * page).min(status.st_size as u64);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(bytes)
}
