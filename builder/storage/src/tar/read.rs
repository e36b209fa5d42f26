//! Headers to members: a strict reader for archives of other tools.

use super::header::{GnuExtension, Header, SparsePair, USTAR, read_number, read_signed, until_zero};
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
    /// The pieces of data, in order.
    pub pieces: Vec<SparsePiece>,
}

/// A piece of a sparse file's data. All numbers are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparsePiece {
    /// The offset in the file.
    pub offset: u64,
    /// The offset in the stored data.
    pub stored: u64,
    /// The length.
    pub length: u64,
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

/// The headers of one member.
struct Headers {
    header: Header,
    /// The offset of `header` in the archive.
    at: u64,
    /// The size in `header`.
    size: u64,
    extended: Extended,
    /// Names from GNU headers.
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
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
            let size = read_number(&header.size).ok_or_else(|| StorageError::bad_layer(at, "invalid size"))?;
            match header.typeflag {
                b'x' | b'X' => extended.parse(&self.small(size)?, at)?,
                b'g' => {
                    let bytes = self.small(size)?;
                    self.global.parse(&bytes, at)?;
                    extended.parse(&bytes, at)?;
                }
                b'L' => long_name = Some(until_zero(&self.small(size)?).to_vec()),
                b'K' => long_link = Some(until_zero(&self.small(size)?).to_vec()),
                _ => {
                    let headers = Headers { header, at, size, extended, long_name, long_link };
                    let mut member = headers.member(self.at)?;
                    self.data = self
                        .at
                        .checked_add(member.stored)
                        .ok_or_else(|| StorageError::bad_layer(at, "invalid size"))?;
                    self.next = padded(self.data);
                    if member.kind == MemberKind::File {
                        self.sparse(&headers, &mut member)?;
                    }
                    return Ok(Some(member));
                }
            }
        }
    }

    /// Reads the data map of a member that is sparse in one of GNU tar's formats.
    fn sparse(&mut self, headers: &Headers, member: &mut Member) -> Result<(), StorageError> {
        let bad = || StorageError::bad_layer(headers.at, "invalid sparse map");
        let record = |name: &str| headers.record(name);
        let (map, real) = if headers.header.typeflag == b'S' {
            (self.old_sparse_map(headers, member)?, read_number(&headers.header.gnu().real_size).ok_or_else(bad)?)
        } else if let Some(real) = record("GNU.sparse.realsize") {
            let real = text_number(real).ok_or_else(bad)?;
            if let Some(name) = record("GNU.sparse.name") {
                member.name.clone_from(name);
            }
            // Format 1.0: the map precedes the data, one decimal number per line.
            let mut lines = Numbers::default();
            while !lines.complete() {
                let block = self.block()?;
                lines.feed(&block).ok_or_else(bad)?;
                (member.offset, member.stored) =
                    (member.offset + BLOCK, member.stored.checked_sub(BLOCK).ok_or_else(bad)?);
            }
            (lines.values.split_off(1), real)
        } else if let Some(real) = record("GNU.sparse.size") {
            if let Some(name) = record("GNU.sparse.name") {
                member.name.clone_from(name);
            }
            (headers.extended.map.clone(), text_number(real).ok_or_else(bad)?)
        } else {
            return Ok(());
        };
        member.sparse = Some(Sparse { size: real, pieces: pieces(&map, real, member.stored).ok_or_else(bad)? });
        Ok(())
    }

    /// Reads the data map in GNU tar's old format: in the header and in blocks that follow it.
    fn old_sparse_map(&mut self, headers: &Headers, member: &mut Member) -> Result<Vec<u64>, StorageError> {
        let bad = || StorageError::bad_layer(headers.at, "invalid sparse map");
        let mut map = Vec::new();
        let mut push = |pairs: &[SparsePair]| {
            for pair in pairs {
                let (offset, length) = (read_number(&pair.offset)?, read_number(&pair.length)?);
                // Unused pairs are zero. A used pair may have length zero at the end of the file.
                if length != 0 {
                    map.extend([offset, length]);
                }
            }
            Some(())
        };
        let first = headers.header.gnu();
        push(&first.sparse).ok_or_else(bad)?;
        let mut is_extended = first.is_extended != 0;
        while is_extended {
            let block = self.block()?;
            let extension = GnuExtension::of(&block);
            push(&extension.sparse).ok_or_else(bad)?;
            is_extended = extension.is_extended != 0;
            member.offset += BLOCK;
            self.next += BLOCK;
            self.data += BLOCK;
        }
        Ok(map)
    }

    /// The next header block; `None` if it is all zeros or the source ends.
    fn header(&mut self) -> Result<Option<Header>, StorageError> {
        let at = self.at;
        let header = match self.block() {
            Err(StorageError::BadLayer { .. }) if self.at == at => return Ok(None),
            block => Header::of(&block?).clone(),
        };
        if header.is_zero() {
            return Ok(None);
        }
        if header.has_valid_checksum() {
            Ok(Some(header))
        } else {
            Err(StorageError::bad_layer(at, "wrong checksum of a header"))
        }
    }

    /// The next block, which need not be a header.
    fn block(&mut self) -> Result<[u8; BLOCK as usize], StorageError> {
        let mut block = [0; BLOCK as usize];
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

impl Headers {
    /// The value of an extended record.
    fn record(&self, name: &str) -> Option<&Vec<u8>> {
        self.extended.records.get(name.as_bytes())
    }

    fn bad(&self, what: &str) -> StorageError {
        StorageError::bad_layer(self.at, format!("invalid {what}"))
    }

    /// A number of the header.
    fn number(&self, field: &[u8], what: &str) -> Result<u64, StorageError> {
        read_number(field).ok_or_else(|| self.bad(what))
    }

    /// A number of an extended record.
    fn decimal(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.record(name).map(|text| text_number(text).ok_or_else(|| self.bad(name))).transpose()
    }

    /// A user or group id.
    fn id(&self, name: &str, field: &[u8], what: &str) -> Result<u32, StorageError> {
        let value = self.decimal(name)?.map_or_else(|| self.number(field, what), Ok)?;
        owner_id(value).ok_or_else(|| {
            StorageError::bad_layer(self.at, format!("{what} {value} is not a valid id: the largest is {MAX_OWNER_ID}"))
        })
    }

    fn device_number(&self, field: &[u8]) -> Result<u32, StorageError> {
        u32::try_from(self.number(field, "device number")?).map_err(|_| self.bad("device number"))
    }

    fn mtime(&self) -> Result<Timestamp, StorageError> {
        let time = match self.record("mtime") {
            Some(text) => timestamp(text),
            None => read_signed(&self.header.mtime).map(|seconds| Timestamp { seconds, nanos: 0 }),
        };
        time.ok_or_else(|| self.bad("mtime"))
    }

    /// The path. As in Go's reader, a GNU long name takes precedence over the pax record `path`.
    fn name(&self) -> Vec<u8> {
        let long = self.long_name.as_ref().filter(|name| !name.is_empty()).or_else(|| self.record("path"));
        if let Some(name) = long {
            return name.clone();
        }
        let (header, name) = (&self.header, until_zero(&self.header.name));
        if header.magic != USTAR || header.prefix[0] == 0 {
            return name.to_vec();
        }
        // star stores two times at the end of the POSIX prefix field.
        let end = if header.rest.ends_with(b"tar\0") { 131 } else { header.prefix.len() };
        [until_zero(&header.prefix[..end]), b"/", name].concat()
    }

    fn link(&self) -> Vec<u8> {
        let long = self.long_link.as_ref().filter(|link| !link.is_empty()).or_else(|| self.record("linkpath"));
        long.cloned().unwrap_or_else(|| until_zero(&self.header.linkname).to_vec())
    }

    fn kind(&self, name: &[u8]) -> Result<MemberKind, StorageError> {
        Ok(match self.header.typeflag {
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
                return Err(StorageError::bad_layer(self.at, format!("unknown member type {:?}", char::from(other))));
            }
        })
    }

    /// The member that these headers describe, whose data starts at `offset`.
    fn member(&self, offset: u64) -> Result<Member, StorageError> {
        let (header, name) = (&self.header, self.name());
        let kind = self.kind(&name)?;
        let stored = match kind {
            MemberKind::File => self.decimal("size")?.unwrap_or(self.size),
            // The size of a hard link is that of its file, without data. Tools disagree about the size of other types.
            _ => 0,
        };
        let device = match kind {
            MemberKind::Char | MemberKind::Block => {
                (self.device_number(&header.devmajor)?, self.device_number(&header.devminor)?)
            }
            _ => (0, 0),
        };
        Ok(Member {
            name,
            kind,
            mode: self.number(&header.mode, "mode")? as u32 & 0o7777,
            uid: self.id("uid", &header.uid, "owner")?,
            gid: self.id("gid", &header.gid, "group")?,
            mtime: self.mtime()?,
            link: self.link(),
            device,
            xattrs: self.extended.xattrs(),
            stored,
            offset,
            sparse: None,
        })
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

/// Converts a data map, a list of offsets and lengths, to pieces; `None` if it is not ordered or has more data than stored.
fn pieces(map: &[u64], size: u64, stored: u64) -> Option<Vec<SparsePiece>> {
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
