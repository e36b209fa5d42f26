//! Files as they are downloaded: compressed with gzip, zstd, xz or bzip2, or several in an archive.

use super::zstd_frames::{ZstdFrames, is_zstd};
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Cursor, Read};

/// The largest decompressed size of a file, in bytes. A log of a hundred thousand lines has ten megabytes.
const LARGEST: u64 = 256 << 20;

/// The size that any file may have when it is decompressed, in bytes.
const FREE: u64 = 16 << 20;

/// The largest ratio of the decompressed size to that of the file, beyond [`FREE`]. Logs of progress bars shrink to a hundredth, zeros to a
/// thousandth. Reading a log takes ten times its size in memory.
const MOST_RATIO: u64 = 200;

/// The number of files of an archive that are read.
const MOST_FILES: usize = 2_000;

/// The most memory for decompressing an xz file, in KiB. `xz -9` needs 65 MiB.
const MOST_MEMORY: u32 = 128 << 10;

/// The greatest depth of packing: a tar in gzip in zip has three levels.
const DEEPEST: usize = 4;

/// The content of a file.
#[derive(Debug)]
pub(super) enum Package<'b> {
    /// One file, decompressed.
    One(Cow<'b, [u8]>),
    /// An OCI layout in a tar: a `.dockerbuild` export.
    Layout,
    /// The files of an archive.
    Several(Vec<Vec<u8>>),
}

/// Opens a file.
///
/// # Errors
/// If it is too large, in words.
pub(super) fn open(bytes: &[u8]) -> Result<Package<'_>, String> {
    let mut files = Vec::new();
    let mut left = most(bytes.len());
    let whole = unpack(Cow::Borrowed(bytes), DEEPEST, &mut left, &mut files)?;
    Ok(match whole {
        Some(Whole::Layout) => Package::Layout,
        Some(Whole::File(file)) => Package::One(file),
        None => Package::Several(without_parts(files)),
    })
}

enum Whole<'b> {
    File(Cow<'b, [u8]>),
    Layout,
}

/// Decompresses a file, or adds the files of an archive to `files`.
fn unpack<'b>(
    bytes: Cow<'b, [u8]>,
    depth: usize,
    left: &mut u64,
    files: &mut Vec<Vec<u8>>,
) -> Result<Option<Whole<'b>>, String> {
    let deeper = depth.checked_sub(1);
    let plain = |bytes| Ok(Some(Whole::File(bytes)));
    let Some(deeper) = deeper else { return plain(bytes) };
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let inner = limited(flate2::read::MultiGzDecoder::new(&*bytes), left)?;
        return Ok(unpack(Cow::Owned(inner), deeper, left, files)?.map(owned));
    }
    if is_zstd(&bytes) {
        let inner = limited(ZstdFrames::new(&bytes), left)?;
        return Ok(unpack(Cow::Owned(inner), deeper, left, files)?.map(owned));
    }
    if bytes.starts_with(b"\xfd7zXZ\0") {
        let inner = limited(lzma_rust2::XzReader::new_mem_limit(&*bytes, true, MOST_MEMORY), left)?;
        return Ok(unpack(Cow::Owned(inner), deeper, left, files)?.map(owned));
    }
    if is_bzip2(&bytes) {
        let inner = limited(bzip2::read::MultiBzDecoder::new(&*bytes), left)?;
        return Ok(unpack(Cow::Owned(inner), deeper, left, files)?.map(owned));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(&*bytes)) else { return plain(bytes) };
        for index in 0..archive.len().min(MOST_FILES) {
            let Ok(member) = archive.by_index(index) else { continue };
            if member.is_file() {
                let content = limited(member, left)?;
                add(content, deeper, left, files)?;
            }
        }
        return Ok(None);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        let mut archive = tar::Archive::new(&*bytes);
        // Entries after a damaged one cannot be read.
        for member in archive.entries().into_iter().flatten().map_while(Result::ok).take(MOST_FILES) {
            let path = member.path_bytes();
            let name = path.strip_prefix(b"./").unwrap_or(&path);
            if matches!(name, b"index.json" | b"oci-layout") || name.starts_with(b"blobs/") {
                return Ok(Some(Whole::Layout));
            }
            if member.header().entry_type().is_file() {
                let content = limited(member, left)?;
                add(content, deeper, left, files)?;
            }
        }
        return Ok(None);
    }
    plain(bytes)
}

