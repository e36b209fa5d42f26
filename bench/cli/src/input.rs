//! Reads what comes from outside: files and standard input, up to a limit. An endless file would take all memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest Dockerfile or ignore file, in bytes: the builder's limit.
pub(crate) const LARGEST_DOCKERFILE: u64 = 16 << 20;
/// The largest log or record, in bytes. CI services keep less of a log (GitLab 4 MiB by default).
pub(crate) const LARGEST_LOG: u64 = 256 << 20;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// If the file cannot be read or is larger.
pub(crate) fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read(File::open(path)?, limit)
}

/// Reads a regular file in a directory. Links are followed, but only within the directory: messages about the file show its lines.
///
/// # Errors
/// If the file cannot be read, is larger than `limit` bytes, is not a regular file, or is outside the directory.
pub(crate) fn read_file_within(directory: &Path, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let found = path.canonicalize()?;
    if !found.starts_with(directory.canonicalize()?) {
        return Err(io::Error::other("it is outside the context (through `..` or a symbolic link)"));
    }
    // Reading a pipe would block.
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_file(&found, limit)
}

/// Reads a file, or standard input if the path is `-`, of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read or is larger.
pub(crate) fn read_input(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if path == Path::new("-") { read_standard_input(limit) } else { read_file(path, limit) }
}

/// The start of an error about a file, or about standard input if the path is `-`.
pub(crate) fn cannot_read(path: &Path) -> String {
    if path == Path::new("-") {
        "cannot read standard input".to_owned()
    } else {
        format!("cannot read {}", path.display())
    }
}

/// Reads standard input, of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read or is larger.
pub(crate) fn read_standard_input(limit: u64) -> io::Result<Vec<u8>> {
    read(io::stdin().lock(), limit)
}

fn read(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_an_error() {
        let error = read(io::repeat(b'x'), 2 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 2 MiB");
        assert_eq!(read(io::repeat(b'x').take(2 << 20), 2 << 20).unwrap().len(), 2 << 20);
    }
}
