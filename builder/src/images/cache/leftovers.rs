//! Removes the blobs of a cache directory that no cache in it names (`--cache-to type=local,reset=true`).

use super::super::ImageError;
use super::super::layout::read_directory;
use super::super::resolved::{Blobs, Parsed, parse, read_document};
use buildscope_oci::Descriptor;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How deep indexes may be nested.
const DEEPEST: usize = 4;

/// Removes what no entry of the directory's index refers to. If a document cannot be read, nothing is removed.
pub(super) fn remove(directory: &Path) -> Result<(), ImageError> {
    let (layout, index) = read_directory(directory)?;
    let index = index.ok_or_else(|| ImageError::malformed(directory.display(), "it has no index.json"))?;
    let mut needed = BTreeSet::new();
    for entry in &index.manifests {
        need(&layout, entry, DEEPEST, &mut needed)?;
    }
    let blobs = directory.join("blobs/sha256");
    for entry in fs::read_dir(&blobs).map_err(ImageError::file("read", &blobs))? {
        let entry = entry.map_err(ImageError::file("read", &blobs))?;
        // Files that are being written have other names.
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_blob = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_blob && !needed.contains(&name) {
            fs::remove_file(entry.path()).map_err(ImageError::file("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Adds the blob of a descriptor and those that it refers to, by the digits of their digests.
fn need(
    layout: &dyn Blobs,
    descriptor: &Descriptor,
    depth: usize,
    needed: &mut BTreeSet<String>,
) -> Result<(), ImageError> {
    needed.insert(descriptor.digest.hex());
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    match parse(layout.origin(), descriptor, &read_document(layout, descriptor)?)? {
        Parsed::Index(index) => index.manifests.iter().try_for_each(|entry| need(layout, entry, depth, needed)),
        Parsed::Manifest(manifest) => {
            needed.extend([&manifest.config].into_iter().chain(&manifest.layers).map(|blob| blob.digest.hex()));
            Ok(())
        }
    }
}
