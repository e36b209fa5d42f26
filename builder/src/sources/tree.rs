//! Contexts from elsewhere (git repositories, archives), put into a directory that is removed after the build.

use super::text::LARGEST_TEXT;
use super::unpack::unpack;
use super::{Checkout, GitAddress, SourceError, decompressed};
use crate::error_chain::causes;
use buildscope_record::{Phase, Probe, Quantity};
use buildscope_storage::tar::{self, Header};
use buildscope_storage::{Allowance, Store, Unpacked};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// A directory in the store's scratch space, which is removed when this is dropped.
#[derive(Debug)]
pub struct ScratchTree {
    dir: PathBuf,
    checkout: Option<Checkout>,
    /// The time of the commit, or the latest time of a file of the archive, in seconds since 1970.
    pub time: Option<i64>,
    /// The text of the Dockerfile, if the input was not an archive. Then the directory is empty.
    pub dockerfile: Option<String>,
}

impl ScratchTree {
    /// The path of the directory.
    pub fn path(&self) -> &Path {
        self.checkout.as_ref().map_or(&self.dir, |checkout| &checkout.tree)
    }

    /// Checks out a git repository. Returns the tree and the commit id. Without `keep`, `.git` is removed. Every file
    /// gets the time of the commit, so that two checkouts of one commit give the same layer.
    ///
    /// # Errors
    /// As [`GitAddress::check_out`].
    pub(crate) fn check_out(
        address: &str,
        keep: bool,
        store: &Store,
        probe: &Probe,
    ) -> Result<(Self, String), SourceError> {
        let dir = store.scratch_path("context");
        let address = GitAddress::parse(address)?;
        let keep = address.keep.unwrap_or(keep);
        let checkout = address.check_out(dir.clone(), probe)?;
        let date = || {
            if !keep {
                strip(&dir)?;
            }
            date(&checkout.tree, checkout.time)
        };
        date().map_err(|error| SourceError::io("finish the checkout in", &dir, error))?;
        let (commit, time) = (checkout.commit.clone(), Some(checkout.time));
        Ok((Self { dir, checkout: Some(checkout), time, dockerfile: None }, commit))
    }

    /// Unpacks a tar, compressed or not. A file that is not a tar is read as a Dockerfile.
    ///
    /// # Errors
    /// If the file cannot be read, decompressed or unpacked; if a Dockerfile is not UTF-8; if an archive leads out of
    /// its directory, is a decompression bomb, or has members other than files, directories and links. Nothing is
    /// written outside of the directory.
    pub(crate) fn unpack_archive(
        mut file: File,
        origin: &str,
        store: &Store,
        probe: &Probe,
    ) -> Result<Self, SourceError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(origin);
        let fail = |error: io::Error| SourceError::fetch(origin, causes(&error));
        let mut tree = Self { dir: store.scratch_path("context"), checkout: None, time: None, dockerfile: None };
        fs::create_dir(&tree.dir).map_err(|error| SourceError::io("create", &tree.dir, error))?;
        let mut first = Vec::new();
        from_start(&mut file).map_err(fail)?.take(tar::BLOCK).read_to_end(&mut first).map_err(fail)?;
        if !is_archive(&first) {
            file.rewind().map_err(fail)?;
            let mut bytes = Vec::new();
            file.take(LARGEST_TEXT).read_to_end(&mut bytes).map_err(fail)?;
            let text = buildscope_dockerfile::decode(&bytes).map_err(|error| fail(io::Error::other(error)))?;
            tree.dockerfile = Some(text.into_owned());
            return Ok(tree);
        }
        let size = file.metadata().map_err(fail)?.len();
        let unpacked = Unpacked::new(from_start(&mut file).map_err(fail)?, size);
        tree.time = unpack(unpacked, &tree.dir, Allowance::of(size)).map_err(fail)?;
        span.quantity(Quantity::BytesRead, size);
        Ok(tree)
    }
}

/// Whether a file with this first block is an archive. Before POSIX, headers had no magic, only a checksum.
fn is_archive(first: &[u8]) -> bool {
    let header = first.try_into().ok().map(Header::of);
    header.is_some_and(|header| header.magic.starts_with(b"ustar") || header.has_valid_checksum())
}

fn set_time(path: &Path, time: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Removes every `.git`: the repository's directory, and the files by which submodules refer to theirs.
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

/// Sets the times of a directory and of everything below it.
fn date(dir: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            date(&entry.path(), seconds)?;
        } else {
            set_time(&entry.path(), time)?;
        }
    }
    set_time(dir, time)
}

/// Reads the file from its beginning, decompressed according to its first bytes.
fn from_start(file: &mut File) -> io::Result<Box<dyn Read + Send + '_>> {
    file.rewind()?;
    decompressed(file)
}

impl Drop for ScratchTree {
    fn drop(&mut self) {
        // The directory is in the store's scratch space, which the next process empties.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