/// Whether a file starts like one of bzip2: the level, then the mark of a block or of the end.
fn is_bzip2(bytes: &[u8]) -> bool {
    const MARKS: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
    let after = bytes.strip_prefix(b"BZh").and_then(|rest| rest.split_first());
    after.is_some_and(|(level, rest)| level.is_ascii_digit() && MARKS.iter().any(|mark| rest.starts_with(mark)))
}

fn owned<'b>(whole: Whole<'_>) -> Whole<'b> {
    match whole {
        Whole::File(file) => Whole::File(Cow::Owned(file.into_owned())),
        Whole::Layout => Whole::Layout,
    }
}

/// Adds a file of an archive, which may be packed itself.
fn add(content: Vec<u8>, depth: usize, left: &mut u64, files: &mut Vec<Vec<u8>>) -> Result<(), String> {
    if let Some(Whole::File(file)) = unpack(Cow::Owned(content), depth, left, files)? {
        files.push(file.into_owned());
    }
    Ok(())
}

/// Reads to the end, or to an error within the stream: of a truncated file, the part before the error is kept.
fn limited(from: impl Read, left: &mut u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(*left + 1).read_to_end(&mut bytes)
        && error.kind() == std::io::ErrorKind::OutOfMemory
    {
        return Err(format!("more than {} MiB of memory are needed to decompress it", MOST_MEMORY >> 10));
    }
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
        format!("more than {MOST_RATIO} times as large, or more than {} MiB, when decompressed", LARGEST >> 20)
    })?;
    Ok(bytes)
}

/// The largest decompressed size of a file of this size.
fn most(size: usize) -> u64 {
    (FREE + MOST_RATIO * size as u64).min(LARGEST)
}

/// The most bytes that are searched for parts. An archive of many large files would take minutes otherwise.
const MOST_SEARCHED: usize = 2 << 30;

/// Removes files whose content is part of another one: GitHub's archive has the log of each job, and of each of its steps again.
fn without_parts(files: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    PartSearch { left: MOST_SEARCHED }.without_parts(files)
}

/// A search for files in other files that reads a limited number of bytes.
struct PartSearch {
    /// The bytes that may still be read.
    left: usize,
}

