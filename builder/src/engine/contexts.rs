//! Build contexts, the main one and the named ones: located, fetched if they are remote, and opened.

use super::{BuildError, Engine, Request};
use crate::plan::{is_git, is_url};
use crate::sources::{
    Context, GitAddress, IgnoreVerdict, ScratchTree, SourceError, directory_within, download, read_text,
    read_text_within,
};
use buildscope_dockerfile::Ignore;
use buildscope_record::{Probe, redacted};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The build argument that makes BuildKit keep the `.git` directory of a git context.
const KEEP_GIT: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// The directory of a context on this machine.
#[derive(Clone)]
pub(super) struct ContextLocation {
    dir: PathBuf,
    /// The fetched tree, if the context was remote. It is removed when the last user drops it.
    tree: Option<Arc<ScratchTree>>,
    /// The source of the tree.
    origin: Option<TreeOrigin>,
    /// The time of a remote context, in seconds since 1970: that of the commit, `Last-Modified`, or the latest time of a
    /// file of the archive.
    time: Option<i64>,
}

/// The address and digest of a fetched context.
#[derive(Clone)]
pub(super) struct TreeOrigin {
    /// The address, without a password.
    pub(super) uri: String,
    /// `sha1` for a git commit, `sha256` for a file.
    pub(super) algorithm: &'static str,
    /// The digest in hexadecimal.
    pub(super) hex: String,
}

