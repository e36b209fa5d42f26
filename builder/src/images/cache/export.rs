//! Exports the cache of a build.

use super::super::document::Document;
use super::super::export::{DirectorySink, PreparedBlobs, Sink};
use super::super::layout::read_directory;
use super::super::registry::{BlobContent, BlobUpload};
use super::super::{ImageError, OriginalBlob, Registries};
use super::document::{Annotations, CACHE_CONFIG, CacheConfig, DocumentLayer, DocumentRecord, INLINE, Outcome};
use super::{CacheOptions, CacheRecord, CacheTo, ImportedCache, Leftovers, leftovers};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildscope_oci::{Descriptor, Index, Manifest, REF_NAME, media};
use buildscope_record::{DiffId, Phase, Probe};
use buildscope_storage::Store;
use std::path::Path;

/// The input of one `--cache-to`.
#[derive(Clone, Copy, Debug)]
pub struct CacheExport<'a> {
    /// The records of the build's steps, in the order of the build.
    pub records: &'a [CacheRecord],
    /// The imported cache, which may have layers that were not fetched.
    pub imported: Option<&'a ImportedCache>,
    /// The registries. `None` offline.
    pub registries: Option<&'a Registries>,
    /// The blobs that were compressed and sent before.
    pub prepared: &'a PreparedBlobs,
}

/// A layer of the cache, and the source of its bytes.
struct Blob {
    descriptor: Descriptor,
    diff_id: DiffId,
    content: BlobContent,
}

impl CacheExport<'_> {
    /// Writes the cache. An inline cache is already in the image at this point, so nothing is written for it.
    pub fn write(&self, store: &Store, to: &CacheTo, probe: &Probe) -> Result<(), ImageError> {
        match to {
            CacheTo::Inline => Ok(()),
            CacheTo::Local { dest, tag, leftovers, options } => {
                let span = probe.phase(Phase::Export);
                span.detail("cache");
                self.write_directory(store, dest, tag, *options, &span.probe())?;
                match leftovers {
                    Leftovers::Keep => Ok(()),
                    Leftovers::Remove => leftovers::remove(dest),
                }
            }
            CacheTo::Registry { reference, options } => {
                let offline = || ImageError::malformed("--cache-to", "nothing is pushed offline");
                let registries = self.registries.ok_or_else(offline)?;
                let blobs = self.blobs(store, *options, probe)?;
                let (config, manifest) = documents(self.records, &blobs);
                let upload = |blob: Blob| BlobUpload { descriptor: blob.descriptor, from: None, content: blob.content };
                let mut uploads: Vec<BlobUpload> = blobs.into_iter().map(upload).collect();
                let Document { descriptor, bytes } = config;
                uploads.push(BlobUpload { descriptor, from: None, content: BlobContent::Bytes(bytes) });
                registries.push(reference, &uploads, &[manifest], &self.prepared.uploads, probe)
            }
            CacheTo::S3 { cache, options } => {
                let span = probe.phase(Phase::Push);
                span.detail("cache");
                let objects = cache.open()?;
                let blobs = self.blobs(store, *options, &span.probe())?;
                blobs.iter().try_for_each(|blob| objects.write_blob(&blob.descriptor, &blob.content))?;
                // The list comes last, so that it never names a layer that is not there.
                let (config, _) = documents(self.records, &blobs);
                objects.write_manifests(&config.bytes)
            }
            CacheTo::Reapi { cache, options } => {
                let span = probe.phase(Phase::Push);
                span.detail("cache");
                let server = cache.open()?;
                let blobs = self.blobs(store, *options, &span.probe())?;
                let layers: Vec<_> =
                    blobs.into_iter().map(|blob| (blob.diff_id, blob.descriptor, blob.content)).collect();
                server.write(self.records, &layers)
            }
        }
    }

    fn write_directory(
        &self,
        store: &Store,
        dest: &Path,
        tag: &str,
        options: CacheOptions,
        probe: &Probe,
    ) -> Result<(), ImageError> {
        let mut sink = DirectorySink::begin(dest)?;
        let blobs = self.blobs(store, options, probe)?;
        for Blob { descriptor, content, .. } in &blobs {
            if sink.has(&descriptor.digest, descriptor.size) {
                continue;
            }
            let region = sink.reserve(descriptor.size)?;
            let failed = |error| ImageError::Write { what: format!("the cache's layer {}", descriptor.digest), error };
            region.take(&content.file()?, descriptor.size).map_err(failed)?;
            sink.settle(region, &descriptor.digest, descriptor.size)?;
        }
        let (config, manifest) = documents(self.records, &blobs);
        for document in [&config, &manifest] {
            sink.blob(&document.descriptor.digest, &document.bytes)?;
        }
        let mut top = manifest.descriptor;
        top.annotations.insert(REF_NAME.into(), tag.to_owned());
        // Other tags in the directory are kept.
        let before = read_directory(dest).ok().and_then(|(_, index)| index);
        let others = before.into_iter().flat_map(|index| index.manifests);
        let others = others.filter(|entry| entry.annotations.get(REF_NAME).is_none_or(|name| name != tag));
        let index = Index {
            schema_version: 2,
            media_type: media::OCI_INDEX.into(),
            manifests: [top].into_iter().chain(others).collect(),
            annotations: Default::default(),
        };
        sink.file("index.json", &index.to_bytes())?;
        sink.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// The layers as blobs of the cache. A layer that was not fetched keeps its blob from the imported cache.
    fn blobs(&self, store: &Store, options: CacheOptions, probe: &Probe) -> Result<Vec<Blob>, ImageError> {
        let compressed = &self.prepared.compressed;
        let transform = options.transform();
        let mut blobs: Vec<Blob> = Vec::new();
        for record in self.records {
            let diff_id = record.diff_id;
            if blobs.iter().any(|blob| blob.diff_id == diff_id) {
                continue;
            }
            let elsewhere = self.imported.and_then(|imported| imported.blob(&diff_id));
            blobs.push(match elsewhere.filter(|_| !store.blobs().contains(diff_id)) {
                Some(OriginalBlob { descriptor, blobs }) => {
                    let content = compressed.original(blobs, descriptor.clone());
                    Blob { descriptor, diff_id, content }
                }
                None => {
                    let encoded = compressed.layer(diff_id, transform, probe)?;
                    let descriptor = Descriptor::new(&options.compression.oci_layer(), encoded.digest, encoded.size);
                    Blob { descriptor, diff_id, content: compressed.content(encoded.digest, diff_id, transform) }
                }
            });
        }
        Ok(blobs)
    }
}

