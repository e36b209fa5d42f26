//! Attestations: statements about images, stored next to them in an index as BuildKit does (moby/buildkit,
//! docs/attestations/attestation-storage.md). Each has a manifest with the platform `unknown/unknown`.

use super::super::document::Document;
use buildscope_oci::{Descriptor, Manifest, REFERENCE_DIGEST, REFERENCE_TYPE, media};
use buildscope_oci::{Platform, Reference};
use serde_json::{Value, json};

/// The annotation of an attestation's layer with the type of the statement.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// A statement about one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// The type of the statement: the address of its specification.
    pub kind: String,
    /// The predicate of the statement, as JSON.
    pub content: Value,
}

/// The documents of an attestation: the statement, a configuration, and the manifest that refers to both.
pub(super) struct Attestation {
    pub(super) blobs: [Document; 2],
    pub(super) manifest: Document,
}

impl Attestation {
    /// Makes the attestation for the image with the manifest `image` and these names.
    pub(super) fn of(predicate: &Predicate, image: &Descriptor, names: &[Reference]) -> Self {
        let digest = json!({ "sha256": image.digest.hex() });
        let subject = |name: String| json!({ "name": name, "digest": digest });
        let names = names.iter().map(|name| subject(package(name, image.platform.as_ref())));
        let mut subjects: Vec<Value> = names.collect();
        if subjects.is_empty() {
            subjects.push(subject("_".into()));
        }
        let statement = bytes(&json!({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": predicate.kind,
            "subject": subjects,
            "predicate": predicate.content,
        }));
        let mut statement = Document::new(media::IN_TOTO, statement);
        statement.descriptor.annotations.insert(PREDICATE_TYPE.into(), predicate.kind.clone());
        let config = bytes(&json!({
            "architecture": "unknown",
            "config": {},
            "os": "unknown",
            "rootfs": { "type": "layers", "diff_ids": [statement.descriptor.digest] },
        }));
        let config = Document::new(media::OCI_CONFIG, config);
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::OCI_MANIFEST.into(),
            config: config.descriptor.clone(),
            layers: vec![statement.descriptor.clone()],
            annotations: Default::default(),
        };
        let mut manifest = Document::new(media::OCI_MANIFEST, manifest.to_bytes());
        manifest.descriptor.platform = Some(Platform::new("unknown", "unknown", None));
        let annotations = &mut manifest.descriptor.annotations;
        annotations.insert(REFERENCE_DIGEST.into(), image.digest.to_string());
        annotations.insert(REFERENCE_TYPE.into(), "attestation-manifest".into());
        Self { blobs: [statement, config], manifest }
    }
}

/// Formats a name as a package URL (github.com/package-url/purl-spec, type `docker`).
pub fn package(name: &Reference, platform: Option<&Platform>) -> String {
    let mut url = format!("pkg:docker/{}", Reference { tag: None, digest: None, ..name.clone() }.familiar());
    let mut parts = Vec::new();
    match &name.digest {
        Some(digest) => parts.push(format!("digest={}", escaped(&digest.to_string()))),
        None => url += &format!("@{}", name.tag_or_latest()),
    }
    parts.extend(platform.map(|platform| format!("platform={}", escaped(&platform.to_string()))));
    if parts.is_empty() { url } else { format!("{url}?{}", parts.join("&")) }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F").replace(':', "%3A")
}

fn bytes(document: &Value) -> Vec<u8> {
    // Serialising cannot fail: all keys are strings.
    serde_json::to_vec_pretty(document).expect("plain data")
}
