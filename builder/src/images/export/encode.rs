//! Compresses a piece of a layer to gzip members or a zstd frame.

use buildscope_oci::Encoding;
use libdeflater::{CompressionLvl, Compressor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// The default level of zstd.
const ZSTD_LEVEL: i32 = 3;
/// The default level of gzip(1).
const GZIP_LEVEL: u32 = 6;
/// The unit, in bytes, in which gzip decides whether data can be compressed.
const BLOCK: usize = 128 << 10;

/// Compresses a piece into `out`, whose allocation is reused. The content of `piece` is undefined afterwards. The result
/// depends only on `piece`, `encoding` and `level`.
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

/// Compresses with tables that each thread keeps: creating them takes a third as long as compressing a megabyte.
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

/// Compresses runs of similar blocks to one gzip member each. Dense blocks (archives, pictures) are stored without
/// compression: deflate would take as long for them as for others, and gain nothing.
fn gzip(piece: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let (mut rest, mut blocks) = (piece, piece.chunks(BLOCK).map(|block| (block.len(), is_dense(block))).peekable());
    while let Some((mut length, dense)) = blocks.next() {
        while let Some((more, _)) = blocks.next_if(|&(_, other)| other == dense) {
            length += more;
        }
        let (member, after) = rest.split_at(length);
        gzip_member(member, if dense { 0 } else { level }, out)?;
        rest = after;
    }
    Ok(())
}

/// Appends one gzip member. The compressors are kept by each thread: creating one takes as long as compressing some kilobytes.
fn gzip_member(bytes: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    thread_local! {
        static COMPRESSORS: RefCell<BTreeMap<u32, Compressor>> = const { RefCell::new(BTreeMap::new()) };
    }
    COMPRESSORS.with_borrow_mut(|kept| {
        let new = || {
            let level = i32::try_from(level).ok().and_then(|level| CompressionLvl::new(level).ok());
            Compressor::new(level.unwrap_or_default())
        };
        let compressor = kept.entry(level).or_insert_with(new);
        let from = out.len();
        out.resize(from + compressor.gzip_compress_bound(bytes.len()), 0);
        let length = compressor.gzip_compress(bytes, &mut out[from..]).map_err(io::Error::other)?;
        out.truncate(from + length);
        Ok(())
    })
}

/// Whether deflate cannot compress a block: all bytes are equally frequent, and hardly any string is repeated.
fn is_dense(block: &[u8]) -> bool {
    is_even(block) && repeats(block) < block.len() / 256
}

/// Whether Huffman codes save nothing: two random bytes of the block are equal at most 10 % more often than if all 256
/// values were equally frequent (1 in 256). Computed in integers, so that the result is the same on every machine.
fn is_even(block: &[u8]) -> bool {
    // Four tables, since with one table, equal bytes in a row would each wait for the previous count.
    let mut counts = [[0u64; 256]; 4];
    for four in block.chunks(4) {
        four.iter().zip(&mut counts).for_each(|(&byte, counts)| counts[usize::from(byte)] += 1);
    }
    let equal: u64 = (0..256).map(|byte| counts.iter().map(|counts| counts[byte]).sum::<u64>().pow(2)).sum();
    equal * 256 * 10 <= (block.len() as u64).pow(2) * 11
}

/// Counts the positions of four bytes that occurred before. Only one in `STEP` positions is remembered, so that every
/// repeated string of `STEP` + 4 bytes is found.
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
    use buildscope_testing::Random;
    use std::io::Read;

    /// Random bytes, which do not compress.
    fn noise(length: usize) -> Vec<u8> {
        Random::new(0x2545_F491_4F6C_DD1D).bytes(length)
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
    fn only_dense_blocks_are_stored() {
        let (dense, text) = (noise(300_000), b"All bytes are as frequent as the language has them. ".repeat(6_000));
        let mixed = [&dense[..], &text, &dense].concat();
        let made = gzip(&mixed);
        assert_eq!(read(&made), mixed);
        // The two random parts are stored, with 5 bytes for each 64 KiB. Blocks with some of both are compressed.
        assert!((600_000..630_000).contains(&made.len()), "{}", made.len());
    }

    #[test]
    fn repeated_random_bytes_are_compressed() {
        let repeated = noise(10_000).repeat(13);
        assert!(is_even(&repeated));
        let made = gzip(&repeated);
        assert_eq!(read(&made), repeated);
        assert!(made.len() < 15_000, "{}", made.len());
    }

    #[test]
    fn blocks_with_equally_frequent_bytes_are_even() {
        let all: Vec<u8> = (0..=255).collect();
        assert!(is_even(&all.repeat(16)));
        // Half of the values, each twice as frequent: 2 in 256.
        assert!(!is_even(&all[..128].repeat(32)));
        assert!(is_even(&noise(BLOCK)) && !is_even(&[7; 1000]));
    }
}