impl PartSearch {
    fn without_parts(&mut self, files: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let contents: Vec<&[u8]> =
            files.iter().map(|file| file.strip_prefix(MARK).unwrap_or(file).trim_ascii()).collect();
        // Lines of logs have times, so few files have the first line of another one.
        let hasher = RandomState::new();
        let hash = |line: &[u8]| hasher.hash_one(line.trim_ascii());
        let lines_of = |content: &&[u8]| content.split(|byte| *byte == b'\n').map(hash).collect();
        let lines: Vec<HashSet<u64>> = contents.iter().map(lines_of).collect();
        let mut is_part = |at: usize| {
            let part = contents[at];
            let first = part.split(|byte| *byte == b'\n').next().map(hash);
            let mut larger = |other: usize| {
                let whole = contents[other];
                let comes_first = whole.len() > part.len() || whole.len() == part.len() && other < at;
                comes_first && first.is_none_or(|first| lines[other].contains(&first)) && self.holds(whole, part)
            };
            part.is_empty() || (0..contents.len()).any(|other| other != at && larger(other))
        };
        let kept: Vec<bool> = (0..files.len()).map(|at| !is_part(at)).collect();
        files.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(file, _)| file).collect()
    }

    /// Whether a content is found in another one; `false` too if both are more than may still be read.
    fn holds(&mut self, whole: &[u8], part: &[u8]) -> bool {
        let Some(left) = self.left.checked_sub(whole.len() + part.len()) else { return false };
        self.left = left;
        memchr::memmem::find(whole, part).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn one(bytes: &[u8]) -> Vec<u8> {
        match open(bytes) {
            Ok(Package::One(file)) => file.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn compressed_files_are_decompressed() {
        assert_eq!(one(b"log"), b"log");
        assert_eq!(one(&gzip(&gzip(b"log"))), b"log");
        assert_eq!(one(&gzip(b"")), b"");
        let cut = gzip(&b"#1 [internal] load build definition\n".repeat(1000));
        assert!(one(&cut[..cut.len() - 20]).starts_with(b"#1 [internal]"));
        assert_eq!(one(b"PK\x03\x04 a log that begins so"), b"PK\x03\x04 a log that begins so");
    }

    /// `log\n` as xz 5.4 writes it, with a dictionary of 1 GiB in the second.
    const XZ: &[u8] = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0\x21\x01\x0c\0\0\0\x8f\x98\x41\x9c\x01\0\x03log\n\0\x40\x31\x05\x18\x93\x4a\x17\x36\0\x01\x1c\x04\x6f\x2c\x9c\xc1\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ";
    const XZ_OF_A_GIBIBYTE: &[u8] = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0\x21\x01\x24\0\0\0\x5e\x1f\xc7\xf9\x01\0\x03log\n\0\x40\x31\x05\x18\x93\x4a\x17\x36\0\x01\x1c\x04\x6f\x2c\x9c\xc1\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ";
    /// `log\n` and an empty file as bzip2 1.0.8 writes them.
    const BZIP2: &[u8] = b"BZh91AY&SY\xb9\x4e\x40\x64\0\0\x01\x41\0\0\x10\0\x84\xa0\0\x21\x9a\x68\x33\x4d\x07\x3c\x5d\xc9\x14\xe1\x42\x42\xe5\x39\x01\x90";
    const EMPTY_BZIP2: &[u8] = b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0";

    #[test]
    fn xz_and_bzip2_are_decompressed() {
        assert_eq!(one(XZ), b"log\n");
        assert_eq!(one(BZIP2), b"log\n");
        assert_eq!(one(EMPTY_BZIP2), b"");
        assert_eq!(one(&[XZ, XZ].concat()), b"log\nlog\n");
        assert_eq!(one(&[BZIP2, EMPTY_BZIP2, BZIP2].concat()), b"log\nlog\n");
        assert_eq!(one(b"BZh9 is how a log may begin"), b"BZh9 is how a log may begin");
    }

    #[test]
    fn a_dictionary_of_a_gibibyte_is_an_error() {
        let error = open(XZ_OF_A_GIBIBYTE).unwrap_err();
        assert_eq!(error, "more than 128 MiB of memory are needed to decompress it");
    }

    #[test]
    fn a_bomb_is_an_error() {
        let expected = "more than 200 times as large, or more than 256 MiB, when decompressed";
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![0; FREE as usize + (8 << 20)]).unwrap();
        assert_eq!(open(&bomb.finish().unwrap()).err().as_deref(), Some(expected));
        let (small, large) = (most(1_000), most(100 << 20));
        assert_eq!((small, large), ((16 << 20) + 200_000, 256 << 20));
    }

    #[test]
    fn the_search_for_parts_has_an_end() {
        let file = |first: usize, last: usize| format!("{first}\n{}{last}", "x".repeat(1000)).into_bytes();
        let mut search = PartSearch { left: 1 << 20 };
        assert_eq!(search.without_parts((100..200).map(|number| file(number, number)).collect()).len(), 100);
        assert_eq!(search.left, 1 << 20, "no file has the first line of another one");
        // Each pair has two kilobytes, and there are 4,950 of them.
        assert_eq!(search.without_parts((100..200).map(|number| file(1, number)).collect()).len(), 100);
        assert!(search.left < 3000, "{} bytes may still be read", search.left);
    }

    #[test]
    fn a_part_of_another_file_is_not_read_again() {
        let files = ["\u{feff}a\nb\n", "b\n", "", "c", "c"].map(|text| text.as_bytes().to_vec());
        assert_eq!(without_parts(files.to_vec()), [files[0].clone(), files[3].clone()]);
    }
}
