//! Contexts that are no directory here: checked out or unpacked into one that ends with the build.

use super::{Checkout, GitAddress, SourceError};
use buildscope_record::{Phase, Probe, Quantity};
use buildscope_storage::Store;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Where a tar says that it is one (POSIX, "ustar Interchange Format"), and the bytes of its first header.
const MAGIC: std::ops::Range<usize> = 257..262;
const HEADER: u64 = 512;
/// A Dockerfile larger than this is none, in bytes.
const LARGEST_DOCKERFILE: u64 = 16 << 20;
/// How much an archive may unpack to: this many bytes whatever its size, and so many times its size, as for a layer.
const ALLOWED_ANYWAY: u64 = 1 << 30;
const ALLOWED_FACTOR: u64 = 200;
/// Memory that an xz stream may ask for; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 512 << 20;

/// A directory of the store's scratch space, gone with this.
#[derive(Debug)]
pub struct Tree {
    dir: PathBuf,
    checkout: Option<Checkout>,
    /// What came was no archive: then it is a Dockerfile, and the directory is empty.
    pub dockerfile: Option<String>,
}

impl Tree {
    /// The directory.
    pub fn path(&self) -> &Path {
        self.checkout.as_ref().map_or(&self.dir, |checkout| &checkout.tree)
    }

    /// What a git repository has, without its `.git` unless `keep` says otherwise; every file as old as the commit, so
    /// that a checkout of today copies to the layer of yesterday's. The commit's name beside it.
    ///
    /// # Errors
    /// As [`GitAddress::check_out`].
    pub fn check_out(address: &str, keep: bool, store: &Store, probe: &Probe) -> Result<(Self, String), SourceError> {
        let dir = store.scratch_path("context");
        let checkout = GitAddress::parse(address).check_out(dir.clone(), probe)?;
        let date = || {
            if !keep {
                strip(&dir)?;
            }
            date(&checkout.tree, checkout.time)
        };
        date().map_err(|error| SourceError::io("finish the checkout in", &dir, error))?;
        let commit = checkout.commit.clone();
        Ok((Self { dir, checkout: Some(checkout), dockerfile: None }, commit))
    }

    /// What is in a file: the files of a tar, compressed or not, else a Dockerfile.
    ///
    /// # Errors
    /// What cannot be read, decompressed or written; text that is none; an archive that leads out of its directory, is
    /// a decompression bomb, or has what is neither file, directory nor link. Nothing is written outside.
    pub fn unpack(mut file: File, origin: &str, store: &Store, probe: &Probe) -> Result<Self, SourceError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(origin);
        let fail = |error: io::Error| SourceError::fetch(origin, causes(&error));
        let mut tree = Self { dir: store.scratch_path("context"), checkout: None, dockerfile: None };
        fs::create_dir(&tree.dir).map_err(|error| SourceError::io("create", &tree.dir, error))?;
        let mut first = Vec::new();
        decompressed(&mut file).map_err(fail)?.take(HEADER).read_to_end(&mut first).map_err(fail)?;
        if first.get(MAGIC) != Some(b"ustar") {
            file.rewind().map_err(fail)?;
            let mut text = String::new();
            file.take(LARGEST_DOCKERFILE).read_to_string(&mut text).map_err(fail)?;
            tree.dockerfile = Some(text);
            return Ok(tree);
        }
        let size = file.metadata().map_err(fail)?.len();
        let limit = size.saturating_mul(ALLOWED_FACTOR).saturating_add(ALLOWED_ANYWAY);
        let limited = Limited { from: decompressed(&mut file).map_err(fail)?, left: limit };
        extract(limited, &tree.dir).map_err(fail)?;
        span.quantity(Quantity::BytesRead, size);
        Ok(tree)
    }
}

/// Unpacks a tar into a directory.
fn extract(from: impl Read, dir: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    // Owners are root's in any context (Dockerfile reference, "COPY"); modes and times are the archive's.
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    let mut directories = Vec::new();
    for member in archive.entries()? {
        let mut member = member?;
        let name = member.path()?.into_owned();
        let refused = |why: &str| io::Error::other(format!("`{}` {why}", name.display()));
        if name.components().any(|part| part == Component::ParentDir) {
            return Err(refused("leads out of the archive"));
        }
        let kind = member.header().entry_type();
        match kind {
            // Modes and times of directories are set once everything is in them: one may forbid to write to it.
            tar::EntryType::Directory => {
                directories.push(member);
                continue;
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                return Err(refused("is a device or a pipe: a context has files, directories and links"));
            }
            _ => {}
        }
        member.unpack_in(dir).map_err(|error| refused(&format!("cannot be unpacked: {}", causes(&error))))?;
    }
    directories.sort_by(|one, other| other.path_bytes().cmp(&one.path_bytes()));
    directories.iter_mut().try_for_each(|directory| directory.unpack_in(dir).map(drop))
}

/// Fails where more comes than was allowed.
struct Limited<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let over = || io::Error::other("it unpacks to far more than it is: taken for a decompression bomb");
        self.left = self.left.checked_sub(read as u64).ok_or_else(over)?;
        Ok(read)
    }
}

/// Removes what git keeps for itself: the repository, and the links of submodules to theirs.
fn strip(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        match (entry?.is_dir(), path.file_name().is_some_and(|name| name == ".git")) {
            (true, true) => fs::remove_dir_all(path)?,
            (true, false) => strip(&path)?,
            (false, true) => fs::remove_file(path)?,
            (false, false) => {}
        }
    }
    Ok(())
}

/// Sets the times of everything in a directory, and its own.
fn date(dir: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => date(&entry.path(), seconds)?,
            false => utimensat(CWD, entry.path(), &times, AtFlags::SYMLINK_NOFOLLOW)?,
        }
    }
    Ok(utimensat(CWD, dir, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// An error with what lies below it: `tar` says in each only where it was.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The file from its beginning, decompressed as its first bytes say.
fn decompressed(file: &mut File) -> io::Result<Box<dyn Read + '_>> {
    let mut magic = Vec::with_capacity(6);
    file.rewind()?;
    file.by_ref().take(6).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let whole = BufReader::with_capacity(256 << 10, file);
    Ok(match &*magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(whole, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(whole)?),
        _ => Box::new(whole),
    })
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What is left lies in the store's scratch directory, which the next process empties.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
