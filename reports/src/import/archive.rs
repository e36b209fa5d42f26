//! As much of tar as an OCI layout in a file needs: names and contents of regular files (POSIX.1-2017, pax, "ustar
//! Interchange Format").

use super::LARGEST;
use std::collections::BTreeMap;
use std::io::Read as _;

/// The files of a tar or tar.gz by name; what is torn off at the end is missing.
pub(crate) fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        // An error within the stream (a truncated file) leaves what was read before it.
        let _ = flate2::read::MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut tar);
    } else {
        tar.extend_from_slice(bytes);
    }
    let mut files = BTreeMap::new();
    let mut rest = tar.as_slice();
    while let Some((header, after)) = rest.split_at_checked(512) {
        let field = |range: std::ops::Range<usize>| {
            let field = &header[range];
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let (name, size) = (field(0..100), usize::from_str_radix(&field(124..136), 8));
        let (false, Ok(size)) = (name.is_empty(), size) else { break };
        let Some((content, after)) = after.split_at_checked(size) else { break };
        if matches!(header[156], 0 | b'0') {
            files.insert(name.trim_start_matches("./").to_owned(), content.to_vec());
        }
        rest = after.get(size.next_multiple_of(512) - size..).unwrap_or(&[]);
    }
    files
}
