//! The header block of a tar member: its fields, numbers and checksum (POSIX.1-2024, pax, "ustar Interchange Format").
//!
//! *Takes* and *gives* one block of 512 bytes. *Must never know* entries, members or extended headers.

use super::BLOCK;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The magic of a POSIX header, with its terminating zero.
pub(super) const USTAR: [u8; 6] = *b"ustar\0";

/// The largest number in a field of eight bytes: seven octal digits and a terminator.
pub(super) const MAX_7: u64 = 0o7_777_777;
/// The largest number in a field of twelve bytes: eleven octal digits and a terminator.
pub(super) const MAX_11: u64 = 0o77_777_777_777;

/// A header block. The fields have the names and offsets of the specification.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// The path, or its part after `prefix` and a slash.
    pub name: [u8; 100],
    /// Permission, setuid, setgid and sticky bits.
    pub mode: [u8; 8],
    /// The user id of the owner.
    pub uid: [u8; 8],
    /// The group id.
    pub gid: [u8; 8],
    /// The number of data bytes that follow.
    pub size: [u8; 12],
    /// The modification time in seconds since 1970.
    pub mtime: [u8; 12],
    /// The sum of all bytes of the header, with this field as blanks.
    pub chksum: [u8; 8],
    /// The type of the member.
    pub typeflag: u8,
    /// The target of a symbolic or hard link.
    pub linkname: [u8; 100],
    /// `ustar` and a zero; GNU tar writes `ustar` and a blank.
    pub magic: [u8; 6],
    /// `00`.
    pub version: [u8; 2],
    /// The name of the owner. We neither write nor read it.
    pub uname: [u8; 32],
    /// The name of the group. We neither write nor read it.
    pub gname: [u8; 32],
    /// The major number of a device.
    pub devmajor: [u8; 8],
    /// The minor number of a device.
    pub devminor: [u8; 8],
    /// The first part of a long path.
    pub prefix: [u8; 155],
    /// Unused by POSIX. star writes its own magic into the last four bytes.
    pub rest: [u8; 12],
}

const _: () = assert!(size_of::<Header>() == BLOCK as usize);

/// The fields that GNU tar's old format has in place of `prefix` and `rest`.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct GnuFields {
    atime: [u8; 12],
    ctime: [u8; 12],
    offset: [u8; 12],
    longnames: [u8; 4],
    unused: u8,
    /// The first pairs of the data map of a sparse file.
    pub(super) sparse: [SparsePair; 4],
    /// Whether [`GnuExtension`] blocks with more pairs follow.
    pub(super) is_extended: u8,
    /// The apparent size of a sparse file.
    pub(super) real_size: [u8; 12],
    padding: [u8; 17],
}

/// A block with more pairs of a sparse file's data map, in GNU tar's old format.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct GnuExtension {
    pub(super) sparse: [SparsePair; 21],
    /// Whether another extension block follows.
    pub(super) is_extended: u8,
    padding: [u8; 7],
}

const _: () = assert!(size_of::<GnuExtension>() == BLOCK as usize);

/// A piece of a sparse file, in GNU tar's old format.
#[derive(Clone, Copy, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SparsePair {
    pub(super) offset: [u8; 12],
    pub(super) length: [u8; 12],
}

impl Header {
    /// A header of zeros.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// The header in a block of an archive.
    pub fn of(block: &[u8; BLOCK as usize]) -> &Self {
        zerocopy::transmute_ref!(block)
    }

    /// The header in a block of an archive, to change it in place; `None` if `block` does not have the size of a block.
    pub fn of_mut(block: &mut [u8]) -> Option<&mut Self> {
        Self::mut_from_bytes(block).ok()
    }

    /// The bytes of the block.
    pub fn as_block(&self) -> &[u8; BLOCK as usize] {
        zerocopy::transmute_ref!(self)
    }

    /// Whether the block is all zeros, as at the end of an archive.
    pub fn is_zero(&self) -> bool {
        self.as_block().iter().all(|&byte| byte == 0)
    }

    /// Sets the size: in octal digits if it fits, otherwise in GNU's base-256 encoding, which all readers support.
    pub fn set_size(&mut self, size: u64) {
        if size <= MAX_11 {
            write_octal(&mut self.size, size);
        } else {
            self.size = [0; 12];
            self.size[0] = 0x80;
            self.size[4..].copy_from_slice(&size.to_be_bytes());
        }
    }

    /// Writes the magic and version of POSIX, and then the checksum.
    pub fn seal(&mut self) {
        self.magic = USTAR;
        self.version = *b"00";
        self.update_checksum();
    }

