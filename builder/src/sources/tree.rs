//! Contexts from elsewhere (git repositories, archives), put into a directory that is removed after the build.

use super::text::LARGEST_TEXT;
use super::{Checkout, GitAddress, SourceError, decompressed};
use buildscope_record::{Phase, Probe, Quantity};
use buildscope_storage::Store;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Component, Path, PathBuf};

/// The position of the magic in a tar header (POSIX, "ustar Interchange Format").
const MAGIC: std::ops::Range<usize> = 257..262;
/// The size of a tar header in bytes.
const HEADER: u64 = 512;
/// The part of the limit for an unpacked archive that does not depend on its size, in bytes. As for a layer, the limit
/// is this plus [`ALLOWED_FACTOR`] times the size of the archive.
const ALLOWED_ANYWAY: u64 = 1 << 30;
const ALLOWED_FACTOR: u64 = 200;
/// A directory in the store's scratch space, which is removed when this is dropped.
#[derive(Debug)]
pub struct Tree {
    dir: PathBuf,
    checkout: Option<Checkout>,
    /// The text of the Dockerfile, if the input was not an archive. Then the directory is empty.
    pub dockerfile: Option<String>,
}

impl Tree {
    /// The path of the directory.
    pub fn path(&self) -> &Path {
        self.checkout.as_ref().map_or(&self.dir, |checkout| &checkout.tree)
    }

    /// Checks out a git repository. Returns the tree and the commit id. Without `keep`, `.git` is removed. Every file
    /// gets the time of the commit, so that two checkouts of one commit give the same layer.
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

    /// Unpacks a tar, compressed or not. A file that is not a tar is read as a Dockerfile.
    ///
    /// # Errors
    /// If the file cannot be read, decompressed or unpacked; if a Dockerfile is not UTF-8; if an archive leads out of
    /// its directory, is a decompression bomb, or has members other than files, directories and links. Nothing is
    /// written outside of the directory.
    pub fn unpack_archive(mut file: File, origin: &str, store: &Store, probe: &Probe) -> Result<Self, SourceError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(origin);
        let fail = |error: io::Error| SourceError::fetch(origin, causes(&error));
        let mut tree = Self { dir: store.scratch_path("context"), checkout: None, dockerfile: None };
        fs::create_dir(&tree.dir).map_err(|error| SourceError::io("create", &tree.dir, error))?;
        let mut first = Vec::new();
        from_start(&mut file).map_err(fail)?.take(HEADER).read_to_end(&mut first).map_err(fail)?;
        if first.get(MAGIC) != Some(b"ustar") {
            file.rewind().map_err(fail)?;
            let mut text = String::new();
            file.take(LARGEST_TEXT).read_to_string(&mut text).map_err(fail)?;
            tree.dockerfile = Some(text);
            return Ok(tree);
        }
        let size = file.metadata().map_err(fail)?.len();
        let limit = size.saturating_mul(ALLOWED_FACTOR).saturating_add(ALLOWED_ANYWAY);
        let limited = Limited { from: from_start(&mut file).map_err(fail)?, left: limit };
        extract(limited, &tree.dir).map_err(fail)?;
        span.quantity(Quantity::BytesRead, size);
        Ok(tree)
    }
}

/// Unpacks a tar into a directory.
fn extract(from: impl Read, dir: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    // In a context, all files belong to root (Dockerfile reference, "COPY"). Modes and times are the archive's.
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(false);
    // The crate reads no times from pax records, and makes 1 of 0.
    archive.set_preserve_mtime(false);
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
            // Directories come last: a mode may forbid writing to the directory, and writing changes its time.
            tar::EntryType::Directory => {
                directories.push(member);
                continue;
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                return Err(refused("is a device or a pipe; a context can have files, directories and links only"));
            }
            _ => {}
        }
        let time = modified(&mut member)?;
        // False for a name that is nothing but the directory itself.
        let unpacked = member.unpack_in(dir);
        if unpacked.map_err(|error| refused(&format!("cannot be unpacked: {}", causes(&error))))? {
            set_time(&dir.join(relative(&name)), time)?;
        }
    }
    // A directory's time changes while directories are made in it: the deepest come first.
    directories.sort_by(|one, other| other.path_bytes().cmp(&one.path_bytes()));
    for directory in &mut directories {
        directory.unpack_in(dir)?;
    }
    for directory in &mut directories {
        let path = dir.join(relative(&directory.path()?));
        set_time(&path, modified(directory)?)?;
    }
    Ok(())
}

