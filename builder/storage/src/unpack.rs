//! Unpacks trees to files, for the drivers that need them.

use super::error::IoContext;
use super::lower::{self, Marks, leave_out_devices, split_link};
use super::removal::remove_tree;
use super::tree::{Tree, read_range};
use super::{Content, Entry, EntryKind, StorageError, attributes, pipeline};
use buildscope_record::BlobDigest;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of files that a thread takes at a time. Neighbours in a directory stay together.
const CHUNK: usize = 64;
/// The maximum number of threads that write.
const MOST_WRITERS: usize = 8;
/// Minimum size of files that the kernel copies (or shares), in bytes.
const IN_KERNEL_FROM: u64 = 128 << 10;

/// The treatment of hard links when layers are unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HardLinks {
    /// All names of a file share it.
    Keep,
    /// Each name becomes a separate file.
    Split,
}

/// The number of files and bytes that were written.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Unpacked {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Writes a whole tree into the empty directory `to`.
pub(crate) fn tree(tree: &Tree, to: &Path, links: HardLinks) -> Result<Unpacked, StorageError> {
    let entries = tree.walk(Path::new(""));
    let entries = match links {
        HardLinks::Split => entries.map(|(entry, content)| split_link(tree, entry, content)).collect(),
        HardLinks::Keep => entries.collect(),
    };
    write(tree, creatable(entries), to)
}

/// Writes the contents of the directory `path` of a tree into the empty directory `to`.
pub(crate) fn subtree(tree: &Tree, path: &Path, to: &Path) -> Result<Unpacked, StorageError> {
    let entries = tree.walk(path).map(|(entry, content)| {
        let (mut entry, content) = split_link(tree, entry, content);
        if let Ok(inner) = entry.path.strip_prefix(path) {
            entry.path = inner.to_owned();
        }
        (entry, content)
    });
    write(tree, creatable(entries.collect()), to)
}

/// The entries that this process may create.
fn creatable(mut entries: Vec<(Entry, Content)>) -> Vec<(Entry, Content)> {
    if !Marks::here().with_devices() {
        leave_out_devices(&mut entries, drop);
    }
    entries
}

/// Writes the top layer of `stack` alone into the empty directory `to`, as a lower directory of overlayfs.
pub(crate) fn layer(stack: &Tree, to: &Path, marks: Marks, links: HardLinks) -> Result<Unpacked, StorageError> {
    write(stack, top(stack, marks, links)?, to)
}

/// The entries of the top layer of `stack` as a lower directory of overlayfs.
pub(crate) fn top(stack: &Tree, marks: Marks, links: HardLinks) -> Result<Vec<(Entry, Content)>, StorageError> {
    let entries = lower::entries(stack, marks)?;
    Ok(match links {
        HardLinks::Split => entries.into_iter().map(|(entry, content)| split_link(stack, entry, content)).collect(),
        HardLinks::Keep => entries,
    })
}

/// Applies the top layer of `stack` to the directory `to`, which contains the rest of the stack.
pub(crate) fn apply(stack: &Tree, to: &Path, links: HardLinks) -> Result<Unpacked, StorageError> {
    let mut entries = top(stack, Marks::Trusted, links)?;
    let whiteout = EntryKind::CharDevice { major: 0, minor: 0 };
    for (entry, _) in &mut entries {
        let host = to.join(&entry.path);
        let there = fs::symlink_metadata(&host);
        let stays = entry.kind == EntryKind::Directory && there.as_ref().is_ok_and(fs::Metadata::is_dir);
        let opaque = entry.xattrs.contains_key(&Marks::Trusted.attribute("opaque"));
        entry.xattrs.retain(|name, _| !name.starts_with(attributes::TRUSTED_MARKS));
        match there {
            _ if stays && opaque => {
                for inner in fs::read_dir(&host).context("read", &host)? {
                    remove(&inner.context("read", &host)?.path())?;
                }
            }
            Ok(_) if !stays => remove(&host)?,
            _ => {}
        }
        if stays {
            // Attributes that the layer does not have are removed.
            for name in attributes::read(&host)?.keys().filter(|name| !entry.xattrs.contains_key(*name)) {
                let _ = rustix::fs::lremovexattr(&host, std::ffi::OsStr::from_bytes(name));
            }
        }
    }
    entries.retain(|(entry, _)| entry.kind != whiteout);
    write(stack, entries, to)
}

fn remove(path: &Path) -> Result<(), StorageError> {
    remove_tree(path).context("remove", path)
}

/// Writes entries into the directory `to`. Of their paths, only directories may exist already.
fn write(tree: &Tree, entries: Vec<(Entry, Content)>, to: &Path) -> Result<Unpacked, StorageError> {
    let (mut directories, mut links) = (Vec::new(), Vec::new());
    let mut others = Vec::with_capacity(entries.len());
    let mut done = Unpacked { files: entries.len() as u64, bytes: 0 };
    for (entry, content) in entries {
        match entry.kind {
            EntryKind::Directory => directories.push(entry),
            EntryKind::HardLink { target } => links.push((to.join(entry.path), to.join(target))),
            EntryKind::File { size } => {
                done.bytes += size;
                others.push((entry, content));
            }
            _ => others.push((entry, content)),
        }
    }
    directories.sort_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    for entry in directories.iter().filter(|entry| !entry.path.as_os_str().is_empty()) {
        let host = to.join(&entry.path);
        match fs::DirBuilder::new().mode(0o700).create(&host) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            created => created.context("create", host)?,
        }
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), StorageError> {
        let mut writer = Writer { tree, to, directory: None, open: HashMap::new(), buffer: Vec::new() };
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            if from >= others.len() {
                return Ok(());
            }
            for (entry, content) in &others[from..(from + CHUNK).min(others.len())] {
                writer.write(entry, content)?;
            }
        }
    };
    pipeline::on_threads(pipeline::processors().min(MOST_WRITERS).min(others.len().div_ceil(CHUNK)), work)?;
    // All files exist now.
    for (host, target) in links {
        fs::hard_link(target, &host).context("link", host)?;
    }
    for entry in directories.iter().rev() {
        finish(&to.join(&entry.path), entry)?;
    }
    Ok(done)
}

