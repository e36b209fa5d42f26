//! Entry points for the fuzz targets in `fuzz/`. Not part of the public interface.

use crate::index::LayerIndex;
use crate::path::to_path;

/// Reads every record of an index file, once unchanged and once with a valid checksum.
pub fn layer_index(bytes: &[u8]) {
    let read = |bytes: Vec<u8>| {
        let Some(index) = LayerIndex::parse(bytes) else { return };
        let _ = index.is_self_contained();
        for record in (0..index.len()).map(|number| index.record(number)) {
            let _ = (record.entry(to_path(record.path())), record.content(), record.names(), record.path_at());
            let _ = record.link().map(|other| index.record(other).path());
        }
    };
    read(bytes.to_vec());
    read(LayerIndex::sealed(bytes.to_vec()));
}
