//! A build context: a directory, scanned and hashed on demand.

use super::SourceError;
use super::content::{ContentInfo, ContentLocation, StoredAt};
use super::file_list::{FileList, FilesBelow};
use super::hash::Hasher;
use super::node::{ContextNode, NodeKind};
use super::scan::{Filter, IgnoreVerdict, Scanner};
use super::stat::FileStatus;
use super::stat_cache::{Memory, StatRecord, Wanted};
use buildscope_record::{BlobDigest, Phase, Probe, Quantity};
use buildscope_storage::{Content, HostRoot, PinnedFile, Spool};
use parking_lot::Mutex;
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags, fstat, open};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A build context or a named context: a directory whose entries are read when they are first asked for.
pub struct Context {
    host: Arc<HostRoot>,
    root: ContextNode,
    filter: Option<Filter>,
    /// A directory that is not part of the context, by its device and inode.
    left_out: Option<(u64, u64)>,
    /// The total size of the files kept in memory, in bytes.
    kept: AtomicU64,
    /// The spool for further small files.
    spool: Option<Arc<Spool>>,
    memory: Arc<Memory>,
    /// The blobs that contain files of the context.
    blobs: Mutex<Vec<BlobDigest>>,
    /// Held while files are hashed: steps that copy the same files at the same time read them once. The files are read on all
    /// cores, so that steps with different files lose little.
    hashing: Mutex<()>,
}

impl Context {
    /// Opens the directory. Its entries are read later.
    ///
    /// `filter` decides for each path, relative to the directory, whether it is part of the context (the ignore file).
    /// `cache` is the directory in which the digests of unchanged files are kept between builds.
    pub fn open(
        dir: &Path,
        filter: Option<impl Fn(&Path) -> IgnoreVerdict + Send + Sync + 'static>,
        cache: Option<&Path>,
    ) -> Result<Self, SourceError> {
        let path = dir.canonicalize().map_err(|error| SourceError::io("open the context", dir, error))?;
        let fail = |error| SourceError::io("open the context", &path, error);
        let fd = open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        let stat = FileStatus::from(&fstat(&fd).map_err(fail)?);
        let root = ContextNode::new(OsStr::new(""), NodeKind::Directory, stat);
        let memory = Arc::new(Memory::new(cache, &path));
        let filter = filter.map(|filter| Box::new(filter) as Filter);
        Ok(Self {
            host: Arc::new(HostRoot { fd, path }),
            root,
            filter,
            left_out: None,
            kept: AtomicU64::new(0),
            spool: None,
            memory,
            blobs: Mutex::default(),
            hashing: Mutex::default(),
        })
    }

    /// Keeps the bytes of small files in `spool` between hashing and copying, if they are too many for the memory.
    #[must_use]
    pub(crate) fn with_spool(self, spool: Spool) -> Self {
        Self { spool: Some(Arc::new(spool)), ..self }
    }

    /// Leaves a directory out, wherever it is in the context. The builder's own store changes while it is read.
    #[must_use]
    pub fn without(self, directory: &Path) -> Self {
        let found = rustix::fs::stat(directory).ok();
        Self { left_out: found.map(|found| (found.st_dev, found.st_ino)), ..self }
    }

