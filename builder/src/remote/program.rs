//! This program as an input of actions, so that any worker can execute it.
//!
//! A static program is one file. One with shared libraries brings them and their loader, at the paths that they have here: a worker that
//! makes the input root the root directory of the command finds them there. Other workers have their own.

use super::PROGRAM;
use crate::elf;
use crate::sources::KnownFiles;
use buildscope_record::BlobDigest;
use buildscope_remote::{Blob, Content, Input, Upload};
use buildscope_sandbox::helper;
use buildscope_storage::StorageError;
use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The part of a file that has its headers, in bytes.
const HEADERS: usize = 64 << 10;

/// A file of the program.
#[derive(Clone, Debug)]
struct ProgramFile {
    /// The path in the input root.
    path: String,
    blob: Blob,
    file: Arc<File>,
}

/// The files of this process's program.
#[derive(Clone, Debug)]
pub(super) struct OwnProgram {
    parts: Vec<ProgramFile>,
}

/// The program of this process. Its digests are kept in this directory, so that later processes need not read it.
pub(super) fn own(cache: &Path) -> Result<OwnProgram, StorageError> {
    static OWN: Mutex<Option<OwnProgram>> = Mutex::new(None);
    read_once(&OWN, || OwnProgram::read(&KnownFiles::of(cache, "program"))).map_err(|(path, error)| StorageError::Io {
        action: "read",
        path,
        error,
    })
}

/// The kept value, or the one that `read` returns. If several threads ask at the same time, one reads and the others wait: a build
/// that starts sixteen steps would read and hash its program sixteen times. A failure is not kept.
fn read_once<T: Clone, E>(kept: &Mutex<Option<T>>, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut kept = kept.lock();
    match &*kept {
        Some(value) => Ok(value.clone()),
        None => read().map(|value| kept.insert(value).clone()),
    }
}

impl OwnProgram {
    fn read(known: &KnownFiles) -> Result<Self, (PathBuf, io::Error)> {
        // The path uses the id of this process, because another program reads it, too.
        let own = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let program = ProgramFile::read(&own, PROGRAM, known)?;
        let mut headers = vec![0; HEADERS];
        let length = program.file.read_at(&mut headers, 0).map_err(|error| (own.clone(), error))?;
        let mut parts = vec![program];
        if let Some(loader) = elf::loader(&headers[..length]) {
            for path in libraries(loader, &own).map_err(|error| (PathBuf::from(loader), error))? {
                parts.push(ProgramFile::read(Path::new(&path), path.trim_start_matches('/'), known)?);
            }
        }
        Ok(Self { parts })
    }

    /// The files as inputs of an action.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input> {
        self.parts.iter().map(|part| Input { path: part.path.clone(), blob: part.blob, executable: true })
    }

    /// The digests of the files.
    pub(super) fn blobs(&self) -> impl Iterator<Item = Blob> {
        self.parts.iter().map(|part| part.blob)
    }

    /// The files with their content.
    pub(super) fn uploads(&self) -> impl Iterator<Item = Upload> {
        self.parts.iter().map(|part| Upload { blob: part.blob, content: Content::File(Arc::clone(&part.file)) })
    }
}

/// The paths of the loader and of the libraries that it finds for a program. The loaders of glibc and musl print lines like
/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`.
fn libraries(loader: &str, program: &Path) -> io::Result<Vec<String>> {
    let output = helper(loader).arg("--list").arg(program).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("it does not list the libraries of this program: {}", said.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().filter_map(|line| line.split_once(" => ")?.1.split_whitespace().next());
    let mut paths: Vec<String> = found.filter(|path| path.starts_with('/')).map(str::to_owned).collect();
    paths.push(loader.to_owned());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

impl ProgramFile {
    fn read(from: &Path, path: &str, known: &KnownFiles) -> Result<Self, (PathBuf, io::Error)> {
        let read = || {
            let mut file = File::open(from)?;
            let (digest, size) = known.digest(&mut file)?;
            Ok(Self {
                path: path.to_owned(),
                blob: Blob { digest: BlobDigest::from_bytes(*digest.as_bytes()), size },
                file: Arc::new(file),
            })
        };
        read().map_err(|error| (from.to_owned(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::read_once;
    use parking_lot::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn of_many_threads_one_reads_the_program() {
        let (kept, reads) = (Mutex::new(None), AtomicUsize::new(0));
        let read = || {
            let before = reads.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
            if before == 0 { Err("the first read fails") } else { Ok(before) }
        };
        assert_eq!(read_once(&kept, read), Err("the first read fails"));
        let all: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| read_once(&kept, read))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all, [Ok(1); 8]);
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }
}
