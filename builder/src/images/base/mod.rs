//! Base images that buildscope makes itself, so that builds work without access to a registry.

pub(crate) mod busybox;
mod debian;
mod program;

pub use debian::DebianBase;

use super::{ImageError, Images, Registries};
use buildscope_oci::Descriptor;
use buildscope_record::Probe;
use buildscope_storage::Store;

/// Makes the embedded busybox image, unless the store has it, and returns the descriptor of its manifest.
pub fn busybox_base(store: &Store, registries: Option<&Registries>, probe: &Probe) -> Result<Descriptor, ImageError> {
    let image = busybox::image(store, &Images::of(store), registries, probe)?;
    Ok(Descriptor::new(buildscope_oci::media::OCI_MANIFEST, image.digest, image.manifest_bytes.len() as u64))
}
