//! `type=registry`: pushes images.

use super::super::cache::ImportedCache;
use super::super::registry::{Cargo, Source};
use super::super::{Blobs, Image, ImageError, Registries};
use super::transform::Transform;
use super::{Compressed, Export, Exported, LayerBlob};
use buildscope_oci::{Descriptor, Encoding, Reference};
use buildscope_record::{BlobDigest, DiffId, Probe};
use buildscope_storage::Store;
use std::sync::Arc;

impl Export<'_> {
    /// Pushes the images under all their names. Layers are compressed once and the result is remembered, so that pushing
    /// an image that the registry already has costs one request. Layers that came from a registry, of a base image or a
    /// cache, keep their blobs. They are mounted, unless the repository has them already.
    pub fn to_registry(
        &self,
        store: &Store,
        registries: &Registries,
        cache: Option<&ImportedCache>,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        if self.names.is_empty() {
            return Err(ImageError::malformed("--output", "a push needs a name: add `-t NAME` or `name=NAME`"));
        }
        let compressed = Compressed::of(store);
        let mut layers: Vec<Vec<(LayerBlob, Place)>> = Vec::new();
        for image in self.images {
            let ids = image.config.rootfs.diff_ids.iter().enumerate();
            let blobs =
                ids.map(|(number, diff_id)| self.layer(store, cache, image, number, *diff_id, &compressed, probe));
            layers.push(blobs.collect::<Result<_, _>>()?);
        }
        let only = |layers: &Vec<(LayerBlob, Place)>| layers.iter().map(|(blob, _)| blob.clone()).collect();
        let blobs: Vec<Vec<LayerBlob>> = layers.iter().map(only).collect();
        let documents = self.all_documents(&blobs);
        for name in self.names {
            let layers = layers.iter().flatten().map(|(blob, place)| place.cargo(blob, name, &compressed));
            let small = documents.configs.iter().chain(&documents.statements).map(|(descriptor, bytes)| Cargo {
                descriptor: descriptor.clone(),
                from: None,
                source: Source::Bytes(bytes.clone()),
            });
            let mut cargo: Vec<Cargo> = Vec::new();
            for one in layers.chain(small) {
                if !cargo.iter().any(|other| other.descriptor.digest == one.descriptor.digest) {
                    cargo.push(one);
                }
            }
            registries.push(name, &cargo, &documents.manifests_in_order(), probe)?;
        }
        Ok(documents.exported())
    }

    #[expect(clippy::too_many_arguments, reason = "one layer's whole circumstances, used once")]
    fn layer(
        &self,
        store: &Store,
        cache: Option<&ImportedCache>,
        image: &Image,
        number: usize,
        diff_id: DiffId,
        compressed: &Compressed,
        probe: &Probe,
    ) -> Result<(LayerBlob, Place), ImageError> {
        let mut transform = self.transform(number < image.base_layers);
        // Layers are compressed for a registry by default, as in BuildKit.
        transform.encoding = self.options.compression.unwrap_or(Encoding::Gzip);
        let of_base = image.base.as_ref().filter(|_| number < image.base_layers);
        let of_base = of_base.map(|base| (base.layers[number].descriptor.clone(), Arc::clone(&base.blobs)));
        let of_cache =
            || cache?.blob(&diff_id).filter(|_| transform.epoch.is_none() && !store.blobs().contains(diff_id));
        let original = of_base.or_else(of_cache).filter(|(descriptor, _)| {
            let plain =
                descriptor.media_type == Encoding::Plain.oci_layer() || descriptor.digest == BlobDigest::from(diff_id);
            !plain && !self.options.force
        });
        if let Some((descriptor, blobs)) = original {
            let place = Place::There(descriptor.clone(), blobs);
            return Ok((LayerBlob { descriptor, diff_id }, place));
        }
        if let Some(cache) = cache {
            cache.ensure(store, &[diff_id], probe)?;
        }
        let written = compressed.layer(diff_id, transform, probe)?;
        let media = if self.oci_types() { transform.encoding.oci_layer() } else { transform.encoding.docker_layer() };
        let descriptor = Descriptor::new(&media, written.digest, written.size);
        Ok((LayerBlob { descriptor, diff_id: written.diff_id }, Place::Here(diff_id, transform)))
    }
}

/// The source of a layer's bytes.
enum Place {
    /// A layer of the store, which is transformed.
    Here(DiffId, Transform),
    /// The original blob, at its source.
    There(Descriptor, Arc<dyn Blobs>),
}

impl Place {
    fn cargo(&self, blob: &LayerBlob, to: &Reference, compressed: &Compressed) -> Cargo {
        let descriptor = blob.descriptor.clone();
        match self {
            Self::Here(diff_id, transform) => {
                let source = compressed.source(descriptor.digest, *diff_id, *transform);
                Cargo { descriptor, from: None, source }
            }
            Self::There(original, blobs) => {
                let origin = blobs.origin().parse::<Reference>().ok();
                let origin = origin.filter(|origin| blobs.is_remote() && origin.registry == to.registry);
                let source = compressed.original(Arc::clone(blobs), original.clone());
                Cargo { descriptor, from: origin.map(|origin| origin.repository), source }
            }
        }
    }
}
