//! Fetches the layers of an image into the store: downloads, decompresses and verifies them.

use super::parallel::in_parallel;
use super::resolved::{Hashing, ResolvedImage};
use super::{Blobs, ImageError, ImageLayer};
use buildscope_oci::Encoding;
use buildscope_record::{ByteSize, Phase, Probe, Quantity};
use buildscope_storage::{Layer, StorageError, Store, unpacked_limit};
use std::io::{self, BufReader, Read};
use std::sync::mpsc;

/// The size of a buffer that is passed between threads, in bytes.
const BUFFER: usize = 256 << 10;
/// The largest number of buffers between two threads.
const PIECES: usize = 8;
/// The number of layers that are fetched in parallel.
const STREAMS: usize = 4;

/// Makes sure that the store has all layers of an image, and returns them, lowest first. Missing layers are fetched and
/// unpacked in parallel, the largest first.
pub fn ensure_layers(store: &Store, image: &ResolvedImage, probe: &Probe) -> Result<Vec<Layer>, ImageError> {
    ensure(store, &*image.blobs, &image.layers, probe)
}

/// Makes sure that the store has these layers, all from the same source, and returns them in their order.
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
    let missing = layers.iter().filter(|layer| !store.blobs().contains(layer.diff_id));
    span.quantity(Quantity::BytesRead, missing.map(|layer| layer.descriptor.size).sum());
    // During a transfer over the network, hashing and unpacking run at the same time, so all of it counts as transfer.
    let inside = if blobs.is_remote() { Probe::disabled() } else { span.probe() };
    // The largest layer takes longest, so it is started first. The others are fetched until its end.
    let mut numbers: Vec<usize> = (0..layers.len()).collect();
    numbers.sort_by_key(|&number| std::cmp::Reverse(layers[number].descriptor.size));
    let ensure = |&number: &usize| ensure_layer(store, blobs, &layers[number], &inside).map(|layer| (number, layer));
    let mut ensured = in_parallel(&numbers, STREAMS, ensure)?;
    ensured.sort_by_key(|(number, _)| *number);
    Ok(ensured.into_iter().map(|(_, layer)| layer).collect())
}

