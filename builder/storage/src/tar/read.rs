//! Headers to members: a strict reader for archives of other tools.

use super::extended::{Extended, Headers, text_number};
use super::header::{GnuExtension, Header, SparsePair, read_number, until_zero};
use super::member::{Member, MemberKind, Sparse};
use super::sparse::{Numbers, pieces};
use super::{BLOCK, padded};
use crate::StorageError;
use crate::limits::{MAX_ATTRIBUTES, MAX_NAMES};
use std::io::{self, Read, Seek};

/// The largest extended header that is read, in bytes. Linux allows 64 KiB per attribute; docker's limit is 1 MiB.
const MAX_EXTENDED: u64 = 1 << 20;

/// Reads members one after the other. It reads all bytes of the source in order, unless it is [seeking](Self::seeking).
pub struct Reader<R> {
    source: R,
    /// Whether owners are read: contexts have none, so theirs need not be valid.
    owners: bool,
    /// Skips bytes without reading them, if the source can seek.
    skip: Option<fn(&mut R, i64) -> io::Result<()>>,
    /// The number of bytes read so far.
    at: u64,
    /// The offset of the next header.
    next: u64,
    /// The end of the last member's data.
    data: u64,
    /// What all names and links, and all extended attributes, may still take.
    names_left: u64,
    attributes_left: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Starts at the first header of `source`.
    pub fn new(source: R) -> Self {
        Self {
            source,
            owners: true,
            skip: None,
            at: 0,
            next: 0,
            data: 0,
            names_left: MAX_NAMES,
            attributes_left: MAX_ATTRIBUTES,
            buffer: vec![0; 1 << 20],
        }
    }

    /// A reader that seeks over the data of members. It does not notice data that reaches beyond the end of the source.
    pub fn seeking(source: R) -> Self
    where
        R: Seek,
    {
        Self { skip: Some(R::seek_relative), ..Self::new(source) }
    }

    /// A reader that gives all members the owner 0.
    pub fn without_owners(source: R) -> Self {
        Self { owners: false, ..Self::new(source) }
    }

    /// The next member; `None` at the end of the archive. The rest of the source has been read then.
    pub fn read_member(&mut self) -> Result<Option<Member>, StorageError> {
        let mut extended = Extended::default();
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
                // Records for all following members have no effect in Go's reader, and so in docker, BuildKit, buildah and umoci.
                b'g' => Extended::default().parse(&self.small(size)?, at)?,
                b'L' => long_name = Some(until_zero(&self.small(size)?).to_vec()),
                b'K' => long_link = Some(until_zero(&self.small(size)?).to_vec()),
                _ => {
                    let headers = Headers { header, at, size, extended, long_name, long_link };
                    let mut member = headers.member(self.at, self.owners)?;
                    self.count(&member, at)?;
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

    /// Counts what a member takes in memory besides its data.
    fn count(&mut self, member: &Member, at: u64) -> Result<(), StorageError> {
        let over = |what: &str, limit: u64| {
            StorageError::bad_layer(at, format!("the {what} of its members take more than {} MiB", limit >> 20))
        };
        let names = (member.name.len() + member.link.len()) as u64;
        self.names_left = self.names_left.checked_sub(names).ok_or_else(|| over("names", MAX_NAMES))?;
        let attributes = member.xattrs.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum();
        self.attributes_left =
            self.attributes_left.checked_sub(attributes).ok_or_else(|| over("attributes", MAX_ATTRIBUTES))?;
        Ok(())
    }

    /// The stored data of the last member: for a sparse file its pieces, one after the other. The end of the source is an error.
    pub fn data(&mut self) -> impl Read {
        Data(self)
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
            let failed = |error| StorageError::Io { action: "seek in", path: "the archive".into(), error };
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
                Err(error) => return Err(StorageError::Io { action: "read", path: "the layer".into(), error }),
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
                Err(error) => return Err(StorageError::Io { action: "read", path: "the layer".into(), error }),
            }
        }
    }
}

/// The part of the source that is left of a member's data.
struct Data<'a, R>(&'a mut Reader<R>);

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = &mut *self.0;
        let left = usize::try_from(reader.data - reader.at).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let got = reader.source.read(&mut buffer[..want])?;
        if got == 0 && want > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected end"));
        }
        reader.at += got as u64;
        Ok(got)
    }
}
