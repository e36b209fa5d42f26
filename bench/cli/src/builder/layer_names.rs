//! Names for the layers of the store: the instruction that made each layer, and the image that has it.

use crate::Failure;
use crate::builds::KeptBuilds;
use buildscope_builder::images::Images;
use buildscope_oci::Platform;
use buildscope_record::BlobDigest;
use buildscope_storage::Store;
use std::collections::{BTreeMap, BTreeSet};

/// The number of kept records that are read, the newest first. Older layers have no name.
const RECORDS: usize = 30;

/// The layers of one named image.
struct NamedLayers {
    name: String,
    layers: Vec<BlobDigest>,
}

/// The layers of all named images in the store.
fn images(store: &Store) -> Result<Vec<NamedLayers>, Failure> {
    let images = Images::of(store);
    let mut found = Vec::new();
    for named in images.names().map_err(Failure::internal)? {
        let platform = named.target.platform.clone().unwrap_or_else(Platform::host);
        let image = images.load(&named.target, &platform).map_err(Failure::internal)?;
        let layers = image.layers.iter().map(|layer| BlobDigest::from(layer.diff_id)).collect();
        found.push(NamedLayers { name: named.name, layers });
    }
    Ok(found)
}

/// The layers that named images need.
pub(super) fn of_images(store: &Store) -> Result<BTreeSet<BlobDigest>, Failure> {
    Ok(images(store)?.into_iter().flat_map(|image| image.layers).collect())
}

/// By layer: its instruction, from the kept records of builds, and the images with it.
pub(super) fn all(store: &Store) -> Result<BTreeMap<String, String>, Failure> {
    let builds = KeptBuilds::of(store.root());
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for kept in builds.list().map_err(Failure::internal)?.into_iter().take(RECORDS) {
        // A damaged record names nothing.
        let Ok(record) = builds.read(&kept.id) else { continue };
        for step in &record.steps {
            if let Some(digest) = step.layer.and_then(|layer| layer.digest) {
                names.entry(BlobDigest::from(digest).to_string()).or_insert_with(|| step.text.clone());
            }
        }
    }
    for image in images(store)? {
        for layer in image.layers {
            let name = names.entry(layer.to_string()).or_default();
            let separator = if name.is_empty() { "" } else { "  " };
            *name += &format!("{separator}[{}]", image.name);
        }
    }
    Ok(names)
}
