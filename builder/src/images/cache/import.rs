//! Imports caches: their records at once, their layers when a step needs them.

use super::super::resolved::{Parsed, json, parse, read_document};
use super::super::stored::Images;
use super::super::unpack_layers::ensure;
use super::super::{Blobs, ImageError, ImageLayer, Registries, ResolvedImage};
use super::document::{CACHE_CONFIG, CacheConfig, INLINE, Layer};
use super::{CacheFrom, CacheRecord, S3Cache};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildscope_oci::Descriptor;
use buildscope_oci::Platform;
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, StepKey};
use buildscope_storage::{Acquired, OnceMap, Store};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

/// All caches that were imported for one build.
#[derive(Debug, Default)]
pub struct ImportedCache {
    records: HashMap<StepKey, CacheRecord>,
    layers: HashMap<DiffId, (Descriptor, Arc<dyn Blobs>)>,
    /// The layers that are being fetched: two steps do not fetch the same layer twice.
    fetching: OnceMap<DiffId, Infallible>,
}

impl ImportedCache {
    /// Reads the documents of all caches. A cache that cannot be read does not fail the build: its error is returned
    /// together with the others.
    pub fn read(
        from: &[CacheFrom],
        registries: Option<&Registries>,
        images: &Images,
        platforms: &[Platform],
        probe: &Probe,
    ) -> (Self, Vec<ImageError>) {
        let (mut cache, mut faults) = (Self::default(), Vec::new());
        for origin in from {
            let span = probe.phase(Phase::Resolve);
            span.detail("cache");
            if let Err(fault) = cache.add(origin, registries, images, platforms) {
                faults.push(fault);
            }
        }
        (cache, faults)
    }

    fn add(
        &mut self,
        from: &CacheFrom,
        registries: Option<&Registries>,
        images: &Images,
        platforms: &[Platform],
    ) -> Result<(), ImageError> {
        let first = platforms.first().cloned().unwrap_or_else(Platform::host);
        let (blobs, root) = match (from, registries) {
            (CacheFrom::S3(cache), _) => return self.bucket(cache),
            (CacheFrom::Local(layout), _) => layout.root(&first)?,
            (CacheFrom::Registry(reference), Some(registries)) => registries.root(reference, images)?,
            (CacheFrom::Registry(reference), None) => {
                return Err(ImageError::malformed(reference, "registries are not used offline"));
            }
        };
        let bytes = read_document(&*blobs, &root)?;
        let (config, layers) = match parse(blobs.origin(), &root, &bytes)? {
            Parsed::Manifest(manifest) if manifest.config.media_type == CACHE_CONFIG => {
                (manifest.config, manifest.layers)
            }
            // BuildKit's older format: an index that lists the layers and the configuration.
            Parsed::Index(index) if index.manifests.iter().any(is_config) => {
                let (config, layers): (Vec<_>, Vec<_>) = index.manifests.into_iter().partition(is_config);
                (config[0].clone(), layers)
            }
            Parsed::Manifest(_) | Parsed::Index(_) => {
                let mut inline = |platform| self.inline(ResolvedImage::load(Arc::clone(&blobs), &root, platform)?);
                return platforms.iter().try_for_each(&mut inline);
            }
        };
        let text = read_document(&*blobs, &config)?;
        let cache: CacheConfig = json(blobs.origin(), "the cache's configuration", &text)?;
        let descriptors = cache.layers.iter().map(|layer| {
            let descriptor = layers.iter().find(|descriptor| descriptor.digest == layer.blob)?.clone();
            Some((layer.annotations.as_ref()?.diff_id?, descriptor))
        });
        let descriptors: Vec<_> = descriptors.collect();
        self.take(&cache, &descriptors, &blobs);
        Ok(())
    }

    /// Imports a cache in a bucket, whose list of records has the digests and sizes of the layers.
    fn bucket(&mut self, cache: &S3Cache) -> Result<(), ImageError> {
        let objects = Arc::new(cache.open()?);
        let blobs: Arc<dyn Blobs> = Arc::clone(&objects) as _;
        for name in &cache.names {
            let text = objects.manifest(name)?;
            let config: CacheConfig = json(blobs.origin(), "the list of records", &text)?;
            let descriptor = |layer: &Layer| {
                let annotations = layer.annotations.as_ref()?;
                Some((annotations.diff_id?, Descriptor::new(&annotations.media_type, layer.blob, annotations.size)))
            };
            let descriptors: Vec<_> = config.layers.iter().map(descriptor).collect();
            self.take(&config, &descriptors, &blobs);
        }
        Ok(())
    }

    /// Imports the inline cache in an image's configuration.
    fn inline(&mut self, image: ResolvedImage) -> Result<(), ImageError> {
        let fault = |fault: &str| ImageError::malformed(image.blobs.origin(), fault);
        let text = image.config.other.get(INLINE).and_then(|value| value.as_str());
        let text = text.ok_or_else(|| fault("it is neither a cache nor an image with an inline cache"))?;
        let bytes = STANDARD.decode(text).map_err(|_| fault("the inline cache is not valid base64"))?;
        let cache: CacheConfig = json(image.blobs.origin(), "the inline cache", &bytes)?;
        let descriptors = cache.layers.iter().map(|layer| {
            let found = image.layers.iter().find(|found| BlobDigest::from(found.diff_id) == layer.blob)?;
            Some((found.diff_id, found.descriptor.clone()))
        });
        let descriptors: Vec<_> = descriptors.collect();
        self.take(&cache, &descriptors, &image.blobs);
        Ok(())
    }

    /// Adds the records that we wrote and whose layers the cache has.
    fn take(&mut self, cache: &CacheConfig, layers: &[Option<(DiffId, Descriptor)>], blobs: &Arc<dyn Blobs>) {
        for record in &cache.records {
            let layer = record.results.first().and_then(|result| layers.get(result.layer)?.as_ref());
            let (Some((diff_id, descriptor)), Some(value)) = (layer, &record.buildscope) else { continue };
            self.layers.entry(*diff_id).or_insert_with(|| (descriptor.clone(), Arc::clone(blobs)));
            let ours = CacheRecord { key: record.digest, diff_id: *diff_id, value: value.clone() };
            self.records.entry(record.digest).or_insert(ours);
        }
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of a key. Its layer may be missing in the store.
    pub fn look_up(&self, key: &StepKey) -> Option<&CacheRecord> {
        self.records.get(key)
    }

    /// The blob of a layer, and its source.
    pub(crate) fn blob(&self, diff_id: &DiffId) -> Option<(Descriptor, Arc<dyn Blobs>)> {
        self.layers.get(diff_id).cloned()
    }

    /// Fetches the layers that the cache has and the store does not have.
    pub fn ensure(&self, store: &Store, layers: &[DiffId], probe: &Probe) -> Result<(), ImageError> {
        let missing = |diff_id: &&DiffId| !store.blobs().contains(**diff_id);
        for diff_id in layers.iter().filter(missing) {
            let Some((descriptor, blobs)) = self.layers.get(diff_id) else { continue };
            let Acquired::Ours(_turn) = self.fetching.acquire_blocking(diff_id, probe.step(), probe, "cache");
            // Another step may have fetched it meanwhile; then this returns at once.
            ensure(store, &**blobs, &[ImageLayer { descriptor: descriptor.clone(), diff_id: *diff_id }], probe)?;
        }
        Ok(())
    }
}

fn is_config(descriptor: &Descriptor) -> bool {
    descriptor.media_type == CACHE_CONFIG
}
