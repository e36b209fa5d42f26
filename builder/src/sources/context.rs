//! A build context: a directory, scanned and hashed on demand.

use super::SourceError;
use super::content::{ContentInfo, StoredAt};
use super::hash::Hasher;
use super::node::{Node, NodeKind};
use super::scan::{Filter, Scanner, Verdict};
use super::stat::{Identity, Status};
use super::stat_cache::{Memory, Record};
use buildscope_record::{BlobDigest, Phase, Probe, Quantity};
use buildscope_storage::{Content, HostRoot, PinnedFile};
use parking_lot::Mutex;
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags, fstat, open};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A build context or a named context: a directory whose entries are read when they are first asked for.
pub struct Context {
    host: Arc<HostRoot>,
    root: Node,
    filter: Option<Filter>,
    /// The total size of the files kept in memory, in bytes.
    kept: AtomicU64,
    memory: Arc<Memory>,
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
        filter: Option<impl Fn(&Path) -> Verdict + Send + Sync + 'static>,
        cache: Option<&Path>,
    ) -> Result<Self, SourceError> {
        let path = dir.canonicalize().map_err(|error| SourceError::io("open the context", dir, error))?;
        let fail = |error| SourceError::io("open the context", &path, error);
        let fd = open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        let stat = Status::from(&fstat(&fd).map_err(fail)?);
        let root = Node::new(OsString::new(), NodeKind::Directory, stat);
        let memory = Arc::new(Memory::new(cache, &path));
        let filter = filter.map(|filter| Box::new(filter) as Filter);
        Ok(Self {
            host: Arc::new(HostRoot { fd, path }),
            root,
            filter,
            kept: AtomicU64::new(0),
            memory,
            hashing: Mutex::default(),
        })
    }

    /// The absolute path of the directory, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.host.path
    }

    /// The node of the directory itself.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The node at `path`, which is relative to the directory and has no `.` or `..`. Symbolic links are not followed.
    pub fn node(&self, path: &Path) -> Result<Option<&Node>, SourceError> {
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
    pub fn children<'n>(&self, node: &'n Node, path: &Path) -> Result<&'n [Node], SourceError> {
        self.scanner(&AtomicU64::new(0)).children(node, path)
    }

    /// Reads everything below `node`, the directory at `path`, on all cores.
    pub fn scan(&self, node: &Node, path: &Path, probe: &Probe) -> Result<(), SourceError> {
        let span = probe.phase(Phase::ContextScan);
        let walked = AtomicU64::new(0);
        let result = self.scanner(&walked).subtree(node, path);
        span.quantity(Quantity::FilesWalked, walked.into_inner());
        result
    }

    /// Determines the content of these files, given with their paths. Files whose `stat` is the same as in an earlier
    /// build are not read again.
    pub fn hash(&self, files: &[(&Node, &Path)], probe: &Probe) -> Result<(), SourceError> {
        let span = probe.phase(Phase::ContextHash);
        let is_new = |(node, _): &&(&Node, &Path)| node.content.get().is_none();
        let _hashing = files.iter().any(|file| is_new(&file)).then(|| self.hashing.lock());
        let files: Vec<_> = files.iter().filter(is_new).collect();
        let known = self.memory.known();
        let hasher = Hasher { root: self.host.fd.as_fd(), root_path: &self.host.path, kept: &self.kept };
        let (read, changed) = (AtomicU64::new(0), AtomicU64::new(0));
        let new: Vec<Option<Record>> = files
            .par_iter()
            .with_min_len(64)
            .map(|(node, path)| {
                let (content, record) = match known.get(&Identity::from(&node.stat)) {
                    Some(&Record { identity, digest, stored_at }) => {
                        let size = identity.size;
                        (ContentInfo { digest, size, capability: None, kept: None, identity, stored_at }, None)
                    }
                    None => {
                        let (content, record) = hasher.read(path, &node.stat)?;
                        read.fetch_add(content.size, Ordering::Relaxed);
                        changed.fetch_add(1, Ordering::Relaxed);
                        (content, record)
                    }
                };
                // A file may be in the list twice.
                let _ = node.content.set(content);
                Ok(record)
            })
            .collect::<Result<_, SourceError>>()?;
        let read = read.into_inner();
        span.quantity(Quantity::FilesWalked, files.len() as u64).quantity(Quantity::FilesChanged, changed.into_inner());
        span.quantity(Quantity::BytesRead, read).quantity(Quantity::BytesHashed, read);
        drop(known);
        self.memory.learn(new.into_iter().flatten().collect());
        Ok(())
    }

    /// The source of the bytes of `node`, the regular file at `path`: memory, a blob of an earlier layer that contains
    /// them (if `has` confirms that the store still has it), or the file itself, which must not have changed since it
    /// was hashed.
    pub fn content(&self, node: &Node, path: &Path, mut has: impl FnMut(&BlobDigest) -> bool) -> Content {
        match node.content.get() {
            Some(ContentInfo { kept: Some(bytes), .. }) => Content::Bytes(Arc::clone(bytes)),
            Some(&ContentInfo { stored_at: Some(StoredAt { blob, offset }), size, .. }) if has(&blob) => {
                Content::Blob { blob, offset, length: size, sparse: None }
            }
            content => {
                // A file that was not hashed yet must not have changed since it was scanned.
                let identity = content.map_or(node.identity(), |content| content.identity);
                Content::Pinned(PinnedFile::new(Arc::clone(&self.host), path.to_owned(), identity))
            }
        }
    }

    /// The cache of the files' digests.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    fn scanner<'a>(&'a self, walked: &'a AtomicU64) -> Scanner<'a> {
        Scanner { root: self.host.fd.as_fd(), root_path: &self.host.path, filter: self.filter.as_ref(), walked }
    }
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
    use std::time::Duration;

    const NO_FILTER: Option<fn(&Path) -> Verdict> = None;

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
        assert_eq!(*link.kind(), NodeKind::Symlink("/etc".into()));
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
        let filter = |path: &Path| Verdict {
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
            context.hash(&[(node, path)], &Probe::disabled()).unwrap();
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
            context.hash(&[(node, path)], &Probe::disabled()).unwrap();
            // Only a file that was just read is kept in memory.
            let content = node.content().unwrap();
            (content.digest, content.kept.is_some())
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
        context.hash(&[(node, Path::new("file"))], &Probe::disabled()).unwrap();
        assert_eq!(
            (node.content().unwrap().digest, node.content().unwrap().size),
            (Digest::of("longer than it was"), 18)
        );
        // A file that is read within the clock tick in which it was written is not cached.
        fs::write(&file, "new").unwrap();
        assert_eq!(hash(), (Digest::of("new"), true));
        assert_eq!(hash(), (Digest::of("new"), true));
    }
}
