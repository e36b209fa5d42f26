//! Base images that buildscope makes itself, so that builds work where no registry is in reach.

pub(crate) mod busybox;
mod debian;
mod elf;
mod program;

pub use debian::DebianBase;

use super::{Descriptor, ImageError, Images, Registries};
use crate::storage::Store;
use buildscope_record::Probe;

/// Makes the embedded busybox, unless the store remembers it, and describes it.
pub fn busybox_base(store: &Store, registries: Option<&Registries>, probe: &Probe) -> Result<Descriptor, ImageError> {
    let image = busybox::image(store, &Images::of(store), registries, probe)?;
    Ok(Descriptor::new(super::media::OCI_MANIFEST, image.digest, image.manifest_bytes.len() as u64))
}
