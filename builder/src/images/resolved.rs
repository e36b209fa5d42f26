//! A resolved image: its documents are at hand, its layers can be had.

use super::ImageError;
use buildscope_oci::{Descriptor, Index, Manifest, media};
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::{BlobDigest, DiffId, ManifestDigest};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Read;
use std::sync::Arc;

/// The largest manifest, index or configuration that is read, in bytes. Registries allow 4 MiB; configurations of
/// images with very long histories are larger than their manifests.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// How deep indexes may lie in indexes.
const DEEPEST_INDEX: usize = 4;

/// Where an image's blobs come from.
pub trait Blobs: Send + Sync + fmt::Debug {
    /// The blob's bytes as stored; the caller verifies them.
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError>;

    /// What this is called in errors and records: a path, a reference.
    fn origin(&self) -> &str;

    /// Whether reading is a transfer over a network.
    fn is_remote(&self) -> bool {
        false
    }
}

/// One image for one platform.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// The digest of its manifest.
    pub digest: ManifestDigest,
    /// Its manifest, as stored.
    pub manifest: Arc<Manifest>,
    /// The bytes of its manifest: what the digest is of.
    pub manifest_bytes: Arc<[u8]>,
    /// Its configuration.
    pub config: Arc<ImageConfig>,
    /// The bytes of its configuration.
    pub config_bytes: Arc<[u8]>,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Where the layers can be had.
    pub blobs: Arc<dyn Blobs>,
}

/// A layer as an image's two documents describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// The blob in the manifest.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar, from the configuration.
    pub diff_id: DiffId,
}

impl ResolvedImage {
    /// Follows a descriptor through indexes to the image for `platform`, and reads its documents.
    pub fn load(blobs: Arc<dyn Blobs>, root: &Descriptor, platform: &Platform) -> Result<Self, ImageError> {
        let mut descriptor = root.clone();
        for _ in 0..DEEPEST_INDEX {
            let bytes = read_document(&*blobs, &descriptor)?;
            match parse(blobs.origin(), &descriptor, &bytes)? {
                Parsed::Index(index) => descriptor = pick(blobs.origin(), &index.manifests, platform)?.clone(),
                Parsed::Manifest(manifest) => {
                    return Self::of_manifest(blobs, descriptor.digest.to_manifest(), *manifest, bytes);
                }
            }
        }
        Err(ImageError::malformed(blobs.origin(), format!("indexes lie in each other more than {DEEPEST_INDEX} deep")))
    }

    /// Reads the configuration and puts layers and diff ids side by side.
    pub(crate) fn of_manifest(
        blobs: Arc<dyn Blobs>,
        digest: ManifestDigest,
        manifest: Manifest,
        bytes: Vec<u8>,
    ) -> Result<Self, ImageError> {
        let origin = blobs.origin();
        if manifest.config.media_type == media::IN_TOTO
            || manifest.layers.iter().any(|l| l.media_type == media::IN_TOTO)
        {
            return Err(ImageError::malformed(origin, format!("manifest {digest} is an attestation, no image")));
        }
        let config_bytes = read_document(&*blobs, &manifest.config)?;
        let config: ImageConfig = json(origin, "the image's configuration", &config_bytes)?;
        let (layers, ids) = (&manifest.layers, &config.rootfs.diff_ids);
        if layers.len() != ids.len() {
            let fault =
                format!("the manifest has {} layers, but the configuration {} diff ids", layers.len(), ids.len());
            return Err(ImageError::malformed(origin, fault));
        }
        let pairs = layers.iter().zip(ids);
        let layers =
            pairs.map(|(layer, diff_id)| ImageLayer { descriptor: layer.clone(), diff_id: *diff_id }).collect();
        Ok(Self {
            digest,
            manifest: Arc::new(manifest),
            manifest_bytes: bytes.into(),
            config: Arc::new(config),
            config_bytes: config_bytes.into(),
            layers,
            blobs,
        })
    }

    /// The image's platform, in normal form.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.config.os, &self.config.architecture, self.config.variant.as_deref())
    }
}

