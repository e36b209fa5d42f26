//! Entries to headers.

use super::header::{Header, MAX_7, MAX_11, write_octal};
use super::{BLOCK, XATTR};
use crate::limits::{MAX_NAME, MAX_TARGET};
use crate::{Entry, EntryKind, StorageError};
use std::os::unix::ffi::OsStrExt;

/// Appends the header of `entry` with the name `name`, preceded by an extended header if one is needed. The name of a directory ends
/// in a slash.
///
/// # Errors
/// [`StorageError::BadEntry`] for zero bytes in names, names and links that no file system of Linux can hold, too large device numbers,
/// and `=` in names of attributes.
pub fn encode(entry: &Entry, name: &[u8], out: &mut Vec<u8>) -> Result<(), StorageError> {
    let bad = |reason| StorageError::BadEntry { path: entry.path.clone(), reason };
    let (mut header, mut records) = (Header::zeroed(), Records::default());
    let link = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::HardLink { target } => target.as_os_str().as_bytes(),
        _ => b"",
    };
    if name.contains(&0) || link.contains(&0) {
        return Err(bad("its name contains a zero byte"));
    }
    if entry.path.file_name().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(bad("its name is longer than 255 bytes"));
    }
    if matches!(entry.kind, EntryKind::Symlink { .. }) && !(1..=MAX_TARGET).contains(&link.len()) {
        return Err(bad("the target of a symbolic link has 1 to 4095 bytes"));
    }
    match split(name) {
        Some((prefix, rest)) => {
            header.name[..rest.len()].copy_from_slice(rest);
            header.prefix[..prefix.len()].copy_from_slice(prefix);
        }
        None => {
            // Readers of extended headers ignore this field. Others see the start of the name.
            header.name.copy_from_slice(&name[..100]);
            records.push("path", name);
        }
    }
    let fits = link.len().min(header.linkname.len());
    header.linkname[..fits].copy_from_slice(&link[..fits]);
    if fits < link.len() {
        records.push("linkpath", link);
    }
    numbers(entry, &mut header, &mut records);
    if let EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } = entry.kind {
        if u64::from(major.max(minor)) > MAX_7 {
            return Err(bad("its device number is too large"));
        }
        write_octal(&mut header.devmajor, major.into());
        write_octal(&mut header.devminor, minor.into());
    }
    header.typeflag = match entry.kind {
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
            return Err(bad("the name of an attribute contains `=`"));
        }
        records.push_bytes(&[XATTR.as_bytes(), attribute].concat(), value);
    }
    records.finish(out);
    seal(&mut header);
    out.extend_from_slice(header.as_block());
    Ok(())
}

/// Writes mode, owner, size and time. Numbers that do not fit are 0 in the header and go into extended records.
fn numbers(entry: &Entry, header: &mut Header, records: &mut Records) {
    let size = if let EntryKind::File { size } = entry.kind { size } else { 0 };
    write_octal(&mut header.mode, u64::from(entry.mode & 0o7777));
    write_octal(&mut header.devmajor, 0);
    write_octal(&mut header.devminor, 0);
    let time = u64::try_from(entry.mtime.seconds).ok().filter(|&seconds| seconds <= MAX_11);
    let mut put = |field: &mut [u8], keyword: &str, fits: Option<u64>, text: &dyn ToString| {
        write_octal(field, fits.unwrap_or(0));
        if fits.is_none() {
            records.push(keyword, text.to_string().as_bytes());
        }
    };
    let id = |id: u32| Some(u64::from(id)).filter(|&id| id <= MAX_7);
    put(&mut header.uid, "uid", id(entry.uid), &entry.uid);
    put(&mut header.gid, "gid", id(entry.gid), &entry.gid);
    put(&mut header.size, "size", Some(size).filter(|&size| size <= MAX_11), &size);
    put(&mut header.mtime, "mtime", time, &entry.mtime.seconds);
}

/// Seals a header with two blanks after the checksum. Another byte would be valid, too, but would change the digests of all layers.
fn seal(header: &mut Header) {
    header.seal();
    header.chksum[6] = b' ';
}

/// Splits a name into the prefix and name fields of a ustar header; `None` if it does not fit.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    /// The sizes of the two fields.
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if name.len() <= NAME {
        return Some((b"", name));
    }
    // The slash between the two is not written. The last byte may be the slash of a directory.
    let from = name.len().checked_sub(NAME + 1)?;
    let at = (from..name.len() - 1).find(|&at| name[at] == b'/')?;
    (1..=PREFIX).contains(&at).then(|| (&name[..at], &name[at + 1..]))
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

    /// Appends the extended header, if there are any records.
    fn finish(self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let mut header = Header::zeroed();
        header.name[..11].copy_from_slice(b"PaxHeaders/");
        write_octal(&mut header.mode, 0o644);
        for field in [&mut header.uid, &mut header.gid, &mut header.devmajor, &mut header.devminor] {
            write_octal(field, 0);
        }
        write_octal(&mut header.mtime, 0);
        write_octal(&mut header.size, self.0.len() as u64);
        header.typeflag = b'x';
        seal(&mut header);
        out.extend_from_slice(header.as_block());
        out.extend_from_slice(&self.0);
        out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
    }
}
