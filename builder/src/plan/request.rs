//! What lowering is told, and whom it asks.

use super::BuildArgs;
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::ManifestDigest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a Dockerfile is to be lowered.
#[derive(Clone, Debug)]
pub struct LowerRequest {
    /// `--build-arg`.
    pub build_args: BuildArgs,
    /// `--target`: a stage's name or index; none is the last stage.
    pub target: Option<String>,
    /// What the image is for.
    pub platform: Platform,
    /// What the build runs on.
    pub build_platform: Platform,
    /// `--build-context`: they take the place of stages and images of the same name.
    pub contexts: BTreeMap<String, NamedContext>,
}

impl Default for LowerRequest {
    fn default() -> Self {
        Self {
            build_args: BuildArgs::new(),
            target: None,
            platform: Platform::host(),
            build_platform: Platform::host(),
            contexts: BTreeMap::new(),
        }
    }
}

/// What stands behind a named context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NamedContext {
    /// Files.
    Directory,
    /// An image: what the resolver is asked for instead of the name.
    Image(String),
}

/// Knows images. Asked only for stages that the target needs.
pub trait ImageResolver {
    /// The image of that name for a platform.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError>;
}

/// An image that was found.
#[derive(Clone, Debug)]
pub struct ResolvedBase {
    /// The digest of its manifest.
    pub manifest: ManifestDigest,
    /// Its configuration.
    pub config: Arc<ImageConfig>,
}

/// Takes every image for one without any configuration: for looking at a Dockerfile without looking at images.
#[derive(Clone, Copy, Debug, Default)]
pub struct AssumeImages;

impl ImageResolver for AssumeImages {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            ..ImageConfig::default()
        };
        Ok(ResolvedBase { manifest: ManifestDigest::of(reference), config: Arc::new(config) })
    }
}

/// Why an image was not found.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ResolveError(pub String);
