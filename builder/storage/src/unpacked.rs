//! Unpacked layers: what each was made from, and whether it still has that content.
//!
//! A build uses an unpacked layer as it is, as other engines do: comparing it takes as long as unpacking it.
//! [`LayerStore::check`](super::LayerStore::check) compares all of them with the blobs that they were made from.

use super::error::IoContext;
use super::lower::{Marks, split_link};
use super::tree::{Tree, read_range};
use super::unpack::{HardLinks, top};
use super::{BlobStore, Content, Entry, EntryKind, StorageError, Timestamp, attributes};
use buildscope_record::{BlobDigest, DiffId};
use rayon::prelude::*;
use rustix::fs::{FileType, Stat, lstat, major, minor, readlink};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The number of bytes that are compared at once.
const PIECE: usize = 64 << 10;

/// The difference of two files of which only the modification times differ.
const TIME: &str = "another time";

/// The content of a directory with an unpacked layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UnpackedForm {
    /// The whole tree of a stack.
    Tree,
    /// The top layer of a stack, as a lower directory of overlayfs.
    Layer(Marks, HardLinks),
}

/// The forms by their number in the cache index.
const FORMS: [UnpackedForm; 5] = [
    UnpackedForm::Tree,
    UnpackedForm::Layer(Marks::Trusted, HardLinks::Keep),
    UnpackedForm::Layer(Marks::Trusted, HardLinks::Split),
    UnpackedForm::Layer(Marks::User, HardLinks::Keep),
    UnpackedForm::Layer(Marks::User, HardLinks::Split),
];

impl UnpackedForm {
    /// The number in the cache index.
    pub(crate) fn number(self) -> u8 {
        FORMS.iter().position(|form| *form == self).expect("all forms are in the list") as u8
    }

    /// The form with this number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        FORMS.get(usize::from(number)).copied()
    }
}

/// What a directory was unpacked from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UnpackedOrigin {
    /// The stack, lowest layer first.
    pub(crate) layers: Vec<DiffId>,
    pub(crate) form: UnpackedForm,
}

/// An unpacked layer that does not have the content of its blob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedUnpacked {
    /// The directory, relative to the store.
    pub directory: String,
    /// The top layer; `None` for an empty stack.
    pub layer: Option<DiffId>,
    /// The first path that differs, relative to the directory.
    pub path: PathBuf,
    /// What differs there.
    pub difference: String,
}

/// The first path, in the order of names, at which the directory `at` differs from what was unpacked there, and what differs. A time comes
/// last: a directory in which a file was lost has another time, too.
///
/// # Errors
/// Errors of reading blobs. A file of the directory that cannot be read is a difference.
pub(crate) fn difference(
    tree: &Tree,
    form: UnpackedForm,
    at: &Path,
    holds: &(dyn Fn(&[u8], &[u8]) -> bool + Sync),
) -> Result<Option<(PathBuf, String)>, StorageError> {
    let mut entries: Vec<(Entry, Content)> = match form {
        // Names that share a file in the tree may be separate files on the disk.
        UnpackedForm::Tree => {
            tree.walk(Path::new("")).map(|(entry, content)| split_link(tree, entry, content)).collect()
        }
        UnpackedForm::Layer(marks, links) => top(tree, marks, links)?,
    };
    // What a step sees as its root is made for the step.
    entries.retain(|(entry, _)| !entry.path.as_os_str().is_empty());
    let known: HashSet<&Path> = entries.iter().map(|(entry, _)| entry.path.as_path()).collect();
    let comparison = Comparison { blobs: tree.blobs(), at, holds };
    let compare = |(entry, content): &(Entry, Content)| {
        let different = comparison.compare(entry, content)?;
        Ok(different.map(|what| (entry.path.clone(), what)))
    };
    let different = entries.par_iter().map(compare).collect::<Result<Vec<_>, StorageError>>()?;
    let more = unexpected(at, &known).map(|path| (path, "it should not exist".to_owned()));
    Ok(different.into_iter().flatten().chain(more).min_by_key(|(path, what)| (what == TIME, path.clone())))
}

/// A path below `at` that is not among the known ones.
fn unexpected(at: &Path, known: &HashSet<&Path>) -> Option<PathBuf> {
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        // A directory that cannot be read has been found by the comparison.
        for entry in fs::read_dir(at.join(&directory)).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            if !known.contains(path.as_path()) {
                return Some(path);
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            }
        }
    }
    None
}

/// A comparison of a directory with what was unpacked there.
struct Comparison<'a> {
    blobs: &'a BlobStore,
    at: &'a Path,
    /// Whether the file system stores this attribute.
    holds: &'a (dyn Fn(&[u8], &[u8]) -> bool + Sync),
}

