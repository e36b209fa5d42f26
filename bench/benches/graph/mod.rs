//! Build graphs without real base images.

use buildscope_builder::plan::{ImageResolver, LowerRequest, Plan, ResolveError, ResolvedBase, lower};
use buildscope_dockerfile as dockerfile;
use buildscope_oci::{ImageConfig, Platform};
use buildscope_record::ManifestDigest;
use std::sync::Arc;

/// Resolves every name to the same empty image.
pub(crate) struct AnyImage;

impl ImageResolver for AnyImage {
    fn resolve(&self, _: &str, _: &Platform) -> Result<ResolvedBase, ResolveError> {
        Ok(ResolvedBase { manifest: ManifestDigest::of("any"), config: Arc::new(ImageConfig::default()) })
    }
}

pub(crate) fn plan(text: &str) -> (dockerfile::Dockerfile<'_>, Plan) {
    let file = dockerfile::parse(text).expect("the sample is valid");
    let plan = lower(&file, &LowerRequest::default(), &AnyImage).expect("the sample can be lowered");
    (file, plan)
}
