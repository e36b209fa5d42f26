//! Exports images: OCI layouts, docker archives, registries, plain file systems.
//!
//! *Takes* assembled images whose layers are in the store. *Gives* archives, directories and pushed images. By default
//! the layers in the image are the store's blobs, so an export to a file is one copy within the kernel.

mod attest;
mod clamp;
mod compressed;
mod copy;
mod destination;
mod draft;
mod encode;
mod files;
mod prepared;
mod registry;
mod sink;
mod spec;
mod transform;

pub use attest::{Predicate, package};
pub(crate) use compressed::Compressed;
pub(crate) use draft::{Added, ArchiveDraft, DirectoryDraft, LayerWriter};
pub use files::{export_directory, export_tar};
pub use prepared::PreparedBlobs;
pub(crate) use registry::Push;
pub(crate) use sink::{DirectorySink, Sink};
pub use spec::{Destination, ImageOptions, Output, OutputError, OutputKind};
pub(crate) use transform::Transform;

use super::document::Document;
use super::layout::blob_path;
use super::pace::Pace;
use super::{Image, ImageError, ImageLayer};
use attest::Attestation;
use buildscope_oci::{Annotations, CREATED, Descriptor, Encoding, IMAGE_NAME, Index, Manifest, REF_NAME, media};
use buildscope_oci::{Level, Reference, annotations};
use buildscope_record::{DiffId, Phase, Probe, Quantity};
use buildscope_storage::Store;
use draft::DraftLayers;
use rayon::prelude::*;
use serde::Serialize;
use sink::Region;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use transform::EncodedLayer;

/// The format of an archive or directory with images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageFormat {
    /// An OCI layout.
    Oci,
    /// An OCI layout that `docker load` also reads: with a `manifest.json`.
    Docker,
}

/// The result of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The document that the names refer to: the manifest, or the index of several images.
    pub target: Descriptor,
    /// The manifests, one for each image.
    pub manifests: Vec<Descriptor>,
    /// The configurations, one for each image.
    pub configs: Vec<Descriptor>,
    /// The creation time of the first image, in RFC 3339.
    pub created: Option<String>,
}

/// The input of an export.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// The images, one for each platform.
    pub images: &'a [Image],
    /// The names of the images.
    pub names: &'a [Reference],
    /// The options of `--output` for images.
    pub options: &'a ImageOptions,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// The format of the archive or directory.
    pub format: ImageFormat,
    /// The attestations, one for each image, in the same order. A docker archive cannot contain them.
    pub predicates: &'a [Predicate],
    /// Whether one image is below an index too, as several are.
    pub index: bool,
}