/// What a document turned out to be.
pub(crate) enum Parsed {
    /// Several images.
    Index(Index),
    /// One.
    Manifest(Box<Manifest>),
}

/// By media type, else by what it has: OCI allows documents that do not say what they are.
pub(crate) fn parse(origin: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<Parsed, ImageError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        schema_version: Option<u32>,
        manifests: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let what = || format!("document {}", descriptor.digest);
    let probe: Probe = json(origin, what(), bytes)?;
    match (probe.schema_version, probe.manifests, probe.config) {
        (Some(1), ..) => Err(ImageError::malformed(
            origin,
            "it is a manifest of docker's schema 1, which was given up in 2022: push the image again",
        )),
        // Both at once is the confusion that CVE-2021-41190 is about.
        (_, Some(_), Some(_)) => Err(ImageError::malformed(
            origin,
            format!("document {} is both an index and a manifest", descriptor.digest),
        )),
        (_, Some(_), None) => Ok(Parsed::Index(json(origin, what(), bytes)?)),
        (_, None, Some(_)) if !descriptor.is_index() => Ok(Parsed::Manifest(Box::new(json(origin, what(), bytes)?))),
        _ => Err(ImageError::malformed(
            origin,
            format!("document {} is neither an image index nor a manifest", descriptor.digest),
        )),
    }
}

/// The entry of an index that suits the platform best; the first of equals.
pub(crate) fn pick<'a>(
    origin: &str,
    entries: &'a [Descriptor],
    wanted: &Platform,
) -> Result<&'a Descriptor, ImageError> {
    let images = || entries.iter().filter(|entry| !entry.is_about());
    let platform = |entry: &&Descriptor| entry.platform.clone().filter(|platform| !platform.os.is_empty());
    let suiting = images().filter_map(|entry| Some((wanted.distance(&platform(&entry)?)?, entry)));
    if let Some((_, best)) = suiting.min_by_key(|(distance, _)| *distance) {
        return Ok(best);
    }
    // Entries that say nothing about their platform are taken as they are.
    let mut silent = images().filter(|entry| platform(entry).is_none());
    match (silent.next(), silent.next()) {
        (Some(only), None) => Ok(only),
        _ => {
            let mut found: Vec<String> = images().filter_map(|entry| platform(&entry)).map(|p| p.to_string()).collect();
            if found.is_empty() {
                found.push("none".into());
            }
            Err(ImageError::NoPlatform { origin: origin.to_owned(), wanted: wanted.to_string(), found })
        }
    }
}

/// Reads a whole small blob and verifies its size and digest.
pub(crate) fn read_document(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
    let (origin, wanted, size) = (blobs.origin(), descriptor.digest, descriptor.size);
    if size > LARGEST_DOCUMENT {
        return Err(ImageError::malformed(
            origin,
            format!("document {wanted} is said to have {size} bytes; at most {LARGEST_DOCUMENT} are read"),
        ));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    let read = blobs.open(descriptor)?.take(size + 1).read_to_end(&mut bytes);
    read.map_err(|source| ImageError::Read { origin: origin.to_owned(), source })?;
    if bytes.len() as u64 != size {
        let (found, more) = (bytes.len() as u64, bytes.len() as u64 > size);
        let found = if more { size } else { found };
        return Err(ImageError::BlobSize { origin: origin.to_owned(), wanted, expected: size, found, more });
    }
    match BlobDigest::of(&bytes) {
        found if found == wanted => Ok(bytes),
        found => Err(ImageError::BlobDigest { origin: origin.to_owned(), wanted, found }),
    }
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(
    origin: &str,
    what: impl Into<String>,
    bytes: &[u8],
) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Json {
        origin: origin.to_owned(),
        what: what.into(),
        source,
    })
}

/// Hashes and counts what is read through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), read: 0 }
    }

    /// The digest and number of the bytes read so far.
    pub(crate) fn finish(self) -> (BlobDigest, u64) {
        (BlobDigest::from_bytes(self.hash.finalize().into()), self.read)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.read += read as u64;
        Ok(read)
    }
}