    /// The absolute path of the directory, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.host.path
    }

    /// The node of the directory itself.
    pub fn root(&self) -> &ContextNode {
        &self.root
    }

    /// The node at `path`, which is relative to the directory and has no `.` or `..`. Symbolic links are not followed.
    pub fn node(&self, path: &Path) -> Result<Option<&ContextNode>, SourceError> {
        let (mut node, mut at) = (&self.root, PathBuf::new());
        for name in path {
            if !node.is_dir() {
                return Ok(None);
            }
            let children = self.children(node, &at)?;
            let Ok(found) = children.binary_search_by(|child| child.name().cmp(name)) else { return Ok(None) };
            node = &children[found];
            at.push(name);
        }
        Ok(Some(node))
    }

    /// The entries of `node`, the directory at `path`, sorted by name.
    pub fn children<'n>(&self, node: &'n ContextNode, path: &Path) -> Result<&'n [ContextNode], SourceError> {
        self.scanner(&AtomicU64::new(0)).children(node, path)
    }

    /// Reads everything below `node`, the directory at `path`, on all cores. Returns the number of nodes, with that of the
    /// directory.
    pub fn scan(&self, node: &ContextNode, path: &Path, probe: &Probe) -> Result<usize, SourceError> {
        let span = probe.phase(Phase::ContextScan);
        let walked = AtomicU64::new(0);
        let scanner = self.scanner(&walked);
        let (result, ()) = rayon::join(|| scanner.subtree(node, path), || self.memory.load());
        span.quantity(Quantity::FilesWalked, walked.into_inner());
        result
    }

    /// Determines the content of all regular files below `node`, the directory at `path`, as [`hash`](Self::hash) does. The directory
    /// was [scanned](Self::scan).
    pub fn hash_below(&self, node: &ContextNode, path: &Path, probe: &Probe) -> Result<(), SourceError> {
        self.hash(&FilesBelow::new(node, path), probe)
    }

    /// Determines the content of these files. Files whose `stat` is the same as in an earlier build are not read again.
    pub fn hash(&self, files: &impl FileList, probe: &Probe) -> Result<(), SourceError> {
        /// The number of files that a thread reads before it keeps them: enough that keeping costs little, and at most 4 MiB.
        const AT_ONCE: usize = 64;
        /// The number of nodes that are worth another thread, if only what is known of them is looked up.
        const MANY: usize = 4096;
        let span = probe.phase(Phase::ContextHash);
        let is_new = |number: u32| files.node(number as usize).content().is_none();
        let all = 0..u32::try_from(files.count()).expect("fewer than 4 billion files fit into memory");
        let _hashing = all.clone().any(is_new).then(|| self.hashing.lock());
        let numbered = |number: u32| (number, files.node(number as usize).host());
        let unread = all.into_par_iter().with_min_len(MANY).filter(|number| is_new(*number)).map(numbered);
        let unread = Wanted::new(unread);
        span.quantity(Quantity::FilesWalked, unread.len() as u64);
        let known = AtomicUsize::new(0);
        self.memory.find(&unread, |batch| {
            let (mut last, mut same) = (None, 0);
            for (number, record) in batch {
                let node = files.node(*number as usize);
                if record.identity == node.identity() {
                    node.set_content(self.known_content(record, &mut last));
                    same += 1;
                }
            }
            known.fetch_add(same, Ordering::Relaxed);
        });
        let mut new: Vec<u32> = Vec::new();
        if known.into_inner() < unread.len() {
            new.extend(unread.numbers().filter(|number| is_new(*number)));
            new.sort_unstable();
        }
        drop(unread);
        let hasher = Hasher {
            root: self.host.fd.as_fd(),
            root_path: &self.host.path,
            kept: &self.kept,
            spool: self.spool.as_deref(),
        };
        let read = AtomicU64::new(0);
        let lasting: Vec<Vec<u32>> = new
            .par_chunks(AT_ONCE)
            .map(|numbers| {
                let nodes: Vec<(&ContextNode, PathBuf)> =
                    numbers.iter().map(|&number| (files.node(number as usize), files.path(number as usize))).collect();
                let mut kept = Vec::with_capacity(numbers.len());
                for (number, (content, lasting)) in numbers.iter().zip(hasher.read_all(&nodes)?) {
                    let node = files.node(*number as usize);
                    node.set_content(content);
                    read.fetch_add(node.content_size(), Ordering::Relaxed);
                    kept.extend(lasting.then_some(*number));
                }
                Ok(kept)
            })
            .collect::<Result<_, SourceError>>()?;
        let read = read.into_inner();
        span.quantity(Quantity::FilesChanged, new.len() as u64);
        span.quantity(Quantity::BytesRead, read).quantity(Quantity::BytesHashed, read);
        drop(new);
        let lasting = Wanted::new(lasting.into_par_iter().flatten_iter().map(numbered));
        self.memory.learn(lasting, &|number| record_of(files.node(number as usize)));
        Ok(())
    }

    /// The content of a file that was hashed in an earlier build. `last` is the blob of the file before, mostly the same, with its number.
    fn known_content(&self, record: &StatRecord, last: &mut Option<(BlobDigest, u32)>) -> ContentInfo {
        let location = record.stored_at.map_or(ContentLocation::File, |StoredAt { blob, offset }| {
            if last.is_none_or(|(last, _)| last != blob) {
                *last = Some((blob, self.blob_number(blob)));
            }
            last.map_or(ContentLocation::File, |(_, blob)| ContentLocation::Stored { blob, offset })
        });
        ContentInfo { digest: record.digest, location, rare: None }
    }

    /// The number of a blob in the list of blobs, to which it is added if it is new.
    fn blob_number(&self, blob: BlobDigest) -> u32 {
        let mut blobs = self.blobs.lock();
        let number = blobs.iter().rposition(|known| *known == blob).unwrap_or_else(|| {
            blobs.push(blob);
            blobs.len() - 1
        });
        u32::try_from(number).expect("fewer than 4 billion blobs exist")
    }

    /// The source of the bytes of `node`, the regular file whose path `path` gives: memory, a blob of an earlier layer that contains
    /// them (if `has` confirms that the store still has it), or the file itself, which must not have changed since it
    /// was hashed.
    pub fn content(
        &self,
        node: &ContextNode,
        path: impl FnOnce() -> PathBuf,
        mut has: impl FnMut(&BlobDigest) -> bool,
    ) -> Content {
        let content = node.content();
        match (content.map(|content| (&content.location, node.content_size())), &self.spool) {
            (Some((ContentLocation::Memory(bytes), _)), _) => return Content::Bytes(Arc::clone(bytes)),
            (Some((ContentLocation::Spool(offset), length)), Some(spool)) => {
                return Content::Spooled { spool: Arc::clone(spool), offset: *offset, length };
            }
            (Some((ContentLocation::Stored { blob, offset }, length)), _) => {
                let blob = self.blobs.lock().get(*blob as usize).copied();
                if let Some(blob) = blob.filter(&mut has) {
                    return Content::Blob { blob, offset: *offset, length, sparse: None };
                }
            }
            _ => {}
        }
        // A file that was not hashed yet must not have changed since it was scanned.
        let identity = content.and_then(ContentInfo::identity).unwrap_or(node.identity());
        Content::Pinned(PinnedFile::new(Arc::clone(&self.host), path(), identity))
    }

    /// The cache of the files' digests.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    fn scanner<'a>(&'a self, walked: &'a AtomicU64) -> Scanner<'a> {
        Scanner {
            root: self.host.fd.as_fd(),
            root_path: &self.host.path,
            filter: self.filter.as_ref(),
            left_out: self.left_out,
            walked,
        }
    }
}

