//! Entry points for the fuzz targets.

use super::compression::decompressed;
use super::stat_cache::read_back;
use buildscope_record::Digest;
use buildscope_storage::tar::Reader;
use std::io::Read as _;

/// The number of bytes of an unpacked archive that are read.
const MOST: u64 = 16 << 20;

pub(crate) fn stat_cache(bytes: &[u8]) {
    read_back(bytes);
    let body = &bytes[..bytes.len().saturating_sub(32)];
    read_back(&[body, Digest::of(body).as_bytes().as_slice()].concat());
}

pub(crate) fn archive(bytes: &[u8]) {
    let Ok(unpacked) = decompressed(bytes) else { return };
    let mut reader = Reader::new(unpacked.take(MOST));
    while let Ok(Some(_)) = reader.read_member() {}
}
