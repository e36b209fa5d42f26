//! Resolved images: their documents are loaded, their layers can be fetched.

use super::ImageError;
use buildscope_oci::{Descriptor, Index, Manifest, media};
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::{BlobDigest, DiffId, ManifestDigest};
use buildscope_storage::MAX_LAYERS;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Read;
use std::sync::Arc;

/// The largest manifest, index or configuration that is read, in bytes. Registries allow 4 MiB for a manifest, but the
/// configuration of an image with a very long history may be larger.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// The deepest nesting of indexes that is followed.
const DEEPEST_INDEX: usize = 4;

/// A source of blobs.
pub trait Blobs: Send + Sync + fmt::Debug {
    /// Opens a blob. The caller must verify its digest and size.
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError>;

    /// The name of the source in errors and records: a path or a reference.
    fn origin(&self) -> &str;

    /// Whether reading is a transfer over a network.
    fn is_remote(&self) -> bool {
        false
    }
}

/// One image for one platform.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// The digest of the manifest.
    pub digest: ManifestDigest,
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The bytes of the manifest, which have the digest.
    pub manifest_bytes: Arc<[u8]>,
    /// The configuration.
    pub config: Arc<ImageConfig>,
    /// The bytes of the configuration.
    pub config_bytes: Arc<[u8]>,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// The source of the layers.
    pub blobs: Arc<dyn Blobs>,
}

/// The blob of a layer of another image or of a cache.
#[derive(Clone, Debug)]
pub struct OriginalBlob {
    /// The type, digest and size.
    pub descriptor: Descriptor,
    /// The source of the bytes.
    pub blobs: Arc<dyn Blobs>,
}

/// A layer of a resolved image, from its manifest and its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// The descriptor of the blob, from the manifest.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar, from the configuration.
    pub diff_id: DiffId,
}

impl ResolvedImage {
    /// The blob of a layer, counted from the lowest; `None` if the image has fewer.
    pub fn original(&self, number: usize) -> Option<OriginalBlob> {
        let descriptor = self.layers.get(number)?.descriptor.clone();
        Some(OriginalBlob { descriptor, blobs: Arc::clone(&self.blobs) })
    }

    /// Reads the documents of an image. Indexes are followed to the manifest for `platform`.
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
        Err(ImageError::malformed(blobs.origin(), format!("indexes are nested more than {DEEPEST_INDEX} deep")))
    }

    /// Reads the configuration and matches layers with diff ids.
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
            return Err(ImageError::malformed(origin, format!("manifest {digest} is an attestation, not an image")));
        }
        let config_bytes = read_document(&*blobs, &manifest.config)?;
        let config: ImageConfig = json(origin, "the image's configuration", &config_bytes)?;
        if let Some(field) = config.config.nul() {
            let reason =
                format!("{field} in the image's configuration contains a NUL character, which no process can be given");
            return Err(ImageError::malformed(origin, reason));
        }
        let (layers, ids) = (&manifest.layers, &config.rootfs.diff_ids);
        if layers.len() != ids.len() {
            let reason =
                format!("the manifest has {} layers, but the configuration {} diff ids", layers.len(), ids.len());
            return Err(ImageError::malformed(origin, reason));
        }
        if layers.len() > MAX_LAYERS {
            let reason = format!("it has {} layers, more than the limit of {MAX_LAYERS}", layers.len());
            return Err(ImageError::malformed(origin, reason));
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

    /// The normalised platform of the image.
    pub fn platform(&self) -> Platform {
        self.config.platform()
    }
}

/// A parsed document.
pub(crate) enum Parsed {
    /// An index of several manifests.
    Index(Index),
    /// The manifest of one image.
    Manifest(Box<Manifest>),
}

/// Parses an index or a manifest. Its kind is determined by the media type, or by its fields if it has none, as OCI
/// allows.
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
            "manifest of docker's schema 1, which is no longer supported: push the image again with a current docker",
        )),
        // An ambiguous document is the problem of CVE-2021-41190.
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

/// Picks the entry of an index that suits the platform best. Of equally good entries, it picks the first.
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
    // A single entry without a platform is used for every platform.
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

/// Reads a small blob into memory and verifies its size and digest.
pub(crate) fn read_document(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
    let (origin, wanted, size) = (blobs.origin(), descriptor.digest, descriptor.size);
    if size > LARGEST_DOCUMENT {
        return Err(ImageError::malformed(
            origin,
            format!("document {wanted} is too large: {size} bytes, the limit is {LARGEST_DOCUMENT}"),
        ));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    let read = blobs.open(descriptor)?.take(size + 1).read_to_end(&mut bytes);
    read.map_err(|error| ImageError::Read { origin: origin.to_owned(), error })?;
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
    serde_json::from_slice(bytes).map_err(|error| ImageError::Json {
        origin: origin.to_owned(),
        what: what.into(),
        error,
    })
}

/// Hashes and counts the bytes that are read through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    read: u64,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), read: 0 }
    }

    /// The digest and the number of the bytes read so far.
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
