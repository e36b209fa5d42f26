//! Decompression of archives from outside, recognised by their content.

use std::io::{self, BufRead, BufReader, Read};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;

/// The memory limit for decoding an xz stream, in bytes. `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 512 << 20;
/// The largest window of the format's implementation: 2 GiB.
const LARGEST_ZSTD_WINDOW: u32 = 31;

/// Whether a decoder may need more memory than an archive of a usual compressor: 512 MiB for xz, and for zstd a window of 128 MiB.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecoderMemory {
    Limited,
    /// Only for the first bytes of a file: the memory is used as far as the file is read.
    Any,
}
/// Bytes that are read from the file at a time.
const BUFFER: usize = 256 << 10;
/// The longest magic number below, in bytes.
const MAGIC: u64 = 6;

/// Reads a file that starts at the beginning, decompressed if its first bytes are those of gzip, bzip2, xz or zstd.
///
/// # Errors
/// If the file cannot be read, or the decoder cannot be set up.
pub(crate) fn decompressed<'a>(file: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    decompressed_within(DecoderMemory::Limited, file)
}

/// Like [`decompressed`], with that limit of memory.
pub(crate) fn decompressed_within<'a>(
    memory: DecoderMemory,
    mut file: impl Read + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut magic = Vec::with_capacity(MAGIC as usize);
    file.by_ref().take(MAGIC).read_to_end(&mut magic)?;
    let whole = BufReader::with_capacity(BUFFER, io::Cursor::new(magic.clone()).chain(file));
    decoder(&magic, memory, whole)
}

/// Whether a decoder failed because there is not enough memory.
pub(crate) fn lacks_memory(error: &io::Error) -> bool {
    let Some(cause) = error.get_ref() else { return false };
    let zstd = cause.downcast_ref::<zstd::Error>();
    let xz = cause.downcast_ref::<liblzma::stream::Error>();
    zstd.is_some_and(|error| error.is(ZSTD_ErrorCode::ZSTD_error_memory_allocation))
        || matches!(xz, Some(liblzma::stream::Error::Mem | liblzma::stream::Error::MemLimit))
}

fn decoder<'a>(
    magic: &[u8],
    memory: DecoderMemory,
    whole: impl BufRead + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match magic {
        // RFC 1952, 2.3.1: gzip with the only method that is defined.
        [0x1f, 0x8b, 8, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        // bzip2(1).
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
        // "The .xz file format", 2.1.1.1.
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let limit = if memory == DecoderMemory::Any { u64::MAX } else { XZ_MEMORY };
            let stream = liblzma::stream::Stream::new_stream_decoder(limit, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(whole, stream))
        }
        // RFC 8878, 3.1.1 and 3.1.2: a frame, or a skippable frame, with which pzstd starts.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(whole)?;
            if memory == DecoderMemory::Any {
                decoder.window_log_max(LARGEST_ZSTD_WINDOW)?;
            }
            Box::new(decoder)
        }
        _ => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_skippable_zstd_frame_is_recognised() {
        // RFC 8878, 3.1.2: magic number, size of four bytes, content. pzstd writes the frame sizes into it.
        let mut file = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 9, 9, 9, 9];
        file.extend(zstd::encode_all(&b"content"[..], 1).unwrap());
        let mut text = String::new();
        decompressed(&*file).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }

    #[test]
    fn a_file_without_a_known_magic_is_read_as_it_is() {
        for file in [&b""[..], b"x", b"plain text"] {
            let mut read = Vec::new();
            decompressed(file).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, file);
        }
    }
}
