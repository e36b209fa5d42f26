//! The store's own images: documents by digest, and names that refer to them.

use super::{Blobs, Exported, Image, ImageError, ResolvedImage};
use buildscope_oci::{Descriptor, Encoding, Index, Manifest, media};
use buildscope_oci::{Platform, Reference};
use buildscope_record::{BlobDigest, DiffId, Digest};
use buildscope_storage::Store;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The images of a store. Below the root of the store are `images/documents/HEX` (manifests, configurations, indexes)
/// and `images/names/HEX` (by the digest of the name). Files are written atomically, by a rename.
#[derive(Clone)]
pub struct Images {
    store: Store,
    root: Arc<Path>,
}

/// The name of an image in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The complete name: registry, repository, tag.
    pub name: String,
    /// The manifest or index that the name refers to.
    pub target: Descriptor,
}

impl Images {
    /// The images of this store.
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone(), root: store.root().join("images").into() }
    }

    /// The image with that name, if there is one.
    pub fn find(&self, reference: &Reference, platform: &Platform) -> Result<Option<ResolvedImage>, ImageError> {
        let name = Reference { digest: None, ..reference.clone() };
        let Some(named) = self.remembered::<Named>(&self.name_path(&name))? else { return Ok(None) };
        match reference.digest {
            Some(digest) if BlobDigest::from(digest) != named.target.digest => Ok(None),
            _ => match self.load(&named.target, platform) {
                // A document was lost, for example with the power. The image can be fetched or made again.
                Err(ImageError::BlobMissing { .. } | ImageError::BlobSize { .. } | ImageError::BlobDigest { .. }) => {
                    Ok(None)
                }
                loaded => loaded.map(Some),
            },
        }
    }

    /// Loads an image whose documents are in the store.
    pub fn load(&self, target: &Descriptor, platform: &Platform) -> Result<ResolvedImage, ImageError> {
        ResolvedImage::load(Arc::new(self.clone()), target, platform)
    }

    /// All names, sorted.
    pub fn names(&self) -> Result<Vec<Named>, ImageError> {
        let folder = self.root.join("names");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(ImageError::file("read", &folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(ImageError::file("read", &folder))?.path();
            names.extend(self.remembered::<Named>(&path)?);
        }
        names.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(names)
    }

    /// Gives an image a name. The name no longer refers to the image that had it before.
    pub fn name(&self, reference: &Reference, target: &Descriptor) -> Result<(), ImageError> {
        let name = Reference { digest: None, ..reference.clone() };
        self.remember(&self.name_path(&name), &Named { name: name.to_string(), target: target.clone() })
    }

    /// Keeps an image whose layers are in the store, uncompressed. Returns the descriptor of its manifest.
    pub fn keep(&self, image: &Image) -> Result<Descriptor, ImageError> {
        let layer = |diff_id: &DiffId| {
            let path = self.store.blobs().path(diff_id);
            let size = fs::metadata(&path).map_err(ImageError::file("read", path))?.len();
            Ok(Descriptor::new(&Encoding::Plain.oci_layer(), *diff_id, size))
        };
        let config = image.config_bytes();
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::OCI_MANIFEST.into(),
            config: Descriptor::of(media::OCI_CONFIG, &config),
            layers: image.config.rootfs.diff_ids.iter().map(layer).collect::<Result<_, ImageError>>()?,
            annotations: Default::default(),
        }
        .to_bytes();
        self.keep_if_writable(&config)?;
        self.keep_if_writable(&manifest)?;
        Ok(Descriptor { platform: Some(image.platform()), ..Descriptor::of(media::OCI_MANIFEST, &manifest) })
    }

    /// Keeps the images of one build. Several images are kept below an index; with `index`, one image is too.
    pub(crate) fn keep_all(&self, images: &[Image], index: bool) -> Result<Exported, ImageError> {
        let manifests = images.iter().map(|image| self.keep(image)).collect::<Result<Vec<_>, _>>()?;
        let configs = images.iter().map(|image| Descriptor::of(media::OCI_CONFIG, &image.config_bytes())).collect();
        let target = match &manifests[..] {
            [only] if !index => only.clone(),
            manifests => {
                let index = Index {
                    schema_version: 2,
                    media_type: media::OCI_INDEX.into(),
                    manifests: manifests.to_vec(),
                    annotations: Default::default(),
                }
                .to_bytes();
                self.keep_if_writable(&index)?;
                Descriptor::of(media::OCI_INDEX, &index)
            }
        };
        Ok(Exported {
            target,
            manifests,
            configs,
            created: images.iter().find_map(|image| image.config.created.clone()),
        })
    }

    /// Keeps a manifest, an index or a configuration.
    pub(crate) fn keep_document(&self, bytes: &[u8]) -> Result<BlobDigest, ImageError> {
        let digest = BlobDigest::of(bytes);
        if self.document(&digest).is_none() {
            self.write(&self.document_path(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Keeps a document, except in a read-only store: only a name needs it there, and a name is not possible there.
    fn keep_if_writable(&self, bytes: &[u8]) -> Result<(), ImageError> {
        match self.keep_document(bytes) {
            Err(ImageError::File { error, .. }) if is_read_only(&error) => Ok(()),
            kept => kept.map(drop),
        }
    }

    /// A document in the store. A damaged one counts as missing.
    pub(crate) fn document(&self, digest: &BlobDigest) -> Option<Vec<u8>> {
        fs::read(self.document_path(digest)).ok().filter(|bytes| BlobDigest::of(bytes) == *digest)
    }

    /// Reads a note: a small JSON file among the images that remembers the result of an expensive operation.
    pub(crate) fn note<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ImageError> {
        self.remembered(&self.root.join(name))
    }

    /// Writes a note.
    pub(crate) fn take_note(&self, name: &str, value: &impl Serialize) -> Result<(), ImageError> {
        self.remember(&self.root.join(name), value)
    }

    fn name_path(&self, name: &Reference) -> PathBuf {
        self.root.join("names").join(Digest::of(name.to_string()).hex())
    }

    fn document_path(&self, digest: &BlobDigest) -> PathBuf {
        self.root.join("documents").join(digest.hex())
    }

    /// Reads a JSON file. An invalid file counts as missing, since it will be written again.
    fn remembered<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, ImageError> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ImageError::file("read", path)(error)),
        }
    }

    fn remember(&self, path: &Path, value: &impl Serialize) -> Result<(), ImageError> {
        let text = serde_json::to_vec(value).map_err(|error| ImageError::Json {
            origin: path.display().to_string(),
            what: "the value to remember".into(),
            error,
        })?;
        self.write(path, &text)
    }

    /// Writes a file atomically and sets its mode.
    pub(crate) fn keep_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), ImageError> {
        self.write(path, bytes)?;
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(ImageError::file("write", path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(ImageError::file("create", folder))?;
        let unique = format!("images-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let temporary = self.store.root().join("tmp").join(unique);
        fs::write(&temporary, bytes).map_err(ImageError::file("write", &temporary))?;
        fs::rename(&temporary, path).map_err(ImageError::file("rename to", path))?;
        self.store.wrote_file(path);
        Ok(())
    }
}

/// Whether a file cannot be written because its directory is read-only, by mount or by permission.
fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Images").field(&self.root).finish()
    }
}

impl Blobs for Images {
    /// Opens a document, or an uncompressed layer of the store.
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let paths = [self.document_path(&blob.digest), self.store.blobs().path(blob.digest)];
        for path in paths {
            match File::open(&path) {
                Ok(file) => return Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ImageError::file("open", path)(error)),
            }
        }
        Err(ImageError::BlobMissing { origin: self.origin().to_owned(), wanted: blob.digest })
    }

    fn origin(&self) -> &str {
        "the store"
    }
}