impl Export<'_> {
    /// Writes a tar archive.
    pub fn to_archive(&self, store: &Store, destination: &Destination, probe: &Probe) -> Result<Exported, ImageError> {
        self.archive_from(None, store, destination, probe)
    }

    /// Completes an archive, or writes a whole one if no draft is given or its layers are not those of the images.
    pub(crate) fn archive_from(
        &self,
        draft: Option<ArchiveDraft>,
        store: &Store,
        destination: &Destination,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        let span = probe.phase(Phase::Export);
        let ArchiveDraft { target, mut tar, begun } = match draft.filter(|draft| draft.begun.fits(self.wanted())) {
            Some(draft) => draft,
            None => ArchiveDraft::begin(destination, store)?,
        };
        span.detail(&target.what);
        let exported = self.write(begun, store, &mut tar, &span.probe())?;
        let size = tar.finish()?;
        span.quantity(Quantity::BytesWritten, size);
        target.publish()?;
        Ok(exported)
    }

    /// Writes a tar archive without the files of some layers, which its reader has.
    pub(crate) fn archive_without(
        &self,
        known: &[DiffId],
        store: &Store,
        destination: &Destination,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        let mut draft = ArchiveDraft::begin(destination, store)?;
        for (diff_id, transform) in
            self.wanted().filter(|(diff_id, transform)| transform.is_identity() && known.contains(diff_id))
        {
            draft.begun.layers.insert((diff_id, transform), unchanged(store, diff_id)?.1);
        }
        self.archive_from(Some(draft), store, destination, probe)
    }

    /// Writes a layout directory.
    pub fn to_directory(&self, store: &Store, directory: &Path, probe: &Probe) -> Result<Exported, ImageError> {
        self.directory_from(None, store, directory, probe)
    }

    /// Completes a layout directory, or writes a whole one if no draft is given or its layers are not those of the images.
    pub(crate) fn directory_from(
        &self,
        draft: Option<DirectoryDraft>,
        store: &Store,
        directory: &Path,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        let span = probe.phase(Phase::Export);
        span.detail(&directory.display().to_string());
        let DirectoryDraft { mut sink, begun } = match draft.filter(|draft| draft.begun.fits(self.wanted())) {
            Some(mut draft) => {
                draft.sink.publish()?;
                draft
            }
            None => DirectoryDraft { sink: DirectorySink::begin(directory)?, begun: DraftLayers::default() },
        };
        self.write(begun, store, &mut sink, &span.probe())
    }

    /// The result that an export would have, without writing it; `None` if it depends on rewriting or compressing layers.
    pub(crate) fn described(&self, store: &Store) -> Result<Option<Exported>, ImageError> {
        let mut encoded = Layers::new();
        for (diff_id, transform) in self.wanted() {
            if !transform.is_identity() {
                return Ok(None);
            }
            encoded.insert((diff_id, transform), unchanged(store, diff_id)?.1);
        }
        let layers: Vec<_> = self.images.iter().map(|image| self.blobs(image, &encoded)).collect();
        Ok(Some(self.all_documents(&layers).exported()))
    }

    /// The layers of all images, each with what becomes of it.
    fn wanted(&self) -> impl Iterator<Item = (DiffId, Transform)> {
        self.images.iter().flat_map(|image| {
            let layers = image.config.rootfs.diff_ids.iter().enumerate();
            layers.map(|(number, diff_id)| (*diff_id, self.transform(number < image.base_layers)))
        })
    }

    fn write(
        &self,
        begun: DraftLayers,
        store: &Store,
        sink: &mut dyn Sink,
        probe: &Probe,
    ) -> Result<Exported, ImageError> {
        let encoded = self.layers(begun, store, sink, probe)?;
        let layers: Vec<_> = self.images.iter().map(|image| self.blobs(image, &encoded)).collect();
        let documents = self.all_documents(&layers);
        let blobs = documents.configs.iter().chain(&documents.statements);
        for document in blobs.cloned().chain(documents.manifests_in_order()) {
            sink.blob(&document.descriptor.digest, &document.bytes)?;
        }
        if self.format == ImageFormat::Docker {
            let saved: Vec<_> = documents
                .configs
                .iter()
                .zip(&layers)
                .map(|(config, layers)| self.saved(&config.descriptor, layers))
                .collect();
            sink.file("manifest.json", &compact(&saved))?;
        }
        let exported = documents.exported();
        sink.file("index.json", &compact(&self.top(&exported.target)))?;
        sink.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(exported)
    }

    /// Writes every layer once, except those that the sink already has. Returns the blobs that the layers became.
    fn layers(
        &self,
        begun: DraftLayers,
        store: &Store,
        sink: &mut dyn Sink,
        probe: &Probe,
    ) -> Result<Layers, ImageError> {
        let mut done = begun.layers;
        let mut waiting: Vec<Job> = Vec::new();
        for (diff_id, transform) in self.wanted() {
            if done.contains_key(&(diff_id, transform))
                || waiting.iter().any(|job| (job.diff_id, job.transform) == (diff_id, transform))
            {
                continue;
            }
            let (file, whole) = unchanged(store, diff_id)?;
            let size = whole.size;
            if transform.is_identity() && sink.has(&diff_id.into(), size) {
                done.insert((diff_id, transform), whole);
                continue;
            }
            if transform.encoding != Encoding::Plain {
                // The size of a compressed layer is not known before it is written, so the layers are compressed
                // one after the other, each on all cores.
                let encoded = compress(store, diff_id, transform, sink, &Pace::default(), probe)?;
                done.insert((diff_id, transform), encoded);
                continue;
            }
            let region = sink.reserve(size)?;
            waiting.push(Job { diff_id, transform, file, size, region });
        }
        let encoded = waiting.par_iter().map(|job| job.run(store, probe)).collect::<Vec<_>>();
        // All layers are written before the first error is returned, so that all damaged layers are found.
        let encoded = encoded.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (job, encoded) in waiting.into_iter().zip(encoded) {
            sink.settle(job.region, &encoded.digest, encoded.size)?;
            done.insert((job.diff_id, job.transform), encoded);
        }
        Ok(done)
    }

    /// The transform of a layer in a file.
    fn transform(&self, base: bool) -> Transform {
        self.options.transform(self.epoch, base, Encoding::Plain)
    }

    /// The layers of an image in this export.
    fn blobs(&self, image: &Image, layers: &Layers) -> Vec<ImageLayer> {
        let media = |encoding: Encoding| if self.oci_types() { encoding.oci_layer() } else { encoding.docker_layer() };
        let blob = |(number, diff_id): (usize, &DiffId)| {
            let transform = self.transform(number < image.base_layers);
            let EncodedLayer { diff_id, digest, size } = layers[&(*diff_id, transform)];
            ImageLayer { descriptor: Descriptor::new(&media(transform.encoding), digest, size), diff_id }
        };
        image.config.rootfs.diff_ids.iter().enumerate().map(blob).collect()
    }

    /// Makes the configurations, manifests and index of the images. `layers` are the layers of each image.
    fn all_documents(&self, layers: &[Vec<ImageLayer>]) -> Documents {
        let (manifest_type, config_type, index_type) = if self.oci_types() {
            (media::OCI_MANIFEST, media::OCI_CONFIG, media::OCI_INDEX)
        } else {
            (media::DOCKER_MANIFEST, media::DOCKER_CONFIG, media::DOCKER_LIST)
        };
        let (mut configs, mut manifests) = (Vec::new(), Vec::new());
        for (image, layers) in self.images.iter().zip(layers) {
            let mut image = image.clone();
            let platform = image.platform();
            let annotated = |level| annotations(&self.options.annotations, level, Some(&platform));
            image.config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
            let config = Document::new(config_type, image.config_bytes());
            let manifest = Manifest {
                schema_version: 2,
                media_type: manifest_type.into(),
                config: config.descriptor.clone(),
                layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
                annotations: annotated(Level::Manifest),
            };
            let mut manifest = Document::new(manifest_type, manifest.to_bytes());
            manifest.descriptor.annotations = annotated(Level::ManifestDescriptor);
            manifest.descriptor.platform = Some(platform.clone());
            configs.push(config);
            manifests.push(manifest);
        }
        let predicates = if self.format == ImageFormat::Docker { &[] } else { self.predicates };
        let state = |(image, predicate): (&Document, _)| Attestation::of(predicate, &image.descriptor, self.names);
        let attestations: Vec<Attestation> = manifests.iter().zip(predicates).map(state).collect();
        let (mut statements, mut attesting) = (Vec::new(), Vec::new());
        for Attestation { blobs, manifest } in attestations {
            statements.extend(blobs);
            attesting.push(manifest);
        }
        let index = (self.index || manifests.len() + attesting.len() > 1).then(|| {
            let annotated = |level| annotations(&self.options.annotations, level, None);
            let index = Index {
                schema_version: 2,
                media_type: index_type.into(),
                manifests: manifests.iter().chain(&attesting).map(|manifest| manifest.descriptor.clone()).collect(),
                annotations: annotated(Level::Index),
            };
            let mut index = Document::new(index_type, index.to_bytes());
            index.descriptor.annotations = annotated(Level::IndexDescriptor);
            index
        });
        Documents { configs, statements, manifests, attesting, index, created: self.created() }
    }

    fn oci_types(&self) -> bool {
        self.options.has_oci_types()
    }

    /// The index in `index.json`: one entry for each name, or one without a name.
    fn top(&self, target: &Descriptor) -> Index {
        let created = self.created();
        let base: Annotations =
            target.annotations.clone().into_iter().chain(created.map(|time| (CREATED.to_owned(), time))).collect();
        let named = |name: &Reference| {
            let mut annotations = base.clone();
            annotations.insert(IMAGE_NAME.into(), Reference { digest: None, ..name.clone() }.to_string());
            annotations.insert(REF_NAME.into(), name.tag_or_latest().into());
            Descriptor { annotations, ..target.clone() }
        };
        let mut manifests: Vec<Descriptor> = self.names.iter().map(named).collect();
        if manifests.is_empty() {
            manifests.push(Descriptor { annotations: base, ..target.clone() });
        }
        Index { schema_version: 2, media_type: media::OCI_INDEX.into(), manifests, annotations: Annotations::new() }
    }

    fn created(&self) -> Option<String> {
        self.images.iter().find_map(|image| image.config.created.clone())
    }

    fn saved(&self, config: &Descriptor, layers: &[ImageLayer]) -> Saved {
        let path = |descriptor: &Descriptor| blob_path(descriptor.digest);
        let tag = |name: &Reference| {
            let familiar = name.familiar();
            match name.tag_or_latest() {
                "latest" => format!("{familiar}:latest"),
                _ => familiar,
            }
        };
        Saved {
            config: path(config),
            repo_tags: self.names.iter().map(tag).collect(),
            layers: layers.iter().map(|layer| path(&layer.descriptor)).collect(),
        }
    }
}

