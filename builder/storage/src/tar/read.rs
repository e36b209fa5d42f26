//! Headers to members: a strict reader for archives of other tools.

use super::{BLOCK, XATTR, padded};
use crate::{MAX_OWNER_ID, StorageError, Timestamp, owner_id};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

/// The largest extended header that is read, in bytes. Linux allows 64 KiB per attribute; docker's limit is 1 MiB.
const MAX_EXTENDED: u64 = 1 << 20;

/// One member of an archive, as described by its headers.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// The path as stored in the archive: not cleaned, without a trailing NUL.
    pub name: Vec<u8>,
    /// The type of the member.
    pub kind: MemberKind,
    /// Permission, setuid, setgid and sticky bits.
    pub mode: u32,
    /// The user id of the owner.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The modification time.
    pub mtime: Timestamp,
    /// The target of a symbolic or hard link; empty for other kinds.
    pub link: Vec<u8>,
    /// Major and minor number of a device; zeros for other kinds.
    pub device: (u32, u32),
    /// Extended attributes by their full names, such as `user.note`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The number of data bytes that follow the headers.
    pub stored: u64,
    /// The offset of the data in the archive.
    pub offset: u64,
    /// The data map of a sparse file.
    pub sparse: Option<Sparse>,
}

/// The data map of a sparse file.
#[derive(Clone, Debug, Default)]
pub struct Sparse {
    /// The apparent size in bytes.
    pub size: u64,
    /// The pieces of data: (offset in the file, offset in the stored data, length), in bytes.
    pub pieces: Vec<(u64, u64, u64)>,
}

/// The type of an archive member (POSIX.1-2024 pax, "typeflag").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A further name of a file that an earlier member made.
    HardLink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// Reads members one after the other. It reads all bytes of the source in order, unless it is [seeking](Self::seeking).
pub struct Reader<R> {
    source: R,
    /// Skips bytes without reading them, if the source can seek.
    skip: Option<fn(&mut R, i64) -> io::Result<()>>,
    /// The number of bytes read so far.
    at: u64,
    /// The offset of the next header.
    next: u64,
    /// The end of the last member's data.
    data: u64,
    global: Extended,
    buffer: Vec<u8>,
}

/// The records of extended headers.
#[derive(Clone, Default)]
struct Extended {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// GNU sparse formats 0.0 and 0.1 repeat or list (offset, length).
    map: Vec<u64>,
}

impl<R: Read> Reader<R> {
    /// Starts at the first header of `source`.
    pub fn new(source: R) -> Self {
        Self { source, skip: None, at: 0, next: 0, data: 0, global: Extended::default(), buffer: vec![0; 1 << 20] }
    }

    /// A reader that seeks over the data of members. It does not notice data that reaches beyond the end of the source.
    pub fn seeking(source: R) -> Self
    where
        R: Seek,
    {
        Self { skip: Some(R::seek_relative), ..Self::new(source) }
    }

