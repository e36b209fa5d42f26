//! Base images that buildscope makes itself, so that builds work where no registry is in reach.

pub(crate) mod busybox;
mod debian;
mod elf;
mod program;

pub use debian::DebianBase;

use super::{ImageError, Images, Registries};
use buildscope_oci::Descriptor;
use buildscope_record::Probe;
use buildscope_storage::Store;

/// Makes the embedded busybox, unless the store remembers it, and describes it.
pub fn busybox_base(store: &Store, registries: Option<&Registries>, probe: &Probe) -> Result<Descriptor, ImageError> {
    let image = busybox::image(store, &Images::of(store), registries, probe)?;
    Ok(Descriptor::new(buildscope_oci::media::OCI_MANIFEST, image.digest, image.manifest_bytes.len() as u64))
}
