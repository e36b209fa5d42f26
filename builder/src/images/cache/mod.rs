//! A cache that travels: results of steps and their layers, out to a directory, a registry or the image itself, and in again.
//!
//! *Takes* keys with what they stand for (the layer, and whatever the builder wants to know again).
//! *Gives* the same elsewhere; layers come when a step asks for their files, not before. *Must never
//! know* how a key is computed.
//!
//! The documents are BuildKit's (`application/vnd.buildkit.cacheconfig.v0` in an image manifest, or
//! under `moby.buildkit.cache.v0` in an image's configuration), so registries and tools know what to do
//! with them. The *keys* are ours: BuildKit's are digests of its own instruction encoding, so neither
//! builder finds its steps in the other's cache; each leaves the other's records alone. Two things are
//! simpler than there: a record's digest is the whole key, so records have no `inputs`; and a layer is
//! the step's own, so layers have no `parent` (the base image is not part of the cache, it is pulled).

mod document;
mod import;
mod out;
mod spec;

pub use import::ImportedCache;
pub use out::{CacheExport, inline_cache};
pub use spec::{CacheFrom, CacheMode, CacheSpecError, CacheTo};

use buildscope_record::{DiffId, StepKey};

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRecord {
    /// The step's key.
    pub key: StepKey,
    /// Its layer.
    pub diff_id: DiffId,
    /// What the builder wants to know again: JSON that nobody else reads.
    pub value: serde_json::Value,
}
