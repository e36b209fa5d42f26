//! Writes the images of a finished build to an output (`--output`).

use super::ensure_layers;
use super::export::{Export, Exported, ImageFormat, export_directory, export_tar};
use super::load::load;
use super::stored::Images;
use super::{
    Destination, Draft, Image, ImageError, ImportedCache, Output, OutputKind, Predicate, PreparedBlobs, Registries,
};
use buildscope_oci::{CREATED, Descriptor, Platform, Reference, media};
use buildscope_record::{BlobDigest, DiffId, Probe};
use buildscope_storage::Store;
use std::path::PathBuf;

/// The images of a build, and everything that is needed to write them.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The store with the layers.
    pub store: &'a Store,
    /// The images, one for each platform.
    pub images: &'a [Image],
    /// The names in `--tag`.
    pub names: &'a [Reference],
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// The registries to push to. `None` offline.
    pub registries: Option<&'a Registries>,
    /// The imported cache, which may have layers that were not fetched.
    pub cache: Option<&'a ImportedCache>,
    /// The attestations, one for each image, in the same order. May be empty.
    pub predicates: &'a [Predicate],
    /// Whether one image is delivered as several are: below an index, or in a directory of its platform.
    pub index: bool,
    /// The blobs that were compressed and sent before.
    pub prepared: &'a PreparedBlobs,
}

impl Delivery<'_> {
    /// Writes one output, of which a part may be in `draft`. For an output that is not an image, the result describes the copy that
    /// the store keeps. The layers must have been [fetched](Self::fetch) if the output [needs](Output::needs_layers) them.
    pub fn write(&self, output: &Output, draft: Option<Draft>, probe: &Probe) -> Result<Exported, ImageError> {
        let named = output.image.names.iter().map(|name| name.parse()).collect::<Result<Vec<Reference>, _>>()?;
        let names = [self.names, &named].concat();
        let export = |format| {
            let (options, epoch) = (&output.image, self.epoch);
            Export {
                images: self.images,
                names: &names,
                options,
                epoch,
                format,
                predicates: self.predicates,
                index: self.index,
            }
        };
        let has_index = self.index || self.images.len() + self.predicates.len() != 1;
        let fits = output.image.check_annotations(has_index);
        fits.map_err(|reason| ImageError::malformed("--annotation", reason))?;
        let fits = output.kind.check_platforms(self.splits());
        fits.map_err(|reason| ImageError::malformed("--output", reason))?;
        match &output.kind {
            OutputKind::Oci { dest, tar: true } => {
                export(ImageFormat::Oci).archive_from(draft.and_then(Draft::into_archive), self.store, dest, probe)
            }
            OutputKind::Oci { dest: Destination::Path(path), tar: false } => {
                export(ImageFormat::Oci).directory_from(draft.and_then(Draft::into_directory), self.store, path, probe)
            }
            OutputKind::Oci { dest: Destination::Stdout, tar: false } => {
                Err(ImageError::malformed("--output", "a directory cannot go to the standard output"))
            }
            OutputKind::Docker { dest: Some(dest) } => {
                export(ImageFormat::Docker).archive_from(draft.and_then(Draft::into_archive), self.store, dest, probe)
            }
            OutputKind::Docker { dest: None } => load(&export(ImageFormat::Docker), self.store, probe),
            OutputKind::Local { dest, platform_split } => {
                let split = *platform_split && self.splits();
                for (number, image) in self.images.iter().enumerate() {
                    let folder = if split { dest.join(folder(image)) } else { dest.clone() };
                    export_directory(self.store, layers(image), &folder, self.epoch, probe)?;
                    if let Some(predicate) = self.predicates.get(number) {
                        let path = folder.join("provenance.json");
                        let text = format!("{:#}\n", predicate.content);
                        std::fs::write(&path, text).map_err(ImageError::file("write", &path))?;
                    }
                }
                self.keep()
            }
            OutputKind::Tar { dest } => {
                let split = self.splits();
                let below = |image| if split { folder(image).into() } else { PathBuf::new() };
                let stacks: Vec<_> = self.images.iter().map(|image| (below(image), layers(image))).collect();
                export_tar(self.store, &stacks, dest, self.epoch, probe)?;
                self.keep()
            }
            OutputKind::Image { push: false } => {
                let kept = self.keep()?;
                let images = Images::of(self.store);
                names.iter().try_for_each(|name| images.name(name, &kept.target))?;
                Ok(kept)
            }
            OutputKind::Image { push: true } => {
                let registries =
                    self.registries.ok_or_else(|| ImageError::malformed("--output", "cannot push offline"))?;
                // The image is not kept in the store: layers of a registry need not have been fetched.
                export(ImageFormat::Oci).push_from(self.prepared, self.store, registries, self.cache, probe)
            }
            OutputKind::CacheOnly => Ok(self.undelivered()),
        }
    }

    /// Fetches layers that no step needed: those of a base image or of an imported cache.
    pub fn fetch(&self, probe: &Probe) -> Result<(), ImageError> {
        for image in self.images {
            if let Some(base) = image.base.as_deref() {
                ensure_layers(self.store, base, probe)?;
            }
            if let Some(cache) = self.cache {
                cache.ensure(self.store, layers(image), probe)?;
            }
        }
        Ok(())
    }

    /// Whether each platform has its own part of the output.
    fn splits(&self) -> bool {
        self.index || self.images.len() > 1
    }

    /// Describes images that are not written anywhere. They only have configurations.
    fn undelivered(&self) -> Exported {
        let config = |image: &Image| Descriptor::of(media::OCI_CONFIG, &image.config_bytes());
        let configs: Vec<_> = self.images.iter().map(config).collect();
        let target = configs.first().cloned().unwrap_or_else(|| Descriptor::of(media::OCI_CONFIG, b""));
        Exported { target, manifests: Vec::new(), configs, created: None }
    }

    /// Keeps the images in the store under the names in `--tag`.
    pub fn name(&self, probe: &Probe) -> Result<Exported, ImageError> {
        self.fetch(probe)?;
        let kept = self.keep()?;
        let images = Images::of(self.store);
        self.names.iter().try_for_each(|name| images.name(name, &kept.target))?;
        Ok(kept)
    }

    /// Keeps the images in the store, uncompressed and without rewriting times.
    fn keep(&self) -> Result<Exported, ImageError> {
        Images::of(self.store).keep_all(self.images, self.index)
    }
}

