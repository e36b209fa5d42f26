//! Resolves a reference in a Dockerfile to an image.
//!
//! The sources are tried in order: named contexts (`--build-context`), the store's own images, the embedded busybox, the
//! docker daemon of this machine if there is one, registries. If an image is in none of them, the error says how to
//! provide it.

use super::base::busybox;
use super::daemon;
use super::stored::Images;
use super::unpack_layers::ensure_layers;
use super::{ImageError, LayoutImage, Registries, ResolvedImage};
use buildscope_oci::{Platform, Reference};
use buildscope_record::{ManifestDigest, Phase, Probe};
use buildscope_storage::{Acquired, Layer, OnceMap, Store};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// A named context that is an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedImage {
    /// `oci-layout://DIRECTORY[:TAG][@DIGEST]`. A tar of a layout or a docker archive is also accepted.
    Layout(LayoutImage),
    /// `docker-image://REFERENCE`: another name of an image.
    Alias(Reference),
}

impl NamedImage {
    /// Parses the value of a `--build-context`. Returns `None` if it is a directory or a URL, not an image.
    pub fn parse(value: &str) -> Option<Result<Self, ImageError>> {
        if value.starts_with("oci-layout://") {
            let parsed = LayoutImage::parse(value).map(Self::Layout);
            return Some(parsed.ok_or_else(|| {
                ImageError::malformed(value, "invalid address: use oci-layout://DIRECTORY[:TAG][@sha256:DIGEST]")
            }));
        }
        let alias = value.strip_prefix("docker-image://")?;
        Some(alias.parse().map(Self::Alias).map_err(Into::into))
    }
}

/// Finds images, each once for a build, and fetches their layers.
pub struct Resolver {
    store: Store,
    images: Images,
    named: BTreeMap<String, NamedImage>,
    registries: Option<Registries>,
    newest: bool,
    probe: Probe,
    found: Mutex<HashMap<(String, Platform), Arc<ResolvedImage>>>,
    /// The layers by image: the first step that needs them fetches them, while others wait. Two names of the same image share
    /// its layers.
    layers: OnceMap<ManifestDigest, Arc<[Layer]>>,
    /// The images of which this build has pulled layers.
    pulled: Mutex<HashSet<ManifestDigest>>,
}

impl Resolver {
    /// Creates a resolver. `named` has the named contexts that are images, by their names as written.
    pub fn new(store: &Store, named: impl IntoIterator<Item = (String, NamedImage)>, probe: Probe) -> Self {
        let named = named.into_iter().map(|(name, image)| (familiar(&name), image)).collect();
        Self {
            store: store.clone(),
            images: Images::of(store),
            named,
            registries: None,
            newest: false,
            probe,
            found: Mutex::default(),
            layers: OnceMap::default(),
            pulled: Mutex::default(),
        }
    }

    /// Pulls images that no other source has from registries.
    pub fn with_registries(self, registries: Registries) -> Self {
        Self { registries: Some(registries), ..self }
    }

    /// The image with that name for that platform. Its documents are read, but not its layers.
    pub fn image(&self, reference: &str, platform: &Platform) -> Result<Arc<ResolvedImage>, ImageError> {
        // The lock is held during the lookup, so that a name is looked up only once. Lowering, the only caller, has one
        // thread.
        let mut found = self.found.lock();
        let key = (reference.to_owned(), platform.clone());
        if let Some(known) = found.get(&key) {
            return Ok(Arc::clone(known));
        }
        let span = self.probe.phase(Phase::Resolve);
        span.detail(reference);
        let image = self.look_up(reference, platform, &span.probe())?;
        let known = found.values().find(|other| other.digest == image.digest).cloned();
        let image = known.unwrap_or_else(|| Arc::new(image));
        found.insert(key, Arc::clone(&image));
        Ok(image)
    }

    /// An image that was resolved before, by the digest of its manifest.
    pub fn resolved(&self, manifest: &ManifestDigest) -> Option<Arc<ResolvedImage>> {
        self.found.lock().values().find(|image| image.digest == *manifest).cloned()
    }

    /// The layers of an image that was resolved before, lowest first. Missing layers are fetched into the store. The
    /// time for that is reported for the step of `probe`. If `asker` belongs to another step, it reports a wait.
    pub fn layers(&self, manifest: &ManifestDigest, probe: &Probe, asker: &Probe) -> Result<Arc<[Layer]>, ImageError> {
        let missing = || ImageError::malformed(manifest, "no image with this manifest was resolved in this build");
        let image = self.resolved(manifest).ok_or_else(missing)?;
        let mut turn = match self.layers.acquire_blocking(manifest, probe.step(), asker, "base image") {
            Acquired::Finished(layers) => return Ok(layers),
            Acquired::Ours(turn) => turn,
        };
        let _wait = probe.step().filter(|step| Some(*step) != asker.step()).map(|step| {
            let wait = asker.wait_lock("base image");
            wait.on(step);
            wait
        });
        let pulls = image.blobs.is_remote() && !self.is_complete(&image);
        let layers: Arc<[Layer]> = ensure_layers(&self.store, &image, probe)?.into();
        if pulls {
            self.pulled.lock().insert(*manifest);
        }
        turn.complete(Arc::clone(&layers));
        Ok(layers)
    }

