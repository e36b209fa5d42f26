//! The OCI image specification's documents besides the configuration: descriptors, manifests, indexes.
//!
//! Field order is Go's, so that what we write reads like what BuildKit writes.

use crate::Platform;
use buildscope_record::BlobDigest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media types, OCI's and docker's.
pub mod media {
    /// An OCI manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// An uncompressed OCI layer; `+gzip` or `+zstd` names a compressed one.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A docker manifest (schema 2).
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A docker layer, gzip; docker has no uncompressed or zstd type of its own.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// An uncompressed docker layer: only seen in the manifests that skopeo writes for docker archives.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// An in-toto statement: the layer of an attestation manifest.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
}

/// The annotation that names an entry of an OCI layout's index: its tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the whole name, as containerd and BuildKit write it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation of an image's creation time on its descriptor.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The annotation by which BuildKit marks what is no image: attestations.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that says which manifest an attestation is about.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// Annotations of a descriptor, a manifest or an index.
pub type Annotations = BTreeMap<String, String>;

/// What points at a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: BlobDigest,
    /// Its size in bytes.
    pub size: u64,
    /// Where else it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// For which platform it is (in an index).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Describes these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, BlobDigest::of(bytes), bytes.len() as u64)
    }

    /// Describes a blob of that digest and size in bytes.
    pub fn new(media_type: &str, digest: impl Into<BlobDigest>, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest.into(),
            size,
            urls: Vec::new(),
            annotations: Annotations::new(),
            platform: None,
        }
    }

    /// Whether it names an index or a manifest list.
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), media::OCI_INDEX | media::DOCKER_LIST)
    }

    /// Whether it names something about an image (an attestation) rather than an image.
    pub fn is_about(&self) -> bool {
        self.annotations.contains_key(REFERENCE_TYPE)
    }
}

/// One image for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's manifest type; OCI layouts may leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "crate::config::null_is_default")]
    pub layers: Vec<Descriptor>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// Several images, one a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or docker's list type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The images.
    #[serde(default, deserialize_with = "crate::config::null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Manifest {
    /// The bytes that are stored and digested: indented by two, as BuildKit writes its manifests.
    pub fn to_bytes(&self) -> Vec<u8> {
        pretty(self)
    }
}

impl Index {
    /// The bytes that are stored and digested.
    pub fn to_bytes(&self) -> Vec<u8> {
        pretty(self)
    }
}

fn pretty(document: &impl Serialize) -> Vec<u8> {
    // The documents above have text keys and no fallible serialisers: nothing can fail.
    serde_json::to_vec_pretty(document).expect("plain data")
}

/// How a layer's blob is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// A plain tar.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Encoding {
    /// As `--output compression=` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What [`name`](Self::name) is a name of.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = [Self::Plain, Self::Gzip, Self::Zstd].into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("compression is `uncompressed`, `gzip` or `zstd`, not `{name}`"))
    }

    /// By a blob's first bytes (RFC 1952, 2.3.1; RFC 8878, 3.1.1): registries and archives lie in their media types.
    pub fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one of the sixteen kinds of skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// OCI's media type of a layer in it.
    pub fn oci_layer(self) -> String {
        match self {
            Self::Plain => media::OCI_LAYER.to_owned(),
            Self::Gzip => format!("{}+gzip", media::OCI_LAYER),
            Self::Zstd => format!("{}+zstd", media::OCI_LAYER),
        }
    }

    /// Docker's media type of a layer in it; the one for zstd is BuildKit's invention.
    pub fn docker_layer(self) -> String {
        match self {
            Self::Plain => media::DOCKER_LAYER.to_owned(),
            Self::Gzip => media::DOCKER_LAYER_GZIP.to_owned(),
            Self::Zstd => format!("{}.zstd", media::DOCKER_LAYER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_the_specification_is_read_and_written() {
        // OCI image specification 1.1, manifest.md, "Example Image Manifest", shortened to one layer.
        let text = r#"{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7",
    "size": 7023
  },
  "layers": [
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0",
      "size": 32654
    }
  ],
  "annotations": {
    "com.example.key1": "value1"
  }
}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.layers[0].size, 32654);
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), text);
    }

    #[test]
    fn encodings_are_told_by_their_magic() {
        assert_eq!(Encoding::sniff(&[0x1f, 0x8b, 8]), Encoding::Gzip);
        assert_eq!(Encoding::sniff(&[0x28, 0xb5, 0x2f, 0xfd]), Encoding::Zstd);
        assert_eq!(Encoding::sniff(b"bin/"), Encoding::Plain);
        assert_eq!(Encoding::sniff(b""), Encoding::Plain);
    }
}
