//! The file that an archive goes to: complete, or not there at all.

use super::super::{Destination, ImageError};
use buildscope_storage::Store;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An output that can be written anywhere, although its destination may be a pipe.
#[derive(Debug)]
pub(crate) struct Target {
    /// For messages.
    pub(crate) what: String,
    file: File,
    temporary: PathBuf,
    /// The regular file that it becomes; none for a stream.
    path: Option<PathBuf>,
    stream: Option<PathBuf>,
    published: bool,
}

impl Target {
    /// A regular file is written beside its place and renamed; what goes to a pipe is written in the store first.
    pub(crate) fn open(destination: &Destination, store: &Store) -> Result<Self, ImageError> {
        let name = |folder: &Path| folder.join(format!(".buildscope-{}-{}", std::process::id(), unique()));
        let (path, stream) = match destination {
            Destination::Stdout => (None, None),
            Destination::Path(path) => match fs::metadata(path) {
                Ok(found) if found.is_dir() => return Err(ImageError::malformed(path.display(), "it is a directory")),
                // What is not a regular file is written into, not replaced.
                Ok(found) if !found.is_file() => (None, Some(path.clone())),
                // Through a symbolic link, its target is replaced.
                Ok(_) => (Some(fs::canonicalize(path).map_err(ImageError::file("find", path))?), None),
                Err(_) => (Some(path.clone()), None),
            },
        };
        let folder = match path.as_deref().map(Path::parent) {
            Some(Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
            Some(_) => PathBuf::from("."),
            None => store.root().join("tmp"),
        };
        if path.is_some() {
            fs::create_dir_all(&folder).map_err(ImageError::file("create", &folder))?;
        }
        let temporary = name(&folder);
        let file = File::options().read(true).write(true).create_new(true).open(&temporary);
        let file = file.map_err(ImageError::file("create", &temporary))?;
        let what = match destination {
            Destination::Stdout => "the standard output".to_owned(),
            Destination::Path(path) => path.display().to_string(),
        };
        Ok(Self { what, file, temporary, path, stream, published: false })
    }

    /// The file to write to.
    pub(crate) fn file(&self) -> Result<File, ImageError> {
        self.file.try_clone().map_err(ImageError::file("open", &self.temporary))
    }

    /// Puts what was written in its place.
    pub(crate) fn publish(mut self) -> Result<(), ImageError> {
        if let Some(path) = &self.path {
            fs::rename(&self.temporary, path).map_err(ImageError::file("rename to", path))?;
            self.published = true;
            return Ok(());
        }
        let failed = |source| ImageError::Write { what: self.what.clone(), source };
        let mut from = File::open(&self.temporary).map_err(failed)?;
        match &self.stream {
            Some(path) => io::copy(&mut from, &mut File::options().write(true).open(path).map_err(failed)?),
            None => io::copy(&mut from, &mut io::stdout().lock()),
        }
        .map(drop)
        .map_err(failed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
