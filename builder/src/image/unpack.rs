//! An image's layers into the store: fetched, decompressed, verified, once.

use super::document::Encoding;
use super::resolved::{Hashing, ResolvedImage};
use super::{Blobs, ImageError, ImageLayer};
use crate::storage::{Layer, StorageError, Store};
use buildscope_record::{ByteSize, Phase, Probe, Quantity};
use rayon::prelude::*;
use std::io::{self, BufReader, Read};

/// How much a layer may unpack to: this many bytes whatever its size, and so many times its size. gzip cannot exceed
/// a factor of 1032 and real layers stay below 20; zstd can reach tens of thousands, which is what a bomb is made of.
const ALLOWED_ANYWAY: u64 = 1 << 30;
const ALLOWED_FACTOR: u64 = 200;
/// How much is read from a blob at a time.
const BUFFER: usize = 256 << 10;

/// Makes sure that the store has all layers of the image, and gives them, lowest first. What it has already is not
/// fetched again; what is missing is fetched and unpacked side by side.
pub fn ensure_layers(store: &Store, image: &ResolvedImage, probe: &Probe) -> Result<Vec<Layer>, ImageError> {
    let have = |layer: &ImageLayer| store.layer(&layer.diff_id);
    let known = image.layers.iter().map(have).collect::<Result<Option<Vec<_>>, _>>()?;
    if let Some(layers) = known {
        return Ok(layers);
    }
    let remote = image.blobs.is_remote();
    let span = probe.phase(if remote { Phase::Pull } else { Phase::Unpack });
    span.detail(image.blobs.origin());
    let missing: u64 = image.layers.iter().map(|layer| layer.descriptor.size).sum();
    span.quantity(Quantity::BytesRead, missing);
    let inside = span.probe();
    image.layers.par_iter().map(|layer| ensure_layer(store, &*image.blobs, layer, &inside)).collect()
}

fn ensure_layer(store: &Store, blobs: &dyn Blobs, layer: &ImageLayer, probe: &Probe) -> Result<Layer, ImageError> {
    if let Some(known) = store.layer(&layer.diff_id)? {
        return Ok(known);
    }
    let (origin, blob) = (blobs.origin(), &layer.descriptor);
    let mut raw = Hashing::new(blobs.open(blob)?.take(blob.size.saturating_add(1)));
    let mut head = [0; 4];
    let head =
        read_head(&mut raw, &mut head).map_err(|source| ImageError::Read { origin: origin.to_owned(), source })?;
    let encoding = Encoding::sniff(head);
    let limit = match encoding {
        Encoding::Plain => blob.size,
        _ => blob.size.saturating_mul(ALLOWED_FACTOR).saturating_add(ALLOWED_ANYWAY),
    };
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(&mut raw));
    let (imported, over) = match encoding {
        Encoding::Plain => import(store, whole, limit, layer, probe),
        Encoding::Gzip => import(store, flate2::bufread::MultiGzDecoder::new(whole), limit, layer, probe),
        Encoding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(whole);
            let decoder = decoder.map_err(|source| ImageError::Read { origin: origin.to_owned(), source })?;
            import(store, decoder, limit, layer, probe)
        }
    };
    if over && encoding != Encoding::Plain {
        let (compressed, limit) = (ByteSize(blob.size), ByteSize(limit));
        return Err(ImageError::Bomb { origin: origin.to_owned(), blob: blob.digest, compressed, limit });
    }
    // Whatever went wrong with the content: if the blob itself is not what it should be, that is the reason to name.
    // What the decompressor left is read too: the digest is over all of it.
    io::copy(&mut raw, &mut io::sink()).map_err(|source| ImageError::Read { origin: origin.to_owned(), source })?;
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
        Err(StorageError::DigestMismatch { expected, found }) => {
            Err(ImageError::DiffId { origin: origin.to_owned(), blob: blob.digest, wanted: expected, found })
        }
        Err(StorageError::Io { action: "read", source, .. }) if encoding != Encoding::Plain => {
            Err(ImageError::Decompress { origin: origin.to_owned(), blob: blob.digest, source })
        }
        Err(StorageError::BadLayer { offset, reason }) => {
            Err(ImageError::malformed(origin, format!("layer {}: {reason} (byte {offset} of its tar)", blob.digest)))
        }
        Err(error) => Err(error.into()),
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