impl ContextLocation {
    /// Locates the main context.
    fn of_request(engine: &Engine, request: &Request, probe: &Probe) -> Result<Self, BuildError> {
        match &request.context_file {
            Some(file) => {
                let file = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&**file)));
                let file = file.map_err(|error| SourceError::io("open", "standard input", error));
                let unpack = |file| ScratchTree::unpack_archive(file, "standard input", &engine.store, probe);
                file.and_then(unpack).map(Self::from).map_err(BuildError::Context)
            }
            None => Self::find(&request.context, engine, request, probe),
        }
    }

    /// Locates `value`: a directory, an archive, or the address of a git repository or an archive.
    fn find(value: &Path, engine: &Engine, request: &Request, probe: &Probe) -> Result<Self, BuildError> {
        let text = value.to_string_lossy();
        let store = &engine.store;
        let from = |tree: ScratchTree, algorithm, hex: &str| Self {
            origin: Some(TreeOrigin { uri: redacted(&text).into_owned(), algorithm, hex: hex.to_owned() }),
            time: tree.time,
            ..Self::from(tree)
        };
        let found = if is_git(&text) {
            let keep = request.is_set(KEEP_GIT);
            ScratchTree::check_out(&text, keep, store, probe).map(|(tree, commit)| from(tree, "sha1", &commit))
        } else if is_url(&text) {
            download(&text, None, store, probe).and_then(|download| {
                let path = store.blobs().path(download.blob);
                let file = File::open(&path).map_err(|error| SourceError::io("open", path, error))?;
                let unpacked =
                    from(ScratchTree::unpack_archive(file, &text, store, probe)?, "sha256", &download.blob.hex());
                Ok(Self { time: download.last_modified().or(unpacked.time), ..unpacked })
            })
        } else if value.is_file() {
            let file = File::open(value).map_err(|error| SourceError::io("open", value, error));
            file.and_then(|file| ScratchTree::unpack_archive(file, &text, store, probe)).map(Self::from)
        } else {
            return Ok(Self { dir: value.to_owned(), tree: None, origin: None, time: None });
        };
        found.map_err(BuildError::Context)
    }

    /// The identity of a context: the directory, and the ignore file of the Dockerfile if it has one. `None` for a directory that does not
    /// exist.
    pub(super) fn identity(&self, own: Option<&Path>) -> Option<(PathBuf, Option<PathBuf>)> {
        let dir = self.dir.canonicalize().ok()?;
        Some((dir, own.map(ignore_of).filter(|path| path.exists())))
    }

    /// A directory of a checkout as a context. `address` names it.
    fn below(self, directory: &str, address: &str) -> Result<Self, BuildError> {
        let found = directory_within(&self.dir, directory);
        let missing = || SourceError::fetch(&redacted(address), format!("it has no directory `{directory}`"));
        let dir = found.ok_or_else(missing).map_err(BuildError::Context)?;
        let origin = self.origin.map(|origin| TreeOrigin { uri: redacted(address).into_owned(), ..origin });
        Ok(Self { dir, origin, ..self })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The text of the Dockerfile, if one came instead of a context.
    pub(super) fn dockerfile(&self) -> Option<&str> {
        self.tree.as_ref().and_then(|tree| tree.dockerfile.as_deref())
    }

    /// Opens the context without the files that its `.dockerignore` excludes. If the Dockerfile `own` has an ignore file of
    /// its own, that one applies instead.
    pub(super) fn open(self, own: Option<&Path>, engine: &Engine) -> Result<OpenContext, BuildError> {
        let ignore = self.ignore(own.map(ignore_of))?.map(filter);
        // A fetched tree has another path in each build, so caching digests by path would never hit.
        let cache = self.tree.is_none().then(|| engine.store.root().join("context"));
        let context = Context::open(&self.dir, ignore, cache.as_deref())
            .map_err(BuildError::Context)?
            .without(engine.store.root())
            .with_spool(engine.store.spool());
        Ok(OpenContext { context, origin: self.origin, time: self.time, _tree: self.tree })
    }

    /// The ignore patterns: those of the file `own` if it exists, else those of `.dockerignore`. Links out of the context are
    /// refused: an error would show lines of other files of this machine.
    fn ignore(&self, own: Option<PathBuf>) -> Result<Option<Ignore>, BuildError> {
        for path in own.into_iter().chain([self.dir.join(".dockerignore")]) {
            let read = match within(&self.dir, &path) {
                Some(name) => read_text_within(&self.dir, &name),
                None => read_text(&path),
            };
            match read {
                Ok(bytes) => {
                    let ignore = Ignore::parse(&bytes)
                        .map_err(|error| BuildError::Request(format!("{}: {error}", path.display())))?;
                    return Ok((!ignore.is_empty()).then_some(ignore));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(BuildError::IgnoreFile { path, source }),
            }
        }
        Ok(None)
    }
}

/// The contexts that were fetched or unpacked, so that several targets fetch each once.
#[derive(Default)]
pub(super) struct FetchedContexts {
    /// Known contexts by the user's value, and by whether `.git` is kept.
    known: HashMap<(PathBuf, bool), ContextLocation>,
}

impl FetchedContexts {
    /// Locates the main context of a request.
    pub(super) fn of_request(
        &mut self,
        engine: &Engine,
        request: &Request,
        probe: &Probe,
    ) -> Result<ContextLocation, BuildError> {
        match &request.context_file {
            Some(_) => ContextLocation::of_request(engine, request, probe),
            None => self.find(&request.context, engine, request, probe),
        }
    }

    /// Locates `value`: a directory, an archive, or the address of a git repository or an archive. Directories of one
    /// repository are parts of one checkout.
    pub(super) fn find(
        &mut self,
        value: &Path,
        engine: &Engine,
        request: &Request,
        probe: &Probe,
    ) -> Result<ContextLocation, BuildError> {
        let key = (value.to_owned(), request.is_set(KEEP_GIT));
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let text = value.to_string_lossy();
        let whole = GitAddress::whole_of(&text).filter(|_| is_git(&text));
        let location = match whole {
            Some((whole, directory)) => {
                self.find(Path::new(&whole), engine, request, probe)?.below(&directory, &text)?
            }
            None => ContextLocation::find(value, engine, request, probe)?,
        };
        if location.tree.is_some() {
            self.known.insert(key, location.clone());
        }
        Ok(location)
    }
}

impl From<ScratchTree> for ContextLocation {
    fn from(tree: ScratchTree) -> Self {
        Self { dir: tree.path().to_owned(), tree: Some(Arc::new(tree)), origin: None, time: None }
    }
}

/// An open context.
pub(super) struct OpenContext {
    pub(super) context: Context,
    /// The source, if the context was fetched.
    pub(super) origin: Option<TreeOrigin>,
    /// The time of a remote context, in seconds since 1970. `None` for a local context, whose times say when it was copied.
    pub(super) time: Option<i64>,
    _tree: Option<Arc<ScratchTree>>,
}

/// The name of a file below a directory, however its path is written, or `None` if its directory is elsewhere. A link at its end is not
/// followed.
fn within(directory: &Path, path: &Path) -> Option<PathBuf> {
    let parent = Path::new(".").join(path.parent()?).canonicalize().ok()?;
    let below = parent.strip_prefix(directory.canonicalize().ok()?).ok()?;
    Some(below.join(path.file_name()?))
}

/// The ignore file of a Dockerfile, which has priority over the context's `.dockerignore`: `NAME.dockerignore` next to it.
fn ignore_of(dockerfile: &Path) -> PathBuf {
    let mut name = OsString::from(dockerfile);
    name.push(".dockerignore");
    PathBuf::from(name)
}

fn filter(ignore: Ignore) -> impl Fn(&Path) -> IgnoreVerdict + Send + Sync + 'static {
    move |path| {
        let path = path.as_os_str().as_encoded_bytes();
        let excluded = ignore.excludes(path);
        IgnoreVerdict { excluded, reincluded_below: excluded && ignore.may_include_below(path) }
    }
}
