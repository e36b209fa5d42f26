//! Archives, and the files that a store keeps about its layers and contexts.

use buildscope_storage::tar::Reader;

/// A tar from a registry or a context: members are read to the end or the first fault, and none begins before the last one ended.
pub(crate) fn tar(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut end = 0;
    while let Ok(Some(member)) = reader.next() {
        assert!(
            member.offset >= end,
            "{} begins at {} before {end}",
            String::from_utf8_lossy(&member.name),
            member.offset
        );
        assert!(member.offset <= bytes.len() as u64);
        end = member.offset;
        for (offset, from, length) in member.sparse.iter().flat_map(|sparse| &sparse.pieces) {
            assert!(from.checked_add(*length).is_some_and(|end| end <= member.stored));
            assert!(offset.checked_add(*length).is_some());
        }
    }
}

pub(crate) fn layer_index(bytes: &[u8]) {
    buildscope_storage::fuzzing::layer_index(bytes);
}

pub(crate) fn stat_cache(bytes: &[u8]) {
    buildscope_builder::fuzzing::stat_cache(bytes);
}
