//! Imports caches: their records when a step is not in the store, their layers when a step needs their files.

use super::super::resolved::{Parsed, json, parse, read_document};
use super::super::stored::Images;
use super::super::unpack_layers::ensure;
use super::super::{Blobs, ImageError, ImageLayer, OriginalBlob, Registries, ResolvedImage};
use super::document::{CACHE_CONFIG, CacheConfig, DocumentLayer, INLINE};
use super::reapi::RemoteCache;
use super::{CacheFrom, CacheRecord, S3Cache};
use crate::error_chain::causes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildscope_oci::Descriptor;
use buildscope_oci::Platform;
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, StepKey};
use buildscope_storage::{Acquired, OnceMap, Store};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The number of unusable layers after which no layer of the caches is used: a build starts again after each of them, which it does
/// twice at most.
const MOST_FAULTS: usize = 2;

/// The caches that one build imports. They are read when a step asks for a record that the store does not have.
#[derive(Default)]
pub struct ImportedCache {
    sources: Vec<CacheSources>,
    records: OnceLock<Records>,
    /// The answers of servers that are asked for each key.
    asked: Mutex<HashMap<StepKey, Option<CacheRecord>>>,
    /// Layers that were offered one by one, which the store may not have.
    offered: Mutex<HashMap<DiffId, OriginalBlob>>,
    /// The layers that are being fetched: two steps do not fetch the same layer twice.
    fetching: OnceMap<DiffId, Infallible>,
    /// Layers that are missing or corrupt in their cache. The build does without them.
    unusable: Mutex<Unusable>,
}

#[derive(Default)]
struct Unusable {
    all: HashSet<DiffId>,
    /// The layers that were not reported yet, with the reason.
    new: Vec<(DiffId, String)>,
}

/// The sources of imported caches.
struct CacheSources {
    from: Vec<CacheFrom>,
    registries: Option<Registries>,
    images: Images,
    platforms: Vec<Platform>,
    report: Box<dyn Fn(ImageError) + Send + Sync>,
}

/// The content of all caches.
#[derive(Default)]
struct Records {
    records: HashMap<StepKey, CacheRecord>,
    layers: HashMap<DiffId, OriginalBlob>,
    /// Caches without a list of their records: they are asked for each key.
    servers: Vec<RemoteCache>,
}

impl Unusable {
    fn has(&self, diff_id: &DiffId) -> bool {
        self.all.len() >= MOST_FAULTS || self.all.contains(diff_id)
    }
}

impl ImportedCache {
    /// The caches of `from`, which are not read yet. A cache that cannot be read does not fail the build: its error goes to `report`.
    pub fn new(
        from: Vec<CacheFrom>,
        registries: Option<&Registries>,
        images: &Images,
        platforms: &[Platform],
        report: impl Fn(ImageError) + Send + Sync + 'static,
    ) -> Self {
        if from.is_empty() {
            return Self::default();
        }
        let (registries, images, platforms) = (registries.cloned(), images.clone(), platforms.to_vec());
        let sources = CacheSources { from, registries, images, platforms, report: Box::new(report) };
        Self { sources: vec![sources], ..Self::default() }
    }