/// The name of a member without a leading `/` or `.`: names in an archive are relative to it.
fn relative(name: &Path) -> PathBuf {
    name.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// The modification time of a member: the pax record `mtime` if there is one (POSIX, "pax Header Block"), else the
/// header's field, in which GNU tar writes times before 1970 as negative numbers.
fn modified(member: &mut tar::Entry<'_, impl Read>) -> io::Result<Timespec> {
    let mut time = Timespec { tv_sec: member.header().mtime()? as i64, tv_nsec: 0 };
    for record in member.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        if let (Ok("mtime"), Ok(value)) = (record.key(), record.value())
            && let Some(found) = decimal(value)
        {
            time = found;
        }
    }
    Ok(time)
}

/// Seconds with a decimal fraction, such as `-12.5`. Digits after the ninth are dropped.
fn decimal(text: &str) -> Option<Timespec> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i64 = digits.parse().ok()?;
    Some(if whole.starts_with('-') && nanos > 0 {
        // -12.5 is half a second after -13.
        Timespec { tv_sec: seconds.checked_sub(1)?, tv_nsec: 1_000_000_000 - nanos }
    } else {
        Timespec { tv_sec: seconds, tv_nsec: nanos }
    })
}

fn set_time(path: &Path, time: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Fails once more than the allowed number of bytes was read.
struct Limited<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let over = || io::Error::other("it unpacks to far more than its own size, like a decompression bomb");
        self.left = self.left.checked_sub(read as u64).ok_or_else(over)?;
        Ok(read)
    }
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

/// Formats an error with its sources: an error of the crate `tar` only names the operation, its source the cause.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Reads the file from its beginning, decompressed according to its first bytes.
fn from_start(file: &mut File) -> io::Result<Box<dyn Read + Send + '_>> {
    file.rewind()?;
    decompressed(file)
}

impl Drop for Tree {
    fn drop(&mut self) {
        // The directory is in the store's scratch space, which the next process empties.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn members_of_an_archive_keep_their_times() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut append = |name: &str, kind, mtime: u64, pax: Option<&str>| {
            if let Some(value) = pax {
                archive.append_pax_extensions([("mtime", value.as_bytes())]).unwrap();
            }
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_mtime(mtime);
            header.set_size(0);
            archive.append_data(&mut header, name, io::empty()).unwrap();
        };
        append("d", tar::EntryType::Directory, 7, None);
        append("d/zero", tar::EntryType::Regular, 0, None);
        append("d/before", tar::EntryType::Regular, 5, Some("-1000"));
        append("d/half", tar::EntryType::Regular, 5, Some("-12.5"));
        append("d/later", tar::EntryType::Regular, 5, Some("8589934597.25"));
        let folder = tempfile::tempdir().unwrap();
        extract(&*archive.into_inner().unwrap(), folder.path()).unwrap();
        let time = |name: &str| {
            let found = fs::symlink_metadata(folder.path().join(name)).unwrap();
            (found.mtime(), found.mtime_nsec())
        };
        assert_eq!((time("d"), time("d/zero"), time("d/before")), ((7, 0), (0, 0), (-1000, 0)));
        assert_eq!((time("d/half"), time("d/later")), ((-13, 500_000_000), (8_589_934_597, 250_000_000)));
    }
}