    /// Whether this build has pulled layers of the image.
    pub(crate) fn has_pulled(&self, manifest: &ManifestDigest) -> bool {
        self.pulled.lock().contains(manifest)
    }

    /// Tries registries first (`--pull`), since the store's image of a name may be old. Named contexts still come first.
    pub fn newest(self, newest: bool) -> Self {
        Self { newest, ..self }
    }

    /// The registries, unless the build is offline.
    pub fn registries(&self) -> Option<&Registries> {
        self.registries.as_ref()
    }

    /// The store's own images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Forgets which layers are in the store, after damaged ones were removed from it. Images without all their layers
    /// are looked up again, since some of them can be made or pulled.
    pub(crate) fn forget_layers(&self) {
        self.layers.forget();
        for ((reference, platform), image) in &*self.found.lock() {
            if !self.is_complete(image) {
                // If this fails, the step that needs the layers fails.
                let _ = self.look_up(reference, platform, &Probe::disabled());
            }
        }
    }

    /// Whether the store has all layers of an image.
    fn is_complete(&self, image: &ResolvedImage) -> bool {
        image.layers.iter().all(|layer| self.store.blobs().contains(layer.diff_id))
    }

    fn look_up(&self, reference: &str, platform: &Platform, probe: &Probe) -> Result<ResolvedImage, ImageError> {
        let named = match self.named.get(&familiar(reference)) {
            Some(named) => Some(named.clone()),
            // The plan may already have replaced the name by the value of the context.
            None => NamedImage::parse(reference).transpose()?,
        };
        let parsed: Reference = match named {
            Some(NamedImage::Layout(layout)) => return layout.load(platform),
            Some(NamedImage::Alias(alias)) => alias,
            None => reference.parse()?,
        };
        if let Some(registries) = self.registries.as_ref().filter(|_| self.newest) {
            return registries.pull(&parsed, platform, &self.images);
        }
        match self.images.find(&parsed, platform) {
            Ok(None) => {}
            // Damaged layers of the image were removed from the store. Another source may have it.
            Ok(Some(image)) if !self.is_complete(&image) => {}
            Ok(Some(image)) if platform.distance(&image.platform()).is_some() => return Ok(image),
            // The store's image is for another platform. A registry may have one for this platform.
            Ok(Some(other)) => return Ok(self.pulled(&parsed, platform).unwrap_or(other)),
            Err(error @ ImageError::NoPlatform { .. }) => return self.pulled(&parsed, platform).ok_or(error),
            Err(error) => return Err(error),
        }
        if parsed.familiar() == "busybox" && parsed.digest.is_none() {
            let image = busybox::image(&self.store, &self.images, self.registries.as_ref(), probe)?;
            return match platform.distance(&image.platform()) {
                Some(_) => Ok(image),
                None => self.pulled(&parsed, platform).ok_or_else(|| ImageError::NoPlatform {
                    origin: "the embedded image `busybox`".into(),
                    wanted: platform.to_string(),
                    found: vec![image.platform().to_string()],
                }),
            };
        }
        if let Some(image) = daemon::image(&parsed, platform, &self.store, probe)? {
            return Ok(image);
        }
        let not_found =
            |why: String| ImageError::NotFound { reference: reference.to_owned(), hint: self.hint(&parsed) + &why };
        match self.registries.as_ref().map(|registries| registries.pull(&parsed, platform, &self.images)) {
            None => Err(not_found(String::new())),
            Some(Err(ImageError::Registry { registry, reason })) => {
                Err(not_found(format!(". Registry {registry}: {reason}")))
            }
            Some(pulled) => pulled,
        }
    }

    fn pulled(&self, reference: &Reference, platform: &Platform) -> Option<ResolvedImage> {
        self.registries.as_ref()?.pull(reference, platform, &self.images).ok()
    }

    /// A hint with images of the same repository that are available.
    fn hint(&self, wanted: &Reference) -> String {
        let stored = self.images.names().unwrap_or_default();
        let stored = stored.iter().filter_map(|named| named.name.parse::<Reference>().ok());
        let named = self.named.keys().filter_map(|name| name.parse().ok());
        let near = |other: &Reference| other.repository == wanted.repository;
        let mut near: Vec<String> =
            stored.chain(named).filter(near).map(|other| format!("`{}`", other.familiar())).collect();
        if wanted.repository == "library/busybox" {
            near.push("the embedded `busybox` (without a tag)".into());
        }
        near.dedup();
        if near.is_empty() { String::new() } else { format!(". Available: {}", near.join(", ")) }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("named", &self.named).finish_non_exhaustive()
    }
}

/// The form in which docker and BuildKit compare the names of named contexts with those in a Dockerfile.
fn familiar(name: &str) -> String {
    name.parse::<Reference>().map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}
