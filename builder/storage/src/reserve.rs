//! A file that keeps some space of the disk for the cache index: on a full disk, SQLite could not even remove entries, and nothing
//! could be pruned.

use std::fs;
use std::path::{Path, PathBuf};

/// SQLite's shared memory has 32 KiB; a transaction that removes an item writes a few pages.
const SIZE: usize = 512 << 10;

fn path(root: &Path) -> PathBuf {
    root.join("reserve")
}

/// Reserves the space, if that is possible.
pub(crate) fn keep(root: &Path) {
    let path = path(root);
    if !path.exists() && fs::write(&path, vec![0; SIZE]).is_err() {
        // The disk is full. What was written is worth more to the index.
        let _ = fs::remove_file(path);
    }
}

/// Frees the space. Returns false if there was none.
pub(crate) fn release(root: &Path) -> bool {
    fs::remove_file(path(root)).is_ok()
}
