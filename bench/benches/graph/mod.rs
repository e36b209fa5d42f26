//! Graphs and their keys, as a build makes them, without a base image to ask for.

use buildscope_builder::dockerfile;
use buildscope_builder::image::{ImageConfig, Platform};
use buildscope_builder::plan::keys::definition_key;
use buildscope_builder::plan::{ImageResolver, LowerRequest, Plan, ResolveError, ResolvedBase, lower};
use buildscope_record::{Digest, StepId};
use std::sync::Arc;

/// Every name is the same empty image.
pub(crate) struct AnyImage;

impl ImageResolver for AnyImage {
    fn resolve(&self, _: &str, _: &Platform) -> Result<ResolvedBase, ResolveError> {
        Ok(ResolvedBase { manifest: Digest::of("any"), config: Arc::new(ImageConfig::default()) })
    }
}

pub(crate) fn plan(text: &str) -> (dockerfile::Dockerfile<'_>, Plan) {
    let file = dockerfile::parse(text).expect("the sample is valid");
    let plan = lower(&file, &LowerRequest::default(), &AnyImage).expect("the sample can be lowered");
    (file, plan)
}

/// Every step's key, in the order of the file, as a build makes them.
pub(crate) fn keys(plan: &Plan) -> Vec<Digest> {
    let mut keys: Vec<Digest> = Vec::with_capacity(plan.graph.node_count());
    for step in plan.graph.node_weights() {
        let key_of = |id: StepId| keys[id.index()];
        let parent = (step.id.0 > 0).then(|| StepId(step.id.0 - 1));
        let key = definition_key(step, parent, &key_of, Some(Digest::of("content")));
        keys.push(key.digest);
    }
    keys
}