    /// Writes the checksum. Call it after the last change of another field.
    pub fn update_checksum(&mut self) {
        // Six digits, a zero and a blank, as most tools write it.
        let sum = self.sum(|byte| byte.into()).unsigned_abs();
        write_octal(&mut self.chksum[..7], sum);
        self.chksum[7] = b' ';
    }

    /// Whether the checksum is right. Old tars sum signed bytes.
    pub fn has_valid_checksum(&self) -> bool {
        let found = read_number(&self.chksum).and_then(|sum| i64::try_from(sum).ok());
        found.is_some_and(|sum| sum == self.sum(|byte| byte.into()) || sum == self.sum(|byte| (byte as i8).into()))
    }

    /// The sum of all bytes, with the checksum itself as blanks.
    fn sum(&self, value: impl Fn(u8) -> i64) -> i64 {
        let all: i64 = self.as_block().iter().map(|&byte| value(byte)).sum();
        let own: i64 = self.chksum.iter().map(|&byte| value(byte)).sum();
        all - own + self.chksum.len() as i64 * i64::from(b' ')
    }

    /// The fields of GNU tar's old format.
    pub(super) fn gnu(&self) -> &GnuFields {
        let start = BLOCK as usize - size_of::<GnuFields>();
        GnuFields::ref_from_bytes(&self.as_block()[start..]).expect("exactly the size of the fields")
    }
}

impl GnuExtension {
    /// The fields in a block of an archive.
    pub(super) fn of(block: &[u8; BLOCK as usize]) -> &Self {
        zerocopy::transmute_ref!(block)
    }
}

/// Writes octal digits with leading zeros, and a terminating zero byte. Digits that do not fit are lost: see [`MAX_7`] and [`MAX_11`].
pub fn write_octal(field: &mut [u8], mut value: u64) {
    let Some((terminator, digits)) = field.split_last_mut() else { return };
    *terminator = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// Reads an unsigned number: octal digits, or GNU's base-256 encoding.
pub fn read_number(field: &[u8]) -> Option<u64> {
    read_signed(field).and_then(|value| u64::try_from(value).ok())
}

/// Reads a number that may be negative, as modification times before 1970 are. Only the base-256 encoding has a sign.
pub fn read_signed(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        // GNU base-256: big-endian two's complement. The highest bit only marks the encoding.
        let negative = field[0] & 0x40 != 0;
        let first = if negative { i128::from(field[0] | 0x80) - 256 } else { i128::from(field[0] & 0x3f) };
        let value =
            field[1..].iter().try_fold(first, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()))?;
        return i64::try_from(value).ok();
    }
    let digits = until_zero(field).trim_ascii();
    digits.iter().try_fold(0i64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add((digit - b'0').into()),
        _ => None,
    })
}

/// The bytes of a field before its first zero.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_offsets_of_the_specification() {
        // POSIX.1-2024, pax, table "ustar Header Block".
        let offsets = [
            (std::mem::offset_of!(Header, mode), 100),
            (std::mem::offset_of!(Header, size), 124),
            (std::mem::offset_of!(Header, chksum), 148),
            (std::mem::offset_of!(Header, typeflag), 156),
            (std::mem::offset_of!(Header, magic), 257),
            (std::mem::offset_of!(Header, devmajor), 329),
            (std::mem::offset_of!(Header, prefix), 345),
        ];
        offsets.iter().for_each(|(is, should)| assert_eq!(is, should));
    }

    #[test]
    fn sizes_are_octal_below_eight_gibibytes() {
        let mut header = Header::zeroed();
        header.set_size((1 << 33) - 1);
        assert_eq!(&header.size, b"77777777777\0");
        header.set_size(1 << 33);
        assert_eq!(header.size, [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(read_number(&header.size), Some(1 << 33));
    }

    #[test]
    fn sealed_headers_have_a_valid_checksum() {
        let mut header = Header::zeroed();
        header.name[..2].copy_from_slice(b"f\xff");
        header.seal();
        // 'f', 0xff, "ustar", "00" and eight blanks.
        let sum = 102 + 255 + 117 + 115 + 116 + 97 + 114 + 48 + 48 + 8 * 32;
        assert_eq!(header.chksum, *format!("{sum:06o}\0 ").as_bytes());
        assert!(header.has_valid_checksum());
        write_octal(&mut header.chksum[..7], sum - 256);
        assert!(header.has_valid_checksum(), "the sum of signed bytes");
        header.mode[0] = b'1';
        assert!(!header.has_valid_checksum());
    }
}
