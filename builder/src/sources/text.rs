//! Reads Dockerfiles and ignore files. Pipes, endless files and links out of a context are rejected.

use buildscope_storage::open_resolved;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest Dockerfile or ignore file that is read, in bytes.
pub(super) const LARGEST_TEXT: u64 = 16 << 20;

/// Reads a regular file.
///
/// # Errors
/// If the file cannot be read, is not a regular file (reading a pipe would block), or is larger than [`LARGEST_TEXT`].
pub fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    read(File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?))
}

/// Reads the regular file at `name` in a directory. Symbolic links are followed, but only within the directory.
///
/// # Errors
/// As [`read_text`], and if a link leads out of the directory.
pub fn read_text_within(directory: &Path, name: &Path) -> io::Result<Vec<u8>> {
    let directory = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match open_resolved(&directory, name, OFlags::RDONLY | OFlags::NONBLOCK, resolve) {
        Ok(file) => read(File::from(file)),
        Err(Errno::XDEV) => Err(io::Error::other("it is outside the context (through `..` or a symbolic link)")),
        Err(error) => Err(error.into()),
    }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_bounded(file)
}

/// Reads any open file to its end, a pipe too.
///
/// # Errors
/// If the file cannot be read, or is larger than [`LARGEST_TEXT`].
pub fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_TEXT {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST_TEXT >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_must_not_lead_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().join("context");
        fs::create_dir_all(context.join("sub")).unwrap();
        fs::write(context.join("sub/real"), "text").unwrap();
        fs::write(dir.path().join("outside"), "secret").unwrap();
        symlink("sub/real", context.join("in")).unwrap();
        symlink("sub/../../outside", context.join("out")).unwrap();
        symlink(dir.path().join("outside"), context.join("absolute")).unwrap();
        symlink("..", context.join("up")).unwrap();
        let read = |name: &str| read_text_within(&context, Path::new(name));
        assert_eq!(read("in").unwrap(), b"text");
        assert_eq!(read("missing").unwrap_err().kind(), io::ErrorKind::NotFound);
        for name in ["out", "absolute", "up/outside", "../outside"] {
            assert!(read(name).unwrap_err().to_string().contains("outside the context"), "{name}");
        }
        // The path of the directory itself may have links.
        symlink(&context, dir.path().join("link")).unwrap();
        assert_eq!(read_text_within(&dir.path().join("link"), Path::new("in")).unwrap(), b"text");
    }

    #[test]
    fn pipes_directories_and_endless_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for path in [dir.path().join("pipe"), dir.path().to_owned(), "/dev/zero".into()] {
            assert!(read_text(&path).unwrap_err().to_string().contains("not a regular file"), "{}", path.display());
        }
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(LARGEST_TEXT + 1).unwrap();
        assert!(read_text(&large).unwrap_err().to_string().contains("larger than 16 MiB"));
    }
}
