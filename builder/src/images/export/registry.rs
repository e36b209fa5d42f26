//! `type=registry`: pushes images.

use super::super::cache::ImportedCache;
use super::super::registry::{BlobContent, BlobUpload};
use super::super::{Blobs, Image, ImageError, ImageLayer, OriginalBlob, Registries};
use super::transform::Transform;
use super::{Compressed, Export, Exported, ImageOptions, PreparedBlobs};
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
        self.push_from(&PreparedBlobs::of(store), store, registries, cache, probe)
    }

    /// Pushes the images. Blobs in `prepared` are not compressed or sent again.
    pub(crate) fn push_from(
        &self,
        prepared: &PreparedBlobs,
        store: &Store,
        registries: &Registries,
        cache: Option<&ImportedCache>,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        if self.names.is_empty() {
            return Err(ImageError::malformed("--output", "a push needs a name: add `-t NAME` or `name=NAME`"));
        }
        let compressed = &prepared.compressed;
        let push = Push { options: self.options, epoch: self.epoch, store, cache, compressed, probe };
        let layers = self.images.iter().map(|image| push.layers(image)).collect::<Result<Vec<_>, _>>()?;
        let entries = |layers: &Vec<(ImageLayer, BlobSource)>| layers.iter().map(|(entry, _)| entry.clone()).collect();
        let entries: Vec<Vec<ImageLayer>> = layers.iter().map(entries).collect();
        let documents = self.all_documents(&entries);
        for name in self.names {
            let layers = layers.iter().flatten();
            let layers = layers.map(|(layer, source)| source.upload(&layer.descriptor, name, compressed));
            let small = documents.configs.iter().chain(&documents.statements).map(|document| BlobUpload {
                descriptor: document.descriptor.clone(),
                from: None,
                content: BlobContent::Bytes(document.bytes.clone()),
            });
            let mut uploads: Vec<BlobUpload> = Vec::new();
            for upload in layers.chain(small) {
                if !uploads.iter().any(|other| other.descriptor.digest == upload.descriptor.digest) {
                    uploads.push(upload);
                }
            }
            let digest = documents.exported().target.digest.to_manifest();
            let untagged = || Reference { tag: None, digest: Some(digest), ..name.clone() };
            let target = if self.options.by_digest { untagged() } else { name.clone() };
            registries.push(&target, &uploads, &documents.manifests_in_order(), &prepared.uploads, probe)?;
        }
        Ok(documents.exported())
    }
}

/// The context of a push.
pub(crate) struct Push<'a> {
    pub(crate) options: &'a ImageOptions,
    /// `SOURCE_DATE_EPOCH`.
    pub(crate) epoch: Option<i64>,
    pub(crate) store: &'a Store,
    pub(crate) cache: Option<&'a ImportedCache>,
    pub(crate) compressed: &'a Compressed,
    pub(crate) probe: &'a Probe,
}

impl Push<'_> {
    /// The layers of an image, as blobs to push.
    fn layers(&self, image: &Image) -> Result<Vec<(ImageLayer, BlobSource)>, ImageError> {
        let of_base = |number| image.base.as_ref().filter(|_| number < image.base_layers)?.original(number);
        let ids = image.config.rootfs.diff_ids.iter().enumerate();
        ids.map(|(number, diff_id)| self.layer(*diff_id, of_base(number).as_ref())).collect()
    }

    /// A layer as the image's documents will name it, and the source of its blob: the original one, or one that is compressed here.
    pub(crate) fn layer(
        &self,
        diff_id: DiffId,
        of_base: Option<&OriginalBlob>,
    ) -> Result<(ImageLayer, BlobSource), ImageError> {
        let Self { options, epoch, store, cache, compressed, probe } = self;
        // Layers are compressed for a registry by default, as in BuildKit.
        let transform = options.transform(*epoch, of_base.is_some(), Encoding::Gzip);
        let of_cache =
            || cache.as_ref()?.blob(&diff_id).filter(|_| transform.epoch.is_none() && !store.blobs().contains(diff_id));
        let original = of_base.cloned().or_else(of_cache).filter(|OriginalBlob { descriptor, .. }| {
            let plain =
                descriptor.media_type == Encoding::Plain.oci_layer() || descriptor.digest == BlobDigest::from(diff_id);
            !plain && !options.force
        });
        if let Some(OriginalBlob { descriptor, blobs }) = original {
            return Ok((ImageLayer { descriptor, diff_id }, BlobSource::Original(blobs)));
        }
        if let Some(cache) = cache {
            cache.ensure(store, &[diff_id], probe)?;
        }
        let encoded = compressed.layer(diff_id, transform, probe)?;
        let oci = options.has_oci_types();
        let media = if oci { transform.encoding.oci_layer() } else { transform.encoding.docker_layer() };
        let descriptor = Descriptor::new(&media, encoded.digest, encoded.size);
        let entry = ImageLayer { descriptor, diff_id: encoded.diff_id };
        Ok((entry, BlobSource::Store { diff_id, transform }))
    }
}

/// The source of the bytes of a pushed layer.
pub(crate) enum BlobSource {
    /// A layer of the store, which is transformed.
    Store {
        /// The diff id in the store. It differs from that of the pushed layer if times are rewritten.
        diff_id: DiffId,
        transform: Transform,
    },
    /// The blob that the layer came from.
    Original(Arc<dyn Blobs>),
}

impl BlobSource {
    /// The upload of the layer with this descriptor.
    pub(crate) fn upload(&self, descriptor: &Descriptor, to: &Reference, compressed: &Compressed) -> BlobUpload {
        let descriptor = descriptor.clone();
        match self {
            BlobSource::Store { diff_id, transform } => {
                let content = compressed.content(descriptor.digest, *diff_id, *transform);
                BlobUpload { descriptor, from: None, content }
            }
            BlobSource::Original(blobs) => {
                let origin = blobs.origin().parse::<Reference>().ok();
                let origin = origin.filter(|origin| blobs.is_remote() && origin.registry == to.registry);
                let content = compressed.original(Arc::clone(blobs), descriptor.clone());
                BlobUpload { descriptor, from: origin.map(|origin| origin.repository), content }
            }
        }
    }
}
