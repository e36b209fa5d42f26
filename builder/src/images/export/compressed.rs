//! Compressed blobs of the store's layers. Each layer is compressed once, and the digest of the result is remembered.

use super::super::pace::Pace;
use super::super::registry::BlobContent;
use super::super::resolved::Hashing;
use super::super::stored::Images;
use super::super::{Blobs, ImageError};
use super::Region;
use super::transform::{EncodedLayer, Transform};
use buildscope_oci::Descriptor;
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, Quantity};
use buildscope_storage::Store;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Compresses layers, and keeps the files until the blobs are sent. Clones share the files: several outputs and caches compress a
/// layer once.
#[derive(Clone)]
pub(crate) struct Compressed {
    store: Store,
    files: Arc<Mutex<Slots>>,
    pace: Arc<Pace>,
}

/// The place of one compressed layer, locked while it is made.
type Slot = Mutex<Option<(EncodedLayer, File)>>;

/// The compressed layers of a build.
type Slots = HashMap<(DiffId, Transform), Arc<Slot>>;

impl Compressed {
    pub(crate) fn of(store: &Store) -> Self {
        Self { store: store.clone(), files: Arc::default(), pace: Arc::default() }
    }

    /// The same layers, compressed at this pace.
    pub(crate) fn paced(&self, pace: &Arc<Pace>) -> Self {
        Self { pace: Arc::clone(pace), ..self.clone() }
    }

    /// Describes the compressed layer. It is only compressed if the result is not remembered.
    pub(crate) fn layer(
        &self,
        diff_id: DiffId,
        transform: Transform,
        probe: &Probe,
    ) -> Result<EncodedLayer, ImageError> {
        match Images::of(&self.store).note::<EncodedLayer>(&note(diff_id, transform))? {
            Some(encoded) => Ok(encoded),
            None => self.made(diff_id, transform, probe).map(|(encoded, _)| encoded),
        }
    }

    /// The bytes of a blob that [`layer`](Self::layer) described, made when they are needed.
    pub(crate) fn content(&self, digest: BlobDigest, diff_id: DiffId, transform: Transform) -> BlobContent {
        let this = self.clone();
        BlobContent::Lazy(Box::new(move || {
            // If the layer was compressed in an earlier build, compressing it again gives the same bytes.
            let (encoded, file) = this.made(diff_id, transform, &Probe::disabled())?;
            if encoded.digest == digest {
                Ok(file)
            } else {
                Err(ImageError::BlobDigest { origin: diff_id.to_string(), wanted: digest, found: encoded.digest })
            }
        }))
    }

    /// The compressed layer and its file. A thread that needs a layer which another thread compresses waits for it.
    fn made(&self, diff_id: DiffId, transform: Transform, probe: &Probe) -> Result<(EncodedLayer, File), ImageError> {
        let slot = Arc::clone(self.files.lock().entry((diff_id, transform)).or_default());
        let mut made = slot.lock();
        let (encoded, file) = match made.take() {
            Some(known) => made.insert(known),
            None => {
                let compressed = self.compress(diff_id, transform, probe)?;
                Images::of(&self.store).take_note(&note(diff_id, transform), &compressed.0)?;
                made.insert(compressed)
            }
        };
        let file = file.try_clone().map_err(|error| ImageError::Read { origin: encoded.digest.to_string(), error })?;
        Ok((*encoded, file))
    }

    /// A blob that is sent as it is: fetched from its source and verified.
    pub(crate) fn original(&self, from: Arc<dyn Blobs>, descriptor: Descriptor) -> BlobContent {
        let store = self.store.clone();
        BlobContent::Lazy(Box::new(move || {
            let origin = from.origin();
            let mut bytes = Hashing::new(from.open(&descriptor)?);
            let file = nameless(&store)?;
            io::copy(&mut bytes, &mut &file).map_err(|error| ImageError::Read { origin: origin.to_owned(), error })?;
            match bytes.finish() {
                (found, _) if found == descriptor.digest => Ok(file),
                (found, _) => {
                    Err(ImageError::BlobDigest { origin: origin.to_owned(), wanted: descriptor.digest, found })
                }
            }
        }))
    }

    fn compress(
        &self,
        diff_id: DiffId,
        transform: Transform,
        probe: &Probe,
    ) -> Result<(EncodedLayer, File), ImageError> {
        let span = probe.phase(Phase::Compress);
        let from = self.store.blobs().open(diff_id)?;
        let size = from.metadata().map_err(ImageError::file("read", self.store.blobs().path(diff_id)))?.len();
        span.detail(transform.encoding.name()).quantity(Quantity::BytesCompressed, size);
        let file = nameless(&self.store)?;
        let to = file.try_clone().map_err(|error| ImageError::Write { what: format!("layer {diff_id}"), error })?;
        let encoded = transform.run(&self.store, diff_id, &Region::of(to), &self.pace)?;
        Ok((encoded, file))
    }
}

/// The name of the note that describes a compressed layer. The number at its end must be raised whenever the same
/// transform gives different bytes than before.
fn note(diff_id: DiffId, Transform { epoch, encoding, level }: Transform) -> String {
    let epoch = epoch.map_or_else(|| "own".into(), |epoch| epoch.to_string());
    let level = level.map_or_else(|| "default".into(), |level| level.to_string());
    format!("blobs/{}-{encoding:?}-{level}-{epoch}-3", diff_id.hex())
}

/// Creates a file without a name, which disappears with its last handle.
fn nameless(store: &Store) -> Result<File, ImageError> {
    let folder = store.root().join("tmp");
    tempfile::tempfile_in(&folder).map_err(ImageError::file("create a file in", folder))
}
