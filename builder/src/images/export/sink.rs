//! Sinks for blobs: a tar, or the files of a layout directory.
//!
//! Both hand out *regions*: parts of open files, which several threads fill at the same time.

use super::super::ImageError;
use super::super::layout::blob_path;
use super::copy::copy_range;
use super::destination::{name, nameless};
use buildscope_record::BlobDigest;
use buildscope_storage::tar::{BLOCK, Header, write_octal};
use rustix::fs::{Advice, fadvise};
use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An archive ends in two blocks of zeros (POSIX.1-2024, pax, "ustar Interchange Format").
const END: u64 = 2 * BLOCK;

/// A part of an open file for one blob.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) file: Arc<File>,
    /// The offset of the blob, in bytes.
    pub(crate) at: u64,
    /// The path of the temporary file, in a layout directory.
    path: Option<PathBuf>,
}

impl Region {
    /// A region that starts at the beginning of a file.
    pub(crate) fn of(file: File) -> Self {
        Self { file: Arc::new(file), at: 0, path: None }
    }

    /// Copies the first `size` bytes of a file into the region.
    pub(crate) fn take(&self, from: &File, size: u64) -> io::Result<()> {
        copy_range(from, 0, size, &self.file, self.at)
    }
}

/// A destination for blobs and the few named files of a layout.
pub(crate) trait Sink {
    /// Reserves a region for a blob of `size` bytes. Its digest need not be known yet.
    fn reserve(&mut self, size: u64) -> Result<Region, ImageError>;

    /// Opens a region for a blob of unknown size. It must be settled before another region is requested.
    fn open(&mut self) -> Result<Region, ImageError>;

    /// Completes the blob in a region: `size` bytes with this digest.
    fn settle(&mut self, region: Region, digest: &BlobDigest, size: u64) -> Result<(), ImageError>;

    /// Whether the sink already has the blob.
    fn has(&self, digest: &BlobDigest, size: u64) -> bool;

    /// Writes a named file, such as `index.json`.
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError>;

    /// Writes a blob from memory, unless the sink already has it.
    fn blob(&mut self, digest: &BlobDigest, bytes: &[u8]) -> Result<(), ImageError> {
        let size = bytes.len() as u64;
        if self.has(digest, size) {
            return Ok(());
        }
        let region = self.reserve(size)?;
        region.file.write_all_at(bytes, region.at).map_err(written("a blob"))?;
        self.settle(region, digest, size)
    }
}

fn written(what: impl Into<String>) -> impl FnOnce(io::Error) -> ImageError {
    let what = what.into();
    move |error| ImageError::Write { what, error }
}

/// A tar in a file that can be written at any position.
#[derive(Debug)]
pub(crate) struct TarSink {
    file: Arc<File>,
    /// The offset of the next header, in bytes.
    at: u64,
    blobs: Vec<BlobDigest>,
    what: String,
}

impl TarSink {
    /// Starts a tar in an empty file. `what` names it in errors.
    pub(crate) fn begin(file: File, what: &str) -> Result<Self, ImageError> {
        let mut sink = Self { file: Arc::new(file), at: 0, blobs: Vec::new(), what: what.to_owned() };
        for folder in ["blobs/", "blobs/sha256/"] {
            sink.header(sink.at, folder, b'5', 0o755, 0)?;
            sink.at += BLOCK;
        }
        Ok(sink)
    }