/// The documents of an export, with their bytes.
struct Documents {
    configs: Vec<Document>,
    /// The statements and configurations of attestations.
    statements: Vec<Document>,
    manifests: Vec<Document>,
    /// The manifests of attestations.
    attesting: Vec<Document>,
    created: Option<String>,
    /// The index, if there are several manifests.
    index: Option<Document>,
}

impl Documents {
    fn exported(&self) -> Exported {
        let only = |documents: &[Document]| documents.iter().map(|document| document.descriptor.clone()).collect();
        let (manifests, configs): (Vec<Descriptor>, _) = (only(&self.manifests), only(&self.configs));
        let target = self.index.iter().chain(&self.manifests).map(|document| document.descriptor.clone()).next();
        // An export has at least one image, so there is always a manifest.
        let target = target.unwrap_or_else(|| Descriptor::of(media::OCI_INDEX, b""));
        Exported { target, manifests, configs, created: self.created.clone() }
    }

    /// The manifests and the index, each after the documents that it refers to.
    fn manifests_in_order(&self) -> Vec<Document> {
        self.manifests.iter().chain(&self.attesting).chain(&self.index).cloned().collect()
    }
}

/// A layer as it is in the store, and its blob.
fn unchanged(store: &Store, diff_id: DiffId) -> Result<(File, EncodedLayer), ImageError> {
    let file = store.blobs().open(diff_id)?;
    let size = file.metadata().map_err(ImageError::file("read", store.blobs().path(diff_id)))?.len();
    Ok((file, EncodedLayer { diff_id, digest: diff_id.into(), size }))
}

