//! `type=registry`: an image to where its names say.

use super::super::local::Images;
use super::super::registry::{Cargo, Source};
use super::super::resolved::Hashing;
use super::super::{Descriptor, Encoding, Image, ImageError, Reference, Registries};
use super::transform::{Transform, Written};
use super::{Export, Exported, LayerBlob, Region};
use crate::storage::Store;
use buildscope_record::{Digest, Phase, Probe, Quantity};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Compressed layers of this export by their digest, until they are sent.
type Files = Arc<Mutex<HashMap<Digest, File>>>;

impl Export<'_> {
    /// Pushes the images under all their names. Layers are compressed once: what they become is remembered, so that an
    /// image that a registry has already costs one question.
    pub fn to_registry(&self, store: &Store, registries: &Registries, probe: &Probe) -> Result<Exported, ImageError> {
        if self.names.is_empty() {
            return Err(ImageError::malformed("--output", "pushing needs a name: `-t NAME` or `name=NAME`"));
        }
        let files = Files::default();
        let mut layers: Vec<Vec<(LayerBlob, Made)>> = Vec::new();
        for image in self.images {
            let ids = image.config.rootfs.diff_ids.iter().enumerate();
            layers.push(
                ids.map(|(number, id)| self.layer(store, image, number, *id, &files, probe))
                    .collect::<Result<_, _>>()?,
            );
        }
        let blobs: Vec<Vec<LayerBlob>> =
            layers.iter().map(|layers| layers.iter().map(|layer| layer.0.clone()).collect()).collect();
        let documents = self.all_documents(&blobs);
        for name in self.names {
            let made = layers.iter().flatten().map(|(blob, made)| made.cargo(blob, name, store, &files));
            let configs = documents.configs.iter().map(|(descriptor, bytes)| Cargo {
                descriptor: descriptor.clone(),
                from: None,
                source: Source::Bytes(bytes.clone()),
            });
            let mut cargo: Vec<Cargo> = Vec::new();
            for one in made.chain(configs) {
                if !cargo.iter().any(|other| other.descriptor.digest == one.descriptor.digest) {
                    cargo.push(one);
                }
            }
            registries.push(name, &cargo, &documents.manifests_in_order(), probe)?;
        }
        Ok(documents.exported())
    }

    fn layer(
        &self,
        store: &Store,
        image: &Image,
        number: usize,
        diff_id: Digest,
        files: &Files,
        probe: &Probe,
    ) -> Result<(LayerBlob, Made), ImageError> {
        let mut transform = self.transform(number < image.base_layers);
        // A registry's layers are compressed unless one says otherwise: BuildKit's default.
        transform.encoding = self.options.compression.unwrap_or(Encoding::Gzip);
        if let Some(base) = image.base.as_ref().filter(|_| number < image.base_layers && !self.options.force) {
            // A base image's layer stays the blob that it came in, so that it can be mounted or is there already.
            let descriptor = base.layers[number].descriptor.clone();
            let plain = Encoding::Plain.oci_layer() == descriptor.media_type || descriptor.digest == diff_id;
            if !plain {
                let made = Made::Original { base: Arc::clone(base), number };
                return Ok((LayerBlob { descriptor, diff_id }, made));
            }
        }
        let images = Images::of(store);
        let note = format!("blobs/{}", note(diff_id, transform));
        let written = match images.note::<Written>(&note)? {
            Some(written) => written,
            None => {
                let (written, file) = compress(store, diff_id, transform, probe)?;
                images.take_note(&note, &written)?;
                files.lock().unwrap_or_else(PoisonError::into_inner).insert(written.digest, file);
                written
            }
        };
        let media = if self.oci_types() { transform.encoding.oci_layer() } else { transform.encoding.docker_layer() };
        let descriptor = Descriptor::new(&media, written.digest, written.size);
        Ok((LayerBlob { descriptor, diff_id: written.diff_id }, Made::Here { diff_id, transform }))
    }
}

