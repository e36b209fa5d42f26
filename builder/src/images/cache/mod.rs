//! The remote cache: exports the results of steps and their layers to a directory, a registry or the image itself, and
//! imports them again.
//!
//! *Takes* keys with their results (the layer, and data of the engine). *Gives* the same from another store; a layer is
//! fetched when a step needs its files. *Must never know* how a key is computed.
//!
//! The documents are BuildKit's (`application/vnd.buildkit.cacheconfig.v0` in an image manifest, or
//! `moby.buildkit.cache.v0` in an image's configuration), so registries and tools can handle them. The *keys* are ours:
//! BuildKit's are digests of its own instruction encoding. So neither builder finds its steps in the other's cache, and
//! each ignores the other's records. Two things are simpler than in BuildKit. A record's digest is the whole key, so
//! records have no `inputs`. A layer belongs to one step, so layers have no `parent`; the base image is not part of the
//! cache, it is pulled.

mod document;
mod export;
mod import;
mod leftovers;
mod reapi;
mod s3;
mod spec;

pub use export::{CacheExport, inline_cache};
pub use import::ImportedCache;
pub(crate) use reapi::CasBlobs;
pub use reapi::ReapiCache;
pub use s3::S3Cache;
pub use spec::{CacheFrom, CacheMode, CacheOptions, CacheSpecError, CacheTo, Leftovers};

use buildscope_record::{DiffId, StepKey};

/// The result of a cache key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRecord {
    /// The key of the step.
    pub key: StepKey,
    /// The diff id of the step's layer.
    pub diff_id: DiffId,
    /// Data of the engine about the step, as JSON. Other builders ignore it.
    pub value: serde_json::Value,
}
