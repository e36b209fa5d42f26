//! `type=local` and `type=tar`: export the file system of an image, without the image.

use super::super::{Destination, ImageError};
use super::copy::copy_range;
use super::destination::OutputFile;
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, Quantity};
use buildscope_storage::{Content, Entry, EntryKind, Store, Timestamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Writes the file systems of stacks of layers (lowest first) to one tar, each below its directory. With an `epoch`
/// every file gets that time, as in BuildKit's exporter.
pub fn export_tar(
    store: &Store,
    stacks: &[(PathBuf, &[DiffId])],
    destination: &Destination,
    epoch: Option<i64>,
    probe: &Probe,
) -> Result<(), ImageError> {
    let span = probe.phase(Phase::Export);
    let target = OutputFile::open(destination, store)?;
    span.detail(&target.what);
    // A merged layer is the tar of the whole file system, and the layer writer uses all cores.
    let mut merged = store.layer_builder();
    for (below, layers) in stacks {
        for (mut entry, content) in store.tree(layers)?.walk(Path::new("")) {
            date(&mut entry, epoch);
            if !below.as_os_str().is_empty() {
                entry.path = below.join(&entry.path);
                if let EntryKind::HardLink { target } = &mut entry.kind {
                    *target = below.join(&*target);
                }
            }
            if !entry.path.as_os_str().is_empty() {
                merged.push(entry, content);
            }
        }
    }
    let sources: Vec<DiffId> =
        stacks.iter().flat_map(|(_, layers)| *layers).copied().collect::<BTreeSet<_>>().into_iter().collect();
    let layer = store.verified(&sources, || merged.finish(&span.probe()))??;
    let from = store.blobs().open(layer.diff_id)?;
    let failed = |error| ImageError::Write { what: target.what.clone(), error };
    io::copy(&mut &from, &mut &target.file()?).map_err(failed)?;
    span.quantity(Quantity::BytesWritten, layer.size);
    target.publish()
}

/// Writes the file system of a stack of layers (lowest first) into a directory, as docker does: files belong to the
/// current user, extended attributes are omitted, and other files in the directory are kept.
///
/// Existing symbolic links in the directory are not followed, so nothing is written outside of it.
pub fn export_directory(
    store: &Store,
    layers: &[DiffId],
    directory: &Path,
    epoch: Option<i64>,
    probe: &Probe,
) -> Result<(), ImageError> {
    let span = probe.phase(Phase::Export);
    span.detail(&directory.display().to_string());
    let tree = store.tree(layers)?;
    fs::create_dir_all(directory).map_err(ImageError::file("create", directory))?;
    let root = open_directory(rustix::fs::CWD, directory.as_os_str()).map_err(failed(directory, Path::new("")))?;
    let mut writer = Writer { store, directory, root, open: Vec::new(), blobs: HashMap::new() };
    let write = || {
        let mut bytes = 0;
        for (mut entry, content) in tree.walk(Path::new("")) {
            date(&mut entry, epoch);
            if let EntryKind::File { size } = entry.kind {
                bytes += size;
            }
            if !entry.path.as_os_str().is_empty() {
                writer.write(&entry, &content)?;
            }
        }
        writer.leave(0)?;
        Ok::<_, ImageError>(bytes)
    };
    let bytes = store.verified(layers, write)??;
    span.quantity(Quantity::BytesWritten, bytes);
    Ok(())
}

fn date(entry: &mut Entry, epoch: Option<i64>) {
    if let Some(seconds) = epoch {
        entry.mtime = Timestamp { seconds, nanos: 0 };
    }
}

fn failed(directory: &Path, path: &Path) -> impl FnOnce(Errno) -> ImageError {
    let path = directory.join(path);
    move |errno| ImageError::File { action: "write", path, error: errno.into() }
}

fn open_directory(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Writes entries in the order of a walk: each directory before what is in it.
struct Writer<'a> {
    store: &'a Store,
    directory: &'a Path,
    root: OwnedFd,
    /// The directories above the current entry, outermost first.
    open: Vec<OpenFile>,
    blobs: HashMap<BlobDigest, File>,
}

/// A directory whose mode and time are set when the walk leaves it. Until then it must be writable.
struct OpenFile {
    path: PathBuf,
    fd: OwnedFd,
    mode: Mode,
    mtime: Timestamp,
}

impl Writer<'_> {
    fn write(&mut self, entry: &Entry, content: &Content) -> Result<(), ImageError> {
        let (Some(name), Some(parent)) = (entry.path.file_name(), entry.path.parent()) else { return Ok(()) };
        let depth = self.open.iter().take_while(|open| parent.starts_with(&open.path)).count();
        self.leave(depth)?;
        let failed = |errno| failed(self.directory, &entry.path)(errno);
        let at = self.open.last().map_or(&self.root, |open| &open.fd).as_fd();
        let mode = Mode::from_raw_mode(entry.mode);
        let none = AtFlags::SYMLINK_NOFOLLOW;
        let existing = match rustix::fs::statat(at, name, none) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(failed(errno)),
        };
        if entry.kind == EntryKind::Directory {
            if existing.is_some_and(|kind| kind != FileType::Directory) {
                rustix::fs::unlinkat(at, name, AtFlags::empty()).map_err(failed)?;
            }
            if existing != Some(FileType::Directory) {
                rustix::fs::mkdirat(at, name, Mode::RWXU).map_err(failed)?;
            }
            let fd = open_directory(at, name).map_err(failed)?;
            self.open.push(OpenFile { path: entry.path.clone(), fd, mode, mtime: entry.mtime });
            return Ok(());
        }
        if existing.is_some() {
            // This fails for a directory, so that a directory of the user is never deleted.
            rustix::fs::unlinkat(at, name, AtFlags::empty()).map_err(failed)?;
        }
        match &entry.kind {
            EntryKind::Directory => {}
            EntryKind::File { size } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = File::from(rustix::fs::openat(at, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?);
                let path = self.directory.join(&entry.path);
                if let Err(error) = fill(self.store, &mut self.blobs, &file, *size, content, &path) {
                    // Half a file would look like a whole one.
                    let _ = rustix::fs::unlinkat(at, name, AtFlags::empty());
                    return Err(error);
                }
                rustix::fs::fchmod(&file, mode).map_err(failed)?;
                return rustix::fs::futimens(&file, &times(entry.mtime)).map_err(failed);
            }
            EntryKind::Symlink { target } => rustix::fs::symlinkat(target.as_os_str(), at, name).map_err(failed)?,
            EntryKind::HardLink { target } => {
                return rustix::fs::linkat(&self.root, target.as_os_str(), at, name, AtFlags::empty()).map_err(failed);
            }
            EntryKind::Fifo => rustix::fs::mknodat(at, name, FileType::Fifo, mode, 0).map_err(failed)?,
            EntryKind::CharDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(at, name, FileType::CharacterDevice, mode, device).map_err(failed)?;
            }
            EntryKind::BlockDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(at, name, FileType::BlockDevice, mode, device).map_err(failed)?;
            }
        }
        rustix::fs::utimensat(at, name, &times(entry.mtime), none).map_err(failed)
    }

    /// Leaves directories until only `depth` of them are open.
    fn leave(&mut self, depth: usize) -> Result<(), ImageError> {
        while self.open.len() > depth {
            let Some(OpenFile { path, fd, mode, mtime }) = self.open.pop() else { return Ok(()) };
            rustix::fs::fchmod(&fd, mode).map_err(failed(self.directory, &path))?;
            rustix::fs::futimens(&fd, &times(mtime)).map_err(failed(self.directory, &path))?;
        }
        Ok(())
    }
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Writes the content of a file. Holes in the layer become holes in the file.
fn fill(
    store: &Store,
    blobs: &mut HashMap<BlobDigest, File>,
    file: &File,
    size: u64,
    content: &Content,
    path: &Path,
) -> Result<(), ImageError> {
    let failed = |error| ImageError::File { action: "write", path: path.to_owned(), error };
    match content {
        Content::Bytes(bytes) => file.write_all_at(bytes, 0).map_err(failed),
        Content::Spooled { spool, offset, length } => {
            let mut bytes = vec![0; usize::try_from(*length).unwrap_or(usize::MAX)];
            spool.read(*offset, &mut bytes).map_err(failed)?;
            file.write_all_at(&bytes, 0).map_err(failed)
        }
        Content::HostFile(from) => {
            io::copy(&mut File::open(from).map_err(failed)?, &mut &*file).map(drop).map_err(failed)
        }
        Content::Pinned(pinned) => {
            let from = pinned.open()?;
            io::copy(&mut &from, &mut &*file).map_err(failed)?;
            Ok(pinned.check(&from)?)
        }
        Content::Blob { blob, offset, length, sparse } => {
            let from = match blobs.get(blob) {
                Some(from) => from,
                None => &*blobs.entry(*blob).or_insert(store.blobs().open(blob)?),
            };
            let copy = |at, length, to| copy_range(from, at, length, file, to).map_err(failed);
            match sparse {
                None => copy(*offset, *length, 0),
                Some(extents) => {
                    file.set_len(size).map_err(failed)?;
                    extents.iter().try_for_each(|extent| copy(extent.blob_offset, extent.length, extent.offset))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_storage::StoreOptions;
    use std::sync::Arc;

    #[test]
    fn a_file_that_cannot_be_written_whole_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), StoreOptions::default()).unwrap();
        let mut layer = store.layer_builder();
        let entry = Entry { kind: EntryKind::File { size: 4 }, ..Entry::directory("f") };
        layer.push(entry, Content::Bytes(Arc::from(&b"text"[..])));
        let layer = layer.finish(&Probe::disabled()).unwrap().diff_id;
        let out = folder.path().join("out");
        export_directory(&store, &[layer], &out, None, &Probe::disabled()).unwrap();
        assert_eq!(fs::read(out.join("f")).unwrap(), b"text");
        // The tree is in memory, and its content is gone.
        fs::remove_file(store.blobs().path(layer)).unwrap();
        export_directory(&store, &[layer], &out, None, &Probe::disabled()).unwrap_err();
        assert!(!out.join("f").exists());
    }
}
