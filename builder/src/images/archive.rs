//! Random access to the members of a tar file: OCI and docker archives are tars of blobs.
//!
//! Nothing is ever unpacked to a path that an archive names; members are found by name and read in
//! place, so `../` and absolute names are just names that nobody asks for.

use super::ImageError;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The block size of a tar.
const BLOCK: u64 = 512;
/// The longest name or extended header that is read into memory; no image needs more.
const LONGEST_HEADER: u64 = 1 << 20;
/// How many links lead from one member to another before it is called a loop.
const MOST_LINKS: usize = 8;

/// A tar file and where its members lie.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    members: HashMap<String, Member>,
}

#[derive(Clone, Debug)]
enum Member {
    /// Regular: offset of its data, size.
    File(u64, u64),
    /// A link to another member's name.
    Link(String),
}

impl Archive {
    /// Reads all headers of the tar at `path`; `origin` names it in errors.
    pub(crate) fn open(path: &Path, origin: &str) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::file("open", path))?;
        let length = file.metadata().map_err(ImageError::file("read", path))?.len();
        let members =
            Headers { file: &file, length, at: 0 }.read_all().map_err(|fault| ImageError::malformed(origin, fault))?;
        Ok(Self { file: Arc::new(file), members })
    }

    /// The data of the member of that name, links followed.
    pub(crate) fn member(&self, name: &str) -> Option<FileRange> {
        let mut name = normal(name)?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&name)? {
                Member::File(offset, size) => {
                    return Some(FileRange { file: Arc::clone(&self.file), at: *offset, end: offset + size });
                }
                Member::Link(target) => name = target.clone(),
            }
        }
        None
    }
}

