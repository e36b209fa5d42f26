//! Bytes compressed: a piece of a layer becomes gzip members or a zstd frame of its own.

use buildscope_oci::Encoding;
use std::cell::RefCell;
use std::io::{self, Write};

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// zlib's own default.
const GZIP_LEVEL: u32 = 6;
/// What is looked at before gzip tries it.
const BLOCK: usize = 128 << 10;

/// Compresses a piece; `out` is room to be used again, and what is in `piece` then is of no use. The result depends on nothing but
/// the other arguments.
pub(super) fn encode(piece: &mut Vec<u8>, encoding: Encoding, level: Option<i32>, out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    match encoding {
        Encoding::Plain => std::mem::swap(piece, out),
        Encoding::Gzip => {
            let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(GZIP_LEVEL).min(9);
            gzip(piece, level, out)?;
        }
        Encoding::Zstd => zstd(piece, level.unwrap_or(ZSTD_LEVEL), out)?,
    }
    Ok(())
}

/// Each thread keeps its tables: making them anew for a megabyte takes a third as long as compressing it.
fn zstd(piece: &[u8], level: i32, out: &mut Vec<u8>) -> io::Result<()> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let (_, compressor) = match kept.take().filter(|(of, _)| *of == level) {
            Some(same) => kept.insert(same),
            None => kept.insert((level, zstd::bulk::Compressor::new(level)?)),
        };
        out.reserve(zstd::zstd_safe::compress_bound(piece.len()));
        compressor.compress_to_buffer(piece, out)?;
        Ok(())
    })
}

/// deflate spends as long on what was compressed before (archives, pictures) as on anything else, and gains nothing: such blocks are
/// stored.
fn gzip(piece: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let (mut rest, mut blocks) = (piece, piece.chunks(BLOCK).map(|block| (block.len(), is_dense(block))).peekable());
    while let Some((mut length, dense)) = blocks.next() {
        while let Some((more, _)) = blocks.next_if(|&(_, other)| other == dense) {
            length += more;
        }
        let (member, after) = rest.split_at(length);
        let level = if dense { flate2::Compression::none() } else { flate2::Compression::new(level) };
        let mut encoder = flate2::write::GzEncoder::new(&mut *out, level);
        encoder.write_all(member)?;
        encoder.finish()?;
        rest = after;
    }
    Ok(())
}

/// Whether deflate would not make it smaller: all bytes are as frequent, and hardly one of its strings comes again.
fn is_dense(block: &[u8]) -> bool {
    is_even(block) && repeats(block) < block.len() / 256
}

/// Whether two bytes taken from it are equal at most a tenth more often than if all 256 were as frequent (one time in 256), so
/// that codes by frequency save nothing. In whole numbers, since what is compressed must be the same everywhere.
fn is_even(block: &[u8]) -> bool {
    // Of equal bytes in a row, each count would wait for the one before.
    let mut counts = [[0u64; 256]; 4];
    for four in block.chunks(4) {
        four.iter().zip(&mut counts).for_each(|(&byte, counts)| counts[usize::from(byte)] += 1);
    }
    let equal: u64 = (0..256).map(|byte| counts.iter().map(|counts| counts[byte]).sum::<u64>().pow(2)).sum();
    equal * 256 * 10 <= (block.len() as u64).pow(2) * 11
}

/// At how many places something stands that stood before, as far as one in `STEP` strings is remembered: one of `STEP` and four
/// bytes is found wherever it comes again.
fn repeats(block: &[u8]) -> usize {
    const STEP: usize = 16;
    const BITS: u32 = 13;
    let mut seen = vec![u32::MAX; 1 << BITS];
    let mut found = 0;
    for (at, four) in block.windows(4).enumerate() {
        let four = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        // Knuth's multiplicative hash.
        let slot = &mut seen[(four.wrapping_mul(2_654_435_761) >> (32 - BITS)) as usize];
        found += usize::from(*slot == four);
        if at % STEP == 0 {
            *slot = four;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Bytes without any order: xorshift64 (Marsaglia, 2003).
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
    }

    fn gzip(piece: &[u8]) -> Vec<u8> {
        let mut out = b"of the piece before".to_vec();
        encode(&mut piece.to_vec(), Encoding::Gzip, None, &mut out).unwrap();
        out
    }

    fn read(gzip: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(gzip).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_cannot_be_smaller_is_stored_and_the_rest_is_not() {
        let (dense, text) = (noise(300_000), b"All bytes are as frequent as the language has them. ".repeat(6_000));
        let mixed = [&dense[..], &text, &dense].concat();
        let made = gzip(&mixed);
        assert_eq!(read(&made), mixed);
        // Two noises, stored: 5 bytes for 64 KiB and some for their members; blocks with some of both are compressed.
        assert!((600_000..630_000).contains(&made.len()), "{}", made.len());
    }

    #[test]
    fn noise_that_comes_again_is_compressed() {
        let repeated = noise(10_000).repeat(13);
        assert!(is_even(&repeated));
        let made = gzip(&repeated);
        assert_eq!(read(&made), repeated);
        assert!(made.len() < 15_000, "{}", made.len());
    }

    #[test]
    fn even_is_what_has_all_bytes_as_often() {
        let all: Vec<u8> = (0..=255).collect();
        assert!(is_even(&all.repeat(16)));
        // Half of the bytes, each twice as often: 2 in 256.
        assert!(!is_even(&all[..128].repeat(32)));
        assert!(is_even(&noise(BLOCK)) && !is_even(&[7; 1000]));
    }
}
