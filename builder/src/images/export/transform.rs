//! Transforms a stored layer for an export: copies it, clamps its times, compresses it.

use super::super::ImageError;
use super::super::pace::Pace;
use super::clamp::Clamp;
use super::encode::encode;
use super::sink::Region;
use buildscope_oci::Encoding;
use buildscope_record::{BlobDigest, DiffId};
use buildscope_storage::{Inspection, SparseReader, Store, is_zero, pipeline};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// The size of a piece, in bytes. Pieces are compressed independently, on all cores. Changing this number changes the
/// digests of all compressed layers. With one megabyte, layers are less than 0.1 % larger than as one stream.
const PIECE: usize = 1 << 20;

/// A layer as it was written by an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EncodedLayer {
    /// The digest of the uncompressed tar.
    pub(crate) diff_id: DiffId,
    /// The digest of the blob.
    pub(crate) digest: BlobDigest,
    /// The size of the blob in bytes.
    pub(crate) size: u64,
}

/// The changes to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transform {
    /// The time that replaces later file times, in seconds since 1970.
    pub(crate) epoch: Option<i64>,
    /// The compression of the blob.
    pub(crate) encoding: Encoding,
    /// The compression level. `None` is the compressor's default.
    pub(crate) level: Option<i32>,
}

impl Transform {
    /// Whether the transform changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.epoch.is_none() && self.encoding == Encoding::Plain
    }

    /// Reads a stored layer, transforms it and writes it to the region. A damaged layer is an error, and is removed from
    /// the store.
    pub(crate) fn run(
        &self,
        store: &Store,
        diff_id: DiffId,
        to: &Region,
        pace: &Pace,
    ) -> Result<EncodedLayer, ImageError> {
        let from = store.blobs().open(diff_id)?;
        match self.change(&from, (diff_id, store.inspect(diff_id)?), to, pace) {
            Ok((encoded, inspection)) => {
                inspection.map_or(Ok(()), |inspection| store.judge(inspection))?;
                Ok(encoded)
            }
            // A malformed layer is probably damaged.
            Err(error @ ImageError::Malformed { .. }) => {
                store.verify(diff_id)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads pieces one after the other, compresses them in parallel, and hashes the results in their order.
    fn change(
        &self,
        from: &File,
        (diff_id, inspection): (DiffId, Option<Inspection>),
        to: &Region,
        pace: &Pace,
    ) -> Result<(EncodedLayer, Option<Inspection>), ImageError> {
        let failed = |error| ImageError::Write { what: format!("layer {diff_id}"), error };
        let input = Mutex::new(LayerInput::of(SparseReader::new(from).map_err(failed)?, inspection, self));
        let (mut output, hole) = (LayerOutput::default(), OnceLock::new());
        let make = || {
            let (input, hole, mut room) = (&input, &hole, Vec::new());
            move |piece: &mut Vec<u8>| {
                let _admission = pace.admit().map_err(Unread::Image)?;
                self.make(input, &mut room, piece, hole)
            }
        };
        let store = |piece: &Vec<u8>, at| to.file.write_all_at(piece, to.at + at).map_err(Unread::Io);
        let pieces = from.metadata().map_err(failed)?.len().div_ceil(PIECE as u64);
        let threads = pipeline::processors().min(usize::try_from(pieces).unwrap_or(usize::MAX));
        pipeline::run(threads, make, |piece: &Vec<u8>| output.take(piece), store).map_err(|unread| match unread {
            Unread::Io(source) => failed(source),
            Unread::Fault(reason) => ImageError::malformed(diff_id, reason),
            Unread::Image(error) => error,
        })?;
        let (digest, size) = output.finish();
        let input = input.into_inner();
        let (inspection, content) = input.finish();
        let diff_id = match (self.encoding, content) {
            (Encoding::Plain, _) => digest.to_diff_id(),
            (_, Some(content)) => content,
            (_, None) => diff_id,
        };
        Ok((EncodedLayer { diff_id, digest, size }, inspection))
    }

    /// Makes the next piece of the output and returns its number, or `None` at the end. `room` is a buffer for the
    /// input. `hole` keeps the output for a piece of zeros, which is always the same.
    fn make(
        &self,
        input: &Mutex<LayerInput<SparseReader<'_>>>,
        room: &mut Vec<u8>,
        made: &mut Vec<u8>,
        hole: &OnceLock<Vec<u8>>,
    ) -> Result<Option<usize>, Unread> {
        let number = input.lock().piece(room)?;
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
    Image(ImageError),
}

/// Reads a layer and clamps its times.
struct LayerInput<R> {
    from: R,
    clamp: Option<Clamp>,
    /// Checks the bytes that are read.
    inspection: Option<Inspection>,
    /// The hash of the changed tar, for the new diff id, if the blob's digest is not the diff id anyway.
    content: Option<Sha256>,
    /// The number of the next piece.
    number: usize,
}

impl<R: Read> LayerInput<R> {
    fn of(from: R, inspection: Option<Inspection>, transform: &Transform) -> Self {
        let clamp = transform.epoch.map(Clamp::new);
        let content = (clamp.is_some() && transform.encoding != Encoding::Plain).then(Sha256::new);
        Self { from, clamp, inspection, content, number: 0 }
    }

    /// Reads the next piece and returns its number. The piece is empty at the end.
    fn piece(&mut self, piece: &mut Vec<u8>) -> Result<usize, Unread> {
        piece.resize(PIECE, 0);
        let length = fill(&mut self.from, piece).map_err(Unread::Io)?;
        piece.truncate(length);
        if let Some(inspection) = &mut self.inspection {
            inspection.update(piece);
        }
        if let Some(clamp) = &mut self.clamp {
            clamp.apply(piece).map_err(|reason| Unread::Fault(reason.to_string()))?;
        }
        if let Some(content) = &mut self.content {
            content.update(&piece);
        }
        self.number += 1;
        Ok(self.number - 1)
    }

    /// The check of the input, and the digest of the changed tar.
    fn finish(self) -> (Option<Inspection>, Option<DiffId>) {
        let content = self.content.map(|content| DiffId::from_bytes(content.finalize().into()));
        (self.inspection, content)
    }
}

/// Fills the buffer. Returns less than its length only at the end of the input.
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

/// The hash and the size of the output so far.
#[derive(Default)]
struct LayerOutput {
    blob: Sha256,
    size: u64,
}

impl LayerOutput {
    /// Hashes the next piece and returns its offset in the blob.
    fn take(&mut self, piece: &[u8]) -> u64 {
        self.blob.update(piece);
        self.size += piece.len() as u64;
        self.size - piece.len() as u64
    }

    fn finish(self) -> (BlobDigest, u64) {
        (BlobDigest::from_bytes(self.blob.finalize().into()), self.size)
    }
}