    /// The next member; `None` at the end of the archive. The rest of the source has been read then.
    pub fn read_member(&mut self) -> Result<Option<Member>, StorageError> {
        let mut extended = self.global.clone();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            match self.skip_to(self.next) {
                // Tools that write no end marker (umoci) also omit the padding of the last member. Go's reader, and so docker and
                // BuildKit, treat that as the end.
                Err(StorageError::BadLayer { .. }) if self.at == self.data => return Ok(None),
                skipped => skipped?,
            }
            let Some(header) = self.header()? else {
                if self.skip.is_none() {
                    self.drain()?;
                }
                return Ok(None);
            };
            let at = self.at - BLOCK;
            let size = number(&header[124..136]).ok_or_else(|| StorageError::bad_layer(at, "invalid size"))?;
            match header[156] {
                b'x' | b'X' => extended.parse(&self.small(size)?, at)?,
                b'g' => {
                    let bytes = self.small(size)?;
                    self.global.parse(&bytes, at)?;
                    extended.parse(&bytes, at)?;
                }
                b'L' => long_name = Some(until_zero(&self.small(size)?).to_vec()),
                b'K' => long_link = Some(until_zero(&self.small(size)?).to_vec()),
                _ => return self.member(&header, size, at, &extended, long_name, long_link).map(Some),
            }
        }
    }

    fn member(
        &mut self,
        header: &[u8; 512],
        size: u64,
        at: u64,
        extended: &Extended,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Member, StorageError> {
        let bad = |what: &str| StorageError::bad_layer(at, format!("invalid {what}"));
        let field = |range: std::ops::Range<usize>, what: &str| number(&header[range]).ok_or_else(|| bad(what));
        let record = |name: &str| extended.records.get(name.as_bytes());
        let decimal = |name: &str| record(name).map(|text| text_number(text).ok_or_else(|| bad(name))).transpose();
        let number32 = |value: u64, what: &str| u32::try_from(value).map_err(|_| bad(what));
        let id = |name: &str, range: std::ops::Range<usize>, what: &str| {
            let value = decimal(name)?.map_or_else(|| field(range, what), Ok)?;
            owner_id(value).ok_or_else(|| {
                StorageError::bad_layer(at, format!("{what} {value} is not a valid id: the largest is {MAX_OWNER_ID}"))
            })
        };

        let mut name = until_zero(&header[..100]).to_vec();
        if &header[257..263] == b"ustar\0" && header[345] != 0 {
            // star stores two times at the end of the POSIX prefix field.
            let end = if &header[508..] == b"tar\0" { 476 } else { 500 };
            name = [until_zero(&header[345..end]), b"/", &name].concat();
        }
        // As in Go's reader, a GNU long name takes precedence over the pax record `path`.
        let long = |name: Option<Vec<u8>>| name.filter(|name| !name.is_empty());
        let name = long(long_name).or_else(|| record("path").cloned()).unwrap_or(name);
        let link = until_zero(&header[157..257]).to_vec();
        let link = long(long_link).or_else(|| record("linkpath").cloned()).unwrap_or(link);
        let kind = match header[156] {
            // Before ustar, a directory was a file whose name ends in a slash. The whole name counts, not the first 100 bytes in the
            // header.
            0 if name.ends_with(b"/") => MemberKind::Directory,
            b'0' | 0 | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'3' => MemberKind::Char,
            b'4' => MemberKind::Block,
            b'5' => MemberKind::Directory,
            b'6' => MemberKind::Fifo,
            other => {
                return Err(StorageError::bad_layer(at, format!("unknown member type {:?}", char::from(other))));
            }
        };
        let stored = match kind {
            MemberKind::File => decimal("size")?.unwrap_or(size),
            // The size of a hard link is that of its file, without data. Tools disagree about the size of other types.
            _ => 0,
        };
        let mut member = Member {
            name,
            kind,
            mode: field(100..108, "mode")? as u32 & 0o7777,
            uid: id("uid", 108..116, "owner")?,
            gid: id("gid", 116..124, "group")?,
            mtime: match record("mtime") {
                Some(text) => timestamp(text).ok_or_else(|| bad("mtime"))?,
                None => Timestamp { seconds: signed(&header[136..148]).ok_or_else(|| bad("mtime"))?, nanos: 0 },
            },
            link,
            device: match kind {
                MemberKind::Char | MemberKind::Block => (
                    number32(field(329..337, "device number")?, "device number")?,
                    number32(field(337..345, "device number")?, "device number")?,
                ),
                _ => (0, 0),
            },
            xattrs: extended.xattrs(),
            stored,
            offset: self.at,
            sparse: None,
        };
        self.data = self.at.checked_add(stored).ok_or_else(|| bad("size"))?;
        self.next = padded(self.data);
        if kind == MemberKind::File {
            self.sparse(header, at, extended, &mut member)?;
        }
        Ok(member)
    }

    /// Reads the data map of a member that is sparse in one of GNU tar's formats.
    fn sparse(
        &mut self,
        header: &[u8; 512],
        at: u64,
        extended: &Extended,
        member: &mut Member,
    ) -> Result<(), StorageError> {
        let bad = || StorageError::bad_layer(at, "invalid sparse map");
        let record = |name: &str| extended.records.get(name.as_bytes());
        let (mut map, real) = if header[156] == b'S' {
            let real = number(&header[483..495]).ok_or_else(bad)?;
            let mut map = Vec::new();
            let mut push = |pairs: &[u8]| {
                for value in pairs.chunks_exact(12).map(number) {
                    map.push(value.ok_or_else(bad)?);
                }
                Ok::<_, StorageError>(())
            };
            push(&header[386..482])?;
            let mut more = header[482] != 0;
            while more {
                let block = self.header()?.ok_or_else(bad)?;
                push(&block[..504])?;
                more = block[504] != 0;
                member.offset += BLOCK;
                self.next += BLOCK;
                self.data += BLOCK;
            }
            // Unused pairs are zero. A used pair may have length zero at the end of the file.
            (map.chunks_exact(2).filter(|pair| pair[1] != 0).flatten().copied().collect(), real)
        } else if let Some(real) = record("GNU.sparse.realsize") {
            let real = text_number(real).ok_or_else(bad)?;
            if let Some(name) = record("GNU.sparse.name") {
                member.name.clone_from(name);
            }
            // Format 1.0: the map precedes the data, one decimal number per line.
            let mut lines = Numbers::default();
            while !lines.complete() {
                let block = self.header_or_zero()?;
                lines.feed(&block).ok_or_else(bad)?;
                (member.offset, member.stored) =
                    (member.offset + BLOCK, member.stored.checked_sub(BLOCK).ok_or_else(bad)?);
            }
            (lines.values.split_off(1), real)
        } else if let Some(real) = record("GNU.sparse.size") {
            if let Some(name) = record("GNU.sparse.name") {
                member.name.clone_from(name);
            }
            (extended.map.clone(), text_number(real).ok_or_else(bad)?)
        } else {
            return Ok(());
        };
        if map.len() % 2 != 0 {
            return Err(bad());
        }
        let (mut pieces, mut data, mut end) = (Vec::new(), 0u64, 0u64);
        for pair in map.chunks_exact_mut(2) {
            let (offset, length) = (pair[0], pair[1]);
            let after = offset.checked_add(length).filter(|&after| offset >= end && after <= real).ok_or_else(bad)?;
            if length > 0 {
                pieces.push((offset, data, length));
            }
            (data, end) = (data + length, after);
        }
        if data > member.stored {
            return Err(bad());
        }
        member.sparse = Some(Sparse { size: real, pieces });
        Ok(())
    }

    /// The next header block; `None` if it is all zeros or the source ends.
    fn header(&mut self) -> Result<Option<[u8; 512]>, StorageError> {
        let at = self.at;
        let mut header = [0; 512];
        let mut have = 0;
        while have < header.len() {
            match self.fill(header.len() - have) {
                Ok(got) => header[have..have + got].copy_from_slice(&self.buffer[..got]),
                Err(StorageError::BadLayer { .. }) if have == 0 => return Ok(None),
                Err(error) => return Err(error),
            }
            have = (self.at - at) as usize;
        }
        if header.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let sum: u64 =
            header.iter().enumerate().map(|(i, &b)| if (148..156).contains(&i) { 32 } else { b.into() }).sum();
        // Old tars sum signed bytes.
        let old: i64 = header
            .iter()
            .enumerate()
            .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { i64::from(b as i8) })
            .sum();
        match number(&header[148..156]) {
            Some(found) if found == sum || i64::try_from(found) == Ok(old) => Ok(Some(header)),
            _ => Err(StorageError::bad_layer(at, "wrong checksum of a header")),
        }
    }

    /// The next block, which is not a header: any bytes are valid.
    fn header_or_zero(&mut self) -> Result<[u8; 512], StorageError> {
        let mut block = [0; 512];
        let mut have = 0;
        while have < block.len() {
            let got = self.fill(block.len() - have)?;
            block[have..have + got].copy_from_slice(&self.buffer[..got]);
            have += got;
        }
        Ok(block)
    }

    /// Reads the data of an extended header.
    fn small(&mut self, size: u64) -> Result<Vec<u8>, StorageError> {
        if size > MAX_EXTENDED {
            return Err(StorageError::bad_layer(
                self.at,
                format!("an extended header of {size} bytes, which is more than {MAX_EXTENDED}"),
            ));
        }
        self.next = padded(self.at + size);
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let got = self.fill(size as usize - bytes.len())?;
            bytes.extend_from_slice(&self.buffer[..got]);
        }
        Ok(bytes)
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), StorageError> {
        if let (Some(skip), Ok(bytes)) = (self.skip, i64::try_from(offset - self.at)) {
            let failed = |source| StorageError::Io { action: "seek in", path: "the archive".into(), source };
            self.at = offset;
            return skip(&mut self.source, bytes).map_err(failed);
        }
        while self.at < offset {
            let want = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(self.buffer.len());
            self.fill(want)?;
        }
        Ok(())
    }

    /// Reads to the end of the source. Padding after the archive's end is part of the layer.
    fn drain(&mut self) -> Result<(), StorageError> {
        loop {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(got) => self.at += got as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(StorageError::Io { action: "read", path: "the layer".into(), source }),
            }
        }
    }

    /// Reads between one and `want` bytes into the buffer. The end of the source is an error.
    fn fill(&mut self, want: usize) -> Result<usize, StorageError> {
        loop {
            match self.source.read(&mut self.buffer[..want]) {
                Ok(0) => return Err(StorageError::bad_layer(self.at, "unexpected end")),
                Ok(got) => {
                    self.at += got as u64;
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(StorageError::Io { action: "read", path: "the layer".into(), source }),
            }
        }
    }
}

