//! Removes trees that steps left.
//!
//! A step can nest directories deeper than a path may be long, and deeper than the stack of a thread that removes them by recursion
//! (`std::fs::remove_dir_all` does). Directories below a fixed depth are moved up first, so any tree takes the same stack and few
//! descriptors.

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The depth from which on directories are moved up. More takes more descriptors (one per level), less more renames.
const DEPTH: usize = 64;

/// Removes a file or a directory with everything in it. Links are not followed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        removed => return Ok(removed?),
    }
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Nothing in the tree has this name.
    let mut removal = Removal { top: directory(CWD, path)?, prefix: hex::encode(bytes), moved: 0 };
    removal.empty(&removal.top.try_clone()?, 0)?;
    let mut next = 0;
    while next < removal.moved {
        let name = removal.name(next);
        removal.empty(&directory(&removal.top, &name)?, 0)?;
        unlinkat(&removal.top, name, AtFlags::REMOVEDIR)?;
        next += 1;
    }
    Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?)
}

struct Removal {
    top: OwnedFd,
    prefix: String,
    /// How many directories were moved into `top`.
    moved: usize,
}

impl Removal {
    fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// Removes what is in a directory, or moves it up.
    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> io::Result<()> {
        let entries = Dir::read_from(dir)?.map(|entry| Ok(entry?.file_name().to_owned()));
        let names = entries.collect::<io::Result<Vec<CString>>>()?;
        for name in names.into_iter().filter(|name| ![&b"."[..], b".."].contains(&name.as_bytes())) {
            match unlinkat(dir, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) if depth == DEPTH => {
                    renameat(dir, &name, &self.top, self.name(self.moved))?;
                    self.moved += 1;
                }
                Err(Errno::ISDIR) => {
                    self.empty(&directory(dir, &name)?, depth + 1)?;
                    unlinkat(dir, &name, AtFlags::REMOVEDIR)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn directory(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn files_links_and_trees_are_removed_but_not_what_links_lead_to() {
        let tmp = tempfile::tempdir().unwrap();
        let (tree, kept) = (tmp.path().join("tree"), tmp.path().join("kept"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        for file in [tree.join("a/f"), tree.join("a/b/f"), kept.join("f"), tmp.path().join("f")] {
            File::create(file).unwrap();
        }
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        std::os::unix::fs::symlink(&kept, tmp.path().join("link")).unwrap();
        for path in ["tree", "link", "f"] {
            remove_tree(&tmp.path().join(path)).unwrap();
            assert!(tmp.path().join(path).symlink_metadata().is_err(), "{path}");
        }
        assert!(kept.join("f").exists());
        assert_eq!(remove_tree(&tree).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Deeper than a path may be long (4096 bytes), and than descriptors are allowed by default (1024).
    #[test]
    fn a_tree_may_be_of_any_depth() {
        let tmp = tempfile::tempdir().unwrap();
        let tree = tmp.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut dir = directory(CWD, &tree).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&dir, "d", Mode::RWXU).unwrap();
            openat(&dir, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            dir = directory(&dir, "d").unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
