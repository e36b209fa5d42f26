//! A stored layer on its way out: copied as it is, dated anew, compressed.

use super::super::ImageError;
use super::clamp::Clamp;
use super::encode::encode;
use super::sink::Region;
use buildscope_oci::Encoding;
use buildscope_record::{BlobDigest, DiffId};
use buildscope_storage::{Inspection, SparseReader, Store, is_zero, pipeline};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How much is compressed at a time. Each piece is compressed by itself, so that all cores do and the result depends on
/// nothing but this number: changing it changes the digests of compressed layers. A megabyte costs under 0.1 % of size
/// against one stream.
const PIECE: usize = 1 << 20;

/// A layer as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Of the uncompressed tar.
    pub(crate) diff_id: DiffId,
    /// Of the blob.
    pub(crate) digest: BlobDigest,
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

    /// Reads a stored layer, changes it and writes it from `to.at` on. A layer that is damaged is an error, and dropped.
    pub(crate) fn run(&self, store: &Store, diff_id: DiffId, to: &Region) -> Result<Written, ImageError> {
        let from = store.blobs().open(diff_id)?;
        match self.change(&from, diff_id, store.inspect(diff_id)?, to) {
            Ok((written, inspection)) => {
                inspection.map_or(Ok(()), |inspection| store.judge(inspection))?;
                Ok(written)
            }
            // Where it cannot be understood, that may be why.
            Err(error @ ImageError::Malformed { .. }) => {
                store.verify(diff_id)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Pieces are read one at a time, compressed side by side, and hashed one at a time in the order of the layer.
    fn change(
        &self,
        from: &File,
        diff_id: DiffId,
        inspection: Option<Inspection>,
        to: &Region,
    ) -> Result<(Written, Option<Inspection>), ImageError> {
        let failed = |source| ImageError::Write { what: format!("layer {diff_id}"), source };
        let input = Mutex::new(Input::of(SparseReader::new(from).map_err(failed)?, inspection, self));
        let (mut output, hole) = (Output::default(), OnceLock::new());
        let make = || {
            let (input, hole, mut room) = (&input, &hole, Vec::new());
            move |piece: &mut Vec<u8>| self.make(input, &mut room, piece, hole)
        };
        let store = |piece: &Vec<u8>, at| to.file.write_all_at(piece, to.at + at).map_err(Unread::Io);
        let pieces = from.metadata().map_err(failed)?.len().div_ceil(PIECE as u64);
        let threads = pipeline::processors().min(usize::try_from(pieces).unwrap_or(usize::MAX));
        pipeline::run(threads, make, |piece: &Vec<u8>| output.take(piece), store).map_err(|unread| match unread {
            Unread::Io(source) => failed(source),
            Unread::Fault(fault) => ImageError::malformed(diff_id, fault),
        })?;
        let (digest, size) = output.finish();
        let input = input.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (inspection, content) = input.finish();
        let diff_id = match (self.encoding, content) {
            (Encoding::Plain, _) => digest.to_diff_id(),
            (_, Some(content)) => content,
            (_, None) => diff_id,
        };
        Ok((Written { diff_id, digest, size }, inspection))
    }

    /// The next piece as it will be written, and its number; `room` is to read it into. `hole` is what a piece of zeros becomes: the
    /// same each time.
    fn make(
        &self,
        input: &Mutex<Input<SparseReader<'_>>>,
        room: &mut Vec<u8>,
        made: &mut Vec<u8>,
        hole: &OnceLock<Vec<u8>>,
    ) -> Result<Option<usize>, Unread> {
        let number = input.lock().unwrap_or_else(PoisonError::into_inner).piece(room)?;
        if room.is_empty() {
            return Ok(None);
        }
        let zeros = room.len() == PIECE && is_zero(room);
        match hole.get().filter(|_| zeros) {
            Some(hole) => hole.clone_into(made),
            None => encode(room, self.encoding, self.level, made).map_err(Unread::Io)?,
        }
        if zeros {
            hole.get_or_init(|| made.clone());
        }
        Ok(Some(number))
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
    /// Of what was read.
    inspection: Option<Inspection>,
    /// Of what it gives, where nobody else knows it.
    content: Option<Sha256>,
    /// Of the piece that comes next.
    number: usize,
}

impl<R: Read> Input<R> {
    fn of(from: R, inspection: Option<Inspection>, transform: &Transform) -> Self {
        let clamp = transform.epoch.map(Clamp::new);
        let content = (clamp.is_some() && transform.encoding != Encoding::Plain).then(Sha256::new);
        Self { from, clamp, inspection, content, number: 0 }
    }

    /// The next piece and its number: empty at the end.
    fn piece(&mut self, piece: &mut Vec<u8>) -> Result<usize, Unread> {
        piece.resize(PIECE, 0);
        let length = fill(&mut self.from, piece).map_err(Unread::Io)?;
        piece.truncate(length);
        if let Some(inspection) = &mut self.inspection {
            inspection.update(piece);
        }
        if let Some(clamp) = &mut self.clamp {
            clamp.apply(piece).map_err(|fault| Unread::Fault(fault.to_string()))?;
        }
        if let Some(content) = &mut self.content {
            content.update(&piece);
        }
        self.number += 1;
        Ok(self.number - 1)
    }

    /// What was read, and the digest of what that gave.
    fn finish(self) -> (Option<Inspection>, Option<DiffId>) {
        let content = self.content.map(|content| DiffId::from_bytes(content.finalize().into()));
        (self.inspection, content)
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

/// What was hashed of a blob.
#[derive(Default)]
struct Output {
    blob: Sha256,
    size: u64,
}

impl Output {
    /// Hashes the next piece; gives where in the blob it stands.
    fn take(&mut self, piece: &[u8]) -> u64 {
        self.blob.update(piece);
        self.size += piece.len() as u64;
        self.size - piece.len() as u64
    }

    fn finish(self) -> (BlobDigest, u64) {
        (BlobDigest::from_bytes(self.blob.finalize().into()), self.size)
    }
}
