//! Entry points for the fuzz targets.

use super::stat_cache::StatCache;
use buildscope_record::Digest;

pub(crate) fn stat_cache(bytes: &[u8]) {
    StatCache::read_back(bytes);
    let body = &bytes[..bytes.len().saturating_sub(32)];
    StatCache::read_back(&[body, Digest::of(body).as_bytes().as_slice()].concat());
}
