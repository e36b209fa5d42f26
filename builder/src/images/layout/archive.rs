//! Random access to the members of a tar file. OCI and docker archives are tars of blobs.
//!
//! Members are found by name and read in place. Nothing is unpacked to a path from the archive, so `../` and absolute
//! names do no harm.

use crate::images::ImageError;
use buildscope_storage::StorageError;
use buildscope_storage::tar::{MemberKind, Reader};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The largest number of links between members that are followed. A longer chain counts as a loop.
const MOST_LINKS: usize = 8;

/// A tar file and the positions of its members.
#[derive(Debug)]
pub(crate) struct Archive {
    file: Arc<File>,
    members: HashMap<String, Member>,
}

#[derive(Clone, Debug)]
enum Member {
    /// A regular file: the position of its data, in bytes.
    File { offset: u64, size: u64 },
    /// A link to the member of that name.
    Link(String),
}

impl Archive {
    /// Reads all headers of the tar at `path`; `origin` names it in errors.
    pub(crate) fn open(path: &Path, origin: &str) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::file("open", path))?;
        let length = file.metadata().map_err(ImageError::file("read", path))?.len();
        let members = members(&file, length).map_err(|reason| ImageError::malformed(origin, reason))?;
        Ok(Self { file: Arc::new(file), members })
    }

    /// The data of the member of that name. Links are followed.
    pub(crate) fn member(&self, name: &str) -> Option<FileRange> {
        let mut name = normal(name)?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&name)? {
                Member::File { offset, size } => {
                    return Some(FileRange { file: Arc::clone(&self.file), at: *offset, end: offset + size });
                }
                Member::Link(target) => name = target.clone(),
            }
        }
        None
    }
}

/// A reader of a part of a file. It does not move the file's own position.
#[derive(Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl FileRange {
    /// A reader of the first `size` bytes of a file.
    pub(crate) fn whole(file: File, size: u64) -> Self {
        Self { file: Arc::new(file), at: 0, end: size }
    }

    /// The number of bytes that are left.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.at
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected end of file"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// Normalises a member's name: removes `./`, double slashes and `..` within the name. Returns `None` if the name leads
/// out of the archive.
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

/// Reads the headers of all members.
fn members(file: &File, length: u64) -> Result<HashMap<String, Member>, String> {
    let mut reader = Reader::seeking(file);
    let mut members = HashMap::new();
    let failed = |error| match error {
        StorageError::BadLayer { offset, reason } => format!("{reason} (byte {offset})"),
        other => other.to_string(),
    };
    while let Some(found) = reader.read_member().map_err(failed)? {
        if found.offset.checked_add(found.stored).is_none_or(|end| end > length) {
            return Err("the archive ends inside a member: it is truncated".into());
        }
        let [name, link] = [&found.name, &found.link].map(|name| String::from_utf8_lossy(name));
        let Some(name) = normal(&name) else { continue };
        let member = match found.kind {
            // The data of a sparse file is not in one piece. Image archives contain none.
            MemberKind::File if found.sparse.is_none() => {
                Some(Member::File { offset: found.offset, size: found.stored })
            }
            MemberKind::HardLink => normal(&link).map(Member::Link),
            MemberKind::Symlink => link_target(&name, &link).map(Member::Link),
            _ => None,
        };
        if let Some(member) = member {
            members.insert(name, member);
        }
    }
    if members.is_empty() {
        return Err("not a tar archive, or an empty one".into());
    }
    Ok(members)
}

/// Resolves the target of the symbolic link `name`. `docker save` uses such links for layers that occur twice.
fn link_target(name: &str, target: &str) -> Option<String> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    if target.starts_with('/') { None } else { normal(&format!("{folder}/{target}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Makes an archive with GNU tar.
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
    fn members_are_found_in_gnu_and_pax_archives() {
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
    fn loops_and_truncated_archives_are_errors() {
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
        assert!(Archive::open(&path, "test").unwrap_err().to_string().contains("checksum"));
    }
}
