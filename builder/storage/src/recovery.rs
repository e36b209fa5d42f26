//! What a power cut left: the first start after a reboot drops all that the disk did not have for certain.
//!
//! Within one boot nothing needs to be done: a file that was renamed to its name is whole in the page cache, whoever
//! was killed since.

use super::error::Context;
use super::gc::exclusive;
use super::{CacheIndex, StorageError};
use std::fs;
use std::path::Path;

/// The kernel's name for the time since the machine was started (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Directories whose files are made again or were synced.
pub(crate) const KEPT: [&str; 4] = ["blobs/sha256", "index", "erofs", "lowers"];

/// Cleans up if this is the first start since the machine's.
pub(crate) fn recover(root: &Path, cache: &CacheIndex) -> Result<(), StorageError> {
    let note = root.join("boot");
    let now = fs::read(BOOT_ID).unwrap_or_default();
    if fs::read(&note).is_ok_and(|then| then == now) {
        return Ok(());
    }
    let _lock = exclusive(root)?;
    let then = fs::read(&note).ok();
    if then.as_ref() == Some(&now) {
        return Ok(()); // another process was faster
    }
    // A new store has no note and nothing to lose.
    if then.is_some() {
        clean(root, cache)?;
    }
    let aside = root.join("boot.new");
    fs::write(&aside, &now).context("write", &aside)?;
    fs::rename(&aside, &note).context("rename to", note)
}

/// Drops everything that is not known to be durable.
pub(crate) fn clean(root: &Path, cache: &CacheIndex) -> Result<(), StorageError> {
    cache.drop_volatile()?;
    let durable = cache.durable()?;
    for kept in KEPT {
        let dir = root.join(kept);
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let entry = entry.context("read", &dir)?;
            let name = format!("{kept}/{}", entry.file_name().to_string_lossy());
            if durable.contains(&name) {
                continue;
            }
            let path = entry.path();
            let directory = entry.file_type().context("stat", &path)?.is_dir();
            if directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.context("remove", path)?;
        }
    }
    Ok(())
}