/// Compresses a layer into a new region of the sink.
fn compress(
    store: &Store,
    diff_id: DiffId,
    transform: Transform,
    sink: &mut dyn Sink,
    pace: &Pace,
    probe: &Probe,
) -> Result<EncodedLayer, ImageError> {
    let span = probe.phase(Phase::Compress);
    let (_, EncodedLayer { size, .. }) = unchanged(store, diff_id)?;
    span.detail(transform.encoding.name()).quantity(Quantity::BytesCompressed, size);
    let region = sink.open()?;
    let encoded = transform.run(store, diff_id, &region, pace)?;
    sink.settle(region, &encoded.digest, encoded.size)?;
    Ok(encoded)
}

type Layers = HashMap<(DiffId, Transform), EncodedLayer>;

/// A layer to be written to a known region of the output.
struct Job {
    diff_id: DiffId,
    transform: Transform,
    file: File,
    size: u64,
    region: Region,
}

impl Job {
    fn run(&self, store: &Store, probe: &Probe) -> Result<EncodedLayer, ImageError> {
        let Self { diff_id, transform, file, size, region } = self;
        if transform.is_identity() {
            let span = probe.phase(Phase::Copy);
            span.quantity(Quantity::BytesWritten, *size);
            let failed = |error| ImageError::Write { what: format!("layer {diff_id}"), error };
            let copy = || copy::copy_range(file, 0, *size, &region.file, region.at);
            store.verified(&[*diff_id], copy)?.map_err(failed)?;
            return Ok(EncodedLayer { diff_id: *diff_id, digest: diff_id.into(), size: *size });
        }
        let span = probe.phase(Phase::Digest);
        span.quantity(Quantity::BytesHashed, *size);
        transform.run(store, *diff_id, region, &Pace::default())
    }
}

/// An image in `manifest.json` (moby, image/spec/v1.2.md).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

fn compact(document: &impl Serialize) -> Vec<u8> {
    // Serialising cannot fail: all keys are strings.
    serde_json::to_vec(document).expect("plain data")
}
