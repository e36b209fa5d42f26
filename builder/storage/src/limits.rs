//! Limits for what comes from outside: archives and images.

use std::io::{self, Read};

/// The largest number of layers of an image. overlayfs stacks at most 500 (linux/fs/overlayfs, `OVL_MAX_STACK`); docker
/// allows 127.
pub const MAX_LAYERS: usize = 500;

/// The longest name of a file in bytes: NAME_MAX.
pub(crate) const MAX_NAME: usize = 255;
/// The longest target of a symbolic link in bytes: PATH_MAX without the terminating zero.
pub(crate) const MAX_TARGET: usize = 4095;

/// The longest path of a member in bytes. docker and BuildKit refuse more than 4095; a step can make deeper directories.
pub(crate) const MAX_PATH: usize = 16 << 10;
/// The most directories of an archive that only occur in the paths of others. Each takes memory, and two bytes of a path make one.
pub const MAX_IMPLIED: usize = 1_000_000;
/// The most bytes of all names and links of an archive: those of two million files.
pub const MAX_NAMES: u64 = 256 << 20;
/// The most bytes of all extended attributes of an archive. A file has some twenty, if any.
pub(crate) const MAX_ATTRIBUTES: u64 = 64 << 20;

/// The part of the limit for an unpacked archive that does not depend on its size, in bytes.
const ALLOWED_ANYWAY: u64 = 1 << 30;
/// The largest factor of decompression that is allowed. Real layers stay below 20. gzip cannot exceed 1032, but zstd can
/// reach tens of thousands, which makes decompression bombs possible.
const ALLOWED_FACTOR: u64 = 200;

/// The number of bytes that an archive of `size` bytes may unpack to.
pub fn unpacked_limit(size: u64) -> u64 {
    size.saturating_mul(ALLOWED_FACTOR).saturating_add(ALLOWED_ANYWAY)
}

/// A reader of an archive that fails once more than its limit was read.
#[derive(Debug)]
pub struct Unpacked<R> {
    from: R,
    left: u64,
}

impl<R> Unpacked<R> {
    /// Limits the unpacked content of an archive of `size` bytes.
    pub fn new(from: R, size: u64) -> Self {
        Self { from, left: unpacked_limit(size) }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(OVER))?;
        Ok(read)
    }
}

/// The largest total size of the files of an archive, in bytes. Holes count: a sparse file of petabytes is one block of the archive.
#[derive(Debug)]
pub struct Allowance {
    left: u64,
}

impl Allowance {
    /// The allowance of an archive of `size` bytes.
    pub fn of(size: u64) -> Self {
        Self { left: unpacked_limit(size) }
    }

    /// Takes the length of a file.
    ///
    /// # Errors
    /// If the files are too large.
    pub fn take(&mut self, length: u64) -> io::Result<()> {
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| io::Error::other(OVER))?;
        Ok(())
    }
}

/// The error of an archive that is too large.
const OVER: &str = "it unpacks to far more than its own size, like a decompression bomb";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let mut bomb = Unpacked { from: io::repeat(0), left: 1000 };
        let error = io::copy(&mut bomb, &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("decompression bomb"), "{error}");
        let mut whole = Unpacked { from: io::repeat(0).take(1000), left: 1000 };
        assert_eq!(io::copy(&mut whole, &mut io::sink()).unwrap(), 1000);
        assert_eq!(unpacked_limit(10), (1 << 30) + 2000);
    }
}