fn layers(image: &Image) -> &[DiffId] {
    &image.config.rootfs.diff_ids
}

/// Docker's name for the directory of a platform: `linux_arm64`.
fn folder(image: &Image) -> String {
    image.platform().to_string().replace('/', "_")
}

impl Exported {
    /// The content of `--iidfile`: the digest of the configuration, or of the index if there are several images.
    pub fn id(&self) -> BlobDigest {
        match &self.configs[..] {
            [only] => only.digest,
            _ => self.target.digest,
        }
    }

    /// The content of `--metadata-file`, with buildx's keys. `provenance` has the predicate for each platform.
    pub fn metadata(&self, names: &[Reference], provenance: &[(Platform, serde_json::Value)]) -> serde_json::Value {
        let mut target = self.target.clone();
        if let [config] = &self.configs[..] {
            target.annotations.insert("config.digest".into(), config.digest.to_string());
        }
        target.annotations.extend(self.created.iter().map(|time| (CREATED.to_owned(), time.clone())));
        let mut metadata = serde_json::json!({
            "containerimage.descriptor": target,
            "containerimage.digest": self.target.digest,
        });
        if let [config] = &self.configs[..] {
            metadata["containerimage.config.digest"] = config.digest.to_string().into();
        }
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            metadata["image.name"] = names.join(",").into();
        }
        for (platform, predicate) in provenance {
            let key = match provenance.len() {
                1 => "buildx.build.provenance".to_owned(),
                _ => format!("buildx.build.provenance/{platform}"),
            };
            metadata[key] = predicate.clone();
        }
        metadata
    }
}