/// The state of a thread that writes files: what it keeps open.
struct Writer<'a> {
    tree: &'a Tree,
    to: &'a Path,
    directory: Option<(PathBuf, OwnedFd)>,
    open: HashMap<BlobDigest, File>,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn write(&mut self, entry: &Entry, content: &Content) -> Result<(), StorageError> {
        let host = self.to.join(&entry.path);
        let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.file_name()) else { return Ok(()) };
        if self.directory.as_ref().is_none_or(|(open, _)| open != parent) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd =
                rustix::fs::open(self.to.join(parent), flags, Mode::empty()).context("open", self.to.join(parent))?;
            self.directory = Some((parent.to_owned(), fd));
        }
        let directory = &self.directory.as_ref().expect("set just above").1;
        let device = |kind, major, minor| {
            rustix::fs::mknodat(directory, name, kind, Mode::empty(), rustix::fs::makedev(major, minor))
        };
        match &entry.kind {
            EntryKind::File { size } => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file =
                    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600)).context("create", &host)?;
                let file = File::from(file);
                self.data(&file, *size, content).context("write", &host)?;
                let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
                rustix::fs::fchown(&file, Some(uid), Some(gid)).context("change the owner of", &host)?;
                for (name, value) in &entry.xattrs {
                    attributes::set(&host, name, value)?;
                }
                rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode)).context("change the mode of", &host)?;
                return rustix::fs::futimens(&file, &times(entry.mtime)).context("set the times of", &host);
            }
            EntryKind::Symlink { target } => rustix::fs::symlinkat(target, directory, name),
            EntryKind::CharDevice { major, minor } => device(FileType::CharacterDevice, *major, *minor),
            EntryKind::BlockDevice { major, minor } => device(FileType::BlockDevice, *major, *minor),
            EntryKind::Fifo => device(FileType::Fifo, 0, 0),
            EntryKind::Directory | EntryKind::HardLink { .. } => return Ok(()),
        }
        .context("create", &host)?;
        finish(&host, entry)
    }

    fn data(&mut self, file: &File, size: u64, content: &Content) -> std::io::Result<()> {
        let Content::Blob { blob, offset, sparse, .. } = content else { return Ok(()) };
        let source = match self.open.entry(*blob) {
            std::collections::hash_map::Entry::Occupied(file) => file.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(self.tree.blobs().open(blob).map_err(std::io::Error::other)?)
            }
        };
        if let Some(extents) = sparse {
            file.set_len(size)?;
            return extents.iter().try_for_each(|e| copy(source, e.blob_offset, file, e.offset, e.length));
        }
        if size >= IN_KERNEL_FROM {
            return copy(source, *offset, file, 0, size);
        }
        self.buffer.resize(size as usize, 0);
        read_range(source, *offset, None, 0, &mut self.buffer)?;
        file.write_all_at(&self.buffer, 0)
    }
}

/// Copies a byte range in the kernel. File systems that can share blocks do.
fn copy(from: &File, mut at: u64, to: &File, mut position: u64, length: u64) -> std::io::Result<()> {
    let end = at + length;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
        let copied = match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut position), want) {
            Ok(copied) => copied,
            Err(
                rustix::io::Errno::XDEV
                | rustix::io::Errno::NOSYS
                | rustix::io::Errno::INVAL
                | rustix::io::Errno::OPNOTSUPP,
            ) => {
                let mut buffer = vec![0; want.min(1 << 20)];
                from.read_exact_at(&mut buffer, at)?;
                to.write_all_at(&buffer, position)?;
                (at, position) = (at + buffer.len() as u64, position + buffer.len() as u64);
                buffer.len()
            }
            Err(error) => return Err(error.into()),
        };
        if copied == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Sets owner, attributes, mode and times, in this order: chown(2) clears setuid bits and capabilities.
pub(crate) fn finish(host: &Path, entry: &Entry) -> Result<(), StorageError> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::chownat(rustix::fs::CWD, host, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .context("change the owner of", host)?;
    for (name, value) in &entry.xattrs {
        attributes::set(host, name, value)?;
    }
    if !matches!(entry.kind, EntryKind::Symlink { .. }) {
        rustix::fs::chmod(host, Mode::from_raw_mode(entry.mode)).context("change the mode of", host)?;
    }
    set_times(host, entry.mtime)
}

fn set_times(host: &Path, mtime: super::Timestamp) -> Result<(), StorageError> {
    rustix::fs::utimensat(rustix::fs::CWD, host, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        .context("set the times of", host)
}

fn times(mtime: super::Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