/// Part of a file, read from its beginning. Does not move the file's own position.
#[derive(Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl FileRange {
    /// The whole file.
    pub(crate) fn whole(file: File, size: u64) -> Self {
        Self { file: Arc::new(file), at: 0, end: size }
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.at
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends early"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// A member's name without `./`, doubled slashes and steps upwards that stay inside. None where it leaves the archive.
fn normal(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

struct Headers<'a> {
    file: &'a File,
    length: u64,
    at: u64,
}

impl Headers<'_> {
    fn read_all(mut self) -> Result<HashMap<String, Member>, String> {
        let mut members = HashMap::new();
        // What a pax or GNU header says about the entry after it.
        let (mut next_name, mut next_link, mut next_size) = (None, None, None);
        while self.at + BLOCK <= self.length {
            let mut header = [0; BLOCK as usize];
            self.file.read_exact_at(&mut header, self.at).map_err(|e| e.to_string())?;
            if header.iter().all(|byte| *byte == 0) {
                break;
            }
            verify_checksum(&header).ok_or_else(|| format!("no tar header at byte {}", self.at))?;
            self.at += BLOCK;
            let size = number(&header[124..136])
                .ok_or_else(|| format!("no size in the tar header before byte {}", self.at))?;
            let kind = header[156];
            let size = match kind {
                b'x' | b'g' | b'L' | b'K' => size,
                _ => next_size.take().unwrap_or(size),
            };
            let data = self.at;
            self.at = size
                .checked_next_multiple_of(BLOCK)
                .and_then(|padded| data.checked_add(padded))
                .filter(|_| size <= self.length - data)
                .ok_or("the archive ends inside a member: it is truncated")?;
            match kind {
                b'L' => next_name = Some(text(&self.bytes(data, size)?)),
                b'K' => next_link = Some(text(&self.bytes(data, size)?)),
                b'x' => {
                    for (key, value) in pax_records(&self.bytes(data, size)?) {
                        match key.as_str() {
                            "path" => next_name = Some(value),
                            "linkpath" => next_link = Some(value),
                            "size" => next_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                b'g' => {}
                _ => {
                    let name = next_name.take().unwrap_or_else(|| short_name(&header));
                    let link = next_link.take().unwrap_or_else(|| text(&header[157..257]));
                    let Some(name) = normal(&name) else { continue };
                    let member = match kind {
                        0 | b'0' | b'7' => Some(Member::File(data, size)),
                        b'1' => normal(&link).map(Member::Link),
                        b'2' => beside(&name, &link).map(Member::Link),
                        _ => None,
                    };
                    if let Some(member) = member {
                        members.insert(name, member);
                    }
                }
            }
        }
        if members.is_empty() {
            return Err("it is no tar, or an empty one".into());
        }
        Ok(members)
    }

    fn bytes(&self, at: u64, size: u64) -> Result<Vec<u8>, String> {
        if size > LONGEST_HEADER {
            return Err(format!("an extended tar header of {size} bytes"));
        }
        let mut bytes = vec![0; size as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}

/// Where the symbolic link `name` leads: `docker save` links equal layers to each other this way.
fn beside(name: &str, target: &str) -> Option<String> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    if target.starts_with('/') { None } else { normal(&format!("{folder}/{target}")) }
}

/// The sum of the header's bytes with the checksum field as spaces (POSIX.1-1988 ustar).
fn verify_checksum(header: &[u8; BLOCK as usize]) -> Option<()> {
    let sum: u64 =
        header.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    (number(&header[148..156])? == sum).then_some(())
}

/// An octal field, or GNU's base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let first = u64::from(field[0] & 0x7f);
        return field[1..].iter().try_fold(first, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits = text(field);
    match digits.trim() {
        "" => Some(0),
        digits => u64::from_str_radix(digits, 8).ok(),
    }
}

fn short_name(header: &[u8; BLOCK as usize]) -> String {
    let name = text(&header[..100]);
    match (&header[257..263] == b"ustar\0").then(|| text(&header[345..500])) {
        Some(prefix) if !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name,
    }
}

/// Up to the first NUL; members that are asked for have ASCII names.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// `LENGTH KEY=VALUE\n` records; reading stops at the first malformed one.
fn pax_records(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut records = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let Some(record) = length.filter(|length| *length > space + 1).and_then(|length| bytes.get(space + 1..length))
        else {
            break;
        };
        let record = String::from_utf8_lossy(record);
        if let Some((key, value)) = record.trim_end_matches('\n').split_once('=') {
            records.push((key.to_owned(), value.to_owned()));
        }
        bytes = &bytes[length.unwrap_or(bytes.len())..];
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// GNU tar is the reference.
    fn tar(folder: &Path, arguments: &[&str]) -> std::path::PathBuf {
        let out = folder.join("out.tar");
        let status = Command::new("tar").arg("-cf").arg(&out).arg("-C").arg(folder).args(arguments).status().unwrap();
        assert!(status.success());
        out
    }

    fn content(archive: &Archive, name: &str) -> Option<String> {
        archive.member(name).map(|range| io::read_to_string(range).unwrap())
    }

    #[test]
    fn members_links_and_long_names_of_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(130));
        std::fs::create_dir_all(folder.path().join("in").join(&long).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join("in").join(&long), "long").unwrap();
        std::fs::write(folder.path().join("in/a"), "A").unwrap();
        std::os::unix::fs::symlink("../in/a", folder.path().join("in/b")).unwrap();
        std::fs::hard_link(folder.path().join("in/a"), folder.path().join("in/c")).unwrap();
        for format in ["--format=gnu", "--format=pax"] {
            let path = tar(folder.path(), &[format, "in"]);
            let archive = Archive::open(&path, "test").unwrap();
            for name in ["in/a", "./in//b", "in/c"] {
                assert_eq!(content(&archive, name).as_deref(), Some("A"), "{format} {name}");
            }
            assert_eq!(content(&archive, &format!("in/{long}")).as_deref(), Some("long"), "{format}");
            assert_eq!(content(&archive, "in/none"), None);
        }
    }

    #[test]
    fn loops_end_and_truncation_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
        std::fs::write(folder.path().join("c"), [7; 4000]).unwrap();
        let path = tar(folder.path(), &["a", "b", "c"]);
        assert!(Archive::open(&path, "test").unwrap().member("a").is_none());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..4096]).unwrap();
        assert!(Archive::open(&path, "test").unwrap_err().to_string().contains("truncated"));
        std::fs::write(&path, b"not a tar".repeat(100)).unwrap();
        assert!(Archive::open(&path, "test").unwrap_err().to_string().contains("no tar header"));
    }
}