impl Extended {
    fn parse(&mut self, mut bytes: &[u8], at: u64) -> Result<(), StorageError> {
        let bad = || StorageError::bad_layer(at, "invalid extended header");
        while !bytes.is_empty() && bytes[0] != 0 {
            let space = bytes.iter().position(|&byte| byte == b' ').ok_or_else(bad)?;
            let length = text_number(&bytes[..space]).and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?;
            let record = bytes.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(bad)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(bad)?;
            let (keyword, value) = (&record[..equals], &record[equals + 1..]);
            match keyword {
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.map.push(text_number(value).ok_or_else(bad)?),
                b"GNU.sparse.map" => {
                    for number in value.split(|&byte| byte == b',').filter(|number| !number.is_empty()) {
                        self.map.push(text_number(number).ok_or_else(bad)?);
                    }
                }
                _ if value.is_empty() && !keyword.starts_with(XATTR.as_bytes()) => {
                    // POSIX: an empty value removes the record of an earlier header.
                    self.records.remove(keyword);
                }
                b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => return Err(bad()),
                _ => {
                    self.records.insert(keyword.to_vec(), value.to_vec());
                }
            }
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let attribute =
            |(key, value): (&Vec<u8>, &Vec<u8>)| Some((key.strip_prefix(XATTR.as_bytes())?.to_vec(), value.clone()));
        self.records.iter().filter_map(attribute).collect()
    }
}

/// Parses the decimal lines of a sparse map of format 1.0: the number of pairs, then the pairs.
#[derive(Default)]
struct Numbers {
    values: Vec<u64>,
    line: Vec<u8>,
}

impl Numbers {
    fn complete(&self) -> bool {
        self.values.first().is_some_and(|&pairs| self.values.len() as u64 > pairs.saturating_mul(2))
    }

    fn feed(&mut self, block: &[u8]) -> Option<()> {
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

fn until_zero(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())]
}

/// An unsigned field: octal digits, or GNU's base-256 encoding.
fn number(field: &[u8]) -> Option<u64> {
    signed(field).and_then(|value| u64::try_from(value).ok())
}

fn signed(field: &[u8]) -> Option<i64> {
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

fn text_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses `[-]seconds[.fraction]`. Digits after the ninth are ignored.
fn timestamp(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos =
        fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    Some(match (whole.starts_with('-'), nanos) {
        // -1.25 s is 0.75 s after -2 s.
        (true, 1..) => Timestamp { seconds: seconds.checked_sub(1)?, nanos: 1_000_000_000 - nanos },
        _ => Timestamp { seconds, nanos },
    })
}
