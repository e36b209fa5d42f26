//! Entry points for the fuzz targets.

use super::registry::fuzzing::challenge as read_challenge;
use super::resolved::{Parsed, json, parse, pick};
use crate::elf;
use buildscope_oci::{Descriptor, ImageConfig, Platform};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn manifest(bytes: &[u8]) {
    for kind in [INDEX, MANIFEST, ""] {
        match parse("registry", &Descriptor::of(kind, bytes), bytes) {
            Ok(Parsed::Index(index)) => {
                drop(pick("registry", &index.manifests, &Platform::new("linux", "amd64", None)))
            }
            Ok(Parsed::Manifest(manifest)) => drop(manifest.to_bytes()),
            Err(error) => drop(error.to_string()),
        }
    }
}

pub(crate) fn config(bytes: &[u8]) {
    match json::<ImageConfig>("registry", "configuration", bytes) {
        Ok(config) => {
            let written = serde_json::to_vec(&config).expect("a configuration is JSON");
            let again: ImageConfig =
                serde_json::from_slice(&written).expect("a serialised configuration can be parsed");
            assert_eq!(serde_json::to_vec(&again).expect("a configuration is JSON"), written);
        }
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn elf(bytes: &[u8]) {
    if let Some(reason) = elf::reject_reason(bytes) {
        assert!(!reason.is_empty());
    }
}

pub(crate) fn challenge(header: &str) {
    read_challenge(header);
    let _ = crate::http::parse_http_date(header);
}
