//! Brings files of the store to the disk.
//!
//! syncfs(2) waits for everything that other programs have written to the file system as well: a second for each gigabyte. So each
//! file is synced by itself, and then the entries of the directories that lead to it. On a machine with few dirty pages, syncfs(2) is faster
//! for many files, because it needs one transaction of the journal.

use super::StorageError;
use super::error::IoContext;
use super::layout::is_kept;
use rustix::fs::{Mode, OFlags, fdatasync, fsync, open};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that are synced at the same time. They share the transactions of the file system's journal and the flushes of the disk's
/// cache, so more threads wait less in total.
const THREADS: usize = 8;
/// Dirty pages of the whole machine up to which syncfs(2) is fast, in bytes: some ten milliseconds of a disk. Measured with 96 small files
/// on ext4: 3.3 ms, and 7.4 ms file by file.
const QUIET: u64 = 16 << 20;

/// A file or directory to sync.
enum SyncPath {
    /// A file of the store. It may have been removed meanwhile.
    File(PathBuf),
    /// A directory with entries that must be on the disk.
    Directory(PathBuf),
    /// A directory above the store. A user who cannot read it cannot have created it.
    Ancestor(PathBuf),
}

/// The directories above the files that are synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SyncReach {
    /// The directories of the files: the directories above have been synced before.
    Parents,
    /// All directories, up to the root of the file system. For a store that was never synced.
    FileSystem,
}

/// Syncs `files` (by path relative to `root`) and the directories that lead to them. Returns the files that exist: another process may have
/// removed a damaged one.
pub(crate) fn sync<'a>(root: &Path, files: &BTreeSet<&'a str>, reach: SyncReach) -> Result<Vec<&'a str>, StorageError> {
    if files.len() > THREADS && sync_if_quiet(root)? {
        return Ok(files.iter().copied().filter(|file| root.join(file).exists()).collect());
    }
    let mut targets: Vec<SyncPath> = files.iter().map(|file| SyncPath::File(root.join(file))).collect();
    let mut parents: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        let path = root.join(file);
        // The directories of layers exist since the first sync. Others may be new.
        let depth = if reach == SyncReach::Parents && is_kept(file) { 1 } else { usize::MAX };
        let above = path.ancestors().skip(1).take_while(|directory| directory.starts_with(root)).take(depth);
        parents.extend(above.map(Path::to_owned));
    }
    if reach == SyncReach::FileSystem {
        parents.insert(root.to_owned());
        targets.extend(above(root).map(SyncPath::Ancestor));
    }
    targets.extend(parents.into_iter().map(SyncPath::Directory));
    let synced = in_parallel(&targets)?;
    Ok(files.iter().zip(synced).filter_map(|(file, exists)| exists.then_some(*file)).collect())
}

/// Syncs the whole file system if that is fast, because the machine has few dirty pages. Directories with many files are
/// synced in this way. Returns whether it did.
pub(crate) fn sync_if_quiet(root: &Path) -> Result<bool, StorageError> {
    if !fs::read_to_string("/proc/meminfo").is_ok_and(|text| dirty(&text) <= QUIET) {
        return Ok(false);
    }
    let directory = fs::File::open(root).context("open", root)?;
    rustix::fs::syncfs(&directory).context("sync", root)?;
    Ok(true)
}

/// The bytes of dirty pages, and of those that are being written, in the text of `/proc/meminfo` (proc_meminfo(5)).
fn dirty(meminfo: &str) -> u64 {
    let kilobytes = |line: &str| line.strip_suffix("kB")?.trim().parse::<u64>().ok();
    let lines = meminfo.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(name, _)| ["Dirty", "Writeback"].contains(name))
        .filter_map(|(_, value)| kilobytes(value))
        .sum::<u64>()
        << 10
}

/// The directories above `root` on the same file system.
fn above(root: &Path) -> impl Iterator<Item = PathBuf> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let own = device(root);
    root.ancestors().skip(1).take_while(move |path| device(path) == own).map(Path::to_owned)
}

/// Syncs all targets, several at a time. Returns for each whether it exists.
fn in_parallel(targets: &[SyncPath]) -> Result<Vec<bool>, StorageError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(number) else { return Ok::<_, StorageError>(done) };
            done.push((number, target.sync()?));
        }
    };
    let threads = THREADS.min(targets.len().div_ceil(2));
    let results = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work()];
        results.extend(
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
        );
        results
    });
    let mut exists = vec![false; targets.len()];
    for result in results {
        result?.into_iter().for_each(|(number, found)| exists[number] = found);
    }
    Ok(exists)
}

impl SyncPath {
    /// Waits until it is on the disk. Returns whether it exists.
    fn sync(&self) -> Result<bool, StorageError> {
        let (Self::File(path) | Self::Directory(path) | Self::Ancestor(path)) = self;
        let opened = match open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) if matches!(self, Self::File(_)) => return Ok(false),
            Err(Errno::ACCESS | Errno::PERM) if matches!(self, Self::Ancestor(_)) => return Ok(true),
            opened => opened.context("open", path)?,
        };
        // The size is part of what fdatasync(2) writes. Of a directory, entries are what counts.
        let synced = match self {
            Self::File(_) => fdatasync(opened),
            Self::Directory(_) | Self::Ancestor(_) => match fsync(opened) {
                // The file system cannot sync directories (fsync(2)): some FUSE and network file systems.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::ROFS) => Ok(()),
                synced => synced,
            },
        };
        synced.context("sync", path)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirty_pages_include_pages_under_write_back() {
        let text = "MemTotal:       24684084 kB\nDirty:               148 kB\nWriteback:             2 kB\nWritebackTmp:   9 kB\n";
        assert_eq!(dirty(text), 150 << 10);
    }

    #[test]
    fn a_file_that_was_removed_is_not_synced() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("index")).unwrap();
        fs::write(root.join("index/here"), "x").unwrap();
        for reach in [SyncReach::Parents, SyncReach::FileSystem] {
            assert_eq!(sync(root, &["index/gone", "index/here"].into(), reach).unwrap(), ["index/here"]);
        }
        let many: Vec<String> = (0..=THREADS).map(|number| format!("index/gone-{number}")).collect();
        let many = many.iter().map(String::as_str).chain(["index/here"]).collect();
        assert_eq!(sync(root, &many, SyncReach::Parents).unwrap(), ["index/here"]);
    }

    /// All directories above are synced once, down from the root of the file system.
    #[test]
    fn directories_above_a_store_share_its_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        fs::create_dir_all(&root).unwrap();
        let found: Vec<PathBuf> = above(&root).take(2).collect();
        assert_eq!(found, [dir.path().join("a"), dir.path().to_owned()]);
    }
}
