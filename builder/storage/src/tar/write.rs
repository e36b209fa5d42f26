//! Entries to headers.

use super::XATTR;
use crate::{Entry, EntryKind, StorageError};
use std::os::unix::ffi::OsStrExt;

/// The largest number that a field of eight octal digits (seven and a terminator) holds.
const MAX_7: u64 = 0o7_777_777;
/// The largest number that a field of twelve octal digits (eleven and a terminator) holds.
const MAX_11: u64 = 0o77_777_777_777;

/// Offsets of header fields (POSIX.1-2024, pax, "ustar Interchange Format").
mod field {
    use std::ops::Range;
    pub(super) const NAME: Range<usize> = 0..100;
    pub(super) const MODE: Range<usize> = 100..108;
    pub(super) const UID: Range<usize> = 108..116;
    pub(super) const GID: Range<usize> = 116..124;
    pub(super) const SIZE: Range<usize> = 124..136;
    pub(super) const MTIME: Range<usize> = 136..148;
    pub(super) const CHECKSUM: Range<usize> = 148..156;
    pub(super) const TYPE: usize = 156;
    pub(super) const LINK: Range<usize> = 157..257;
    pub(super) const MAGIC: Range<usize> = 257..265;
    pub(super) const MAJOR: Range<usize> = 329..337;
    pub(super) const MINOR: Range<usize> = 337..345;
    pub(super) const PREFIX: Range<usize> = 345..500;
}

/// Appends the header of `entry` with the name `name`, preceded by an extended header if one is needed. The name of a directory ends
/// in a slash.
///
/// # Errors
/// [`StorageError::BadEntry`] for zero bytes in names, too large device numbers, and `=` in names of attributes.
pub fn encode(entry: &Entry, name: &[u8], out: &mut Vec<u8>) -> Result<(), StorageError> {
    let mut records = Records::default();
    let mut header = [0u8; 512];
    let size = if let EntryKind::File { size } = entry.kind { size } else { 0 };
    let link = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::HardLink { target } => target.as_os_str().as_bytes(),
        _ => b"",
    };
    let (major, minor) = match entry.kind {
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => (major, minor),
        _ => (0, 0),
    };
    if name.contains(&0) || link.contains(&0) {
        return Err(StorageError::BadEntry { path: entry.path.clone(), reason: "its name contains a zero byte" });
    }

    match split(name) {
        Some((prefix, rest)) => {
            header[field::NAME][..rest.len()].copy_from_slice(rest);
            header[field::PREFIX][..prefix.len()].copy_from_slice(prefix);
        }
        None => {
            // Readers of extended headers ignore this field. Others see the start of the name.
            header[field::NAME].copy_from_slice(&name[..100]);
            records.push("path", name);
        }
    }
    if link.len() <= field::LINK.len() {
        header[field::LINK][..link.len()].copy_from_slice(link);
    } else {
        header[field::LINK].copy_from_slice(&link[..100]);
        records.push("linkpath", link);
    }
    octal(&mut header[field::MODE], u64::from(entry.mode & 0o7777));
    for (range, keyword, id) in [(field::UID, "uid", entry.uid), (field::GID, "gid", entry.gid)] {
        let fits = u64::from(id) <= MAX_7;
        octal(&mut header[range], if fits { id.into() } else { 0 });
        if !fits {
            records.push(keyword, id.to_string().as_bytes());
        }
    }
    octal(&mut header[field::SIZE], if size <= MAX_11 { size } else { 0 });
    if size > MAX_11 {
        records.push("size", size.to_string().as_bytes());
    }
    match u64::try_from(entry.mtime.seconds).ok().filter(|&seconds| seconds <= MAX_11) {
        Some(seconds) => octal(&mut header[field::MTIME], seconds),
        None => {
            octal(&mut header[field::MTIME], 0);
            records.push("mtime", entry.mtime.seconds.to_string().as_bytes());
        }
    }
    if u64::from(major.max(minor)) > MAX_7 {
        return Err(StorageError::BadEntry { path: entry.path.clone(), reason: "its device number is too large" });
    }
    octal(&mut header[field::MAJOR], major.into());
    octal(&mut header[field::MINOR], minor.into());
    header[field::TYPE] = match entry.kind {
        EntryKind::File { .. } => b'0',
        EntryKind::HardLink { .. } => b'1',
        EntryKind::Symlink { .. } => b'2',
        EntryKind::CharDevice { .. } => b'3',
        EntryKind::BlockDevice { .. } => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    };
    for (attribute, value) in &entry.xattrs {
        if attribute.contains(&b'=') {
            return Err(StorageError::BadEntry {
                path: entry.path.clone(),
                reason: "the name of an attribute contains `=`",
            });
        }
        records.push_bytes(&[XATTR.as_bytes(), attribute].concat(), value);
    }
    records.finish(out);
    seal(&mut header);
    out.extend_from_slice(&header);
    Ok(())
}

/// Splits a name into the prefix and name fields of a ustar header; `None` if it does not fit.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= field::NAME.len() {
        return Some((b"", name));
    }
    // The slash between the two is not written. The last byte may be the slash of a directory.
    let from = name.len().checked_sub(field::NAME.len() + 1)?;
    let at = (from..name.len() - 1).find(|&at| name[at] == b'/')?;
    (1..=field::PREFIX.len()).contains(&at).then(|| (&name[..at], &name[at + 1..]))
}

/// Zero-padded octal digits and a terminating zero byte.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// Writes the magic and then the checksum.
fn seal(header: &mut [u8; 512]) {
    header[field::MAGIC].copy_from_slice(b"ustar\x0000");
    header[field::CHECKSUM].fill(b' ');
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut header[field::CHECKSUM.start..field::CHECKSUM.end - 1], sum);
}

/// The records of an extended header.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn push(&mut self, keyword: &str, value: &[u8]) {
        self.push_bytes(keyword.as_bytes(), value);
    }

    /// Appends `<length> <keyword>=<value>\n`. The length includes its own digits.
    fn push_bytes(&mut self, keyword: &[u8], value: &[u8]) {
        let rest = keyword.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        for piece in [b" ", keyword, b"=", value, b"\n"] {
            self.0.extend_from_slice(piece);
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let mut header = [0u8; 512];
        header[..11].copy_from_slice(b"PaxHeaders/");
        octal(&mut header[field::MODE], 0o644);
        for range in [field::UID, field::GID, field::MTIME, field::MAJOR, field::MINOR] {
            octal(&mut header[range], 0);
        }
        octal(&mut header[field::SIZE], self.0.len() as u64);
        header[field::TYPE] = b'x';
        seal(&mut header);
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.0);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}
