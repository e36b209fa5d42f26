//! The digests of single files outside all contexts. A file is read once for each of its states.

use super::hash::stream;
use super::stat::{FileStatus, Identity, is_racy};
use super::stat_cache::{Memory, StatRecord, Wanted};
use buildscope_record::Digest;
use rayon::prelude::*;
use rustix::fs::fstat;
use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::time::SystemTime;

/// The digests of files that belong together.
pub(crate) struct KnownFiles(Memory);

impl KnownFiles {
    /// The known files that are kept under this name in a directory.
    pub(crate) fn of(dir: &Path, name: &str) -> Self {
        Self(Memory::new(Some(dir), Path::new(name)))
    }

    /// The digest and the size of a file. It is read if its `stat` is not that of an earlier call.
    pub(crate) fn digest(&self, file: &mut File) -> io::Result<(Digest, u64)> {
        let before = Identity::from(&FileStatus::from(&fstat(&*file)?));
        let inode = (before.dev, before.ino);
        if let Some(known) = self.0.get(inode).filter(|record| record.identity == before) {
            return Ok((known.digest, before.size));
        }
        let read_at = SystemTime::now();
        file.rewind()?;
        let (digest, size) = stream(file, before.size)?;
        let after = Identity::from(&FileStatus::from(&fstat(&*file)?));
        if after == before && size == before.size && !is_racy(before.ctime, read_at) {
            self.0.learn(Wanted::new([(0, inode)].into_par_iter()), &|_| StatRecord::new(before, digest));
        }
        Ok((digest, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::Duration;

    /// A file whose next change shows in its times.
    fn file(dir: &Path) -> PathBuf {
        let path = dir.join("file");
        fs::write(&path, "one").unwrap();
        wait(&path);
        path
    }

    fn wait(path: &Path) {
        let ctime = || FileStatus::from(&fstat(File::open(path).unwrap()).unwrap()).ctime();
        while is_racy(ctime(), SystemTime::now()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn an_unchanged_file_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let known = || KnownFiles::of(&dir.path().join("cache"), "program");
        let digest = |known: KnownFiles| known.digest(&mut File::open(&path).unwrap()).unwrap();
        assert_eq!(digest(known()), (Digest::of("one"), 3));
        // A different digest for the same state, which a second call returns.
        let identity = Identity::from(&FileStatus::from(&fstat(File::open(&path).unwrap()).unwrap()));
        let inode = (identity.dev, identity.ino);
        known().0.learn(Wanted::new([(0, inode)].into_par_iter()), &|_| StatRecord::new(identity, Digest::of("two")));
        assert_eq!(digest(known()), (Digest::of("two"), 3));
        assert_eq!(digest(KnownFiles::of(&dir.path().join("other"), "program")), (Digest::of("one"), 3));
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let known = || KnownFiles::of(&dir.path().join("cache"), "program");
        let digest = || known().digest(&mut File::open(&path).unwrap()).unwrap().0;
        assert_eq!(digest(), Digest::of("one"));
        // The same size and modification time.
        let mtime = fs::metadata(&path).unwrap().modified().unwrap();
        let mut open = fs::OpenOptions::new().write(true).open(&path).unwrap();
        open.write_all(b"two").unwrap();
        open.set_modified(mtime).unwrap();
        drop(open);
        assert_eq!(digest(), Digest::of("two"), "within a tick of the change");
        wait(&path);
        assert_eq!((digest(), digest()), (Digest::of("two"), Digest::of("two")));
    }
}