/// Where a layer's bytes come from.
#[derive(Clone)]
enum Made {
    /// From the store, transformed.
    Here { diff_id: Digest, transform: Transform },
    /// From where the base image came from.
    Original { base: Arc<super::super::ResolvedImage>, number: usize },
}

impl Made {
    fn cargo(&self, blob: &LayerBlob, name: &Reference, store: &Store, files: &Files) -> Cargo {
        let (digest, store, files, made) = (blob.descriptor.digest, store.clone(), Arc::clone(files), self.clone());
        let from = match self {
            Self::Original { base, .. } => {
                let origin = base.blobs.origin().parse::<Reference>().ok();
                origin
                    .filter(|origin| base.blobs.is_remote() && origin.registry == name.registry)
                    .map(|origin| origin.repository)
            }
            Self::Here { .. } => None,
        };
        let source = Source::Made(Box::new(move || {
            if let Some(file) = files.lock().unwrap_or_else(PoisonError::into_inner).get(&digest) {
                return file.try_clone().map_err(|source| ImageError::Read { origin: digest.to_string(), source });
            }
            match &made {
                Self::Here { diff_id, transform } => {
                    // It was compressed before, and the registry has lost it: the same input gives the same bytes.
                    let (written, file) = compress(&store, *diff_id, *transform, &Probe::disabled())?;
                    match written.digest == digest {
                        true => Ok(file),
                        false => Err(ImageError::BlobDigest {
                            origin: diff_id.to_string(),
                            wanted: digest,
                            found: written.digest,
                        }),
                    }
                }
                Self::Original { base, number } => fetch(&store, base, *number),
            }
        }));
        Cargo { descriptor: blob.descriptor.clone(), from, source }
    }
}

/// The name under which it is remembered what a layer became.
fn note(diff_id: Digest, Transform { epoch, encoding, level }: Transform) -> String {
    let (epoch, level) = (
        epoch.map_or_else(|| "own".into(), |e| e.to_string()),
        level.map_or_else(|| "default".into(), |l| l.to_string()),
    );
    format!("{}-{encoding:?}-{level}-{epoch}", diff_id.hex())
}

fn compress(
    store: &Store,
    diff_id: Digest,
    transform: Transform,
    probe: &Probe,
) -> Result<(Written, File), ImageError> {
    let span = probe.phase(Phase::Compress);
    let from = store.blobs().open(&diff_id)?;
    let size = from.metadata().map_err(ImageError::file("read", store.blobs().path(&diff_id)))?.len();
    span.quantity(Quantity::BytesCompressed, size);
    let file = nameless(store)?;
    let written = transform.run(
        &from,
        diff_id,
        &Region::of(file.try_clone().map_err(|source| written_to("a layer", source))?),
    )?;
    Ok((written, file))
}

/// A base image's blob, fetched and verified.
fn fetch(store: &Store, base: &super::super::ResolvedImage, number: usize) -> Result<File, ImageError> {
    let descriptor = &base.layers[number].descriptor;
    let origin = base.blobs.origin();
    let mut from = Hashing::new(base.blobs.open(descriptor)?);
    let file = nameless(store)?;
    io::copy(&mut from, &mut &file).map_err(|source| ImageError::Read { origin: origin.to_owned(), source })?;
    match from.finish() {
        (found, _) if found == descriptor.digest => Ok(file),
        (found, _) => Err(ImageError::BlobDigest { origin: origin.to_owned(), wanted: descriptor.digest, found }),
    }
}

/// A file without a name, gone with its last handle.
fn nameless(store: &Store) -> Result<File, ImageError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("blob-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = store.root().join("tmp").join(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(ImageError::file("create", &path))?;
    std::fs::remove_file(&path).map_err(ImageError::file("remove", &path))?;
    Ok(file)
}

fn written_to(what: &str, source: io::Error) -> ImageError {
    ImageError::Write { what: what.to_owned(), source }
}
