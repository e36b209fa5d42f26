//! The files of an OCI layout in a tar archive.

use std::collections::BTreeMap;
use std::io::Read as _;

/// The largest decompressed size, in bytes, that is read. A real export has a few megabytes.
const LARGEST: u64 = 1 << 30;

/// The files of a tar or tar.gz by name. Files after a truncation are missing.
pub(crate) fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        // An error within the stream (a truncated file) keeps what was read before it.
        let _ = flate2::read::MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut tar);
    } else {
        tar.extend_from_slice(bytes);
    }
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(tar.as_slice());
    for member in archive.entries().into_iter().flatten().map_while(Result::ok) {
        let is_file = matches!(member.header().entry_type(), tar::EntryType::Regular);
        let name = String::from_utf8_lossy(&member.path_bytes()).trim_start_matches("./").to_owned();
        let (start, size) = (member.raw_file_position() as usize, member.size() as usize);
        let Some(content) = start.checked_add(size).and_then(|end| tar.get(start..end)) else { break };
        if is_file {
            files.insert(name, content.to_vec());
        }
    }
    files
}
