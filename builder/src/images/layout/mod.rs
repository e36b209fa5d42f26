//! Reads images from files: OCI layouts (directories or tars) and docker archives.

mod archive;

use super::ImageError;
use super::resolved::{Blobs, Hashing, ResolvedImage, json, pick, read_document};
use archive::{Archive, FileRange};
use buildscope_oci::{Descriptor, Encoding, IMAGE_NAME, Index, Manifest, REF_NAME, media};
use buildscope_oci::{ImageConfig, Platform, Reference};
use buildscope_record::{BlobDigest, ManifestDigest};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest `index.json` or `manifest.json` that is read, in bytes.
const LARGEST_INDEX: u64 = 16 << 20;

/// The location of an image in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutImage {
    /// The path of the directory or tar.
    pub path: PathBuf,
    /// The tag of the image.
    pub tag: Option<String>,
    /// The digest of a manifest or index.
    pub digest: Option<ManifestDigest>,
}

impl LayoutImage {
    /// Parses `oci-layout://PATH[:TAG][@DIGEST]`, with or without the scheme. Returns `None` if the digest is invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("oci-layout://").unwrap_or(text);
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) if digest.starts_with("sha256:") => (rest, Some(digest.parse().ok()?)),
            _ => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !path.is_empty() && !tag.is_empty() && !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        Some(Self { path: path.into(), tag: tag.map(str::to_owned), digest })
    }

    /// Finds the image and reads its documents.
    pub fn load(&self, platform: &Platform) -> Result<ResolvedImage, ImageError> {
        let layout = Layout::open(&self.path)?;
        match layout.member("index.json", LARGEST_INDEX)? {
            Some(bytes) => {
                let index: Index = json(&layout.origin, "index.json", &bytes)?;
                let root = self.choose(&layout, &index, platform)?;
                ResolvedImage::load(Arc::new(layout), &root, platform)
            }
            None => match layout.member("manifest.json", LARGEST_INDEX)? {
                Some(bytes) => docker_archive(layout, &bytes, self.tag.as_deref()),
                None => Err(ImageError::malformed(
                    &layout.origin,
                    "not an image: it has neither index.json nor manifest.json",
                )),
            },
        }
    }

    /// The descriptor of the chosen manifest or index, which need not be an image, and the source of its blobs.
    pub(crate) fn root(&self, platform: &Platform) -> Result<(Arc<dyn Blobs>, Descriptor), ImageError> {
        let layout = Layout::open(&self.path)?;
        let bytes = layout.member("index.json", LARGEST_INDEX)?;
        let bytes =
            bytes.ok_or_else(|| ImageError::malformed(&layout.origin, "not an OCI layout: it has no index.json"))?;
        let index: Index = json(&layout.origin, "index.json", &bytes)?;
        let root = self.choose(&layout, &index, platform)?;
        Ok((Arc::new(layout), root))
    }

    /// Chooses an entry of the index: by digest, by tag, else the only one or the one with the tag `latest`.
    fn choose(&self, layout: &Layout, index: &Index, platform: &Platform) -> Result<Descriptor, ImageError> {
        let images: Vec<&Descriptor> = index.manifests.iter().filter(|entry| !entry.is_about()).collect();
        let tagged =
            |tag: &str| images.iter().filter(|entry| has_tag(entry, tag)).map(|entry| (*entry).clone()).collect();
        let nameless = |entry: &&Descriptor| !entry.annotations.contains_key(REF_NAME);
        let meant: Vec<Descriptor> = match (&self.digest, &self.tag) {
            (Some(digest), _) => match images.iter().find(|entry| entry.digest == BlobDigest::from(digest)) {
                Some(entry) => vec![(*entry).clone()],
                // The digest may also name a blob that only a nested index lists.
                None => match layout.range(&blob_path(digest))? {
                    Some(range) => vec![Descriptor::new("", *digest, range.len())],
                    None => Vec::new(),
                },
            },
            (None, Some(tag)) => tagged(tag),
            (None, None) => match images[..] {
                [only] => vec![only.clone()],
                // Entries without names are the same image for several platforms.
                _ if images.iter().all(nameless) => images.iter().map(|entry| (*entry).clone()).collect(),
                _ => tagged("latest"),
            },
        };
        if meant.is_empty() {
            let names = images.iter().filter_map(|entry| entry.annotations.get(REF_NAME).cloned()).collect::<Vec<_>>();
            return Err(ImageError::NoName {
                origin: layout.origin.clone(),
                wanted: match (&self.digest, &self.tag) {
                    (Some(digest), _) => digest.to_string(),
                    (None, tag) => format!("with the tag `{}`", tag.as_deref().unwrap_or("latest")),
                },
                found: if names.is_empty() { vec!["images without a name".into()] } else { names },
            });
        }
        pick(&layout.origin, &meant, platform).cloned()
    }
}

