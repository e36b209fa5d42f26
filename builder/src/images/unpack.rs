//! An image's layers into the store: fetched, decompressed, verified, once.

use super::parallel::in_parallel;
use super::resolved::{Hashing, ResolvedImage};
use super::{Blobs, ImageError, ImageLayer};
use buildscope_oci::Encoding;
use buildscope_record::{ByteSize, Phase, Probe, Quantity};
use buildscope_storage::{Layer, StorageError, Store};
use std::io::{self, BufReader, Read};
use std::sync::mpsc;

/// How much a layer may unpack to: this many bytes whatever its size, and so many times its size. gzip cannot exceed
/// a factor of 1032 and real layers stay below 20; zstd can reach tens of thousands, which is what a bomb is made of.
const ALLOWED_ANYWAY: u64 = 1 << 30;
const ALLOWED_FACTOR: u64 = 200;
/// How much is read, and handed on, at a time.
const BUFFER: usize = 256 << 10;
/// How many such pieces lie between two threads.
const PIECES: usize = 8;
/// How many layers come at a time.
const STREAMS: usize = 4;

/// Makes sure that the store has all layers of the image, and gives them, lowest first. What it has already is not
/// fetched again; what is missing is fetched and unpacked side by side.
pub fn ensure_layers(store: &Store, image: &ResolvedImage, probe: &Probe) -> Result<Vec<Layer>, ImageError> {
    ensure(store, &*image.blobs, &image.layers, probe)
}

/// The same for any layers of one origin.
pub(crate) fn ensure(
    store: &Store,
    blobs: &dyn Blobs,
    layers: &[ImageLayer],
    probe: &Probe,
) -> Result<Vec<Layer>, ImageError> {
    let have = |layer: &ImageLayer| store.layer(&layer.diff_id);
    let known = layers.iter().map(have).collect::<Result<Option<Vec<_>>, _>>()?;
    if let Some(layers) = known {
        return Ok(layers);
    }
    let span = probe.phase(if blobs.is_remote() { Phase::Pull } else { Phase::Unpack });
    span.detail(blobs.origin());
    let missing = layers.iter().filter(|layer| !store.blobs().contains(&layer.diff_id));
    span.quantity(Quantity::BytesRead, missing.map(|layer| layer.descriptor.size).sum());
    // While a layer comes over a network, whatever is done with what has come is done beside that: it is all transfer.
    let inside = if blobs.is_remote() { Probe::disabled() } else { span.probe() };
    in_parallel(layers, STREAMS, |layer| ensure_layer(store, blobs, layer, &inside))
}

