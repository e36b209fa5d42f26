//! The data maps of sparse files.

use super::extended::text_number;
use super::member::SparsePiece;

/// Converts a data map, a list of offsets and lengths, to pieces; `None` if it is not ordered or has more data than stored.
pub(super) fn pieces(map: &[u64], size: u64, stored: u64) -> Option<Vec<SparsePiece>> {
    let (mut pieces, mut data, mut end) = (Vec::new(), 0u64, 0u64);
    let (pairs, rest) = map.as_chunks::<2>();
    for &[offset, length] in pairs {
        let after = offset.checked_add(length).filter(|&after| offset >= end && after <= size)?;
        if length > 0 {
            pieces.push(SparsePiece { offset, stored: data, length });
        }
        (data, end) = (data + length, after);
    }
    (rest.is_empty() && data <= stored).then_some(pieces)
}

/// Parses the decimal lines of a sparse map of format 1.0: the number of pairs, then the pairs.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) values: Vec<u64>,
    line: Vec<u8>,
}

impl Numbers {
    pub(super) fn complete(&self) -> bool {
        self.values.first().is_some_and(|&pairs| self.values.len() as u64 > pairs.saturating_mul(2))
    }

    pub(super) fn feed(&mut self, block: &[u8]) -> Option<()> {
        for &byte in block {
            if self.complete() {
                break;
            }
            if byte == b'\n' {
                self.values.push(text_number(&std::mem::take(&mut self.line))?);
            } else {
                self.line.push(byte);
                if self.line.len() > 20 {
                    return None;
                }
            }
        }
        Some(())
    }
}
