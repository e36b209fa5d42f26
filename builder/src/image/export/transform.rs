//! A stored layer on its way out: copied as it is, dated anew, compressed.

use super::super::{Encoding, ImageError};
use super::clamp::Clamp;
use super::encode::encode;
use super::sink::Region;
use crate::storage::SparseReader;
use buildscope_record::Digest;
use rayon::prelude::*;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// How much is compressed at a time. Each piece is compressed by itself, so that all cores do and the result depends on
/// nothing but this number: changing it changes the digests of compressed layers. A megabyte costs under 0.1 % of size
/// against one stream.
const PIECE: usize = 1 << 20;
/// How many pieces are read, compressed and written side by side.
const PIECES: usize = 8;

/// A layer as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// Of the blob.
    pub(crate) digest: Digest,
    /// Of the blob, in bytes.
    pub(crate) size: u64,
}

/// What is done to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transform {
    /// Times after it become it.
    pub(crate) epoch: Option<i64>,
    /// What the blob will be.
    pub(crate) encoding: Encoding,
    /// How hard to compress.
    pub(crate) level: Option<i32>,
}

/// Copies part of a file: within the kernel, and on file systems that share extents without moving anything.
pub(crate) fn copy_range(from: &File, at: u64, length: u64, to: &File, to_at: u64) -> io::Result<()> {
    let (mut read, mut write, end) = (at, to_at, at + length);
    while read < end {
        let length = usize::try_from(end - read).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), length) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            // File systems that can't, or can't between each other.
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return copy_through_memory(from, read, end - read, to, write);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_through_memory(from: &File, at: u64, length: u64, to: &File, to_at: u64) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    while done < length {
        let piece = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
        from.read_exact_at(&mut buffer[..piece], at + done)?;
        to.write_all_at(&buffer[..piece], to_at + done)?;
        done += piece as u64;
    }
    Ok(())
}

impl Transform {
    /// Whether the stored blob is what is wanted.
    pub(crate) fn is_identity(&self) -> bool {
        self.epoch.is_none() && self.encoding == Encoding::Plain
    }

    /// Reads a stored layer, changes it and writes it from `to.at` on. While some pieces are compressed, those before them are
    /// written and the next ones read.
    pub(crate) fn run(&self, from: &File, diff_id: Digest, to: &Region) -> Result<Written, ImageError> {
        let failed = |source| ImageError::Write { what: format!("layer {diff_id}"), source };
        let (mut input, mut output) = (Input::of(SparseReader::new(from).map_err(failed)?, self), Output::of(to));
        let mut read = || match input.pieces() {
            Ok(pieces) => Ok(pieces),
            Err(Unread::Io(source)) => Err(failed(source)),
            Err(Unread::Fault(fault)) => Err(ImageError::malformed(diff_id, fault)),
        };
        let (mut next, mut ready) = (read()?, Vec::new());
        while !(next.is_empty() && ready.is_empty()) {
            let (compressed, (following, written)) =
                rayon::join(|| self.compress(next), || rayon::join(&mut read, || output.write(&ready)));
            written.map_err(failed)?;
            (next, ready) = (following?, compressed.map_err(failed)?);
        }
        let (digest, size) = output.finish();
        let diff_id = match (self.encoding, input.finish()) {
            (Encoding::Plain, _) => digest,
            (_, Some(content)) => content,
            (_, None) => diff_id,
        };
        Ok(Written { diff_id, digest, size })
    }

    fn compress(&self, pieces: Vec<Vec<u8>>) -> io::Result<Vec<Vec<u8>>> {
        match self.encoding {
            Encoding::Plain => Ok(pieces),
            encoding => pieces.par_iter().map(|piece| encode(piece, encoding, self.level)).collect(),
        }
    }
}

enum Unread {
    Io(io::Error),
    Fault(String),
}

/// A layer that is read, and dated anew.
struct Input<R> {
    from: R,
    clamp: Option<Clamp>,
    /// Of what it gives, where nobody else knows it.
    content: Option<Sha256>,
}

impl<R: Read> Input<R> {
    fn of(from: R, transform: &Transform) -> Self {
        let clamp = transform.epoch.map(Clamp::new);
        let content = (clamp.is_some() && transform.encoding != Encoding::Plain).then(Sha256::new);
        Self { from, clamp, content }
    }

    /// The next pieces: none at the end.
    fn pieces(&mut self) -> Result<Vec<Vec<u8>>, Unread> {
        let mut pieces = Vec::with_capacity(PIECES);
        while pieces.len() < PIECES {
            let mut piece = vec![0; PIECE];
            let length = fill(&mut self.from, &mut piece).map_err(Unread::Io)?;
            piece.truncate(length);
            if piece.is_empty() {
                break;
            }
            if let Some(clamp) = &mut self.clamp {
                clamp.apply(&mut piece).map_err(|fault| Unread::Fault(fault.to_string()))?;
            }
            if let Some(content) = &mut self.content {
                content.update(&piece);
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn finish(self) -> Option<Digest> {
        self.content.map(|content| Digest::from_bytes(content.finalize().into()))
    }
}

/// Reads as much as there is room for: less only at the end.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A blob that is written, and hashed.
struct Output<'a> {
    to: &'a Region,
    blob: Sha256,
    size: u64,
}

impl<'a> Output<'a> {
    fn of(to: &'a Region) -> Self {
        Self { to, blob: Sha256::new(), size: 0 }
    }

    fn write(&mut self, pieces: &[Vec<u8>]) -> io::Result<()> {
        for piece in pieces {
            self.blob.update(piece);
            self.to.file.write_all_at(piece, self.to.at + self.size)?;
            self.size += piece.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.blob.finalize().into()), self.size)
    }
}