/// The configuration of the cache, and its manifest.
fn documents(records: &[CacheRecord], blobs: &[Blob]) -> (Document, Document) {
    let layer = |blob: &Blob| DocumentLayer {
        blob: blob.descriptor.digest,
        parent: -1,
        annotations: Some(Annotations {
            media_type: blob.descriptor.media_type.clone(),
            diff_id: Some(blob.diff_id),
            size: blob.descriptor.size,
        }),
    };
    let bytes = config(records, blobs.iter().map(layer).collect(), |diff_id| {
        blobs.iter().position(|blob| blob.diff_id == diff_id)
    });
    let config = Document::new(CACHE_CONFIG, bytes);
    let manifest = Manifest {
        schema_version: 2,
        media_type: media::OCI_MANIFEST.into(),
        config: config.descriptor.clone(),
        layers: blobs.iter().map(|blob| blob.descriptor.clone()).collect(),
        annotations: Default::default(),
    };
    let manifest = Document::new(media::OCI_MANIFEST, manifest.to_bytes());
    (config, manifest)
}

fn config(records: &[CacheRecord], layers: Vec<DocumentLayer>, number: impl Fn(DiffId) -> Option<usize>) -> Vec<u8> {
    let record = |record: &CacheRecord| {
        let results = number(record.diff_id).map(|layer| Outcome { layer }).into_iter().collect();
        DocumentRecord { results, digest: record.key, buildscope: Some(record.value.clone()) }
    };
    let config = CacheConfig { layers, records: records.iter().map(record).collect() };
    // Serialising cannot fail: all keys are strings.
    serde_json::to_vec(&config).expect("plain data")
}

/// The inline cache (`type=inline`) as a field of the image's configuration: the name of the field, and its value.
pub fn inline_cache(records: &[CacheRecord]) -> (String, serde_json::Value) {
    let mut ids: Vec<DiffId> = Vec::new();
    for record in records {
        if !ids.contains(&record.diff_id) {
            ids.push(record.diff_id);
        }
    }
    let layers =
        ids.iter().map(|diff_id| DocumentLayer { blob: diff_id.into(), parent: -1, annotations: None }).collect();
    let bytes = config(records, layers, |diff_id| ids.iter().position(|id| *id == diff_id));
    (INLINE.to_owned(), STANDARD.encode(bytes).into())
}
