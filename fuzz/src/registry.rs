//! Responses of a registry: manifests and indexes, configurations, challenges.

use buildscope_builder::fuzzing;

pub(crate) fn manifest(bytes: &[u8]) {
    fuzzing::manifest(bytes);
}

pub(crate) fn config(bytes: &[u8]) {
    fuzzing::config(bytes);
}

pub(crate) fn challenge(bytes: &[u8]) {
    if let Ok(header) = std::str::from_utf8(bytes) {
        fuzzing::challenge(header);
    }
}