    /// The number of bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.at
    }

    /// Makes the kernel start to write to the disk what was added after the first `from` bytes. ext4 would do that when the file replaces
    /// another one (ext4(5), `auto_da_alloc`), and a rename of 300 MB would take a fifth of a second.
    pub(crate) fn begin_writing(&self, from: u64) {
        if let Some(length) = self.at.checked_sub(from).and_then(NonZeroU64::new) {
            // Linux starts to write pages that cannot be dropped yet. An error changes nothing.
            let _ = fadvise(&self.file, from, Some(length), Advice::DontNeed);
        }
    }

    /// Ends the tar and returns its size in bytes.
    pub(crate) fn finish(self) -> Result<u64, ImageError> {
        let size = self.at + END;
        self.file.set_len(size).map_err(written(self.what))?;
        Ok(size)
    }

    /// Writes a header without owner and time, so that the same image always gives the same archive.
    fn header(&self, at: u64, name: &str, kind: u8, mode: u32, size: u64) -> Result<(), ImageError> {
        let mut header = Header::zeroed();
        // The longest name is that of a blob: 77 bytes.
        header.name[..name.len()].copy_from_slice(name.as_bytes());
        write_octal(&mut header.mode, mode.into());
        write_octal(&mut header.uid, 0);
        write_octal(&mut header.gid, 0);
        header.set_size(size);
        write_octal(&mut header.mtime, 0);
        header.typeflag = kind;
        header.seal();
        self.file.write_all_at(header.as_block(), at).map_err(written(&self.what))
    }
}

impl Sink for TarSink {
    fn reserve(&mut self, size: u64) -> Result<Region, ImageError> {
        let region = self.open()?;
        self.at = region.at + size.next_multiple_of(BLOCK);
        Ok(region)
    }

    fn open(&mut self) -> Result<Region, ImageError> {
        Ok(Region { file: Arc::clone(&self.file), at: self.at + BLOCK, path: None })
    }

    fn settle(&mut self, region: Region, digest: &BlobDigest, size: u64) -> Result<(), ImageError> {
        self.header(region.at - BLOCK, &blob_path(*digest), b'0', 0o644, size)?;
        self.at = self.at.max(region.at + size.next_multiple_of(BLOCK));
        self.blobs.push(*digest);
        Ok(())
    }

    fn has(&self, digest: &BlobDigest, _: u64) -> bool {
        self.blobs.contains(digest)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let size = bytes.len() as u64;
        self.header(self.at, name, b'0', 0o644, size)?;
        self.file.write_all_at(bytes, self.at + BLOCK).map_err(written(&self.what))?;
        self.at += BLOCK + size.next_multiple_of(BLOCK);
        Ok(())
    }
}

/// A layout directory. Existing blobs are kept.
#[derive(Debug)]
pub(crate) struct DirectorySink {
    root: PathBuf,
    next: u32,
    /// The directory for files without a name, before the layout directory exists.
    nearby: Option<PathBuf>,
    /// Blobs without a name.
    unnamed: Vec<(BlobDigest, Arc<File>)>,
}

impl DirectorySink {
    pub(crate) fn begin(root: &Path) -> Result<Self, ImageError> {
        let mut sink = Self { root: root.to_owned(), next: 0, nearby: None, unnamed: Vec::new() };
        sink.publish()?;
        Ok(sink)
    }

    /// A directory that is not created, and whose blobs have no names, before [`publish`](Self::publish) is called. `None` on file
    /// systems without nameless files.
    pub(crate) fn unpublished(root: &Path) -> Option<Self> {
        let root = std::path::absolute(root).ok()?;
        let nearby = root.ancestors().find(|folder| folder.is_dir())?.to_owned();
        nameless(&nearby).ok()?;
        Some(Self { root, next: 0, nearby: Some(nearby), unnamed: Vec::new() })
    }

