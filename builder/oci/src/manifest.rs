//! Descriptors, manifests and indexes of the OCI image specification, and their media types.
//!
//! The field order is that of the Go types, so that our documents read like BuildKit's.

use crate::Platform;
use buildscope_record::BlobDigest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The media types of the OCI image specification and of docker.
pub mod media {
    /// An OCI manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// An uncompressed OCI layer. The suffix `+gzip` or `+zstd` makes it the type of a compressed layer.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A docker manifest (schema 2).
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A docker layer, compressed with gzip. Docker defines no type for zstd.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// An uncompressed docker layer. Only the manifests that skopeo writes for docker archives contain it.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// An in-toto statement, which is the layer of an attestation manifest.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
}

/// The annotation with the tag of an entry in the index of an OCI layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the full name of an image, as containerd and BuildKit write it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation with the creation time of an image, on its descriptor.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The annotation with which BuildKit marks attestations, so that they are not taken for images.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation with the digest of the manifest that an attestation describes.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// The annotations of a descriptor, a manifest or an index.
pub type Annotations = BTreeMap<String, String>;

/// A typed pointer to a blob: media type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the blob; see [`media`].
    #[serde(default)]
    pub media_type: String,
    /// The digest of the blob.
    pub digest: BlobDigest,
    /// The size of the blob in bytes.
    pub size: u64,
    /// Further URLs from which the blob can be downloaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The annotations of the descriptor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// The platform of the image, for a descriptor in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Describes a blob with this content.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, BlobDigest::of(bytes), bytes.len() as u64)
    }

    /// Describes a blob of a known digest and size in bytes.
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

    /// Returns whether the blob is an OCI index or a docker manifest list.
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), media::OCI_INDEX | media::DOCKER_LIST)
    }

    /// Returns whether the blob describes an image (an attestation) and is not an image itself.
    pub fn is_about(&self) -> bool {
        self.annotations.contains_key(REFERENCE_TYPE)
    }
}

/// The manifest of an image for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The schema version, which is always 2.
    pub schema_version: u32,
    /// The manifest type of OCI or docker. OCI layouts may leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The descriptor of the image configuration.
    pub config: Descriptor,
    /// The descriptors of the layers, lowest first.
    #[serde(default, deserialize_with = "crate::config::null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The annotations of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

/// The index of an image: a manifest for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// The schema version, which is always 2.
    pub schema_version: u32,
    /// The index type of OCI, or the manifest list type of docker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The descriptors of the manifests.
    #[serde(default, deserialize_with = "crate::config::null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The annotations of the index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
}

impl Manifest {
    /// Returns the bytes that are stored and digested: JSON indented by two, as BuildKit writes its manifests.
    pub fn to_bytes(&self) -> Vec<u8> {
        pretty(self)
    }
}

impl Index {
    /// Returns the bytes that are stored and digested, in the format of [`Manifest::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        pretty(self)
    }
}

fn pretty(document: &impl Serialize) -> Vec<u8> {
    // The documents above have text keys and no serializer that can fail.
    serde_json::to_vec_pretty(document).expect("plain data")
}

/// The compression of a layer blob.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// An uncompressed tar.
    Plain,
    /// A tar compressed with gzip.
    Gzip,
    /// A tar compressed with zstd.
    Zstd,
}

impl Encoding {
    /// Returns the name that `--output compression=` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the encoding with this [`name`](Self::name).
    ///
    /// # Errors
    /// A sentence for the user that lists the known names.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = [Self::Plain, Self::Gzip, Self::Zstd].into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("unknown compression `{name}`: use `uncompressed`, `gzip` or `zstd`"))
    }

    /// Detects the encoding from the first bytes of a blob (RFC 1952, 2.3.1; RFC 8878, 3.1.1), because the media types
    /// of registries and archives can be wrong.
    pub fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A zstd frame, or one of the sixteen kinds of skippable frame that may come first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Returns OCI's media type of a layer in this encoding.
    pub fn oci_layer(self) -> String {
        match self {
            Self::Plain => media::OCI_LAYER.to_owned(),
            Self::Gzip => format!("{}+gzip", media::OCI_LAYER),
            Self::Zstd => format!("{}+zstd", media::OCI_LAYER),
        }
    }

    /// Returns docker's media type of a layer in this encoding. BuildKit invented the one for zstd.
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
    fn the_specification_s_example_manifest_survives_a_round_trip() {
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
    fn encodings_are_detected_by_their_magic_numbers() {
        assert_eq!(Encoding::sniff(&[0x1f, 0x8b, 8]), Encoding::Gzip);
        assert_eq!(Encoding::sniff(&[0x28, 0xb5, 0x2f, 0xfd]), Encoding::Zstd);
        assert_eq!(Encoding::sniff(b"bin/"), Encoding::Plain);
        assert_eq!(Encoding::sniff(b""), Encoding::Plain);
    }
}
