//! Copies parts of files.

use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The size of the buffer for file systems that cannot copy within the kernel, in bytes.
const BUFFER: usize = 1 << 20;

/// Copies a part of a file within the kernel. File systems with shared extents do not even copy the data.
pub(crate) fn copy_range(from: &File, at: u64, length: u64, to: &File, to_at: u64) -> io::Result<()> {
    let (mut read, mut write, end) = (at, to_at, at + length);
    while read < end {
        let length = usize::try_from(end - read).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), length) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            // Not supported by this file system, or not between these two.
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return copy_through_memory(from, read, end - read, to, write);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_through_memory(from: &File, at: u64, length: u64, to: &File, to_at: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut done = 0;
    while done < length {
        let piece = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
        from.read_exact_at(&mut buffer[..piece], at + done)?;
        to.write_all_at(&buffer[..piece], to_at + done)?;
        done += piece as u64;
    }
    Ok(())
}