    /// Creates the directory, and gives the blobs their names.
    pub(crate) fn publish(&mut self) -> Result<(), ImageError> {
        let blobs = self.root.join("blobs/sha256");
        for directory in [&self.root.join("blobs"), &blobs] {
            fs::create_dir_all(directory).map_err(ImageError::file("create", directory))?;
            // The layout may come from elsewhere, such as a cache that a CI service restores.
            if fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink()) {
                return Err(ImageError::malformed(
                    directory.display(),
                    "it is a symbolic link, which could lead out of the layout: nothing is written there",
                ));
            }
        }
        self.nearby = None;
        for (digest, file) in std::mem::take(&mut self.unnamed) {
            let to = self.path(&digest);
            let named = name(&file, &blobs).and_then(|path| Ok(path.persist(&to)?));
            named.map_err(ImageError::file("create", to))?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The number of open files without a name.
    pub(crate) fn open_files(&self) -> usize {
        self.unnamed.len()
    }

    fn path(&self, digest: &BlobDigest) -> PathBuf {
        self.root.join(blob_path(*digest))
    }

    fn temporary(&mut self) -> PathBuf {
        self.next += 1;
        self.root.join(format!("blobs/sha256/.writing-{}-{}", std::process::id(), self.next))
    }
}

impl Sink for DirectorySink {
    fn reserve(&mut self, _: u64) -> Result<Region, ImageError> {
        self.open()
    }

    fn open(&mut self) -> Result<Region, ImageError> {
        if let Some(nearby) = &self.nearby {
            return Ok(Region::of(nameless(nearby).map_err(ImageError::file("create a file in", nearby))?));
        }
        let path = self.temporary();
        let file = create_anew(&path).map_err(ImageError::file("create", &path))?;
        Ok(Region { file: Arc::new(file), at: 0, path: Some(path) })
    }

    fn settle(&mut self, mut region: Region, digest: &BlobDigest, size: u64) -> Result<(), ImageError> {
        let Some(from) = region.path.take() else {
            region.file.set_len(size).map_err(written(format!("blob {digest}")))?;
            self.unnamed.push((*digest, Arc::clone(&region.file)));
            return Ok(());
        };
        region.file.set_len(size).map_err(ImageError::file("write", &from))?;
        let to = self.path(digest);
        fs::rename(&from, &to).map_err(ImageError::file("rename to", to))
    }

    fn has(&self, digest: &BlobDigest, size: u64) -> bool {
        self.unnamed.iter().any(|(known, _)| known == digest)
            || fs::symlink_metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let (from, to) = (self.temporary(), self.root.join(name));
        let written = create_anew(&from).and_then(|file| file.write_all_at(bytes, 0));
        written.map_err(ImageError::file("write", &from))?;
        fs::rename(&from, &to).map_err(ImageError::file("rename to", to))
    }
}

/// Creates a file in place of what a killed process with the same id may have left. A link is not followed.
fn create_anew(path: &Path) -> io::Result<File> {
    match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            File::create_new(path)
        }
        created => created,
    }
}

impl Drop for Region {
    /// Removes the temporary file of a blob that was not completed.
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// A layout that a CI service has restored may lead elsewhere.
    #[test]
    fn nothing_is_written_through_links_of_a_layout() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("layout"), folder.path().join("other"));
        for linked in ["blobs", "blobs/sha256"] {
            fs::create_dir_all(root.join(linked).parent().unwrap()).unwrap();
            fs::create_dir_all(&other).unwrap();
            symlink(&other, root.join(linked)).unwrap();
            let error = DirectorySink::begin(&root).unwrap_err().to_string();
            assert!(error.contains("symbolic link") && error.contains(linked), "{error}");
            assert_eq!(names(&other), [""; 0]);
            fs::remove_dir_all(&root).unwrap();
        }
        let mut sink = DirectorySink::begin(&root).unwrap();
        let digest = BlobDigest::of(b"content");
        fs::write(other.join("file"), "kept").unwrap();
        symlink(other.join("file"), root.join(blob_path(digest))).unwrap();
        for next in 1..9 {
            let writing = format!("blobs/sha256/.writing-{}-{next}", std::process::id());
            symlink(other.join("file"), root.join(writing)).unwrap();
        }
        symlink(other.join("file"), root.join("index.json")).unwrap();
        sink.blob(&digest, b"content").unwrap();
        sink.file("index.json", b"{}").unwrap();
        assert_eq!(fs::read(other.join("file")).unwrap(), b"kept");
        assert_eq!(fs::read(root.join(blob_path(digest))).unwrap(), b"content");
        assert!(!root.join("index.json").is_symlink());
    }
}
