//! Reads definition files and the files that they name, with a limit: they may come from elsewhere.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The largest file that is read, in bytes: as large as a Dockerfile may be.
const LARGEST_TEXT: u64 = 16 << 20;

/// Reads a regular file.
///
/// # Errors
/// If the file cannot be read, is not a regular file (opening a pipe would block), is larger than 16 MiB, or is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    if !path.as_ref().metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    read_bounded(File::open(path)?)
}

/// Reads to the end.
///
/// # Errors
/// If reading fails, or the text is larger than 16 MiB or not UTF-8.
pub fn read_bounded(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    // The limit may cut a character in two, so the length is compared before the error of the text.
    let mut limited = file.take(LARGEST_TEXT + 1);
    let read = limited.read_to_string(&mut text);
    if limited.limit() == 0 {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST_TEXT >> 20)));
    }
    read.map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_an_end_is_an_error() {
        for byte in [b'x', 0xff] {
            let error = read_bounded(io::repeat(byte)).unwrap_err();
            assert_eq!(error.to_string(), "it is larger than 16 MiB");
        }
        let largest = LARGEST_TEXT as usize;
        assert_eq!(read_bounded(io::repeat(b'x').take(LARGEST_TEXT)).unwrap().len(), largest);
    }

    #[test]
    fn only_regular_files_are_opened() {
        for path in ["/dev/zero", "/"] {
            assert_eq!(read_text(path).unwrap_err().to_string(), "it is not a regular file");
        }
    }
}
