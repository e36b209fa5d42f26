//! Archives, and the store's own files about layers and contexts.

use buildscope_storage::tar::{Header, Member, Reader};

/// Reads a tar from a registry or a context, unchanged and with corrected header checksums.
pub(crate) fn tar(bytes: &[u8]) {
    read(bytes);
    read(&summed(bytes));
}

/// Reads members until the end or the first error. A member must not start before the end of the previous one.
fn read(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut end = 0;
    while let Ok(Some(member)) = reader.read_member() {
        let Member { name, offset, .. } = &member;
        assert!(*offset >= end, "{} begins at {offset} before {end}", String::from_utf8_lossy(name));
        assert!(*offset <= bytes.len() as u64);
        end = *offset;
        for piece in member.sparse.iter().flat_map(|sparse| &sparse.pieces) {
            assert!(piece.stored.checked_add(piece.length).is_some_and(|end| end <= member.stored));
            assert!(piece.offset.checked_add(piece.length).is_some());
        }
    }
}

/// Corrects the checksum of every block that looks like a header (POSIX.1-2024 pax, "ustar Interchange Format").
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let headers = bytes.chunks_exact_mut(512).filter_map(Header::of_mut);
    headers.filter(|header| header.magic.starts_with(b"ustar")).for_each(Header::update_checksum);
    bytes
}

pub(crate) fn layer_index(bytes: &[u8]) {
    buildscope_storage::fuzzing::layer_index(bytes);
}

pub(crate) fn stat_cache(bytes: &[u8]) {
    buildscope_builder::fuzzing::stat_cache(bytes);
}

pub(crate) fn archive(bytes: &[u8]) {
    buildscope_builder::fuzzing::archive(bytes);
}