fn ensure_layer(store: &Store, blobs: &dyn Blobs, layer: &ImageLayer, probe: &Probe) -> Result<Layer, ImageError> {
    if let Some(known) = store.layer(&layer.diff_id)? {
        return Ok(known);
    }
    let (origin, blob) = (blobs.origin(), &layer.descriptor);
    let mut raw = Hashing::new(blobs.open(blob)?.take(blob.size.saturating_add(1)));
    let failed = |error| ImageError::Read { origin: origin.to_owned(), error };
    // The blob is read and hashed on one thread, decompressed on another, and stored on this one.
    let (imported, encoding, limit) = read_ahead(&mut raw, |mut pieces| {
        let mut head = [0; 4];
        let head = read_head(&mut pieces, &mut head).map_err(failed)?;
        let encoding = Encoding::sniff(head);
        let limit = match encoding {
            Encoding::Plain => blob.size,
            _ => unpacked_limit(blob.size),
        };
        let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(pieces));
        let imported = match encoding {
            Encoding::Plain => import(store, whole, limit, layer, probe),
            Encoding::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(whole);
                read_ahead(decoder, |tar| import(store, tar, limit, layer, probe))
            }
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(whole).map_err(failed)?;
                read_ahead(decoder, |tar| import(store, tar, limit, layer, probe))
            }
        };
        Ok::<_, ImageError>((imported, encoding, limit))
    })?;
    if imported.input == PackedLayer::LimitExceeded && encoding != Encoding::Plain {
        let (compressed, limit) = (ByteSize(blob.size), ByteSize(limit));
        return Err(ImageError::Bomb { origin: origin.to_owned(), blob: blob.digest, compressed, limit });
    }
    // A wrong size or digest of the blob is reported first, since it explains any other error of the content. The rest
    // of the blob, which the decompressor did not read, is part of the digest.
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
    match imported.layer {
        Ok(layer) => Ok(layer),
        Err(StorageError::DigestMismatch { expected, found }) => Err(ImageError::DiffId {
            origin: origin.to_owned(),
            blob: blob.digest,
            wanted: expected.to_diff_id(),
            found: found.to_diff_id(),
        }),
        Err(StorageError::Io { error, .. }) if imported.input == PackedLayer::Failed && encoding != Encoding::Plain => {
            Err(ImageError::Decompress { origin: origin.to_owned(), blob: blob.digest, error })
        }
        Err(StorageError::BadLayer { offset, reason }) => {
            Err(ImageError::malformed(origin, format!("layer {}: {reason} (byte {offset} of its tar)", blob.digest)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads on another thread while `take` uses the bytes.
fn read_ahead<T>(mut from: impl Read + Send, take: impl FnOnce(Pieces) -> T) -> T {
    let (sender, receiver) = mpsc::sync_channel::<io::Result<Vec<u8>>>(PIECES);
    // Buffers are reused: allocating and freeing a quarter of a megabyte each time would be slow.
    let (give_back, returned) = mpsc::channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            loop {
                let mut piece = returned.try_recv().unwrap_or_default();
                piece.resize(BUFFER, 0);
                // Fill the buffer, even if each read returns less.
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
                    // The receiver may have ended.
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

/// The bytes that another thread reads, as a stream.
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
            // The reading thread may have ended.
            let _ = self.give_back.send(empty);
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// The result of an import, and the state of its input, which tells failures of the input from those of the store.
struct Imported {
    layer: Result<Layer, StorageError>,
    input: PackedLayer,
}

/// The state of a tar that is imported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PackedLayer {
    /// No error so far.
    Good,
    /// The tar is longer than the limit.
    LimitExceeded,
    /// The tar cannot be read: its download or decompression failed.
    Failed,
}

/// Imports a tar of at most `limit` bytes into the store.
fn import(store: &Store, tar: impl Read, limit: u64, layer: &ImageLayer, probe: &Probe) -> Imported {
    let mut limited = Limited { inner: tar, left: limit, input: PackedLayer::Good };
    let layer = store.import_layer(&mut limited, Some(layer.diff_id), probe);
    Imported { layer, input: limited.input }
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

/// Fails once more than `left` bytes were read.
struct Limited<R> {
    inner: R,
    left: u64,
    input: PackedLayer,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.input = PackedLayer::Failed;
            }
        })?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.input = PackedLayer::LimitExceeded;
                return Err(io::Error::other("the limit is exceeded"));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_oci::Descriptor;
    use buildscope_record::DiffId;
    use buildscope_storage::StoreOptions;
    use parking_lot::{Condvar, Mutex};
    use std::time::Duration;

    /// Empty archives of different lengths. All wait until the longest is opened.
    #[derive(Debug, Default)]
    struct Waiting {
        longest: u64,
        opened: Mutex<bool>,
        changed: Condvar,
    }

    impl Blobs for Waiting {
        fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
            let mut opened = self.opened.lock();
            if blob.size == self.longest {
                *opened = true;
                self.changed.notify_all();
            }
            while !*opened {
                let timeout = self.changed.wait_for(&mut opened, Duration::from_secs(120)).timed_out();
                assert!(!timeout, "the largest layer is not among the first");
            }
            Ok(Box::new(io::Cursor::new(vec![0; blob.size as usize])))
        }

        fn origin(&self) -> &str {
            "waiting"
        }
    }

    #[test]
    fn the_largest_layer_is_fetched_first() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), StoreOptions::default()).unwrap();
        // The end of an archive is two blocks of zeros, and more may follow.
        let layer = |blocks: usize| {
            let archive = vec![0; blocks * 512];
            let descriptor = Descriptor::of(&Encoding::Plain.oci_layer(), &archive);
            ImageLayer { descriptor, diff_id: DiffId::of(&archive) }
        };
        let layers: Vec<ImageLayer> = (2..20).map(layer).collect();
        let blobs = Waiting { longest: 19 * 512, ..Waiting::default() };
        let ensured = ensure(&store, &blobs, &layers, &Probe::disabled()).unwrap();
        let ids = |layers: &[Layer]| layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>();
        assert_eq!(ids(&ensured), layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(), "in the image's order");
    }
}
