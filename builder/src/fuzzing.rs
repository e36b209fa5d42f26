//! Entrances for the fuzz targets in `fuzz/`; not an interface.

use crate::images::fuzzing as images;
use crate::sources::fuzzing as sources;

/// Reads a context's stat cache; once as it is, and once with the digest that its bytes should have.
pub fn stat_cache(bytes: &[u8]) {
    sources::stat_cache(bytes);
}

/// Reads an image index or manifest, and picks an image from an index.
pub fn manifest(bytes: &[u8]) {
    images::manifest(bytes);
}

/// Reads an image configuration.
pub fn config(bytes: &[u8]) {
    images::config(bytes);
}

/// Reads a `WWW-Authenticate` header, and a date of HTTP.
pub fn challenge(header: &str) {
    images::challenge(header);
}

/// Reads the header of a program.
pub fn elf(bytes: &[u8]) {
    images::elf(bytes);
}

/// Reads the members of an archive, compressed or not.
pub fn archive(bytes: &[u8]) {
    sources::archive(bytes);
}
