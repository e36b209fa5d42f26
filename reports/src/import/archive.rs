//! The files of an OCI layout in a tar archive.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;

/// The largest decompressed size, in bytes, that is read. A real export has a few megabytes, and its JSON takes several times
/// as much memory as text.
const LARGEST: u64 = 32 << 20;

/// The files of an archive by name.
pub(crate) struct ArchiveFiles {
    tar: Vec<u8>,
    positions: BTreeMap<String, Range<usize>>,
}

impl ArchiveFiles {
    /// Reads a tar or tar.gz. Files after a truncation are missing.
    ///
    /// # Errors
    /// If the archive is too large.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut tar = Vec::new();
        let limited = |from: &mut dyn std::io::Read, tar: &mut Vec<u8>| from.take(LARGEST + 1).read_to_end(tar);
        if bytes.starts_with(&[0x1f, 0x8b]) {
            // An error within the stream (a truncated file) keeps what was read before it.
            let _ = limited(&mut flate2::read::MultiGzDecoder::new(bytes), &mut tar);
        } else {
            let _ = limited(&mut &*bytes, &mut tar);
        }
        if tar.len() as u64 > LARGEST {
            return Err(format!("the archive has more than {} MiB", LARGEST >> 20));
        }
        let mut positions = BTreeMap::new();
        let mut archive = tar::Archive::new(tar.as_slice());
        for member in archive.entries().into_iter().flatten().map_while(Result::ok) {
            let is_file = matches!(member.header().entry_type(), tar::EntryType::Regular);
            let name = String::from_utf8_lossy(&member.path_bytes()).trim_start_matches("./").to_owned();
            let (start, size) = (member.raw_file_position() as usize, member.size() as usize);
            let Some(end) = start.checked_add(size).filter(|&end| end <= tar.len()) else { break };
            if is_file {
                positions.insert(name, start..end);
            }
        }
        Ok(Self { tar, positions })
    }

    /// The content of a file.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        Some(&self.tar[self.positions.get(name)?.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_bomb_is_an_error() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut header = tar::Header::new_gnu();
        header.set_path("index.json").unwrap();
        header.set_size(LARGEST);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        for _ in 0..LARGEST >> 20 {
            gzip.write_all(&[b' '; 1 << 20]).unwrap();
        }
        let bytes = gzip.finish().unwrap();
        assert!(bytes.len() < 1 << 20);
        assert_eq!(ArchiveFiles::read(&bytes).err().as_deref(), Some("the archive has more than 32 MiB"));
    }

    #[test]
    fn files_are_found_by_name() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        archive.append_data(&mut header, "./index.json", &b"{}"[..]).unwrap();
        let files = ArchiveFiles::read(&archive.into_inner().unwrap()).unwrap();
        assert_eq!((files.get("index.json"), files.get("other")), (Some(&b"{}"[..]), None));
    }
}
