//! Files of zstd: frames one after the other, and frames that are skipped (RFC 8878, sections 3.1.1 and 3.1.2).

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, Read};

const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether a file starts like one of zstd.
pub(super) fn is_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME) || skippable(bytes).is_some()
}

/// Returns the bytes after a skippable frame; `None` if these bytes do not start with one. pzstd writes one before each other frame.
fn skippable(bytes: &[u8]) -> Option<&[u8]> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let is_skipped = magic[0] & 0xf0 == 0x50 && magic[1..] == [0x2a, 0x4d, 0x18];
    is_skipped.then(|| rest.get(u32::from_le_bytes(*size) as usize..).unwrap_or_default())
}

/// Reads all frames. Bytes that are not a frame end the file.
pub(super) struct ZstdFrames<'b> {
    frame: Option<StreamingDecoder<&'b [u8], FrameDecoder>>,
    rest: &'b [u8],
}

impl<'b> ZstdFrames<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { frame: None, rest: bytes }
    }

    /// Starts the next frame. Returns whether there is one.
    fn start_frame(&mut self) -> io::Result<bool> {
        while let Some(rest) = skippable(self.rest) {
            self.rest = rest;
        }
        if !self.rest.starts_with(&FRAME) {
            return Ok(false);
        }
        self.frame = Some(StreamingDecoder::new(self.rest).map_err(io::Error::other)?);
        Ok(true)
    }
}

impl Read for ZstdFrames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(frame) = &mut self.frame else {
                if !self.start_frame()? {
                    return Ok(0);
                }
                continue;
            };
            match frame.read(buffer)? {
                0 => self.rest = self.frame.take().map_or(self.rest, StreamingDecoder::into_inner),
                read => return Ok(read),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        assert!(is_zstd(bytes));
        ZstdFrames::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn all_frames_are_read() {
        let frame = |text: &str| compress_to_vec(text.as_bytes(), CompressionLevel::Fastest);
        let skipped = b"\x5e\x2a\x4d\x18\x04\0\0\0size";
        assert_eq!(read(&[frame("one "), frame("two")].concat()), "one two");
        assert_eq!(
            read(&[&skipped[..], &frame("one "), skipped, &frame(""), &frame("two"), skipped].concat()),
            "one two"
        );
        assert_eq!(read(&[&frame("one")[..], b"not a frame"].concat()), "one");
        assert_eq!(read(b"\x50\x2a\x4d\x18\xff\xff\xff\xff"), "", "longer than the file");
        assert!(!is_zstd(b"\x50\x2a\x4d\x18") && !is_zstd(b"\x60\x2a\x4d\x18\0\0\0\0"));
    }
}