fn ensure_layer(store: &Store, blobs: &dyn Blobs, layer: &ImageLayer, probe: &Probe) -> Result<Layer, ImageError> {
    if let Some(known) = store.layer(&layer.diff_id)? {
        return Ok(known);
    }
    let (origin, blob) = (blobs.origin(), &layer.descriptor);
    let mut raw = Hashing::new(blobs.open(blob)?.take(blob.size.saturating_add(1)));
    let failed = |source| ImageError::Read { origin: origin.to_owned(), source };
    // What comes is hashed on a thread, unpacked on another, and stored on this one.
    let (imported, over, encoding, limit) = beside(&mut raw, |mut pieces| {
        let mut head = [0; 4];
        let head = read_head(&mut pieces, &mut head).map_err(failed)?;
        let encoding = Encoding::sniff(head);
        let limit = match encoding {
            Encoding::Plain => blob.size,
            _ => blob.size.saturating_mul(ALLOWED_FACTOR).saturating_add(ALLOWED_ANYWAY),
        };
        let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(pieces));
        let (imported, over) = match encoding {
            Encoding::Plain => import(store, whole, limit, layer, probe),
            Encoding::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(whole);
                beside(decoder, |tar| import(store, tar, limit, layer, probe))
            }
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(whole).map_err(failed)?;
                beside(decoder, |tar| import(store, tar, limit, layer, probe))
            }
        };
        Ok::<_, ImageError>((imported, over, encoding, limit))
    })?;
    if over && encoding != Encoding::Plain {
        let (compressed, limit) = (ByteSize(blob.size), ByteSize(limit));
        return Err(ImageError::Bomb { origin: origin.to_owned(), blob: blob.digest, compressed, limit });
    }
    // Whatever went wrong with the content: if the blob itself is not what it should be, that is the reason to name.
    // What the decompressor left is read too: the digest is over all of it.
    io::copy(&mut raw, &mut io::sink()).map_err(failed)?;
    let (found, size) = raw.finish();
    if size != blob.size {
        let (more, shown) = (size > blob.size, size.min(blob.size));
        let (origin, wanted, expected) = (origin.to_owned(), blob.digest, blob.size);
        return Err(ImageError::BlobSize { origin, wanted, expected, found: shown, more });
    }
    if found != blob.digest {
        return Err(ImageError::BlobDigest { origin: origin.to_owned(), wanted: blob.digest, found });
    }
    match imported {
        Ok(layer) => Ok(layer),
        Err(StorageError::DigestMismatch { expected, found }) => Err(ImageError::DiffId {
            origin: origin.to_owned(),
            blob: blob.digest,
            wanted: expected.to_diff_id(),
            found: found.to_diff_id(),
        }),
        Err(StorageError::Io { action: "read", source, .. }) if encoding != Encoding::Plain => {
            Err(ImageError::Decompress { origin: origin.to_owned(), blob: blob.digest, source })
        }
        Err(StorageError::BadLayer { offset, reason }) => {
            Err(ImageError::malformed(origin, format!("layer {}: {reason} (byte {offset} of its tar)", blob.digest)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads on a thread of its own while `take` does something with what was read.
fn beside<T>(mut from: impl Read + Send, take: impl FnOnce(Pieces) -> T) -> T {
    let (sender, receiver) = mpsc::sync_channel::<io::Result<Vec<u8>>>(PIECES);
    // Buffers go round: a quarter of a megabyte is more than the allocator likes to give and take.
    let (give_back, spare) = mpsc::channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            loop {
                let mut piece = spare.try_recv().unwrap_or_default();
                piece.resize(BUFFER, 0);
                // Whole pieces, whatever comes at a time.
                let mut length = 0;
                let end = loop {
                    if length == BUFFER {
                        break Ok(());
                    }
                    match from.read(&mut piece[length..]) {
                        Ok(0) => break Ok(()),
                        Ok(read) => length += read,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => break Err(error),
                    }
                };
                let last = length < BUFFER;
                piece.truncate(length);
                if length > 0 && sender.send(Ok(piece)).is_err() {
                    return;
                }
                if let Err(error) = end {
                    // The other side may have ended.
                    let _ = sender.send(Err(error));
                    return;
                }
                if last {
                    return;
                }
            }
        });
        take(Pieces { receiver, give_back, piece: Vec::new(), at: 0 })
    })
}

/// What another thread reads, as a stream.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    give_back: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Ok(piece) = self.receiver.recv() else { return Ok(0) };
            let empty = std::mem::replace(&mut self.piece, piece?);
            self.at = 0;
            // The other side may have ended.
            let _ = self.give_back.send(empty);
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Takes the tar into the store; tells whether it was longer than the limit.
fn import(
    store: &Store,
    tar: impl Read,
    limit: u64,
    layer: &ImageLayer,
    probe: &Probe,
) -> (Result<Layer, StorageError>, bool) {
    let mut limited = Limited { inner: tar, left: limit, over: false };
    let imported = store.import_layer(&mut limited, Some(layer.diff_id), probe);
    (imported, limited.over)
}

fn read_head<'a>(from: &mut impl Read, head: &'a mut [u8; 4]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while length < head.len() {
        match from.read(&mut head[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(&head[..length])
}

/// Fails where more comes than allowed.
struct Limited<R> {
    inner: R,
    left: u64,
    over: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.over = true;
                return Err(io::Error::other("more than is allowed"));
            }
        }
        Ok(read)
    }
}
