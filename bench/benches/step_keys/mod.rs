//! The cache keys of a graph.

use buildscope_builder::plan::Plan;
use buildscope_builder::plan::keys::definition_key;
use buildscope_record::{Digest, StepId, StepKey};

/// Computes every step's key in file order, as a build does.
pub(crate) fn keys(plan: &Plan) -> Vec<StepKey> {
    let mut keys: Vec<StepKey> = Vec::with_capacity(plan.graph.node_count());
    for step in plan.graph.node_weights() {
        let key_of = |id: StepId| keys[id.index()];
        let parent = (step.id.0 > 0).then(|| StepId(step.id.0 - 1));
        let key = definition_key(step, parent, &key_of, Some(Digest::of("content")));
        keys.push(key.digest);
    }
    keys
}