impl Comparison<'_> {
    fn compare(&self, entry: &Entry, content: &Content) -> Result<Option<String>, StorageError> {
        let host = self.at.join(&entry.path);
        let stat = match lstat(&host) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(Some("it is missing".to_owned())),
            Err(error) => return Ok(Some(unreadable(error))),
        };
        if let EntryKind::HardLink { target } = &entry.kind {
            let same = lstat(self.at.join(target)).is_ok_and(|target| target.st_ino == stat.st_ino);
            return Ok((!same).then(|| format!("it is not a hard link to {}", target.display())));
        }
        if let Some(what) = different_metadata(&host, &stat, entry) {
            return Ok(Some(what.to_owned()));
        }
        if let Some(what) = self.different_attributes(&host, entry) {
            return Ok(Some(what));
        }
        let different = match (&entry.kind, content) {
            (EntryKind::File { size }, Content::Blob { blob, offset, sparse, .. }) => {
                self.different_content(&host, *size, *blob, |source, from, out| {
                    read_range(source, *offset, sparse.as_deref(), from, out)
                })?
            }
            (EntryKind::Directory, _) => fs::read_dir(&host).err().map(unreadable),
            _ => None,
        };
        let time = Timestamp { seconds: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        // A file that was written has another time, too: its content says more.
        Ok(different.or_else(|| (!is_time(time, entry.mtime)).then(|| TIME.to_owned())))
    }

    /// Attributes that the file system does not store, and those that the kernel changes with the mode, are not compared.
    fn different_attributes(&self, host: &Path, entry: &Entry) -> Option<String> {
        let found = match attributes::AttributeNames::of(host).and_then(|names| names.read(host, is_compared)) {
            Ok(found) => found,
            Err(error) => return Some(error.to_string()),
        };
        let wanted: BTreeMap<_, _> = entry.xattrs.iter().filter(|(name, _)| is_compared(name)).collect();
        let holds_attributes = matches!(entry.kind, EntryKind::File { .. } | EntryKind::Directory);
        let lost = |name: &[u8], value: &[u8]| holds_attributes && (self.holds)(name, value);
        let other = wanted.iter().any(|(name, value)| match found.get(*name) {
            Some(found) => found != *value,
            None => lost(name, value),
        });
        let more = found.keys().any(|name| !wanted.contains_key(name));
        (other || more).then(|| "other attributes".to_owned())
    }

    fn different_content(
        &self,
        host: &Path,
        size: u64,
        blob: BlobDigest,
        read: impl Fn(&File, u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<Option<String>, StorageError> {
        let source = self.blobs.open(blob)?;
        let file = match File::open(host) {
            Ok(file) => file,
            Err(error) => return Ok(Some(unreadable(error))),
        };
        let length = size.min(PIECE as u64) as usize;
        let (mut wanted, mut found) = (vec![0; length], vec![0; length]);
        let mut at = 0;
        while at < size {
            let length = (size - at).min(PIECE as u64) as usize;
            let (wanted, found) = (&mut wanted[..length], &mut found[..length]);
            read(&source, at, wanted).context("read", self.blobs.path(blob))?;
            if let Err(error) = file.read_exact_at(found, at) {
                return Ok(Some(unreadable(error)));
            }
            if wanted != found {
                return Ok(Some("other content".to_owned()));
            }
            at += length as u64;
        }
        Ok(None)
    }
}

fn unreadable(error: impl Into<io::Error>) -> String {
    format!("it cannot be read: {}", error.into())
}

fn is_compared(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(attributes::TRUSTED_MARKS)
        || name == attributes::CAPABILITY.as_bytes()
}

/// What differs of a file except for its time, attributes and content.
fn different_metadata(host: &Path, stat: &Stat, entry: &Entry) -> Option<&'static str> {
    let found = FileType::from_raw_mode(stat.st_mode);
    let is_device = |wanted, at: (u32, u32)| found == wanted && (major(stat.st_rdev), minor(stat.st_rdev)) == at;
    let same_kind = match &entry.kind {
        EntryKind::File { .. } => found == FileType::RegularFile,
        EntryKind::Directory => found == FileType::Directory,
        EntryKind::Symlink { .. } => found == FileType::Symlink,
        EntryKind::CharDevice { major, minor } => is_device(FileType::CharacterDevice, (*major, *minor)),
        EntryKind::BlockDevice { major, minor } => is_device(FileType::BlockDevice, (*major, *minor)),
        EntryKind::Fifo => found == FileType::Fifo,
        EntryKind::HardLink { .. } => true,
    };
    if !same_kind {
        return Some("another kind of file");
    }
    match &entry.kind {
        EntryKind::File { size } if *size != stat.st_size as u64 => return Some("another size"),
        EntryKind::Symlink { target } => {
            let found = readlink(host, Vec::new());
            if !found.is_ok_and(|found| found.as_bytes() == target.as_os_str().as_bytes()) {
                return Some("another target");
            }
        }
        _ => {}
    }
    if found != FileType::Symlink && stat.st_mode & 0o7777 != entry.mode {
        return Some("another mode");
    }
    if (stat.st_uid, stat.st_gid) != (entry.uid, entry.gid) {
        return Some("another owner");
    }
    None
}

/// Whether a file system stores the time `wanted` as `found`. Not all of them have fractions of a second, and times before 1970 or after
/// 2038.
fn is_time(found: Timestamp, wanted: Timestamp) -> bool {
    let limits = 0..i64::from(i32::MAX);
    !limits.contains(&wanted.seconds)
        || found.seconds == wanted.seconds && (found.nanos == wanted.nanos || found.nanos == 0)
}
