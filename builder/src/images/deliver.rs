//! A finished build to all the places that `--output` names.

use super::docker::load;
use super::export::{Export, Exported, Format, export_directory, export_tar};
use super::local::Images;
use super::{Destination, Image, ImageError, ImportedCache, Output, OutputKind, Predicate, Registries, ensure_layers};
use buildscope_oci::{Annotation, Level, Platform, Reference};
use buildscope_oci::{CREATED, Descriptor, media};
use buildscope_record::{BlobDigest, DiffId, Probe};
use buildscope_storage::Store;
use std::path::PathBuf;

/// What a build made, and what is needed to write it.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Where the layers are.
    pub store: &'a Store,
    /// The images, one a platform.
    pub images: &'a [Image],
    /// The names of `--tag`.
    pub names: &'a [Reference],
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<i64>,
    /// Through what images are pushed; none where nothing may go over the network.
    pub registries: Option<&'a Registries>,
    /// Where layers may be that no step asked for.
    pub cache: Option<&'a ImportedCache>,
    /// What is attested of each image, in their order.
    pub predicates: &'a [Predicate],
}

impl Delivery<'_> {
    /// Writes one output. Where the output is no image, what is said of it is what the store's own copy would be.
    pub fn write(&self, output: &Output, probe: &Probe) -> Result<Exported, ImageError> {
        if !matches!(output.kind, OutputKind::Image { push: true } | OutputKind::CacheOnly) {
            self.fetch(probe)?;
        }
        let named = output.image.names.iter().map(|name| name.parse()).collect::<Result<Vec<Reference>, _>>()?;
        let names = [self.names, &named].concat();
        let export = |format| {
            let (options, epoch) = (&output.image, self.epoch);
            Export { images: self.images, names: &names, options, epoch, format, predicates: self.predicates }
        };
        let of_index = |annotation: &Annotation| matches!(annotation.level, Level::Index | Level::IndexDescriptor);
        if self.images.len() + self.predicates.len() == 1 && output.image.annotations.iter().any(of_index) {
            let fault = "there is no index to annotate: one platform without attestations is a manifest alone";
            return Err(ImageError::malformed("--annotation", fault));
        }
        match &output.kind {
            OutputKind::Oci { dest, tar: true } => export(Format::Oci).to_archive(self.store, dest, probe),
            OutputKind::Oci { dest: Destination::Path(path), tar: false } => {
                export(Format::Oci).to_directory(self.store, path, probe)
            }
            OutputKind::Oci { dest: Destination::Stdout, tar: false } => {
                Err(ImageError::malformed("--output", "a directory cannot go to the standard output"))
            }
            OutputKind::Docker { .. } if self.images.len() > 1 => {
                let fault = "type=docker holds one platform's image: build one, or write type=oci";
                Err(ImageError::malformed("--output", fault))
            }
            OutputKind::Docker { dest: Some(dest) } => export(Format::Docker).to_archive(self.store, dest, probe),
            OutputKind::Docker { dest: None } => load(&export(Format::Docker), self.store, probe),
            OutputKind::Local { dest, platform_split } => {
                let split = *platform_split && self.images.len() > 1;
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
                let several = self.images.len() > 1;
                let below = |image| if several { folder(image).into() } else { PathBuf::new() };
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
                    self.registries.ok_or_else(|| ImageError::malformed("--output", "nothing is pushed offline"))?;
                // Nothing is kept here: what came from a registry need never have been fetched.
                export(Format::Oci).to_registry(self.store, registries, self.cache, probe)
            }
            OutputKind::CacheOnly => Ok(self.undelivered()),
        }
    }

    /// Brings in the layers that no step asked for: of a base image of which only the configuration changed, of a cache.
    fn fetch(&self, probe: &Probe) -> Result<(), ImageError> {
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

    /// What is said of images that go nowhere: their configurations are all there is.
    fn undelivered(&self) -> Exported {
        let config = |image: &Image| Descriptor::of(media::OCI_CONFIG, &image.config_bytes());
        let configs: Vec<_> = self.images.iter().map(config).collect();
        let target = configs.first().cloned().unwrap_or_else(|| Descriptor::of(media::OCI_CONFIG, b""));
        Exported { target, manifests: Vec::new(), configs, created: None }
    }

    /// Keeps the images in the store under the names of `--tag`.
    pub fn name(&self, probe: &Probe) -> Result<Exported, ImageError> {
        self.fetch(probe)?;
        let kept = self.keep()?;
        let images = Images::of(self.store);
        self.names.iter().try_for_each(|name| images.name(name, &kept.target))?;
        Ok(kept)
    }

    /// Keeps the images in the store, uncompressed and with their own times.
    fn keep(&self) -> Result<Exported, ImageError> {
        Images::of(self.store).keep_all(self.images)
    }
}

fn layers(image: &Image) -> &[DiffId] {
    &image.config.rootfs.diff_ids
}

/// `linux_arm64`: docker's name of a platform's directory.
fn folder(image: &Image) -> String {
    image.platform().to_string().replace('/', "_")
}

impl Exported {
    /// What `--iidfile` holds: the digest of the configuration, or where there are several images, of their index.
    pub fn id(&self) -> BlobDigest {
        match &self.configs[..] {
            [only] => only.digest,
            _ => self.target.digest,
        }
    }

    /// What `--metadata-file` holds, in buildx's words. `provenance` has what was attested of each platform's image.
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