    /// Adds the caches of another one, which must not have been read. Records that are in an earlier cache stay.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.sources.extend(other.sources);
    }

    /// Whether the build names no cache.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The record of a key. Its layer may be missing in the store. The first call reads the documents of all caches, and other calls
    /// wait for it.
    pub fn look_up(&self, key: &StepKey, probe: &Probe) -> Option<CacheRecord> {
        if self.is_empty() {
            return None;
        }
        let records = self.records.get().unwrap_or_else(|| {
            let span = probe.phase(Phase::Resolve);
            span.detail("cache");
            self.records.get_or_init(|| CacheSources::read(&self.sources))
        });
        let found = records.records.get(key).cloned().or_else(|| self.ask(records, key, probe));
        found.filter(|record| !self.unusable.lock().has(&record.diff_id))
    }

    /// Asks the servers for a key, once. A server that fails is reported and not asked again.
    fn ask(&self, records: &Records, key: &StepKey, probe: &Probe) -> Option<CacheRecord> {
        if records.servers.is_empty() {
            return None;
        }
        if let Some(answer) = self.asked.lock().get(key) {
            return answer.clone();
        }
        let span = probe.phase(Phase::CacheLookup);
        let found = records.servers.iter().find_map(|server| {
            span.detail(server.origin());
            let found = server.find(key).unwrap_or_else(|error| {
                if let Some(sources) = self.sources.first() {
                    (sources.report)(error);
                }
                None
            });
            let (record, descriptor) = found?;
            self.offer(record.diff_id, descriptor, server.blobs());
            Some(record)
        });
        self.asked.lock().insert(*key, found.clone());
        found
    }

    /// Makes a layer known that the store may not have.
    fn offer(&self, diff_id: DiffId, descriptor: Descriptor, blobs: Arc<dyn Blobs>) {
        self.offered.lock().insert(diff_id, OriginalBlob { descriptor, blobs });
    }

    /// The blob of a layer, and its source, if a record was looked up.
    pub(crate) fn blob(&self, diff_id: &DiffId) -> Option<OriginalBlob> {
        if self.unusable.lock().has(diff_id) {
            return None;
        }
        let offered = self.offered.lock().get(diff_id).cloned();
        offered.or_else(|| self.records.get()?.layers.get(diff_id).cloned())
    }

    /// Fetches the layers that the cache has and the store does not have. A layer that the cache does not give, or gives with another
    /// content, is not used any more.
    ///
    /// # Errors
    /// If a layer cannot be fetched or stored. After an error in the cache, [`take_unusable`](Self::take_unusable) has the layer.
    pub fn ensure(&self, store: &Store, layers: &[DiffId], probe: &Probe) -> Result<(), ImageError> {
        for diff_id in layers {
            // A cache that was not read has given no layer. The store is asked only about layers that a cache has: that takes four system
            // calls, for each layer of each step.
            let blob = self.blob(diff_id).filter(|_| !store.blobs().contains(*diff_id));
            let Some(OriginalBlob { descriptor, blobs }) = blob else { continue };
            let Acquired::Ours(_turn) = self.fetching.acquire_blocking(diff_id, probe.step(), probe, "cache");
            // Another step may have fetched it meanwhile; then this returns at once.
            let fetched = ensure(store, &*blobs, &[ImageLayer { descriptor, diff_id: *diff_id }], probe);
            if let Err(error) = &fetched
                && error.is_of_source()
            {
                let mut unusable = self.unusable.lock();
                unusable.all.insert(*diff_id);
                unusable.new.push((*diff_id, causes(error)));
            }
            fetched?;
        }
        Ok(())
    }

    /// Layers that were found missing or corrupt in their cache since the last call, with the reason.
    pub(crate) fn take_unusable(&self) -> Vec<(DiffId, String)> {
        std::mem::take(&mut self.unusable.lock().new)
    }
}

impl fmt::Debug for ImportedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from: Vec<_> = self.sources.iter().map(|sources| &sources.from).collect();
        f.debug_struct("ImportedCache").field("from", &from).field("is_read", &self.records.get().is_some()).finish()
    }
}

impl CacheSources {
    fn read(all: &[Self]) -> Records {
        let mut records = Records::default();
        for sources in all {
            for origin in &sources.from {
                let added = records.add(origin, sources.registries.as_ref(), &sources.images, &sources.platforms);
                added.unwrap_or_else(&sources.report);
            }
        }
        records
    }
}

impl Records {
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
            (CacheFrom::Reapi(cache), _) => {
                self.servers.push(cache.open()?);
                return Ok(());
            }
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
            let descriptor = |layer: &DocumentLayer| {
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
        let failed = |reason: &str| ImageError::malformed(image.blobs.origin(), reason);
        let text = image.config.other.get(INLINE).and_then(|value| value.as_str());
        let text = text.ok_or_else(|| failed("it is neither a cache nor an image with an inline cache"))?;
        let bytes = STANDARD.decode(text).map_err(|_| failed("the inline cache is not valid base64"))?;
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
            let blob = || OriginalBlob { descriptor: descriptor.clone(), blobs: Arc::clone(blobs) };
            self.layers.entry(*diff_id).or_insert_with(blob);
            let ours = CacheRecord { key: record.digest, diff_id: *diff_id, value: value.clone() };
            self.records.entry(record.digest).or_insert(ours);
        }
    }
}

fn is_config(descriptor: &Descriptor) -> bool {
    descriptor.media_type == CACHE_CONFIG
}
