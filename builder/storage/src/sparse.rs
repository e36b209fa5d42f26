//! Sparse files: runs of zeros are neither stored on the disk nor read from it.

use rustix::fs::SeekFrom as To;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Writes `bytes` at offset `at` of a file, and leaves out runs of zeros. The file must have no data there yet.
pub(crate) fn write_sparsely(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    /// The smallest hole in bytes: a smaller one is not worth a system call.
    const RUN: usize = 64 << 10;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(RUN));
        if piece.len() == RUN && is_zero(piece) {
            rest = after;
            continue;
        }
        // Everything up to the next run of zeros is one write.
        let data = rest.chunks(RUN).take_while(|piece| piece.len() < RUN || !is_zero(piece)).map(<[u8]>::len).sum();
        file.write_all_at(&rest[..data], at + (bytes.len() - rest.len()) as u64)?;
        rest = &rest[data..];
    }
    Ok(())
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // The first bytes nearly always decide. The rest is compared in chunks of 16 bytes.
    bytes.iter().take(16).all(|&byte| byte == 0)
        && bytes.chunks(16).all(|word| word.iter().fold(0, |any, &byte| any | byte) == 0)
}

/// Reads a file from its start. Holes are filled with zeros here, so the kernel neither reads nor caches them.
pub struct SparseReader<'a> {
    file: &'a File,
    at: u64,
    size: u64,
    /// The data range that `at` is before or in. If `at` is at its end, the next range is not known yet.
    data: Range<u64>,
}

impl<'a> SparseReader<'a> {
    /// Starts at the beginning of `file`.
    pub fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, at: 0, size: file.metadata()?.len(), data: 0..0 })
    }

    fn next_data(&self) -> io::Result<Range<u64>> {
        let start = match rustix::fs::seek(self.file, To::Data(self.at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => self.size,
            // The file system does not support holes.
            Err(_) => return Ok(self.at..self.size),
        };
        if start < self.size {
            Ok(start..rustix::fs::seek(self.file, To::Hole(start))?)
        } else {
            Ok(self.size..self.size)
        }
    }
}

impl Read for SparseReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.data.end && self.at < self.size {
            self.data = self.next_data()?;
        }
        let until = if self.at < self.data.start { self.data.start } else { self.data.end };
        let most =
            usize::try_from(until.min(self.size).saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = if self.at < self.data.start {
            buffer[..most].fill(0);
            most
        } else {
            self.file.read_at(&mut buffer[..most], self.at)?
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_files_are_read_back_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let data = |byte: u8, length: usize| vec![byte; length];
        let parts = [data(0, 300_000), data(7, 100_000), data(0, 1 << 20), data(9, 10), data(0, 200_000)];
        let bytes = parts.concat();
        let file = File::create(&path).unwrap();
        let (first, second) = bytes.split_at(350_000);
        write_sparsely(&file, second, 350_000).unwrap();
        write_sparsely(&file, first, 0).unwrap();
        // A hole at the end has no size of its own.
        file.set_len(bytes.len() as u64).unwrap();
        let file = File::open(&path).unwrap();
        let mut read = Vec::new();
        SparseReader::new(&file).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());

        let empty = dir.path().join("empty");
        File::create(&empty).unwrap();
        let file = File::open(&empty).unwrap();
        assert_eq!(SparseReader::new(&file).unwrap().read(&mut [0; 10]).unwrap(), 0);
    }
}
