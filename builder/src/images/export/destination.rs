//! The destination of an archive: it appears complete or not at all.

use super::super::{Destination, ImageError};
use buildscope_storage::Store;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An output file that can be written at any position, also if the destination is a pipe.
#[derive(Debug)]
pub(crate) struct Target {
    /// The name of the destination in messages.
    pub(crate) what: String,
    file: File,
    temporary: PathBuf,
    /// The path of the destination, if it is a regular file.
    path: Option<PathBuf>,
    /// The path of the destination, if it is a pipe or a device. Standard output has neither path.
    stream: Option<PathBuf>,
    published: bool,
}

impl Target {
    /// Opens a temporary file: next to a regular destination, which it will replace by a rename, or else in the store.
    pub(crate) fn open(destination: &Destination, store: &Store) -> Result<Self, ImageError> {
        let name = |folder: &Path| folder.join(format!(".buildscope-{}-{}", std::process::id(), unique()));
        let (path, stream) = match destination {
            Destination::Stdout => (None, None),
            Destination::Path(path) => match fs::metadata(path) {
                Ok(found) if found.is_dir() => return Err(ImageError::malformed(path.display(), "it is a directory")),
                // A pipe or a device is written to, not replaced.
                Ok(found) if !found.is_file() => (None, Some(path.clone())),
                // If the path is a symbolic link, its target is replaced.
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

    /// A handle of the file to write to.
    pub(crate) fn file(&self) -> Result<File, ImageError> {
        self.file.try_clone().map_err(ImageError::file("open", &self.temporary))
    }

    /// Moves or copies the finished file to the destination.
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