/// A layout directory, and its index, if it has one.
pub(super) fn read_directory(path: &Path) -> Result<(impl Blobs, Option<Index>), ImageError> {
    let layout = Layout::open(path)?;
    let index = layout.member("index.json", LARGEST_INDEX)?;
    let index = index.map(|bytes| json(&layout.origin, "index.json", &bytes)).transpose()?;
    Ok((layout, index))
}

/// Whether an entry of an index has the tag: by itself (OCI), or in a complete name (containerd, BuildKit).
fn has_tag(entry: &Descriptor, tag: &str) -> bool {
    let whole =
        |name: &String| name.contains([':', '/']) && name.parse::<Reference>().is_ok_and(|r| r.tag_or_latest() == tag);
    entry.annotations.get(REF_NAME).is_some_and(|name| name == tag || whole(name))
        || entry.annotations.get(IMAGE_NAME).is_some_and(whole)
}

/// The path of a blob in a layout (OCI image layout specification 1.1, "Content").
pub(super) fn blob_path(digest: impl Into<BlobDigest>) -> String {
    format!("blobs/sha256/{}", digest.into().hex())
}

/// A directory or tar with blobs.
#[derive(Debug)]
struct Layout {
    origin: String,
    container: Container,
    /// The members of a docker archive by their digests.
    named: HashMap<BlobDigest, String>,
    /// The manifest that we make for a docker archive.
    written: HashMap<BlobDigest, Vec<u8>>,
}

/// The form of a layout.
#[derive(Debug)]
enum Container {
    Directory(PathBuf),
    Tar(Archive),
}

impl Layout {
    fn open(path: &Path) -> Result<Self, ImageError> {
        let origin = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(ImageError::file("open", path))?;
        let container = if metadata.is_dir() {
            Container::Directory(path.to_owned())
        } else {
            Container::Tar(Archive::open(path, &origin)?)
        };
        Ok(Self { origin, container, named: HashMap::new(), written: HashMap::new() })
    }

    fn range(&self, name: &str) -> Result<Option<FileRange>, ImageError> {
        match &self.container {
            Container::Tar(archive) => Ok(archive.member(name)),
            Container::Directory(folder) => {
                let path = folder.join(name);
                // Without NONBLOCK, opening a pipe would block forever.
                let opened =
                    File::options().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(&path);
                let file = match opened {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    opened => opened.map_err(ImageError::file("open", &path))?,
                };
                let metadata = file.metadata().map_err(ImageError::file("read", &path))?;
                if !metadata.is_file() {
                    return Err(ImageError::malformed(&self.origin, format!("{name} is not a regular file")));
                }
                Ok(Some(FileRange::whole(file, metadata.len())))
            }
        }
    }

    /// Reads a small file of the layout. One that is larger than `limit` is an error.
    fn member(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(mut range) = self.range(name)? else { return Ok(None) };
        if range.len() > limit {
            return Err(ImageError::malformed(
                &self.origin,
                format!("{name} is too large: {} bytes, the limit is {limit}", range.len()),
            ));
        }
        let mut bytes = Vec::with_capacity(range.len() as usize);
        range.read_to_end(&mut bytes).map_err(|error| ImageError::Read { origin: self.origin.clone(), error })?;
        Ok(Some(bytes))
    }
}

