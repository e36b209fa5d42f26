//! Delivery that starts while steps run: layers are compressed, written and sent as soon as they exist.
//!
//! *Takes* outputs and caches, and layers that they will certainly have. *Gives* drafts, which [`Delivery`](super::Delivery) completes
//! when the image is known. A draft that is dropped leaves nothing. An error of a draft is not reported: the delivery does its work
//! again, and reports it.

use super::cache::ImportedCache;
use super::export::{Added, ArchiveDraft, DirectoryDraft, ImageOptions, LayerWriter, PreparedBlobs, Push};
use super::pace::Pace;
use super::registry::BlobUpload;
use super::{CacheTo, Destination, ImageError, OriginalBlob, Output, OutputKind, Registries};
use buildscope_oci::{Descriptor, Encoding, Reference};
use buildscope_record::{DiffId, Probe};
use buildscope_storage::Store;
use std::sync::Arc;

/// The shared state of early deliveries of one build.
#[derive(Clone)]
pub struct EarlyDelivery {
    /// The store with the layers.
    pub store: Store,
    /// The names in `--tag`.
    pub names: Vec<Reference>,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// The registries to push to. `None` offline.
    pub registries: Option<Registries>,
    /// The imported cache, which may have layers that were not fetched.
    pub imported: Arc<ImportedCache>,
    /// The blobs that were compressed and sent so far.
    pub prepared: Arc<PreparedBlobs>,
    /// The pace of this work.
    pub pace: Arc<Pace>,
    /// The probe that records this work.
    pub probe: Probe,
}

/// A started output or cache.
pub struct Draft(DraftKind);

enum DraftKind {
    Archive(ArchiveDraft, ImageOptions),
    Directory(DirectoryDraft, ImageOptions),
    Push(ImageOptions, Vec<Reference>),
    Cache(CacheTo),
}

impl EarlyDelivery {
    /// Starts an output; `None` if nothing of it can be done before its image is complete.
    pub fn begin(&self, output: &Output) -> Option<Draft> {
        let options = output.image.clone();
        let kind = match &output.kind {
            OutputKind::Oci { dest, tar: true } | OutputKind::Docker { dest: Some(dest) } => {
                DraftKind::Archive(ArchiveDraft::begin(dest, &self.store).ok()?, options)
            }
            OutputKind::Oci { dest: Destination::Path(path), tar: false } => {
                DraftKind::Directory(DirectoryDraft::begin(path)?, options)
            }
            OutputKind::Image { push: true } => {
                let named =
                    options.names.iter().map(|name| name.parse()).collect::<Result<Vec<Reference>, _>>().ok()?;
                DraftKind::Push(options, [&self.names[..], &named].concat())
            }
            // The files of an image are those of all its layers, and a daemon takes whole archives.
            OutputKind::Oci { .. }
            | OutputKind::Docker { dest: None }
            | OutputKind::Local { .. }
            | OutputKind::Tar { .. }
            | OutputKind::Image { push: false }
            | OutputKind::CacheOnly => return None,
        };
        Some(Draft(kind))
    }

    /// Starts a cache; `None` if it has no layers.
    pub(crate) fn begin_cache(&self, cache: &CacheTo) -> Option<Draft> {
        cache.options().map(|_| Draft(DraftKind::Cache(cache.clone())))
    }

    /// Adds the next layer, whose blob is given if it is of the base image. Returns whether the draft has it now: a layer of a base
    /// image may not have been fetched yet.
    pub fn add(&self, draft: &mut Draft, diff_id: DiffId, of_base: Option<&OriginalBlob>) -> Result<bool, ImageError> {
        let Self { store, pace, probe, epoch, .. } = self;
        let writer = LayerWriter { store, pace, probe };
        let transform = |options: &ImageOptions| options.transform(*epoch, of_base.is_some(), Encoding::Plain);
        let added = match &mut draft.0 {
            DraftKind::Archive(archive, options) => archive.add((diff_id, transform(options)), writer)?,
            DraftKind::Directory(directory, options) => directory.add((diff_id, transform(options)), writer)?,
            DraftKind::Push(options, names) => {
                self.send((diff_id, of_base), options, names)?;
                Added::Done
            }
            DraftKind::Cache(cache) => {
                self.cache(diff_id, cache)?;
                Added::Done
            }
        };
        Ok(added == Added::Done)
    }

    /// Sends a layer to all repositories that will have the image.
    fn send(
        &self,
        (diff_id, of_base): (DiffId, Option<&OriginalBlob>),
        options: &ImageOptions,
        names: &[Reference],
    ) -> Result<(), ImageError> {
        let Some(registries) = &self.registries else { return Ok(()) };
        let compressed = self.prepared.compressed.paced(&self.pace);
        let push = Push {
            options,
            epoch: self.epoch,
            store: &self.store,
            cache: Some(&self.imported),
            compressed: &compressed,
            probe: &self.probe,
        };
        let (layer, source) = push.layer(diff_id, of_base)?;
        for name in names {
            let upload = source.upload(&layer.descriptor, name, &compressed);
            // A blob of another repository is mounted, which takes one request.
            if upload.from.is_none() {
                self.prepared.uploads.send(registries, name, &upload, &self.pace, &self.probe)?;
            }
        }
        Ok(())
    }

    /// Compresses a layer for a cache. A registry gets it at once; other caches have no unfinished blobs.
    fn cache(&self, diff_id: DiffId, cache: &CacheTo) -> Result<(), ImageError> {
        let Some(options) = cache.options().filter(|_| self.store.blobs().contains(diff_id)) else {
            return Ok(());
        };
        let (compressed, transform) = (self.prepared.compressed.paced(&self.pace), options.transform());
        let encoded = compressed.layer(diff_id, transform, &self.probe)?;
        if let (CacheTo::Registry { reference, .. }, Some(registries)) = (cache, &self.registries) {
            let descriptor = Descriptor::new(&options.compression.oci_layer(), encoded.digest, encoded.size);
            let content = compressed.content(encoded.digest, diff_id, transform);
            let upload = BlobUpload { descriptor, from: None, content };
            self.prepared.uploads.send(registries, reference, &upload, &self.pace, &self.probe)?;
        }
        Ok(())
    }
}

impl Draft {
    /// The started archive, if it is one.
    pub(super) fn into_archive(self) -> Option<ArchiveDraft> {
        match self.0 {
            DraftKind::Archive(archive, _) => Some(archive),
            DraftKind::Directory(..) | DraftKind::Push(..) | DraftKind::Cache(_) => None,
        }
    }

    /// The started directory, if it is one.
    pub(super) fn into_directory(self) -> Option<DirectoryDraft> {
        match self.0 {
            DraftKind::Directory(directory, _) => Some(directory),
            DraftKind::Archive(..) | DraftKind::Push(..) | DraftKind::Cache(_) => None,
        }
    }
}
