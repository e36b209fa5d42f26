//! BuildKit's cache configuration (moby/buildkit, cache/remotecache/v1/doc.go): the fields that we use.

use buildscope_oci::null_is_default;
use buildscope_record::{BlobDigest, DiffId, StepKey};
use serde::{Deserialize, Serialize};

/// The media type of a cache configuration.
pub(super) const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
/// The field of an image's configuration that contains an inline cache, as base64 (Go's JSON for bytes).
pub(super) const INLINE: &str = "moby.buildkit.cache.v0";

/// A cache without the content of its layers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CacheConfig {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) layers: Vec<DocumentLayer>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) records: Vec<DocumentRecord>,
}

/// A layer. In an inline cache, `blob` is the diff id, since the digests of the blobs are not known yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DocumentLayer {
    pub(super) blob: BlobDigest,
    /// The index of the parent layer. −1 means that there is no parent; a missing field means 0.
    #[serde(default)]
    pub(super) parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<Annotations>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Annotations {
    #[serde(rename = "mediaType", default, skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
    #[serde(rename = "diffID", default, skip_serializing_if = "Option::is_none")]
    pub(super) diff_id: Option<DiffId>,
    #[serde(default)]
    pub(super) size: u64,
}

/// A cache key with its results.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DocumentRecord {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) results: Vec<Outcome>,
    pub(super) digest: StepKey,
    /// Our own data about the step. BuildKit's records do not have this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) buildscope: Option<serde_json::Value>,
}

/// A result: the index of a layer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    pub(super) layer: usize,
}