/// The record of a file that was read.
fn record_of(node: &ContextNode) -> StatRecord {
    let content = node.content().expect("the file was just read");
    StatRecord::new(content.identity().unwrap_or(node.identity()), content.digest)
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("path", &self.host.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::Digest;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    const NO_FILTER: Option<fn(&Path) -> IgnoreVerdict> = None;

    struct OneFile<'n>(&'n ContextNode, &'n Path);

    impl FileList for OneFile<'_> {
        fn count(&self) -> usize {
            1
        }

        fn node(&self, _: usize) -> &ContextNode {
            self.0
        }

        fn path(&self, _: usize) -> PathBuf {
            self.1.to_owned()
        }
    }

    fn names(context: &Context, path: &str) -> Vec<String> {
        let path = Path::new(path);
        let node = context.node(path).unwrap().unwrap();
        let names = context.children(node, path).unwrap().iter();
        names.map(|node| node.name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_context_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "x").unwrap();
        symlink("/etc", dir.path().join("a/out")).unwrap();
        let context = Context::open(dir.path(), NO_FILTER, None).unwrap();
        context.scan(context.root(), Path::new(""), &Probe::disabled()).unwrap();
        assert_eq!(names(&context, ""), ["a"]);
        assert_eq!(names(&context, "a"), ["b", "out"]);
        let link = context.node(Path::new("a/out")).unwrap().unwrap();
        assert_eq!(*link.kind(), NodeKind::Symlink(Box::new("/etc".into())));
        assert!(context.node(Path::new("a/out/passwd")).unwrap().is_none());
        assert!(context.node(Path::new("a/b/file/x")).unwrap().is_none());
        assert_eq!(context.node(Path::new("a/b/file")).unwrap().unwrap().size(), 1);
    }

    #[test]
    fn an_excluded_directory_stays_for_reincluded_entries() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["keep/x", "drop/y", "mixed/in", "mixed/out", "hollow/out"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        // The verdicts of the patterns `*`, `!keep`, `!*/in`.
        let filter = |path: &Path| IgnoreVerdict {
            excluded: !(path.starts_with("keep") || path.ends_with("in")),
            reincluded_below: path != Path::new("drop") && path.components().count() == 1,
        };
        let context = Context::open(dir.path(), Some(filter), None).unwrap();
        assert_eq!(names(&context, ""), ["keep", "mixed"]);
        assert_eq!(names(&context, "mixed"), ["in"]);
    }

    #[test]
    fn a_swapped_file_is_not_cached_as_the_scanned_one() {
        let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path_of = |name: &str| dir.path().join(name);
        for (name, content) in [("d", "own"), ("other", "odd")] {
            fs::create_dir(path_of(name)).unwrap();
            fs::write(path_of(name).join("f"), content).unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        let path = Path::new("d/f");
        let hash = |swap: bool| {
            let context = Context::open(dir.path(), NO_FILTER, Some(cache.path())).unwrap();
            let node = context.node(path).unwrap().unwrap();
            if swap {
                fs::rename(path_of("d"), path_of("kept")).unwrap();
                fs::rename(path_of("other"), path_of("d")).unwrap();
            }
            context.hash(&OneFile(node, path), &Probe::disabled()).unwrap();
            node.content().unwrap().digest
        };
        assert_eq!(hash(true), Digest::of("odd"));
        fs::rename(path_of("d"), path_of("other")).unwrap();
        fs::rename(path_of("kept"), path_of("d")).unwrap();
        assert_eq!(hash(false), Digest::of("own"));
    }

    #[test]
    fn an_unchanged_file_is_read_once() {
        let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = dir.path().join("file");
        let hash = || {
            let context = Context::open(dir.path(), NO_FILTER, Some(cache.path())).unwrap();
            let path = Path::new("file");
            let node = context.node(path).unwrap().unwrap();
            context.hash(&OneFile(node, path), &Probe::disabled()).unwrap();
            // Only a file that was just read is kept in memory.
            let content = node.content().unwrap();
            (content.digest, matches!(content.location, ContentLocation::Memory(_)))
        };
        let age = || std::thread::sleep(Duration::from_millis(30));
        fs::write(&file, "one").unwrap();
        age();
        assert_eq!(hash(), (Digest::of("one"), true));
        assert_eq!(hash(), (Digest::of("one"), false));
        // The new content has the same size, and the old modification time is restored.
        let mtime = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "two").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(mtime).unwrap();
        age();
        assert_eq!(hash(), (Digest::of("two"), true));
        assert_eq!(hash(), (Digest::of("two"), false));
        // The file is longer now than the scan found it.
        let context = Context::open(dir.path(), NO_FILTER, None).unwrap();
        let node = context.node(Path::new("file")).unwrap().unwrap();
        fs::write(&file, "longer than it was").unwrap();
        context.hash(&OneFile(node, Path::new("file")), &Probe::disabled()).unwrap();
        assert_eq!((node.content().unwrap().digest, node.content_size()), (Digest::of("longer than it was"), 18));
        // A file that is read within the clock tick in which it was written is not cached. A busy machine may be slower than a tick.
        let read_in_its_tick = || {
            let written = Instant::now();
            fs::write(&file, "new").unwrap();
            hash();
            written.elapsed() < Duration::from_millis(20)
        };
        assert!((0..10_000).any(|_| read_in_its_tick()));
        assert_eq!(hash(), (Digest::of("new"), true));
    }
}
