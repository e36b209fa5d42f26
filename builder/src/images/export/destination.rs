//! The destination of an archive: it appears complete or not at all.

use super::super::{Destination, ImageError};
use buildscope_storage::Store;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::fs::{self, File, Permissions};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// An output file that can be written at any position, also if the destination is a pipe.
#[derive(Debug)]
pub(crate) struct OutputFile {
    /// The name of the destination in messages.
    pub(crate) what: String,
    file: File,
    /// The name of the file until it is published, on file systems without nameless files.
    temporary: Option<TempPath>,
    /// The directory of the file.
    folder: PathBuf,
    /// The path of the destination, if it is a regular file.
    path: Option<PathBuf>,
    /// The path of the destination, if it is a pipe or a device. Standard output has neither path.
    stream: Option<PathBuf>,
}

/// The start of the names of temporary files.
const PREFIX: &str = ".buildscope-";
/// The mode of a new file, before the umask.
const MODE: u32 = 0o666;

impl OutputFile {
    /// Opens a temporary file: next to a regular destination, which it will replace by a rename, or else in the store.
    pub(crate) fn open(destination: &Destination, store: &Store) -> Result<Self, ImageError> {
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
        // Missing folders are created when the file is complete. The file can be linked from any folder of the same file system.
        let nearby = folder.ancestors().find(|nearby| nearby.exists()).unwrap_or(Path::new("."));
        let (file, temporary) = create(nearby).map_err(ImageError::file("create a file in", nearby))?;
        let what = match destination {
            Destination::Stdout => "the standard output".to_owned(),
            Destination::Path(path) => path.display().to_string(),
        };
        Ok(Self { what, file, temporary, folder, path, stream })
    }

    /// A handle of the file to write to.
    pub(crate) fn file(&self) -> Result<File, ImageError> {
        self.file.try_clone().map_err(ImageError::file("open", &self.folder))
    }

    /// Moves or copies the finished file to the destination.
    pub(crate) fn publish(self) -> Result<(), ImageError> {
        if let Some(path) = &self.path {
            fs::create_dir_all(&self.folder).map_err(ImageError::file("create", &self.folder))?;
            let temporary = match self.temporary {
                Some(temporary) => Ok(temporary),
                None => name(&self.file, &self.folder),
            };
            let renamed = temporary.and_then(|temporary| Ok(temporary.persist(path)?));
            return renamed.map_err(ImageError::file("rename to", path));
        }
        let failed = |error| ImageError::Write { what: self.what.clone(), error };
        let mut from = &self.file;
        from.rewind().map_err(failed)?;
        match &self.stream {
            Some(path) => io::copy(&mut from, &mut File::options().write(true).open(path).map_err(failed)?),
            None => io::copy(&mut from, &mut io::stdout().lock()),
        }
        .map(drop)
        .map_err(failed)
    }
}

/// Creates a file without a name, which a killed process does not leave behind.
///
/// # Errors
/// Errors of open(2), also on file systems without such files (NFS).
pub(super) fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::from_raw_mode(MODE))?.into())
}

/// Creates a file without a name, or with one where that is not possible.
fn create(folder: &Path) -> io::Result<(File, Option<TempPath>)> {
    if let Ok(file) = nameless(folder) {
        return Ok((file, None));
    }
    let named =
        tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(MODE)).tempfile_in(folder)?;
    let (file, path) = named.into_parts();
    Ok((file, Some(path)))
}

/// Gives a nameless file a temporary name in a folder of the same file system.
pub(super) fn name(file: &File, folder: &Path) -> io::Result<TempPath> {
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| Ok(linkat(CWD, &descriptor, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
    Ok(tempfile::Builder::new().prefix(PREFIX).make_in(folder, link)?.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_storage::StoreOptions;
    use std::os::unix::fs::FileExt;

    /// A killed process leaves what is in the directory while a file is written.
    #[test]
    fn an_unfinished_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), StoreOptions::default()).unwrap();
        let path = folder.path().join("out/image.tar");
        let names = || -> Vec<_> {
            // The directory comes with the file.
            let entries = fs::read_dir(folder.path().join("out")).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let target = OutputFile::open(&Destination::Path(path.clone()), &store).unwrap();
        target.file().unwrap().write_all_at(b"half", 0).unwrap();
        assert!(names().is_empty(), "{:?}", names());
        drop(target);
        assert!(names().is_empty(), "{:?}", names());
        for text in ["first", "second"] {
            let target = OutputFile::open(&Destination::Path(path.clone()), &store).unwrap();
            target.file().unwrap().write_all_at(text.as_bytes(), 0).unwrap();
            target.publish().unwrap();
            assert_eq!(names(), ["image.tar"]);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let umask = fs::metadata(folder.path().join("out")).unwrap().permissions().mode() & 0o777 & 0o666;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, umask);
    }
}
