//! BuildKit's cache configuration (moby/buildkit, cache/remotecache/v1/doc.go), as far as it is used here.

use buildscope_oci::null_is_default;
use buildscope_record::{BlobDigest, DiffId, StepKey};
use serde::{Deserialize, Serialize};

/// Its media type.
pub(super) const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
/// Where an image's configuration holds it, as base64: Go's JSON for bytes.
pub(super) const INLINE: &str = "moby.buildkit.cache.v0";

/// The whole of a cache but its layers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CacheConfig {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) layers: Vec<Layer>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) records: Vec<Record>,
}

/// A layer. In an image's own configuration, where no blob has a name yet, `blob` is the diff id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Layer {
    pub(super) blob: BlobDigest,
    /// −1 is none; an absent one is 0.
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

/// A key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) results: Vec<Outcome>,
    pub(super) digest: StepKey,
    /// What buildscope knows of it; BuildKit's own records have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) buildscope: Option<serde_json::Value>,
}

/// What a key stands for: the layer of that number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    pub(super) layer: usize,
}
