//! The headers of one member together: the header block, extended headers and GNU's headers for long names.

use super::XATTR;
use super::header::{Header, USTAR, read_number, read_signed, until_zero};
use super::member::{Member, MemberKind};
use crate::attributes::{CAPABILITY, is_capability};
use crate::{MAX_OWNER_ID, StorageError, Timestamp, owner_id};
use std::collections::BTreeMap;

/// The headers of one member.
pub(super) struct Headers {
    pub(super) header: Header,
    /// The offset of `header` in the archive.
    pub(super) at: u64,
    /// The size in `header`.
    pub(super) size: u64,
    pub(super) extended: Extended,
    /// Names from GNU headers.
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
}

/// The records of extended headers.
#[derive(Clone, Default)]
pub(super) struct Extended {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// GNU sparse formats 0.0 and 0.1 repeat or list (offset, length).
    pub(super) map: Vec<u64>,
}

impl Headers {
    /// The value of an extended record.
    pub(super) fn record(&self, name: &str) -> Option<&Vec<u8>> {
        self.extended.records.get(name.as_bytes())
    }

    pub(super) fn bad(&self, what: &str) -> StorageError {
        StorageError::bad_layer(self.at, format!("invalid {what}"))
    }

    /// A number of the header.
    fn number(&self, field: &[u8], what: &str) -> Result<u64, StorageError> {
        read_number(field).ok_or_else(|| self.bad(what))
    }

    /// A number of an extended record.
    pub(super) fn decimal(&self, name: &str) -> Result<Option<u64>, StorageError> {
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

    /// The extended attributes. A kernel refuses invalid capabilities, so a file system cannot have them; an empty value is a record
    /// that removes an earlier one (pax(1)), as in Go's reader.
    fn attributes(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StorageError> {
        let mut attributes = self.extended.xattrs();
        match attributes.get(CAPABILITY.as_bytes()) {
            Some(value) if value.is_empty() => drop(attributes.remove(CAPABILITY.as_bytes())),
            Some(value) if !is_capability(value) => {
                let name = String::from_utf8_lossy(&self.name()).into_owned();
                return Err(StorageError::bad_layer(self.at, format!("invalid {CAPABILITY} of {name:?}")));
            }
            _ => {}
        }
        Ok(attributes)
    }

    /// The member that these headers describe, whose data starts at `offset`; with the owner 0 if `owners` are not wanted.
    pub(super) fn member(&self, offset: u64, owners: bool) -> Result<Member, StorageError> {
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
        let (uid, gid) = if owners {
            (self.id("uid", &header.uid, "owner")?, self.id("gid", &header.gid, "group")?)
        } else {
            (0, 0)
        };
        Ok(Member {
            name,
            kind,
            mode: self.number(&header.mode, "mode")? as u32 & 0o7777,
            uid,
            gid,
            mtime: self.mtime()?,
            link: self.link(),
            device,
            xattrs: self.attributes()?,
            stored,
            offset,
            sparse: None,
        })
    }
}

impl Extended {
    pub(super) fn parse(&mut self, mut bytes: &[u8], at: u64) -> Result<(), StorageError> {
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

pub(super) fn text_number(text: &[u8]) -> Option<u64> {
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
