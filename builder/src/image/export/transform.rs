//! A stored layer on its way out: copied as it is, dated anew, compressed.

use super::super::{Encoding, ImageError};
use super::clamp::Clamp;
use super::encode::encode;
use super::sink::Region;
use crate::storage::{SparseReader, is_zero};
use buildscope_record::Digest;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// How much is compressed at a time. Each piece is compressed by itself, so that all cores do and the result depends on
/// nothing but this number: changing it changes the digests of compressed layers. A megabyte costs under 0.1 % of size
/// against one stream.
const PIECE: usize = 1 << 20;
/// Threads beyond so many would wait for each other to hash.
const MOST_CORES: usize = 16;

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

    /// Reads a stored layer, changes it and writes it from `to.at` on. Some threads each read a piece, compress it and write it:
    /// one reads at a time and one hashes at a time, both in the order of the layer.
    pub(crate) fn run(&self, from: &File, diff_id: Digest, to: &Region) -> Result<Written, ImageError> {
        let failed = |source| ImageError::Write { what: format!("layer {diff_id}"), source };
        let input = Mutex::new(Input::of(SparseReader::new(from).map_err(failed)?, self));
        let (output, hole) = (Turns::of(Output::of(to)), OnceLock::new());
        let work = || {
            let _end = Leave(&output);
            let done = self.pieces(&input, &output, &hole);
            if done.is_err() {
                output.close();
            }
            done
        };
        let size = from.metadata().map_err(failed)?.len();
        let done = match usize::try_from(size.div_ceil(PIECE as u64)).unwrap_or(usize::MAX) {
            0 | 1 => work(),
            // One more than there are processors: while one waits for its turn, the others work.
            pieces => std::thread::scope(|scope| {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let others: Vec<_> = (0..cores.min(MOST_CORES).min(pieces - 1)).map(|_| scope.spawn(work)).collect();
                let own = work();
                let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
                joined.fold(own, Result::and)
            }),
        };
        done.map_err(|unread| match unread {
            Unread::Io(source) => failed(source),
            Unread::Fault(fault) => ImageError::malformed(diff_id, fault),
        })?;
        let (digest, size) = output.finish().finish();
        let input = input.into_inner().unwrap_or_else(PoisonError::into_inner);
        let diff_id = match (self.encoding, input.finish()) {
            (Encoding::Plain, _) => digest,
            (_, Some(content)) => content,
            (_, None) => diff_id,
        };
        Ok(Written { diff_id, digest, size })
    }

    /// One piece after the other, as long as there are some. `hole` is what a piece of zeros becomes: the same each time.
    fn pieces(
        &self,
        input: &Mutex<Input<SparseReader<'_>>>,
        output: &Turns<'_>,
        hole: &OnceLock<Vec<u8>>,
    ) -> Result<(), Unread> {
        let (mut piece, mut room) = (Vec::new(), Vec::new());
        loop {
            let number = input.lock().unwrap_or_else(PoisonError::into_inner).piece(&mut piece)?;
            if piece.is_empty() {
                return Ok(());
            }
            let zeros = piece.len() == PIECE && is_zero(&piece);
            let made = match hole.get().filter(|_| zeros) {
                Some(made) => made,
                None => encode(&piece, self.encoding, self.level, &mut room).map_err(Unread::Io)?,
            };
            if zeros {
                hole.get_or_init(|| made.to_vec());
            }
            if !output.write(number, made).map_err(Unread::Io)? {
                return Ok(()); // another has failed, and says why
            }
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
    /// Of the piece that comes next.
    number: usize,
}

impl<R: Read> Input<R> {
    fn of(from: R, transform: &Transform) -> Self {
        let clamp = transform.epoch.map(Clamp::new);
        let content = (clamp.is_some() && transform.encoding != Encoding::Plain).then(Sha256::new);
        Self { from, clamp, content, number: 0 }
    }

    /// The next piece and its number: empty at the end.
    fn piece(&mut self, piece: &mut Vec<u8>) -> Result<usize, Unread> {
        piece.resize(PIECE, 0);
        let length = fill(&mut self.from, piece).map_err(Unread::Io)?;
        piece.truncate(length);
        if let Some(clamp) = &mut self.clamp {
            clamp.apply(piece).map_err(|fault| Unread::Fault(fault.to_string()))?;
        }
        if let Some(content) = &mut self.content {
            content.update(&piece);
        }
        self.number += 1;
        Ok(self.number - 1)
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

    /// Hashes the next piece; gives where it is to be written.
    fn next(&mut self, piece: &[u8]) -> (&'a Region, u64) {
        self.blob.update(piece);
        self.size += piece.len() as u64;
        (self.to, self.to.at + self.size - piece.len() as u64)
    }

    fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.blob.finalize().into()), self.size)
    }
}

/// Pieces that are ready in any order and hashed in theirs.
struct Turns<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    output: Output<'a>,
    /// The piece that is hashed next.
    turn: usize,
    /// Nothing more will be written: one of the threads has failed.
    closed: bool,
}

impl<'a> Turns<'a> {
    fn of(output: Output<'a>) -> Self {
        Self { state: Mutex::new(State { output, turn: 0, closed: false }), changed: Condvar::new() }
    }

    /// Waits for this piece's turn to be hashed, and writes it; no more where it never comes.
    fn write(&self, number: usize, piece: &[u8]) -> io::Result<bool> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State<'_>| state.turn != number && !state.closed;
        let mut state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Ok(false);
        }
        let (to, at) = state.output.next(piece);
        state.turn += 1;
        drop(state);
        self.changed.notify_all();
        to.file.write_all_at(piece, at)?;
        Ok(true)
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    fn finish(self) -> Output<'a> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).output
    }
}

/// A thread that ends by a panic leaves nobody waiting for its piece.
struct Leave<'t, 'a>(&'t Turns<'a>);

impl Drop for Leave<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}
