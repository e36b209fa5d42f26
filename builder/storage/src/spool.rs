//! Spools: bytes that were read and are needed again soon, in a file without a name instead of in memory.
//!
//! Files of a context are hashed before it is known whether their layer exists. Reading them a second time costs an open, a read and
//! a close each; a spool costs one read. The page cache holds its bytes as long as there is room, and the file disappears with its last
//! user.

use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The largest number of bytes in a spool.
const LIMIT: u64 = 2 << 30;

/// A file without a name, which is made when it is first written.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    file: OnceLock<Option<File>>,
    /// The offset of the next bytes.
    end: Mutex<u64>,
}

impl Spool {
    /// A spool whose file will be in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), file: OnceLock::new(), end: Mutex::new(0) }
    }

    /// Appends bytes and returns their offset. `None` if there is no room: the caller reads the files again.
    pub fn append(&self, bytes: &[u8]) -> Option<u64> {
        let file = self.file.get_or_init(|| tempfile::tempfile_in(&self.directory).ok()).as_ref()?;
        let at = {
            let mut end = self.end.lock();
            let at = *end;
            *end = at.checked_add(bytes.len() as u64).filter(|end| *end <= LIMIT)?;
            at
        };
        file.write_all_at(bytes, at).ok()?;
        Some(at)
    }

    /// Fills `out` with the bytes at `offset`.
    ///
    /// # Errors
    /// If they were not appended before, or cannot be read.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.file.get() {
            Some(Some(file)) => file.read_exact_at(out, offset),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_bytes_are_read_at_their_offset() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        let (a, b) = (spool.append(b"first").unwrap(), spool.append(b"second").unwrap());
        let mut read = [0; 6];
        spool.read(b, &mut read).unwrap();
        assert_eq!(&read, b"second");
        spool.read(a, &mut read[..5]).unwrap();
        assert_eq!(&read[..5], b"first");
        assert!(spool.read(b + 1, &mut read).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn a_spool_that_cannot_be_written_gives_no_offset() {
        let spool = Spool::new("/dev/null/not-a-directory");
        assert_eq!((spool.append(b"x"), spool.read(0, &mut [0]).is_err()), (None, true));
    }
}
