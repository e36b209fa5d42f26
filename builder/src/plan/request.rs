//! The inputs of lowering: the request, and the resolver of images.

use super::{BuildArgs, End};
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::ManifestDigest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The request for a build of a Dockerfile.
#[derive(Clone, Debug)]
pub struct LowerRequest {
    /// The values of `--build-arg`.
    pub build_args: BuildArgs,
    /// The name or index of the target stage (`--target`). `None` means the last stage.
    pub target: Option<String>,
    /// The platform of the image.
    pub platform: Platform,
    /// The platform on which the build runs.
    pub build_platform: Platform,
    /// The named contexts (`--build-context`). They replace stages and images with the same name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The value that replaces the default of an ARG `SOURCE_DATE_EPOCH` above the first FROM, once it is resolved.
    pub source_date_epoch: Option<String>,
    /// The options of the request that the process of a RUN can see, by flag. They are part of its cache key.
    pub run_options: BTreeMap<String, String>,
    /// The inputs that the steps may share with those of other targets. It is set only for a target of a [`Fleet`](super::Fleet).
    pub sharing: Option<SharedInputs>,
}

/// The inputs, apart from the instructions, that must be equal for steps of different targets to be one step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SharedInputs {
    /// The contexts: where they are, and which files they leave out.
    pub contexts: String,
    /// The options of RUN, and whether the cache is used.
    pub options: String,
    /// The stages whose results are not looked up.
    pub ignored_stages: Vec<String>,
}

impl Default for LowerRequest {
    fn default() -> Self {
        Self {
            build_args: BuildArgs::new(),
            target: None,
            platform: Platform::host(),
            build_platform: Platform::host(),
            contexts: BTreeMap::new(),
            source_date_epoch: None,
            run_options: BTreeMap::new(),
            sharing: None,
        }
    }
}

/// The content of a named context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NamedContext {
    /// A directory of files.
    Directory,
    /// An image. The resolver gets this reference instead of the name of the context.
    Image(String),
    /// The result of another target of the same [`Fleet`](super::Fleet).
    Target(Arc<End>),
}

/// Resolves images. Lowering asks it only for images that the target needs.
pub trait ImageResolver {
    /// Resolves a reference for a platform.
    ///
    /// # Errors
    /// If the image does not exist, or cannot be read, made or written.
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError>;
}

/// A resolved image.
#[derive(Clone, Debug)]
pub struct ResolvedBase {
    /// The digest of the manifest.
    pub manifest: ManifestDigest,
    /// The configuration of the image.
    pub config: Arc<ImageConfig>,
}

/// A resolver that treats every reference as an image with an empty configuration. It is used to check a Dockerfile
/// without access to images.
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

/// The error of an image that cannot be resolved, with a sentence for the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResolveError {
    /// No source has an image with this name for this platform.
    #[error("{0}")]
    Missing(String),
    /// The image could not be read, made or written.
    #[error("{0}")]
    Failed(String),
}
