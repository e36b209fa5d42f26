//! A member of an archive, as its headers describe it.

use crate::Timestamp;
use std::collections::BTreeMap;

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
