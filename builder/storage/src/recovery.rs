//! Recovery from a power loss. Of the files that were not synced, the first start after a reboot keeps undamaged blobs and removes the
//! rest.
//!
//! Within one boot there is nothing to do: a file that was renamed to its final name is complete in the page cache, even if its
//! writer was killed afterwards.

use super::error::IoContext;
use super::layout::{BLOBS, KEPT, blob_path, exclusive};
use super::removal::remove_tree;
use super::{BlobStore, CacheIndex, StorageError};
use buildscope_record::BlobDigest;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A random id that the kernel generates at boot (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Maximum bytes of blobs that recovery checks: more than an interrupted build leaves, and a few seconds of work. Other unsynced blobs
/// are removed.
const MOST_CHECKED: u64 = 4 << 30;

/// Cleans up if this is the first start since the machine booted.
pub(crate) fn recover(root: &Path, blobs: &BlobStore, cache: &CacheIndex) -> Result<(), StorageError> {
    let note = root.join("boot");
    let now = fs::read(BOOT_ID).unwrap_or_default();
    if fs::read(&note).is_ok_and(|then| then == now) {
        return Ok(());
    }
    let _lock = exclusive(root)?;
    let then = fs::read(&note).ok();
    if then.as_ref() == Some(&now) {
        return Ok(()); // another process has cleaned up meanwhile
    }
    // A new store has no boot id and nothing to check.
    if then.is_some() {
        clean(root, blobs, cache)?;
    }
    let aside = root.join("boot.new");
    fs::write(&aside, &now).context("write", &aside)?;
    fs::rename(&aside, &note).context("rename to", note)
}

/// Checks the blobs that are not known to be durable, and removes all other files that are not.
pub(crate) fn clean(root: &Path, blobs: &BlobStore, cache: &CacheIndex) -> Result<(), StorageError> {
    let durable = cache.durable()?;
    let whole = check(root, blobs, &durable)?;
    for kept in KEPT {
        let dir = root.join(kept);
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let entry = entry.context("read", &dir)?;
            let name = format!("{kept}/{}", entry.file_name().to_string_lossy());
            if durable.contains(&name) || whole.contains(&name) {
                continue;
            }
            let path = entry.path();
            remove_tree(&path).context("remove", path)?;
        }
    }
    cache.settle(&whole)
}

/// The undamaged blobs among those that were never synced. After a reboot, reading them reads the disk.
fn check(root: &Path, blobs: &BlobStore, durable: &BTreeSet<String>) -> Result<BTreeSet<String>, StorageError> {
    let (dir, mut young, mut bytes) = (root.join(BLOBS), Vec::new(), 0);
    for entry in fs::read_dir(&dir).context("read", &dir)? {
        let entry = entry.context("read", &dir)?;
        let (hex, size) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata().map_or(0, |it| it.len()));
        let Ok(digest) = format!("sha256:{hex}").parse::<BlobDigest>() else { continue };
        let name = blob_path(digest);
        if !durable.contains(&name) && bytes + size <= MOST_CHECKED {
            bytes += size;
            young.push((name, digest));
        }
    }
    // A blob that cannot be read counts as damaged.
    let whole = young.into_par_iter().filter(|(_, digest)| blobs.digest(*digest).is_ok_and(|found| found == *digest));
    Ok(whole.map(|(name, _)| name).collect())
}