impl Blobs for Layout {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        if let Some(bytes) = self.written.get(&blob.digest) {
            return Ok(Box::new(io::Cursor::new(bytes.clone())));
        }
        let path = blob_path(blob.digest);
        let name = self.named.get(&blob.digest).unwrap_or(&path);
        match self.range(name)? {
            Some(range) => Ok(Box::new(range)),
            None => Err(ImageError::BlobMissing { origin: self.origin.clone(), wanted: blob.digest }),
        }
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// An image in the `manifest.json` of a `docker save` archive (moby, image/spec/v1.2.md).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default, deserialize_with = "buildscope_oci::null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "buildscope_oci::null_is_default")]
    layers: Vec<String>,
}

/// Reads an image from a docker archive. It has no OCI manifest, so one is made; the same image gives the same manifest.
fn docker_archive(mut layout: Layout, index: &[u8], tag: Option<&str>) -> Result<ResolvedImage, ImageError> {
    let origin = layout.origin.clone();
    let images: Vec<Saved> = json(&origin, "manifest.json", index)?;
    let has = |image: &Saved, tag: &str| {
        image
            .repo_tags
            .iter()
            .any(|name| name == tag || name.parse::<Reference>().is_ok_and(|r| r.tag_or_latest() == tag))
    };
    let saved = match (tag, &images[..]) {
        (None, [only]) => Some(only),
        (tag, images) => images.iter().find(|image| has(image, tag.unwrap_or("latest"))),
    };
    let saved = saved.ok_or_else(|| ImageError::NoName {
        origin: origin.clone(),
        wanted: format!("with the tag `{}`", tag.unwrap_or("latest")),
        found: images.iter().flat_map(|image| image.repo_tags.clone()).collect(),
    })?;
    let missing =
        |name: &str| ImageError::malformed(&origin, format!("manifest.json refers to `{name}`, which is missing"));
    let config_bytes = layout.member(&saved.config, LARGEST_INDEX)?.ok_or_else(|| missing(&saved.config))?;
    let config: ImageConfig = json(&origin, "the image's configuration", &config_bytes)?;
    if config.rootfs.diff_ids.len() != saved.layers.len() {
        let reason = format!(
            "manifest.json has {} layers, but the configuration {} diff ids",
            saved.layers.len(),
            config.rootfs.diff_ids.len()
        );
        return Err(ImageError::malformed(&origin, reason));
    }
    let mut layers = Vec::with_capacity(saved.layers.len());
    for (name, diff_id) in saved.layers.iter().zip(&config.rootfs.diff_ids) {
        let mut range = layout.range(name)?.ok_or_else(|| missing(name))?;
        let (size, mut head) = (range.len(), [0; 4]);
        let read = range.read(&mut head).map_err(|error| ImageError::Read { origin: origin.clone(), error })?;
        // The digest of a plain layer is its diff id, and unpacking verifies it. A compressed layer must be read to
        // compute its digest.
        let (kind, digest) = match Encoding::sniff(&head[..read]) {
            Encoding::Plain => (media::DOCKER_LAYER.to_owned(), BlobDigest::from(diff_id)),
            encoding => {
                let mut hashing = Hashing::new(layout.range(name)?.ok_or_else(|| missing(name))?);
                io::copy(&mut hashing, &mut io::sink())
                    .map_err(|error| ImageError::Read { origin: origin.clone(), error })?;
                (encoding.oci_layer(), hashing.finish().0)
            }
        };
        layout.named.insert(digest, name.clone());
        layers.push(Descriptor::new(&kind, digest, size));
    }
    let config = Descriptor::of(media::DOCKER_CONFIG, &config_bytes);
    layout.named.insert(config.digest, saved.config.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: media::DOCKER_MANIFEST.into(),
        config,
        layers,
        annotations: Default::default(),
    };
    let bytes = manifest.to_bytes();
    let root = Descriptor::of(media::DOCKER_MANIFEST, &bytes);
    layout.written.insert(root.digest, bytes);
    let blobs: Arc<dyn Blobs> = Arc::new(layout);
    let bytes = read_document(&*blobs, &root)?;
    ResolvedImage::of_manifest(blobs, root.digest.to_manifest(), manifest, bytes)
}
