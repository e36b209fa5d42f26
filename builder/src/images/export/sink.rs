//! Where blobs are written: into one tar, or into the files of a layout directory.
//!
//! Both give *regions*, pieces of open files that several threads fill at once.

use super::super::ImageError;
use buildscope_record::BlobDigest;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The block size of a tar.
const BLOCK: u64 = 512;
/// An archive ends in two blocks of zeros (POSIX.1-2024, pax, "ustar Interchange Format").
const END: u64 = 2 * BLOCK;

/// Room for a blob in an open file.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) file: Arc<File>,
    /// Where the blob begins.
    pub(crate) at: u64,
    /// The temporary file that it is, in a directory.
    path: Option<PathBuf>,
}

impl Region {
    /// A whole file.
    pub(crate) fn of(file: File) -> Self {
        Self { file: Arc::new(file), at: 0, path: None }
    }

    /// Fills it from the beginning of a file.
    pub(crate) fn take(&self, from: &File, size: u64) -> io::Result<()> {
        super::transform::copy_range(from, 0, size, &self.file, self.at)
    }
}

/// Takes blobs and the few named files around them.
pub(crate) trait Sink {
    /// Room for a blob of that size in bytes, whose digest may not be known yet.
    fn reserve(&mut self, size: u64) -> Result<Region, ImageError>;

    /// Room for a blob of unknown size; it must be settled before anything else is asked for.
    fn open(&mut self) -> Result<Region, ImageError>;

    /// The blob in the region is complete and has that name.
    fn settle(&mut self, region: Region, digest: &BlobDigest, size: u64) -> Result<(), ImageError>;

    /// Whether that blob is there already.
    fn has(&self, digest: &BlobDigest, size: u64) -> bool;

    /// A named file: `index.json`.
    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError>;

    /// A whole blob from memory.
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
    move |source| ImageError::Write { what, source }
}

/// A tar in a file that can be written anywhere.
#[derive(Debug)]
pub(crate) struct TarSink {
    file: Arc<File>,
    /// Where the next header goes.
    at: u64,
    blobs: Vec<BlobDigest>,
    what: String,
}

impl TarSink {
    /// Begins a tar in an empty file; `what` names it in errors.
    pub(crate) fn begin(file: File, what: &str) -> Result<Self, ImageError> {
        let mut sink = Self { file: Arc::new(file), at: 0, blobs: Vec::new(), what: what.to_owned() };
        for folder in ["blobs/", "blobs/sha256/"] {
            sink.header(sink.at, folder, b'5', 0o755, 0)?;
            sink.at += BLOCK;
        }
        Ok(sink)
    }

    /// Ends the tar and gives its size in bytes.
    pub(crate) fn finish(self) -> Result<u64, ImageError> {
        let size = self.at + END;
        self.file.set_len(size).map_err(written(self.what))?;
        Ok(size)
    }

    /// Members have no owner and no time: the archive of an image is a function of the image.
    fn header(&self, at: u64, name: &str, kind: u8, mode: u32, size: u64) -> Result<(), ImageError> {
        let mut header = [0; BLOCK as usize];
        // The longest name is a blob's: 77 bytes.
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        match size < 1 << 33 {
            true => header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes()),
            // GNU's base 256, which all readers of the field know.
            false => {
                header[128..136].copy_from_slice(&size.to_be_bytes());
                header[124] = 0x80;
            }
        }
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.file.write_all_at(&header, at).map_err(written(&self.what))
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
        self.header(region.at - BLOCK, &format!("blobs/sha256/{}", digest.hex()), b'0', 0o644, size)?;
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

/// A layout directory; blobs that are in it already are kept.
#[derive(Debug)]
pub(crate) struct DirectorySink {
    root: PathBuf,
    next: u32,
}

impl DirectorySink {
    pub(crate) fn begin(root: &Path) -> Result<Self, ImageError> {
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(ImageError::file("create", &blobs))?;
        Ok(Self { root: root.to_owned(), next: 0 })
    }

    fn path(&self, digest: &BlobDigest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
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
        let path = self.temporary();
        let file = File::create(&path).map_err(ImageError::file("create", &path))?;
        Ok(Region { file: Arc::new(file), at: 0, path: Some(path) })
    }

    fn settle(&mut self, mut region: Region, digest: &BlobDigest, size: u64) -> Result<(), ImageError> {
        // A region of this sink has a path until it is settled.
        let Some(from) = region.path.take() else { return Ok(()) };
        region.file.set_len(size).map_err(ImageError::file("write", &from))?;
        let to = self.path(digest);
        fs::rename(&from, &to).map_err(ImageError::file("rename to", to))
    }

    fn has(&self, digest: &BlobDigest, size: u64) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let (from, to) = (self.temporary(), self.root.join(name));
        fs::write(&from, bytes).map_err(ImageError::file("write", &from))?;
        fs::rename(&from, &to).map_err(ImageError::file("rename to", to))
    }
}

impl Drop for Region {
    /// A blob that was never finished leaves nothing in a directory.
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
