//! The bytes of a log as text: byte order marks, UTF-16 as PowerShell's redirection writes it, and invalid UTF-8.

use std::borrow::Cow;

/// The text of a file. Invalid sequences become U+FFFD.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = after_hole(bytes);
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ if half_zero(bytes, 1) => utf16(bytes, u16::from_le_bytes),
        _ if half_zero(bytes, 0) => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Skips the zeros at the start of a file that was emptied while a program continued to write (logrotate's `copytruncate`).
fn after_hole(bytes: &[u8]) -> &[u8] {
    /// UTF-16 has fewer zeros in a row: no text begins with a NUL character.
    const HOLE: usize = 4;
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    if zeros >= HOLE { &bytes[zeros..] } else { bytes }
}

/// Whether nearly all bytes at even (0) or odd (1) offsets are zero, as in UTF-16 without a byte order mark.
fn half_zero(bytes: &[u8], offset: usize) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let zeros = head.iter().skip(offset).step_by(2).filter(|&&byte| byte == 0).count();
    head.len() >= 4 && zeros * 2 * 10 >= head.len() * 9
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, str> {
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|&pair| unit(pair)).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_recognised() {
        let text = "#1 [internal] load é\n";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&[&[0xff, 0xfe], little.as_slice()].concat()), text);
        assert_eq!(decode(&[&[0xfe, 0xff], big.as_slice()].concat()), text);
        assert_eq!((decode(&little), decode(&big)), (text.into(), text.into()));
        assert_eq!(decode("\u{feff}#1 x".as_bytes()), "#1 x");
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(decode(&[&[0; 4096], text.as_bytes()].concat()), text);
    }
}
